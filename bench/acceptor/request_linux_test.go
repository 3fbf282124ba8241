package main

import (
	"bytes"
	"strings"
	"testing"
)

// The key and its answer are those of RFC 6455, section 1.3.
const (
	sampleRequest = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nsec-websocket-KEY:  dGhlIHNhbXBsZSBub25jZQ== \r\n\r\n"
	sampleAnswer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)

// TestSplit has a request come in two reads, split at each byte: the first is answered by nothing.
func TestSplit(t *testing.T) {
	for at := range len(sampleRequest) {
		var r request
		if got, _ := r.take([]byte(sampleRequest[:at])); got != nil {
			t.Fatalf("the first %d bytes are answered: %q", at, got)
		}
		got, upgraded := r.take([]byte(sampleRequest[at:] + "what comes behind"))
		if string(got) != sampleAnswer || !upgraded {
			t.Fatalf("split at %d: got %q, %v; want %q", at, got, upgraded, sampleAnswer)
		}
	}
}

func TestRefusals(t *testing.T) {
	longest := "GET / HTTP/1.1\r\nSec-WebSocket-Key: k\r\nX: "
	longest += strings.Repeat("x", maxHead-len(longest))
	for name, c := range map[string]struct{ request, want string }{
		"no key":                {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", noKey},
		"an empty key":          {"GET / HTTP/1.1\r\nSec-WebSocket-Key: \r\n\r\n", noKey},
		"the key in the line":   {"Sec-WebSocket-Key: k\r\nHost: h\r\n\r\n", noKey},
		"the key behind":        {"GET / HTTP/1.1\r\n\r\nSec-WebSocket-Key: k\r\n\r\n", noKey},
		"a byte too much":       {longest + "x\r\n\r\n", tooLarge},
		"no end, a byte less":   {longest + "\r\n\r", ""},
		"no end":                {longest + "xxxx", tooLarge},
		"as large as it may be": {longest + "\r\n\r\n", switching},
	} {
		var r request
		got, upgraded := r.take([]byte(c.request))
		if !strings.HasPrefix(string(got), c.want) || (c.want == "") != (got == nil) || upgraded != (c.want == switching) {
			t.Errorf("%s: got %q, upgraded: %v; want %q", name, got, upgraded, c.want)
		}
	}
}

// FuzzRequest: a request is answered alike whether it comes whole or in two reads.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(sampleRequest), 40)
	f.Add([]byte(strings.Repeat("x", maxHead+len(headEnd))), maxHead)
	f.Add([]byte("\r\n\r\n"), 2)
	f.Add([]byte(":\r\nsec-websocket-key:k\r\n\r\n\r\n\r\n"), 28)
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		if at < 0 || at > len(data) {
			t.Skip()
		}
		var whole, split request
		want, _ := whole.take(data)
		got, _ := split.take(data[:at])
		if got == nil {
			got, _ = split.take(data[at:])
		}
		if !bytes.Equal(got, want) {
			t.Errorf("got %q in two reads; %q in one", got, want)
		}
	})
}
