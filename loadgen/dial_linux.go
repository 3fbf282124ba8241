package loadgen

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// prepareSocket sets up a socket before it is bound and connected: the port of a given local address is chosen with the
// connection (ip(7), IP_BIND_ADDRESS_NO_PORT), so that one address serves as many clients as there are ports for each
// target, and a small receive buffer makes the window small from the first byte on.
func prepareSocket(fd uintptr, bound bool, receiveBuffer int) error {
	if bound {
		if err := unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return fmt.Errorf("leave the choice of the port to the connection: %w", err)
		}
	}
	if receiveBuffer > 0 {
		if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer); err != nil {
			return fmt.Errorf("set the receive buffer to %d bytes: %w", receiveBuffer, err)
		}
	}
	return nil
}

func afterConnect(net.Conn, int) error { return nil }
