// Peer: gnet v2 for UDP, one event loop.
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

// The kernel chose the port: the socket's descriptor knows it.
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
		return gnet.None
	}
	// What the kernel has no room for is lost, as datagrams are.
	_, _ = connection.Write(bytes)
	return gnet.None
}

func main() {
	ready.Threads(1)
	ready.Check(gnet.Run(&echo{}, "udp4://"+ready.Address,
		gnet.WithNumEventLoop(1),
		gnet.WithLogLevel(logging.ErrorLevel)))
}
