package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// within bounds what hangs only when something is wrong.
const within = time.Minute

// serving runs the acceptor for a test and returns its address and what ends it: its standard input's end. It is ended with
// the test at the latest.
func serving(t *testing.T) (address string, end func()) {
	t.Helper()
	in, stop := io.Pipe()
	lines, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(t.Context(), in, out)
		_ = out.CloseWithError(errors.Join(err, io.EOF))
		ended <- err
	}()
	over := false
	end = func() {
		if over {
			return
		}
		over = true
		_ = stop.Close()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	}
	t.Cleanup(end)
	line, err := bufio.NewReader(lines).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n"), end
}

// TestGorilla has gorilla's dialler, which checks the answer, open many connections at a time. What they send is dropped;
// one that ends is closed, the others stay until the acceptor ends.
func TestGorilla(t *testing.T) {
	address, end := serving(t)
	const connections = 500
	all := make([]*websocket.Conn, connections)
	var dials errgroup.Group
	dials.SetLimit(64)
	for i := range all {
		dials.Go(func() error {
			dialer := websocket.Dialer{HandshakeTimeout: within}
			conn, resp, err := dialer.Dial(address, nil)
			if err != nil {
				return err
			}
			all[i] = conn
			return errors.Join(resp.Body.Close(), conn.SetReadDeadline(time.Now().Add(within)),
				conn.WriteMessage(websocket.TextMessage, make([]byte, 3*buffer)))
		})
	}
	if err := dials.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, conn := range all[:connections/2] {
		if err := conn.UnderlyingConn().(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if err := closedBy(conn); err != nil {
			t.Errorf("connection %d, which has ended: %v", i, err)
		}
	}
	for i, conn := range all[connections/2:] {
		if err := untouched(conn); err != nil {
			t.Errorf("connection %d, which has not ended: %v", i, err)
		}
	}
	end()
	for i, conn := range all[connections/2:] {
		if err := closedBy(conn); err != nil {
			t.Errorf("connection %d, after the acceptor's end: %v", i, err)
		}
	}
}

// closedBy closes a connection that the other side is to have closed, without a byte.
func closedBy(conn *websocket.Conn) error {
	defer conn.Close()
	n, err := conn.UnderlyingConn().Read(make([]byte, 1))
	if n == 0 && (errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET)) { // a reset where something came unread
		return nil
	}
	return errors.Join(errors.New("it is not closed in silence"), err)
}

// untouched is nil where nothing stands in a connection, its end neither.
func untouched(conn *websocket.Conn) error {
	raw, err := conn.UnderlyingConn().(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	var got error
	err = raw.Control(func(fd uintptr) {
		_, _, got = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	if errors.Is(got, unix.EAGAIN) {
		return err
	}
	return errors.Join(errors.New("something has come, or its end"), got)
}

// TestRefused: a client is told of a refusal before the connection ends, also where it goes on sending.
func TestRefused(t *testing.T) {
	address, _ := serving(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for want, request := range map[int]string{
		http.StatusRequestHeaderFieldsTooLarge: "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 64*maxHead),
		http.StatusBadRequest:                  "GET / HTTP/1.1\r\nHost: h\r\n\r\n" + strings.Repeat("x", 64*maxHead),
	} {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Errorf("%d: the request was not taken: %v", want, err)
		}
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%d: %v", want, err)
		}
		_ = resp.Body.Close()
		if _, err := in.ReadByte(); resp.StatusCode != want || !errors.Is(err, io.EOF) {
			t.Errorf("got %s and then %v; want %d and then the end", resp.Status, err, want)
		}
	}
}

// TestInterrupted: it ends by its context, too, which an interrupt ends, while standard input is open.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, keep := io.Pipe()
	defer keep.Close()
	if err := run(ctx, in, writerFunc(func(p []byte) (int, error) {
		cancel() // it serves
		return len(p), nil
	})); err != nil {
		t.Error(err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
