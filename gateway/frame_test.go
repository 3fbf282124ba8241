package gateway

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// replayConn answers a WebSocket handshake and then gives what it holds.
type replayConn struct {
	net.Conn // nil: only the methods below are used
	request  bytes.Buffer
	response *bytes.Reader
	frames   []byte
}

func (c *replayConn) Write(b []byte) (int, error)      { return c.request.Write(b) }
func (c *replayConn) Close() error                     { return nil }
func (c *replayConn) SetDeadline(time.Time) error      { return nil }
func (c *replayConn) SetWriteDeadline(time.Time) error { return nil }
func (c *replayConn) Read(b []byte) (int, error) {
	if c.response == nil {
		req, err := http.ReadRequest(bufio.NewReader(&c.request))
		if err != nil {
			return 0, err
		}
		accept := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		response := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
			base64.StdEncoding.EncodeToString(accept[:]) + "\r\n\r\n"
		c.response = bytes.NewReader(append([]byte(response), c.frames...))
	}
	return c.response.Read(b)
}

// gorillaReads gives the messages that gorilla's client reads from frames.
func gorillaReads(t *testing.T, frames []byte) (ops []int, messages [][]byte) {
	t.Helper()
	ws, resp, err := websocket.NewClient(&replayConn{frames: frames}, &url.URL{Scheme: "ws", Host: "h"}, nil, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for {
		op, m, err := ws.ReadMessage()
		if err != nil {
			if !websocket.IsUnexpectedCloseError(err) && err != io.EOF {
				t.Fatalf("gorilla: %v", err)
			}
			return ops, messages
		}
		ops, messages = append(ops, op), append(messages, m)
	}
}

// A record's frame is one that gorilla reads, with a header that encoding/json
// reads, and holds what the record did.
func FuzzRecordFrame(f *testing.F) {
	f.Add(int32(3), int64(123), []byte("k7"), true, []byte(`{"bid":1}`))
	f.Add(int32(0), int64(0), []byte{0xff, '"'}, true, []byte{0, 0xff})
	f.Add(int32(1<<30), int64(1<<62), []byte("\x00\u2028\\"), true, bytes.Repeat([]byte("\n"), 200))
	f.Add(int32(-1), int64(-1), []byte{}, false, bytes.Repeat([]byte("x"), 70000))
	f.Fuzz(func(t *testing.T, partition int32, offset int64, key []byte, hasKey bool, value []byte) {
		if !hasKey {
			key = nil
		}
		var e recordEncoder
		r := &record{partition: partition, offset: offset, key: key, value: value, receivedAt: 5, queuedAt: 6}
		frame := e.encode(recordHeader("prices"), r)
		if again := e.encode(recordHeader("prices"), r); !bytes.Equal(frame, again) {
			t.Error("the encoder depends on what it encoded before")
		}
		ops, messages := gorillaReads(t, frame)
		if len(messages) != 1 {
			t.Fatalf("gorilla reads %d messages; want 1", len(messages))
		}
		m, err := parse(ops[0], messages[0])
		if err != nil {
			t.Fatal(err)
		}
		if m.Binary == utf8.Valid(value) || !bytes.Equal(m.Value, value) {
			t.Errorf("value: got %q, binary %t; want %q", m.Value, m.Binary, value)
		}
		if m.Type != "message" || m.Topic != "prices" || m.Partition != partition || m.Offset != offset || m.ReceivedAt != 5 || m.QueuedAt != 6 {
			t.Errorf("header: got %.200s", m.Raw)
		}
		switch {
		case key == nil:
			if m.Key != nil || m.KeyBase64 != nil {
				t.Errorf("no key: got %.200s", m.Raw)
			}
		case utf8.Valid(key):
			if m.Key == nil || *m.Key != string(key) {
				t.Errorf("key %q: got %.200s", key, m.Raw)
			}
		case !bytes.Equal(m.KeyBase64, key) || m.Key != nil:
			t.Errorf("key %q: got %.200s", key, m.Raw)
		}
	})
}

// clientMessage is what a frameReader gave, copied.
type clientMessage struct {
	op      opcode
	payload string
}

// readAll reads until the first error, which at the end of the input is EOF.
func readAll(src io.Reader, limit int) (messages []clientMessage, err error) {
	f := newFrameReader(src, limit)
	for {
		op, payload, err := f.next()
		if err != nil {
			return messages, err
		}
		messages = append(messages, clientMessage{op, string(payload)})
	}
}

// timeouts interrupts src with an error after each read, as a deadline does.
type timeouts struct {
	src  io.Reader
	late bool
}

func (t *timeouts) Read(b []byte) (int, error) {
	if t.late = !t.late; t.late {
		return 0, iotest.ErrTimeout
	}
	return t.src.Read(b[:min(len(b), 3)])
}

// Whatever comes, however it is cut into reads and interrupted: the same
// messages and the same verdict, within the limit, and memory stays bounded.
func FuzzFrameReader(f *testing.F) {
	f.Add(masked(opText, `{"type":"subscribe","id":1,"channels":["prices"]}`))
	f.Add(append(masked(opPing, "x"), masked(opClose, "\x03\xE8bye")...))
	f.Add([]byte{0x01, 0x81, 1, 2, 3, 4, 'a', 0x89, 0x80, 0, 0, 0, 0, 0x80, 0x81, 1, 2, 3, 4, 'b'})
	f.Add(masked(opText, string(bytes.Repeat([]byte("é"), 300))))
	f.Add(masked(opBinary, string(make([]byte, 1500))))
	f.Fuzz(func(t *testing.T, input []byte) {
		const limit = 1024
		want, wantErr := readAll(bytes.NewReader(input), limit)
		got, gotErr := readAll(iotest.OneByteReader(bytes.NewReader(input)), limit)
		if !slices.Equal(got, want) || gotErr.Error() != wantErr.Error() {
			t.Errorf("byte by byte: got %q, %v; want %q, %v", got, gotErr, want, wantErr)
		}
		for _, m := range want {
			if len(m.payload) > limit || m.op >= opClose && len(m.payload) > maxControlPayload || m.op == opText && !utf8.ValidString(m.payload) {
				t.Errorf("message of type %d with %d bytes was let through", m.op, len(m.payload))
			}
		}

		interrupted := newFrameReader(&timeouts{src: bytes.NewReader(input)}, limit)
		var resumed []clientMessage
		for {
			op, payload, err := interrupted.next()
			if err == iotest.ErrTimeout {
				continue
			}
			if err != nil {
				break
			}
			resumed = append(resumed, clientMessage{op, string(payload)})
			if c := cap(interrupted.buf); c > limit+maxFrameHeader+idleBuffer {
				t.Errorf("buffer of %d bytes for messages of %d", c, limit)
			}
		}
		if !slices.Equal(resumed, want) {
			t.Errorf("interrupted: got %q; want %q", resumed, want)
		}
	})
}

// A request that is accepted is whole, and its acknowledgement says the same
// channels.
func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(`{"type":"subscribe","id":1,"channels":["prices","prices/k7"]}`))
	f.Add([]byte(`{"type":"unsubscribe","id":18446744073709551615,"channels":["prices/\ud800\"\u0000"]}`))
	f.Add([]byte(`{"type":1,"id":-1,"channels":{}}`))
	f.Add([]byte(` null`))
	f.Add([]byte(`{"type":"subscribe","patterns":["prices/*"],"resume":{"prices":{"epoch":"0","next":{"0":17,"-1":3}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := decodeRequest(text)
		if err != nil {
			if refused, ok := err.(*requestError); ok && !json.Valid(errorMessage(r.ID, refused)) {
				t.Errorf("error message is not JSON: %s", errorMessage(r.ID, refused))
			}
			return
		}
		switch r.Type {
		case requestSubscribe, requestUnsubscribe, requestPresence:
		default:
			t.Fatalf("accepted: %+v", r)
		}
		if len(r.Channels)+len(r.Patterns) == 0 || checkPositions(r.Resume) != nil {
			t.Fatalf("accepted: %+v", r)
		}
		var m received
		if err := json.Unmarshal(acknowledgement("subscribed", r.ID, r.Channels, r.Patterns), &m); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(m.Channels, r.Channels) || !slices.Equal(m.Patterns, r.Patterns) || (m.ID == nil) != (r.ID == nil) || m.ID != nil && *m.ID != *r.ID {
			t.Errorf("acknowledgement: got %+v; want %+v", m, r)
		}
	})
}
