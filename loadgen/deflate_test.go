package loadgen

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
	"pgregory.net/rapid"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// deflater compresses as a server does, message after message; with takeover each refers to those before.
type deflater struct {
	out      bytes.Buffer
	writer   *flate.Writer
	takeover bool
}

func (d *deflater) compress(message []byte) []byte {
	d.out.Reset()
	if d.writer == nil || !d.takeover {
		d.writer, _ = flate.NewWriter(&d.out, flate.BestCompression) // the level is one of its
	}
	_, _ = d.writer.Write(message) // into memory
	_ = d.writer.Flush()
	return bytes.Clone(bytes.TrimSuffix(d.out.Bytes(), []byte{0, 0, 0xff, 0xff}))
}

// zeros are that many zero bytes, compressed. They are made of one piece again and again, which refers to nothing before
// itself, since compressing all of them takes the race detector half a minute.
func zeros(n int) []byte {
	const piece = 1 << 20
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression) // the level is one of its
	_, _ = w.Write(make([]byte, piece))                  // into memory
	_ = w.Flush()
	all := bytes.Repeat(out.Bytes(), n/piece)
	return append(all, (&deflater{}).compress(make([]byte, n%piece))...)
}

// compressedFrame is a server's frame of a message's first part.
func compressedFrame(opcode byte, fin bool, payload []byte) []byte {
	f := serverFrame(opcode, fin, payload)
	f[0] |= compressedBit
	return f
}

// TestDeflateTerms: what a target may answer to the offer, and what it may not.
func TestDeflateTerms(t *testing.T) {
	for answer, want := range map[string]struct {
		terms deflateTerms
		fails bool
	}{
		"": {},
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover": {terms: deflateTerms{agreed: true}},
		"permessage-deflate;server_no_context_takeover":                              {terms: deflateTerms{agreed: true}},
		"permessage-deflate": {terms: deflateTerms{true, true}},
		`permessage-deflate; client_no_context_takeover; server_max_window_bits="10"`: {terms: deflateTerms{true, true}},
		"permessage-deflate; server_max_window_bits=16":                               {fails: true},
		"permessage-deflate; server_max_window_bits":                                  {fails: true},
		"permessage-deflate; client_max_window_bits=12":                               {fails: true},
		"permessage-deflate; server_no_context_takeover=1":                            {fails: true},
		"permessage-deflate; server_no_context_takeover; server_no_context_takeover":  {fails: true},
		"permessage-deflate; ":                   {fails: true},
		"permessage-deflate, permessage-deflate": {fails: true},
		"x-webkit-deflate-frame":                 {fails: true},
	} {
		got, err := parseDeflate(answer)
		if got != want.terms || (err != nil) != want.fails {
			t.Errorf("%q: got %+v, %v; want %+v", answer, got, err, want)
		}
	}
}

// TestInflating: messages of any kind, whole or in fragments with control frames between, with and without takeover.
func TestInflating(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := deflater{takeover: rapid.Bool().Draw(t, "takeover")}
		var stream []byte
		var want []string
		for range rapid.IntRange(1, 8).Draw(t, "messages") {
			message := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "text"), rapid.SampledFrom([]int{0, 1, 7, 400}).Draw(t, "times"))
			want = append(want, string(message))
			if rapid.Bool().Draw(t, "plain") {
				stream = append(stream, serverFrame(opBinary, true, message)...)
				continue
			}
			payload := d.compress(message)
			cut := rapid.IntRange(0, len(payload)).Draw(t, "cut")
			stream = append(stream, compressedFrame(opText, false, payload[:cut])...)
			stream = append(stream, serverFrame(opPing, true, []byte("p"))...)
			stream = append(stream, serverFrame(opContinuation, true, payload[cut:])...)
		}
		r := frameReader{deflate: true}
		var z inflater
		var window []byte
		var got []string
		err := r.feed(stream, nil, func(f frame, _ bool) error {
			if f.opcode >= opClose {
				return nil
			}
			message := f.payload
			if f.compressed {
				var err error
				if message, err = z.inflate(f.payload, window); err != nil {
					return err
				}
				if d.takeover {
					window = remember(window, message)
				}
			}
			got = append(got, string(message))
			return nil
		})
		if err != nil || strings.Join(got, "|") != strings.Join(want, "|") || cap(window) > 4*deflateWindow {
			t.Fatalf("got %d messages, %v, a window of %d; want %d", len(got), err, cap(window), len(want))
		}
	})
}

// TestFinalBlock: a message may end in a block that says that it is the last (RFC 7692, section 7.2.3.4, whose bytes these
// are), and so may the next.
func TestFinalBlock(t *testing.T) {
	var z inflater
	for range 2 {
		got, err := z.inflate([]byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}, nil)
		if err != nil || string(got) != "Hello" {
			t.Errorf("got %q, %v; want Hello", got, err)
		}
	}
}

// TestBombs: a message that grows beyond the bound ends the connection, at the cost of the bound.
func TestBombs(t *testing.T) {
	t.Parallel()
	var d deflater
	bomb := zeros(4 * maxInflated)
	var z inflater
	if _, err := z.inflate(bomb, nil); !errors.Is(err, errInflated) {
		t.Errorf("got %v of %d bytes that stand for four times the bound; want errInflated", err, len(bomb))
	}
	if cap(z.message) > 2*maxInflated {
		t.Errorf("the inflater holds %d bytes; want no more than twice the bound of %d", cap(z.message), maxInflated)
	}
	largest := zeros(maxInflated)
	if got, err := z.inflate(largest, nil); err != nil || len(got) != maxInflated {
		t.Errorf("got %d bytes, %v of a message as large as the bound", len(got), err)
	}
	if _, err := z.inflate([]byte{0x07}, nil); !errors.Is(err, errInflated) {
		t.Errorf("got %v of a block of a kind that there is not", err)
	}
	if got, err := z.inflate(d.compress([]byte("next")), nil); err != nil || string(got) != "next" || cap(z.message) > keptInflated {
		t.Errorf("got %q, %v, %d bytes kept after a failure", got, err, cap(z.message))
	}
}

// TestReservedBits: only a message's first frame may say that it is compressed, and only where that was agreed.
func TestReservedBits(t *testing.T) {
	hello := (&deflater{}).compress([]byte("hello"))
	for name, c := range map[string]struct {
		deflate bool
		stream  []byte
		fails   bool
	}{
		"agreed":                       {true, compressedFrame(opText, true, hello), false},
		"not agreed":                   {false, compressedFrame(opText, true, hello), true},
		"on a continuation":            {true, append(compressedFrame(opText, false, hello), compressedFrame(opContinuation, true, nil)...), true},
		"on a ping":                    {true, compressedFrame(opPing, true, nil), true},
		"with another bit":             {true, append([]byte{0x80 | 0x60 | opText}, 0), true},
		"another bit alone":            {true, append([]byte{0x80 | 0x20 | opText}, 0), true},
		"a ping inside of the message": {true, append(append(compressedFrame(opText, false, hello), serverFrame(opPing, true, nil)...), serverFrame(opContinuation, true, nil)...), false},
	} {
		r := frameReader{deflate: c.deflate}
		if err := r.feed(c.stream, nil, func(frame, bool) error { return nil }); (err != nil) != c.fails {
			t.Errorf("%s: got %v; want an error: %v", name, err, c.fails)
		}
	}
}

func TestInflatingAllocatesNothing(t *testing.T) {
	payload := (&deflater{}).compress(bytes.Repeat([]byte("some text "), 100))
	var z inflater
	if got := testing.AllocsPerRun(100, func() {
		if _, err := z.inflate(payload, nil); err != nil {
			t.Error(err)
		}
	}); got != 0 {
		t.Errorf("got %v allocations a message; want none", got)
	}
}

// FuzzInflate: what a target sends neither panics nor exceeds the bound, and what package compress/flate reads is read.
func FuzzInflate(f *testing.F) {
	f.Add([]byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, []byte("Hello"))
	f.Add([]byte{0xf2, 0x00, 0x11, 0x00, 0x00}, []byte("Hello"))
	f.Fuzz(func(t *testing.T, payload, window []byte) {
		window = window[max(0, len(window)-deflateWindow):]
		var z inflater
		got, err := z.inflate(payload, window)
		limited := io.LimitReader(flate.NewReaderDict(strings.NewReader(string(payload)+deflateTail), window), maxInflated+1)
		want, failed := io.ReadAll(limited)
		if len(want) <= maxInflated && ((err != nil) != (failed != nil) || err == nil && !bytes.Equal(got, want)) {
			t.Fatalf("got %d bytes, %v; want %d, %v", len(got), err, len(want), failed)
		}
	})
}

// FuzzGorillaCompression: what gorilla's server compresses arrives as it was.
func FuzzGorillaCompression(f *testing.F) {
	messages, conns := make(chan []byte), make(chan *websocket.Conn, 1)
	up := websocket.Upgrader{EnableCompression: true}
	var wg sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		conn, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		conns <- conn
		for m := range messages {
			if conn.WriteMessage(websocket.BinaryMessage, m) != nil {
				return
			}
		}
	}))
	f.Cleanup(func() { close(messages); wg.Wait(); server.Close() })
	var terms deflateTerms
	url := "ws" + strings.TrimPrefix(server.URL, "http")
	conn, _, err := bareDialer(Options{}).dial(f.Context(), call{url: url, shown: url, header: http.Header{}, deflate: &terms})
	if err != nil || !terms.agreed || terms.takeover {
		f.Fatalf("got %+v, %v; want compression without takeover", terms, err)
	}
	f.Cleanup(func() { _ = conn.Close() })
	r := frameReader{deflate: true}
	var z inflater
	f.Add([]byte("hello"))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte("abc"), 100000))
	f.Fuzz(func(t *testing.T, message []byte) {
		messages <- message
		buf := make([]byte, 4096)
		for read := false; !read; {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.feed(buf[:n], nil, func(f frame, _ bool) error {
				read = true
				got, err := z.inflate(f.payload, nil)
				if !f.compressed || !bytes.Equal(got, message) {
					t.Errorf("got %d bytes, compressed %v; want %d", len(got), f.compressed, len(message))
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// takeoverServer answers handshakes with the extensions given and sends the messages of a stream compressed with takeover.
func takeoverServer(t *testing.T, extensions string, frames func(d *deflater) []byte) string {
	var wg sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		if !strings.Contains(r.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate") {
			t.Errorf("the client offered %q", r.Header)
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
			acceptKey(r.Header.Get("Sec-WebSocket-Key"))+"\r\nSec-WebSocket-Extensions: "+extensions+"\r\n\r\n")
		_, _ = conn.Write(frames(&deflater{takeover: true}))
		_, _ = io.Copy(io.Discard, conn)
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close(); wg.Wait() })
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// TestTakeover: a target that insists on its context is understood, and one whose message can't be inflated is left, which
// is counted with the reason.
func TestTakeover(t *testing.T) {
	t.Parallel()
	const messages = 60
	join := stamped(Stamp{Kind: KindJoin, Run: 1, Key: NoKey}, 90, 0)
	filler := make([]byte, 20_000)
	for i := range filler {
		filler[i] = digits[rand.IntN(64)]
	}
	url := takeoverServer(t, "permessage-deflate", func(d *deflater) []byte {
		stream := compressedFrame(opText, true, d.compress(join))
		for i := range uint64(messages) {
			value := stampedWith(Stamp{Kind: KindData, Run: 1, Key: NoKey, PartSeq: i}, nil, filler)
			stream = append(stream, compressedFrame(opText, true, d.compress(value))...)
		}
		if len(stream) > messages*len(filler)/10 {
			t.Errorf("%d bytes: the messages do not refer to each other", len(stream))
		}
		return append(stream, compressedFrame(opText, true, zeros(maxInflated+1))...)
	})
	plan := enginePlan(url, nil)
	plan.Gateway.Profile = scenarios.WireProfile{Deflate: true}
	s := profiledSwarm(t, plan)
	s.loadUnix.Store(0)
	c := s.clients[0]
	conn, early, err := s.dialer.dial(t.Context(), s.callOf(c))
	if err != nil {
		t.Fatal(err)
	}
	err = s.session(t.Context(), c, conn, early)
	if !errors.Is(err, errInflated) {
		t.Errorf("the session ended with %v; want errInflated", err)
	}
	if c.trackers[0].next != messages || c.trackers[0].gaps != 0 || !c.deflate.takeover || cap(c.rarely().window) > 4*deflateWindow {
		t.Errorf("got %+v, a window of %d; want all %d messages", c.trackers[0], cap(c.rarely().window), messages)
	}
	url = takeoverServer(t, "permessage-deflate; client_max_window_bits=9", func(*deflater) []byte { return nil })
	if _, _, err := s.dialer.dial(t.Context(), call{url: url, shown: url, header: http.Header{}, deflate: &deflateTerms{}}); err == nil ||
		!strings.Contains(err.Error(), "RFC 7692") {
		t.Errorf("got %v of an answer to what was not offered", err)
	}
}

// TestNoCompression: a target that does not agree is measured as it is, and the record says so, once.
func TestNoCompression(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 1, "t")
	target := startOddTarget(t, kafka.ListenAddrs(), &oddTarget{channel: byTopic, subscribed: onlyTopic})
	plan := enginePlan(target.url, kafka.ListenAddrs())
	plan.Gateway.Profile = scenarios.WireProfile{Deflate: true}
	audit, _, events := runThrough(t, plan, nil)
	if len(audit.Rows) != 1 || audit.Rows[0].Classes != (results.Classes{Expected: 60, Delivered: 60}) {
		t.Errorf("got %+v", audit.Rows)
	}
	var told []results.Event
	for _, e := range events {
		if strings.Contains(e.Text, "permessage-deflate") {
			told = append(told, e)
		}
	}
	if len(told) != 1 || told[0].Count > 1 {
		t.Errorf("got %+v; want one remark, of one client", told)
	}
}
