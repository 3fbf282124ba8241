package gateway

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxUnsentBytes is how much the kernel takes for a client beyond what is on its way to it. Without this bound it grows
// to megabytes on a fast network, where a slow client's oldest records wait out of the queue's reach.
const maxUnsentBytes = 64 << 10

// boundUnsent bounds what the kernel holds unsent for a connection (TCP_NOTSENT_LOWAT, tcp(7)). Where the connection or
// the kernel does not have it the kernel's own bound stays.
func boundUnsent(conn net.Conn) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsentBytes)
	})
}
