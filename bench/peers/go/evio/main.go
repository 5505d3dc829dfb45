// Peer: evio, one loop, one shared input buffer. It offers no way to set TCP_NODELAY, and accepts with a plain
// accept(2), by which a socket inherits the option from its listener: so it is set there.
package main

import (
	"errors"
	"syscall"

	"github.com/tidwall/evio"

	"millrace/bench/peers/ready"
)

const descriptorsMax = 64

// The program has one listening socket (and copies of its descriptor), opened just now.
func setNoDelayOnListener() error {
	for fd := 0; fd < descriptorsMax; fd++ {
		isListening, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
		if err == nil && isListening == 1 {
			return syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		}
	}
	return errors.New("there is no listening socket")
}

func main() {
	ready.Threads(1)
	events := evio.Events{
		NumLoops: 1,
		Serving: func(server evio.Server) evio.Action {
			ready.Check(setNoDelayOnListener())
			ready.Announce(server.Addrs[0])
			return evio.None
		},
		Opened: func(evio.Conn) ([]byte, evio.Options, evio.Action) {
			return nil, evio.Options{ReuseInputBuffer: true}, evio.None
		},
		Data: func(_ evio.Conn, bytes []byte) ([]byte, evio.Action) {
			return bytes, evio.None
		},
	}
	ready.Check(evio.Serve(events, "tcp4://"+ready.Address))
}
