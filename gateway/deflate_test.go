package gateway

import (
	"bytes"
	"compress/flate"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestNegotiateDeflate(t *testing.T) {
	for _, tt := range []struct {
		offer, want string
		maxPayload  int
	}{
		{"", "", 0},
		{"permessage-bzip2", "", 0},
		{"permessage-deflate", "", math.MaxInt},
		{"x-webkit-deflate-frame, Permessage-Deflate; client_max_window_bits", "", math.MaxInt},
		{"permessage-deflate; client_max_window_bits=12; server_no_context_takeover", "", math.MaxInt},
		{`permessage-deflate; server_max_window_bits="10"`, "; server_max_window_bits=10", 1024},
		{"permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=8", "; server_max_window_bits=8", 256},
		{"permessage-deflate; server_max_window_bits", "", 0},
		{"permessage-deflate; server_max_window_bits=010", "", 0},
		{"permessage-deflate; server_max_window_bits=16", "", 0},
		{"permessage-deflate; client_max_window_bits=7", "", 0},
		{"permessage-deflate; server_no_context_takeover=1", "", 0},
		{"permessage-deflate; client_no_context_takeover; client_no_context_takeover", "", 0},
		{"permessage-deflate; colour=red", "", 0},
		{"permessage-deflate;", "", math.MaxInt},
	} {
		terms := negotiateDeflate([]string{"other", tt.offer})
		if tt.maxPayload == 0 {
			if terms != nil {
				t.Errorf("%q: got %s; want it declined", tt.offer, terms)
			}
			continue
		}
		want := "permessage-deflate; server_no_context_takeover; client_no_context_takeover" + tt.want
		if terms == nil || terms.String() != want || terms.maxPayload() != tt.maxPayload {
			t.Errorf("%q: got %v; want %s up to %d bytes", tt.offer, terms, want, tt.maxPayload)
		}
	}
}

// deflated is a compressed message's payload, as a client makes it.
func deflated(payload string, level int) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, level)
	_, _ = w.Write([]byte(payload))
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), deflateTail)
}

// maskedDeflated is a compressed frame as a client sends it, the message's first and only one.
func maskedDeflated(op opcode, payload string) []byte {
	b := masked(op, payload)
	b[0] |= rsv1Bit
	return b
}

func inflatingReader(limit int) *frameReader {
	f := newFrameReader(nil, limit)
	h := newHub(nil, nil, 1, nil)
	f.inflaters = &h.inflaters
	return f
}

func TestReadDeflated(t *testing.T) {
	const limit = 1000
	text := strings.Repeat("héllo ", 100)
	whole := deflated(text, flate.BestCompression)
	cut := len(whole) / 2
	first := masked(opText, whole[:cut])
	first[0] = rsv1Bit | byte(opText)
	last := masked(opContinuation, whole[cut:])
	lastDeflated := append([]byte(nil), last...)
	lastDeflated[0] |= rsv1Bit
	ping := masked(opPing, "p")
	noise := make([]byte, limit)
	for i := range noise {
		noise[i] = byte(rand.N(256))
	}
	for _, tt := range []struct {
		name string
		send []byte
		want []clientMessage
		code CloseCode // CloseNormal for the end of what was sent
	}{
		{"one frame, then a plain one", append(maskedDeflated(opText, whole), masked(opText, "x")...), []clientMessage{{opText, text}, {opText, "x"}}, CloseNormal},
		{"fragments with a ping between", append(append(append([]byte(nil), first...), ping...), last...), []clientMessage{{opPing, "p"}, {opText, text}}, CloseNormal},
		{"plain fragments after compressed", append(append(append(append([]byte(nil), first...), last...), 0x01, 0x81, 0, 0, 0, 0, 'a'), masked(opContinuation, "b")...), []clientMessage{{opText, text}, {opText, "ab"}}, CloseNormal},
		{"empty", maskedDeflated(opBinary, "\x00"), []clientMessage{{opBinary, ""}}, CloseNormal},
		{"exactly the limit", maskedDeflated(opText, deflated(strings.Repeat("x", limit), 9)), []clientMessage{{opText, strings.Repeat("x", limit)}}, CloseNormal},
		{"incompressible at the limit", maskedDeflated(opBinary, deflated(string(noise), 0)), []clientMessage{{opBinary, string(noise)}}, CloseNormal},
		{"final block", maskedDeflated(opText, "\x03\x00"), []clientMessage{{opText, ""}}, CloseNormal},
		{"one over the limit", maskedDeflated(opText, deflated(strings.Repeat("x", limit+1), 9)), nil, CloseTooBig},
		{"bomb", maskedDeflated(opText, deflated(strings.Repeat("x", 500_000), 9)), nil, CloseTooBig},
		{"too long before inflation", maskedDeflated(opText, strings.Repeat("x", deflatedLimit(limit)+1)), nil, CloseTooBig},
		{"broken", maskedDeflated(opText, "\xff\xff\xff"), nil, CloseProtocolError},
		{"not UTF-8", maskedDeflated(opText, deflated("\xff\xfe", 9)), nil, CloseInvalidPayload},
		{"compressed continuation", append(append([]byte(nil), first...), lastDeflated...), nil, CloseProtocolError},
		{"compressed ping", maskedDeflated(opPing, ""), nil, CloseProtocolError},
		{"another reserved bit", []byte{0xA1, 0x80, 0, 0, 0, 0}, nil, CloseProtocolError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := inflatingReader(limit)
			f.src = iotest.OneByteReader(bytes.NewReader(tt.send))
			var got []clientMessage
			for {
				op, payload, err := f.next()
				if err == nil {
					got = append(got, clientMessage{op, string(payload)})
					continue
				}
				code := CloseNormal
				if breach, ok := err.(*frameError); ok {
					code = breach.code
				}
				if code != tt.code || fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("got %.200q, %v; want %.200q, close %d", got, err, tt.want, tt.code)
				}
				return
			}
		})
	}
	// Who has not negotiated it may not use it.
	f := newFrameReader(bytes.NewReader(maskedDeflated(opText, whole)), limit)
	if _, _, err := f.next(); err == nil || err.Error() != "reserved bits are set" {
		t.Errorf("not negotiated: got %v; want a breach", err)
	}
}

// A bomb costs no more memory than a message may have.
func TestBombMemory(t *testing.T) {
	const limit = 64 << 10
	bomb := []byte(deflated(strings.Repeat("\x00", 60<<20), 9)) // some 60 KiB
	in := newInflater().(*inflater)
	if _, err := in.inflate(bomb, limit); err == nil {
		t.Fatal("the bomb was inflated")
	}
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = in.inflate(bomb, limit)
		}
	})
	if got := result.AllocedBytesPerOp(); got > int64(len(bomb)+4*limit) {
		t.Errorf("inflating %d bytes up to %d: %d bytes were allocated", len(bomb), limit, got)
	}
}

// Messages inflate to what compress/flate makes of them, or are refused, and never to more than the limit.
func FuzzInflate(f *testing.F) {
	f.Add([]byte(deflated("hello", 9)), 100)
	f.Add([]byte(deflated(strings.Repeat("x", 1000), 1)), 10)
	f.Add([]byte("\x03\x00garbage"), 5)
	f.Add([]byte("\xff"), 1)
	f.Fuzz(func(t *testing.T, payload []byte, limit int) {
		limit = max(1, limit%(64<<10))
		before := bytes.Clone(payload)
		got, err := newInflater().(*inflater).inflate(payload, limit)
		if !bytes.Equal(payload, before) {
			t.Error("the payload was changed")
		}
		ref := flate.NewReader(bytes.NewReader(append(before, deflateTail+finalBlock...)))
		want, refErr := readUpTo(ref, limit)
		switch {
		case len(want) > limit:
			if breach, ok := err.(*frameError); !ok || breach.code != CloseTooBig {
				t.Errorf("got %d bytes, %v; want too big for %d", len(got), err, limit)
			}
		case (err == nil) != (refErr == nil), err == nil && !bytes.Equal(got, want):
			t.Errorf("got %q, %v; want %q, %v", got, err, want, refErr)
		}
	})
}

// readUpTo reads one byte more than the limit at most.
func readUpTo(r interface{ Read([]byte) (int, error) }, limit int) ([]byte, error) {
	var out []byte
	b := make([]byte, 1)
	for len(out) <= limit {
		n, err := r.Read(b)
		out = append(out, b[:n]...)
		if err != nil {
			if err.Error() == "EOF" {
				err = nil
			}
			return out, err
		}
	}
	return out, nil
}

// What is compressed at any level comes back as it was, however it is fragmented.
func FuzzReadDeflatedFragments(f *testing.F) {
	f.Add([]byte("hello"), 9, 2)
	f.Add(bytes.Repeat([]byte("ab"), 5000), 1, 100)
	f.Fuzz(func(t *testing.T, payload []byte, level, size int) {
		size = 1 + int(uint(size)%200)
		body := deflated(string(payload), int(uint(level)%10))
		var frames []byte
		for i := 0; ; i += size {
			end := min(i+size, len(body))
			op := opContinuation
			if i == 0 {
				op = opBinary
			}
			frame := masked(op, body[i:end])
			if i == 0 {
				frame[0] |= rsv1Bit
			}
			if end < len(body) {
				frame[0] &^= finBit
			}
			frames = append(frames, frame...)
			if end == len(body) {
				break
			}
		}
		r := inflatingReader(len(payload) + 1)
		r.src = bytes.NewReader(frames)
		if op, got, err := r.next(); err != nil || op != opBinary || !bytes.Equal(got, payload) {
			t.Errorf("got %d bytes, %v; want %d", len(got), err, len(payload))
		}
	})
}

// dialDeflating connects with compression offered.
func (g *gatewayUnderTest) dialDeflating(channel string) *testClient {
	g.t.Helper()
	d := websocket.Dialer{EnableCompression: true}
	ws, resp, err := d.Dial("ws://"+g.addr+"/ws?channel="+channel, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("Sec-WebSocket-Extensions"); !strings.HasPrefix(got, "permessage-deflate") {
		g.t.Errorf("extensions: got %q; want permessage-deflate", got)
	}
	g.t.Cleanup(func() { ws.Close() })
	c := &testClient{t: g.t, ws: ws}
	c.read()
	c.read()
	return c
}

// Records come in order and whole, compressed or not, large, small and incompressible, to those who take them compressed
// and to those who don't; and what a client sends compressed is understood.
func TestCompression(t *testing.T) {
	g := startOpen(t, func(c *Config) { c.Compression = true })
	plain, packed := g.dial("prices"), g.dialDeflating("prices")
	const n = 60
	values := make([][]byte, n)
	size := int64(0)
	for i := range values {
		switch i % 3 {
		case 0:
			values[i] = []byte(strings.Repeat(`{"bid":101.5,"ask":102}`, 20+i))
		case 1:
			values[i] = []byte("x")
		default:
			values[i] = make([]byte, 300)
			for j := range values[i] {
				values[i][j] = byte(rand.N(256))
			}
		}
		size += int64(len(values[i]))
	}
	for _, v := range values {
		g.produce(0, &kgo.Record{Value: v})
	}
	for _, c := range []*testClient{plain, packed} {
		for i, want := range values {
			if m := c.read(); m.Offset != int64(i) || !bytes.Equal(m.Value, want) {
				t.Fatalf("got record %d with %.50q; want %d with %.50q", m.Offset, m.Value, i, want)
			}
		}
	}
	s := g.eventually("all is written", func(s Stats) bool { return s.Deliveries == 2*n })
	if s.BytesWritten >= 2*size { // less than the values alone
		t.Errorf("%d bytes were written for two clients with %d each: nothing was compressed", s.BytesWritten, size)
	}
	packed.ws.EnableWriteCompression(true)
	packed.publish(1, "orders/k", strings.Repeat("v", 1000))
	packed.wantAnswer("published", 1, "")
	packed.ws.SetWriteDeadline(time.Now().Add(patience))
	packed.send(`{"type":"publish","id":2,"channel":"orders/k","value":"` + strings.Repeat("v", 1<<20) + `"}`)
	packed.wantClose(CloseTooBig) // some KiB before inflation
}

// A record is compressed once for all, and not for those with a smaller window than it is long.
func TestDeflatedIsShared(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	clientWith := func(deflateMax int) *client { return &client{deflateMax: deflateMax} }
	var e recordEncoder
	msg := &message{frame: e.encode(recordHeader("prices"), &record{value: bytes.Repeat([]byte("x"), 1000)}), offset: 7}
	if got := h.forClient(msg, clientWith(0)); got != msg || msg.deflated != nil {
		t.Error("a record was compressed for nobody")
	}
	if got := h.forClient(msg, clientWith(1024)); got != msg || msg.deflated != nil {
		t.Error("a record was compressed for a window that it does not fit")
	}
	first, second := h.forClient(msg, clientWith(2048)), h.forClient(msg, clientWith(math.MaxInt))
	if first == msg || first != second || first.offset != 7 || first.frame[0] != finBit|rsv1Bit|byte(opText) || len(first.frame) > 300 {
		t.Errorf("got %+v and %+v; want one compressed message", first, second)
	}
	small := &message{frame: appendFrame(nil, opText, make([]byte, minDeflated-1))}
	if got := h.forClient(small, clientWith(math.MaxInt)); got != small {
		t.Error("a small message was compressed")
	}
	noise := make([]byte, 1000)
	for i := range noise {
		noise[i] = byte(rand.N(256))
	}
	incompressible := &message{frame: appendFrame(nil, opBinary, noise)}
	if got := h.forClient(incompressible, clientWith(math.MaxInt)); got != incompressible {
		t.Error("what can't be compressed was not sent as it is")
	}
}

func TestCompressionIsNotOfferedUnlessSet(t *testing.T) {
	g := start(t, nil)
	d := websocket.Dialer{EnableCompression: true}
	ws, resp, err := d.Dial("ws://"+g.addr+"/ws", http.Header{})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	defer resp.Body.Close()
	if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != "" {
		t.Errorf("extensions: got %q; want none", got)
	}
}
