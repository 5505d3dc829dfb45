// Peer: gnet v2, one event loop that accepts, too (SO_REUSEPORT), so that nothing crosses a thread.
package main

import (
	"syscall"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"

	"millrace/bench/peers/ready"
)

type echo struct {
	gnet.BuiltinEventEngine
}

// The kernel chose the port: the listener's descriptor knows it.
func (*echo) OnBoot(engine gnet.Engine) gnet.Action {
	fd, err := engine.Dup()
	ready.Check(err)
	ready.AnnounceDescriptor(fd)
	ready.Check(syscall.Close(fd))
	return gnet.None
}

func (*echo) OnTraffic(connection gnet.Conn) gnet.Action {
	bytes, err := connection.Next(-1)
	if err != nil {
		return gnet.Close
	}
	if _, err = connection.Write(bytes); err != nil {
		return gnet.Close
	}
	return gnet.None
}

func main() {
	ready.Threads(1)
	ready.Check(gnet.Run(&echo{}, "tcp4://"+ready.Address,
		gnet.WithNumEventLoop(1),
		gnet.WithReusePort(true),
		gnet.WithTCPNoDelay(gnet.TCPNoDelay),
		gnet.WithLogLevel(logging.ErrorLevel)))
}
