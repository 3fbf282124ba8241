//go:build !linux

package loadgen

import "net"

func prepareSocket(uintptr, bool, int) error { return nil }

// afterConnect sets the receive buffer where it can't be set before: the window may have been offered larger.
func afterConnect(conn net.Conn, receiveBuffer int) error {
	if tcp, ok := conn.(*net.TCPConn); ok && receiveBuffer > 0 {
		return tcp.SetReadBuffer(receiveBuffer)
	}
	return nil
}
