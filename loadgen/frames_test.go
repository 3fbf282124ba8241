package loadgen

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"pgregory.net/rapid"
)

// serverFrame is a frame as a server sends it.
func serverFrame(opcode byte, fin bool, payload []byte) []byte {
	masked := appendClientFrame(nil, opcode, nil)
	out := []byte{masked[0]}
	if !fin {
		out[0] &^= 0x80
	}
	switch n := len(payload); {
	case n < 126:
		out = append(out, byte(n))
	case n <= 0xffff:
		out = append(out, 126, byte(n>>8), byte(n))
	default:
		out = append(out, 127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, payload...)
}

// readAll feeds stream in the given pieces and collects the data messages.
func readAll(stream []byte, cut func(left int) int) (messages []string, err error) {
	var r frameReader
	for len(stream) > 0 {
		n := min(max(cut(len(stream)), 1), len(stream))
		err = r.feed(stream[:n], nil, func(f frame, last bool) error {
			if f.opcode < opClose {
				messages = append(messages, string(f.payload))
			}
			return nil
		})
		if err != nil {
			return messages, err
		}
		stream = stream[n:]
	}
	return messages, nil
}

// TestFrameReaderFindsMessagesInAnyCut splits a stream of fragmented messages with control frames between them anywhere.
func TestFrameReaderFindsMessagesInAnyCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want []string
		for range rapid.IntRange(0, 6).Draw(t, "messages") {
			message := bytes.Repeat([]byte{byte(len(want)) + 'a'}, rapid.SampledFrom([]int{0, 1, 125, 126, 300, 65535, 65536}).Draw(t, "size"))
			parts := rapid.IntRange(1, 3).Draw(t, "fragments")
			rest := message
			for i := range parts {
				piece := rest
				if i < parts-1 {
					piece = rest[:len(rest)/2]
				}
				rest = rest[len(piece):]
				opcode := byte(opText)
				if i > 0 {
					opcode = opContinuation
				}
				stream = append(stream, serverFrame(opcode, i == parts-1, piece)...)
				if rapid.Bool().Draw(t, "ping") {
					stream = append(stream, serverFrame(opPing, true, []byte("p"))...)
				}
			}
			want = append(want, string(message))
		}
		got, err := readAll(stream, func(left int) int { return rapid.IntRange(1, left).Draw(t, "cut") })
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("got %d messages; want %d", len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("message %d: got %d bytes; want %d", i, len(got[i]), len(want[i]))
			}
		}
	})
}

func TestFrameReaderMarksTheLastOfARead(t *testing.T) {
	one := serverFrame(opText, true, []byte("one"))
	var lasts []bool
	var r frameReader
	stream := append(append(append([]byte(nil), one...), one...), one[:2]...)
	if err := r.feed(stream, nil, func(_ frame, last bool) error { lasts = append(lasts, last); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(lasts) != 2 || lasts[0] || lasts[1] {
		t.Errorf("two messages and a piece of a third: got %v; want [false false]", lasts)
	}
	lasts = nil
	if err := r.feed(one[2:], nil, func(_ frame, last bool) error { lasts = append(lasts, last); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(lasts) != 1 || !lasts[0] {
		t.Errorf("the rest of it: got %v; want [true]", lasts)
	}
}

func TestFrameReaderKeepsNothingBetweenWholeFrames(t *testing.T) {
	stream := serverFrame(opBinary, true, make([]byte, 300))
	var r frameReader
	got := testing.AllocsPerRun(100, func() {
		_ = r.feed(stream, nil, func(frame, bool) error { return nil })
	})
	if got != 0 || r.unfinished != nil {
		t.Errorf("got %v allocations and %+v kept; want none", got, r.unfinished)
	}
}

// acceptKey is the server's answer to a client's key (RFC 6455, section 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// gorillaMessages reads the same bytes with gorilla's client. What it accepts is the reference for what we accept.
func gorillaMessages(stream []byte) (messages []string, failed bool) {
	pr, pw := net.Pipe()
	defer pr.Close()
	go func() {
		defer pw.Close()
		req, err := http.ReadRequest(bufio.NewReader(pw))
		if err != nil {
			return
		}
		key := req.Header.Get("Sec-WebSocket-Key")
		_, _ = io.WriteString(pw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+acceptKey(key)+"\r\n\r\n")
		go io.Copy(io.Discard, pw)
		_, _ = pw.Write(stream)
	}()
	d := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return pr, nil }, HandshakeTimeout: time.Second}
	conn, _, err := d.Dial("ws://test/", nil)
	if err != nil {
		return nil, true
	}
	for {
		_, m, err := conn.ReadMessage()
		if err != nil {
			return messages, !isEnd(err)
		}
		messages = append(messages, string(m))
	}
}

// isEnd tells the end of the bytes from a refusal of them.
func isEnd(err error) bool {
	return websocket.IsCloseError(err, websocket.CloseAbnormalClosure) || err == io.EOF || err == io.ErrUnexpectedEOF || websocket.IsUnexpectedCloseError(err)
}

func FuzzFramesAgainstGorilla(f *testing.F) {
	f.Add(serverFrame(opText, true, []byte("hello")))
	f.Add(append(serverFrame(opText, false, []byte("a")), serverFrame(opContinuation, true, []byte("b"))...))
	f.Add([]byte{0x81, 0x85, 1, 2, 3, 4})
	f.Add([]byte{0x83, 0x00})
	f.Fuzz(func(t *testing.T, stream []byte) {
		if bytes.IndexByte(stream, 0x88) >= 0 {
			return // gorilla ends at a close frame, the caller of feed does
		}
		got, err := readAll(stream, func(left int) int { return left/2 + 1 })
		want, _ := gorillaMessages(stream)
		// Ours must read whatever gorilla reads; where ours refuses, what came before must agree.
		if err == nil && len(got) != len(want) {
			t.Fatalf("got %q; gorilla read %q", got, want)
		}
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("message %d: got %q; gorilla read %q", i, got[i], want[i])
			}
		}
		if err != nil && len(got) < len(want) {
			t.Fatalf("refused %v after %q; gorilla read %q", err, got, want)
		}
	})
}
