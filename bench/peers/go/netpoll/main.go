// Peer: netpoll of CloudWeGo, one poller. It sets TCP_NODELAY itself, and calls the handler in a goroutine of its pool.
package main

import (
	"context"

	"github.com/cloudwego/netpoll"

	"millrace/bench/peers/ready"
)

func echo(_ context.Context, connection netpoll.Connection) error {
	reader, writer := connection.Reader(), connection.Writer()
	bytes, err := reader.Next(reader.Len())
	if err != nil {
		return err
	}
	if _, err = writer.WriteBinary(bytes); err != nil {
		return err
	}
	// Flush waits for the last byte, so that the input may be let go afterwards.
	if err = writer.Flush(); err != nil {
		return err
	}
	return reader.Release()
}

func main() {
	ready.Threads(2)
	ready.Check(netpoll.Configure(netpoll.Config{PollerNum: 1}))
	listener, err := netpoll.CreateListener("tcp", ready.Address)
	ready.Check(err)
	loop, err := netpoll.NewEventLoop(echo)
	ready.Check(err)
	ready.Announce(listener.Addr())
	ready.Check(loop.Serve(listener))
}
