// Peer: gaio, one watcher. It reads into the watcher's shared buffer, which costs an idle connection nothing, and
// writes from a pooled copy, since the shared buffer is used again before a slow write ends. (The echo server of gaio's
// own benchmark shares one read buffer among all connections, which mixes up their bytes.)
package main

import (
	"net"
	"sync"

	"github.com/xtaci/gaio"

	"millrace/bench/peers/ready"
)

const (
	smallBytes = 4 * 1024
	largeBytes = 256 * 1024
	// Of the buffer that all connections are read into: once it is full, gaio goes on in pieces of a few bytes.
	sharedBytes = 1024 * 1024
)

// Two sizes, since a thousand small messages on their way must not hold 256 MB; what is larger is not pooled.
var small, large = poolOf(smallBytes), poolOf(largeBytes)

func poolOf(bytes int) *sync.Pool {
	return &sync.Pool{New: func() any {
		buffer := make([]byte, bytes)
		return &buffer
	}}
}

func take(bytes int) *[]byte {
	switch {
	case bytes <= smallBytes:
		return small.Get().(*[]byte)
	case bytes <= largeBytes:
		return large.Get().(*[]byte)
	default:
		buffer := make([]byte, bytes)
		return &buffer
	}
}

func giveBack(buffer *[]byte) {
	switch len(*buffer) {
	case smallBytes:
		small.Put(buffer)
	case largeBytes:
		large.Put(buffer)
	}
}

func serve(watcher *gaio.Watcher) {
	for {
		results, err := watcher.WaitIO()
		ready.Check(err)
		for _, result := range results {
			answer(watcher, result)
		}
	}
}

func answer(watcher *gaio.Watcher, result gaio.OpResult) {
	var err error
	if result.Operation == gaio.OpWrite {
		giveBack(result.Context.(*[]byte))
	}
	switch {
	case result.Error != nil || result.Size == 0:
		_ = watcher.Free(result.Conn)
		return
	case result.Operation == gaio.OpRead:
		buffer := take(result.Size)
		n := copy(*buffer, result.Buffer[:result.Size])
		err = watcher.Write(buffer, result.Conn, (*buffer)[:n])
	case result.Operation == gaio.OpWrite:
		err = watcher.Read(nil, result.Conn, nil)
	}
	if err != nil {
		_ = watcher.Free(result.Conn)
	}
}

func main() {
	ready.Threads(2)
	watcher, err := gaio.NewWatcherSize(sharedBytes)
	ready.Check(err)
	go serve(watcher)
	listener, err := net.Listen("tcp4", ready.Address)
	ready.Check(err)
	ready.Announce(listener.Addr())
	for {
		// Go's net sets TCP_NODELAY, and the watcher's copy of the descriptor keeps it.
		connection, err := listener.Accept()
		ready.Check(err)
		ready.Check(watcher.Read(nil, connection, nil))
	}
}
