// Peer: Go's net as everybody uses it, a goroutine and a buffer for each connection. The buffer's size is the argument:
// 4096 unless given. Go sets TCP_NODELAY itself.
package main

import (
	"net"
	"os"
	"strconv"

	"millrace/bench/peers/ready"
)

func echo(connection net.Conn, bufferBytes int) {
	defer connection.Close()
	buffer := make([]byte, bufferBytes)
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err = connection.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func main() {
	ready.Threads(1)
	bufferBytes := 4096
	if len(os.Args) > 1 {
		var err error
		bufferBytes, err = strconv.Atoi(os.Args[1])
		ready.Check(err)
	}
	listener, err := net.Listen("tcp4", ready.Address)
	ready.Check(err)
	ready.Announce(listener.Addr())
	for {
		connection, err := listener.Accept()
		ready.Check(err)
		go echo(connection, bufferBytes)
	}
}
