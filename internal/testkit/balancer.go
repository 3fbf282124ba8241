package testkit

import (
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
)

// Balancer passes TCP connections on to its backends, in turn. What a connection is passed to stays.
type Balancer struct {
	Addr string // where it listens, on a loopback address

	mu       sync.Mutex
	backends []string
	next     int
	open     map[net.Conn]struct{} // nil once it is closed
	done     sync.WaitGroup
}

// StartBalancer starts one without backends; it ends with the test.
func StartBalancer(t testing.TB) *Balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &Balancer{Addr: l.Addr().String(), open: map[net.Conn]struct{}{}}
	b.done.Go(func() { b.accept(l) })
	t.Cleanup(func() {
		_ = l.Close()
		b.mu.Lock()
		for c := range b.open {
			_ = c.Close()
		}
		b.open = nil
		b.mu.Unlock()
		b.done.Wait()
	})
	return b
}

// Use makes new connections go to these addresses; without any they are closed at once.
func (b *Balancer) Use(backends ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.backends = slices.Clone(backends)
}

// Cut breaks all connections that are open.
func (b *Balancer) Cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.open {
		_ = c.Close()
	}
	if b.open != nil { // else it is closed
		clear(b.open)
	}
}

// Open counts the connections that are passed on now.
func (b *Balancer) Open() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.open) / 2
}

func (b *Balancer) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			b.done.Go(func() { b.pass(conn) })
		}
	}
}

// pass connects the two and returns when both directions have ended.
func (b *Balancer) pass(client net.Conn) {
	defer client.Close()
	backend := b.pick()
	if backend == "" {
		return
	}
	server, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	defer server.Close()
	if !b.keep(client, server) {
		return
	}
	defer b.drop(client, server)
	var back sync.WaitGroup
	back.Go(func() { splice(client, server) })
	splice(server, client)
	back.Wait()
}

// splice copies until from ends and tells to so. What breaks one end ends the other.
func splice(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		_ = to.Close()
		_ = from.Close()
		return
	}
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // fails where it is closed already
	}
}

func (b *Balancer) pick() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.backends) == 0 {
		return ""
	}
	b.next++
	return b.backends[b.next%len(b.backends)]
}

// keep remembers connections to be closed at the end, and is false where that has come.
func (b *Balancer) keep(conns ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		return false
	}
	for _, c := range conns {
		b.open[c] = struct{}{}
	}
	return true
}

func (b *Balancer) drop(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		delete(b.open, c)
	}
}
