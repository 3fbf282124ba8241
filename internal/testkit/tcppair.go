package testkit

import (
	"net"
	"testing"
)

// TCPPair is a connection over the loopback interface: its accepted end and the one that dialled. Both are closed with the
// test.
func TCPPair(tb testing.TB) (accepted, dialled *net.TCPConn) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = near.Close() })
	far, err := listener.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = far.Close() })
	return far.(*net.TCPConn), near.(*net.TCPConn)
}
