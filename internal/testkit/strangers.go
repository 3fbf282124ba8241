package testkit

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// SilentTarget starts a server that accepts WebSockets and delivers nothing, and returns its ws:// address. It ends with
// the test.
func SilentTarget(t testing.TB) string {
	t.Helper()
	return StartGateway(t, Options{Seeds: []string{"127.0.0.1:1"}}).URL()
}

// Stranger starts an HTTP server that is no WebSocket, answers everything with the status, and returns its address as a
// ws:// one. It ends with the test.
func Stranger(t testing.TB, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(s.Close)
	return "ws" + s.URL[len("http"):] + "/ws"
}

// StrangerTCP starts a server that speaks something else: it answers each connection with answer (nothing where it is
// empty) and keeps it open. It returns its address as a ws:// one and ends with the test.
func StrangerTCP(t testing.TB, answer string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	closed := false
	serve := func(conn net.Conn) {
		defer conn.Close()
		_, _ = io.WriteString(conn, answer)
		_, _ = io.Copy(io.Discard, conn)
		mu.Lock()
		defer mu.Unlock()
		delete(conns, conn)
	}
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if closed {
				_ = conn.Close()
			} else {
				conns[conn] = true
				wg.Go(func() { serve(conn) })
			}
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		closed = true
		for conn := range conns {
			_ = conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return "ws://" + listener.Addr().String() + "/ws"
}
