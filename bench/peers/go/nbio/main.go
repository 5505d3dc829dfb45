// Peer: nbio, one poller, read and answered in its goroutine. Write keeps a copy of what the socket does not take.
package main

import (
	"fmt"
	"net"

	"github.com/lesismal/nbio"
	"github.com/lesismal/nbio/logging"

	"millrace/bench/peers/ready"
)

func main() {
	ready.Threads(1)
	logging.SetLevel(logging.LevelError)
	engine := nbio.NewEngine(nbio.Config{
		Network: "tcp4",
		Addrs:   []string{ready.Address},
		NPoller: 1,
	})
	engine.OnOpen(func(connection *nbio.Conn) {
		if err := connection.SetNoDelay(true); err != nil {
			_ = connection.Close()
		}
	})
	engine.OnData(func(connection *nbio.Conn, bytes []byte) {
		_, _ = connection.Write(bytes) // Closes the connection when it fails.
	})
	ready.Check(engine.Start())
	// The engine replaced the port 0 by the one that it got.
	_, port, err := net.SplitHostPort(engine.Addrs[0])
	ready.Check(err)
	fmt.Printf("listening %s\n", port)
	select {}
}
