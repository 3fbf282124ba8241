package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sys/unix"

	"github.com/weirbench/weir/bench/clientline"
)

// TestFramesAsGorillaWrites dials a server of gorilla's and cuts what it writes, with a read ending at every byte of a head.
func TestFramesAsGorillaWrites(t *testing.T) {
	sizes := []int{0, 1, 125, 126, 127, 65535, 65536}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var up websocket.Upgrader
		conn, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for _, n := range sizes {
			_ = conn.WriteMessage(websocket.TextMessage, bytes.Repeat([]byte{'x'}, n))
		}
		_ = conn.WriteControl(websocket.PingMessage, []byte("p"), time.Time{})
	}))
	defer server.Close()
	data := received(t, server.URL)
	for i, n := range sizes {
		head := 2
		switch {
		case n > 65535:
			head = 10
		case n > 125:
			head = 4
		}
		for cut := range min(head+1, head+n) {
			if _, _, _, ok := frame(data[:cut]); ok {
				t.Errorf("frame %d of %d bytes is taken for whole after %d", i, n, cut)
			}
		}
		op, payload, rest, ok := frame(data)
		if !ok || op != opText || len(payload) != n {
			t.Fatalf("frame %d: opcode %d, %d bytes, whole %v; want a text of %d bytes", i, op, len(payload), ok, n)
		}
		data = rest
	}
	if op, payload, rest, ok := frame(data); !ok || op != opPing || string(payload) != "p" || len(rest) != 0 {
		t.Errorf("last frame: opcode %d, %q, whole %v, %d bytes behind it; want a ping of p and nothing", op, payload, ok, len(rest))
	}
}

// received is all that a server sends behind its handshake's answer.
func received(t *testing.T, address string) []byte {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	fd, data, err := dial(clientline.Options{URL: u, Channels: []string{"a"}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	data = bytes.Clone(data)
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return data
		}
		data = append(data, buffer[:n]...)
	}
}

// FuzzFrame: whatever comes, a frame that is taken is cut out of the data, and the rest follows it.
func FuzzFrame(f *testing.F) {
	for _, seed := range []string{"", "\x81\x01a", "\x81\x7e\x00", "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "\x89\x00\x81\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, payload, rest, ok := frame(data)
		if !ok {
			return
		}
		if whole := append(bytes.Clone(payload), rest...); !bytes.HasSuffix(data, whole) || len(data)-len(whole) < 2 {
			t.Errorf("%q: payload %q and rest %q are not its end behind a head", data, payload, rest)
		}
	})
}
