// Package ready is how every peer starts: with the threads that suit it on one core, and "listening PORT" on standard
// output once it listens.
package ready

import (
	"fmt"
	"log"
	"net"
	"os"
	"runtime"
	"syscall"
)

// Address is where peers listen: at a port that the kernel chooses.
const Address = "127.0.0.1:0"

// Threads sets how many goroutines run at a time. All servers of the benchmark share one core, so one is best where one
// goroutine does it all; a peer that hands what its poller found to another goroutine does better with two, as the one
// blocks in epoll_wait. The environment (GOMAXPROCS) has the last word.
func Threads(n int) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(n)
	}
}

// Announce prints the port of an address.
func Announce(address net.Addr) {
	fmt.Printf("listening %d\n", address.(*net.TCPAddr).Port)
}

// AnnounceDescriptor prints the port that a listening socket is bound to.
func AnnounceDescriptor(fd int) {
	address, err := syscall.Getsockname(fd)
	Check(err)
	fmt.Printf("listening %d\n", address.(*syscall.SockaddrInet4).Port)
}

// Check ends the program when something went wrong.
func Check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
