package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirbench/weir/internal/testkit"
)

// newPolledHub is a hub whose clients come by TCP and are served by pollers.
func newPolledHub(tb testing.TB, change func(*Config)) *testHub {
	h := newTestHub(tb, SlowDisconnect)
	if change != nil {
		change(&h.cfg)
	}
	h.startPolls(tb)
	return h
}

// handlerOf makes what takes a client's messages.
type handlerOf func(*client) func(opcode, []byte) bool

// dialPolled is the far end of a client of the hub, whose messages go to what handle makes; the client's own for nil.
func (h *testHub) dialPolled(tb testing.TB, handle handlerOf, channels ...string) *net.TCPConn {
	tb.Helper()
	near, far := testkit.TCPPair(tb)
	c := newClient(near, &h.cfg, h.hub)
	of := c.handle
	if handle != nil {
		of = handle(c)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients[c] = struct{}{}
	h.counters.connections.Add(1)
	for _, name := range channels {
		h.joinLive(c, (&request{Channels: []string{name}}).names)
	}
	h.serve(c, of)
	if c.queue.carriage == nil {
		tb.Fatal("the client is not one of the pollers'")
	}
	return far
}

// frameScanner reads a server's frames one after the other.
type frameScanner struct {
	t      *testing.T
	conn   net.Conn
	buffer *bufio.Reader
}

func scanFrames(t *testing.T, conn net.Conn) *frameScanner {
	return &frameScanner{t, conn, bufio.NewReader(conn)}
}

func (s *frameScanner) next() (opcode, string) {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	head, err := s.buffer.Peek(2)
	if err != nil {
		s.t.Fatalf("read: %v", err)
	}
	size := 2 + int(head[1])
	if head[1] >= 126 {
		if head, err = s.buffer.Peek(4); err != nil {
			s.t.Fatalf("read: %v", err)
		}
		size = serverFrameSize(head)
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(s.buffer, frame); err != nil {
		s.t.Fatalf("read: %v", err)
	}
	ops, payloads := serverFrames(frame)
	return ops[0], string(payloads[0])
}

// skipHello passes the first frame over.
func (s *frameScanner) skipHello() *frameScanner {
	s.t.Helper()
	if _, text := s.next(); !strings.Contains(text, `"hello"`) {
		s.t.Fatalf("first frame: got %q; want a hello", text)
	}
	return s
}

// echoes answers each text with itself.
func echoes(c *client) func(opcode, []byte) bool {
	return func(op opcode, payload []byte) bool {
		if op != opText {
			return c.handle(op, payload)
		}
		c.queue.pushReply(payload)
		return true
	}
}

// However a client's bytes are cut, its messages are the same, and of what is complete nothing is kept.
func TestPolledFramesInPieces(t *testing.T) {
	h := newPolledHub(t, nil)
	long := strings.Repeat("x", 40<<10) // more than a poller reads at once
	messages := []string{"a", "", strings.Repeat("y", 5<<10), "b", long, "c"}
	var stream []byte
	for _, m := range messages {
		stream = append(stream, masked(opText, m)...)
	}
	for _, piece := range []int{1, 7, 1000, 5000, len(stream)} {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			var reader *frameReader
			far := h.dialPolled(t, func(c *client) func(opcode, []byte) bool {
				reader = c.frames
				return echoes(c)
			})
			s := scanFrames(t, far).skipHello()
			go func() {
				for rest := stream; len(rest) > 0; {
					n, err := far.Write(rest[:min(piece, len(rest))])
					if err != nil {
						return // the reading end tells
					}
					rest = rest[n:]
				}
			}()
			for i, want := range messages {
				if op, got := s.next(); op != opText || got != want {
					t.Fatalf("message %d: got %d bytes %.20q; want %d bytes %.20q", i, len(got), got, len(want), want)
				}
			}
			if _, err := far.Write(masked(opClose, "")); err != nil {
				t.Fatal(err)
			}
			if op, _ := s.next(); op != opClose {
				t.Fatalf("got opcode %d; want the answer to the close", op)
			}
			h.wait()
			if reader.buf != nil {
				t.Errorf("%d bytes of memory are kept; want none", len(reader.buf))
			}
		})
	}
}

// A request that takes its time holds up what the same client sent behind it, and nobody else.
func TestPolledRequestThatWaits(t *testing.T) {
	h := newPolledHub(t, func(c *Config) { c.Timeouts.Ping = 10 * time.Millisecond })
	release, waits := make(chan struct{}), make(chan struct{}, 2)
	waiting := func(c *client) func(opcode, []byte) bool {
		echo := echoes(c)
		return func(op opcode, payload []byte) bool {
			if string(payload) == "wait" {
				c.queue.carriage.pause(func() {
					waits <- struct{}{}
					<-release
					c.queue.pushReply([]byte("waited"))
				})
				return true
			}
			return echo(op, payload)
		}
	}
	slow := h.dialPolled(t, waiting)
	var sent []byte
	for _, m := range []string{"before", "wait", "between", "wait", "after"} {
		sent = append(sent, masked(opText, m)...)
	}
	partial := masked(opText, "the end")
	if _, err := slow.Write(append(sent, partial[:5]...)); err != nil {
		t.Fatal(err)
	}
	<-waits
	for range 2 * runtime.GOMAXPROCS(0) {
		far := h.dialPolled(t, echoes)
		s := scanFrames(t, far).skipHello()
		if _, err := far.Write(masked(opText, "hello you")); err != nil {
			t.Fatal(err)
		}
		for op, got := s.next(); got != "hello you"; op, got = s.next() {
			if op != opPing {
				t.Fatalf("another client: got %q; want its own message", got)
			}
		}
	}
	if _, err := slow.Write(partial[5:]); err != nil {
		t.Fatal(err)
	}
	close(release)
	s := scanFrames(t, slow).skipHello()
	var got []string
	for len(got) < 6 {
		if op, text := s.next(); op == opText {
			got = append(got, text)
		}
	}
	if want := "[before waited between waited after the end]"; fmt.Sprint(got) != want {
		t.Errorf("got %v; want %s", got, want)
	}
	// Nothing was heard of it while it was paused, and that is not its silence: it is pinged as before.
	for op, _ := s.next(); op != opPing; op, _ = s.next() {
		if op == opClose {
			t.Fatal("the client was given up")
		}
	}
}

// A client of which nothing is heard is pinged twice and closed, as one that has a goroutine.
func TestPolledSilence(t *testing.T) {
	const ping = 20 * time.Millisecond
	h := newPolledHub(t, func(c *Config) { c.Timeouts.Ping = ping })
	startedAt := time.Now()
	s := scanFrames(t, h.dialPolled(t, nil))
	var ops []opcode
	for len(ops) == 0 || ops[len(ops)-1] != opClose {
		op, payload := s.next()
		if code, _ := closePayload([]byte(payload)); op == opClose && code != CloseNoPong {
			t.Errorf("close code: got %d; want %d", code, CloseNoPong)
		}
		ops = append(ops, op)
	}
	if want := fmt.Sprint([]opcode{opText, opPing, opPing, opClose}); fmt.Sprint(ops) != want {
		t.Errorf("frames: got %v; want %v", ops, want)
	}
	if got := time.Since(startedAt); got < ping*13/4 {
		t.Errorf("closed after %s; want 3.25 ping intervals at least", got)
	}
	if _, err := s.conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after the close: got %v; want the end", err)
	}
	h.wait()
}

// A client that answers is not closed.
func TestPolledAnsweringClientStays(t *testing.T) {
	h := newPolledHub(t, func(c *Config) { c.Timeouts.Ping = 10 * time.Millisecond })
	s := scanFrames(t, h.dialPolled(t, nil)).skipHello()
	for range 20 {
		if op, _ := s.next(); op != opPing {
			t.Fatalf("got opcode %d; want a ping", op)
		}
		if _, err := s.conn.Write(masked(opPong, "")); err != nil {
			t.Fatal(err)
		}
	}
}

// A client that takes nothing for Timeouts.Write is dropped, and what it did not get is accounted for.
func TestPolledWriteTimeout(t *testing.T) {
	h := newPolledHub(t, func(c *Config) {
		c.QueueBytes = 64 << 20
		c.Timeouts.Write = 50 * time.Millisecond
	})
	h.dialPolled(t, nil, "prices")
	h.fill(300)
	h.wait()
	st := h.counters.stats("")
	timedOut, settled := st.Closes["write_timeout"] == 1, st.Queued == st.Deliveries+st.Abandoned
	if !timedOut || !settled || st.Abandoned == 0 || st.Deliveries == 0 {
		t.Errorf("stats: %+v; want one write timeout, and every record delivered or abandoned", st)
	}
}

// A client whose socket was full gets all that waited, whole and in order, then its close frame.
func TestPolledFullSocket(t *testing.T) {
	h := newPolledHub(t, func(c *Config) { c.QueueBytes = 64 << 20 })
	s := scanFrames(t, h.dialPolled(t, nil, "prices")).skipHello()
	const n = 300
	h.fill(n)
	if h.counters.deliveries.Load() == n {
		t.Fatal("the socket took everything: the test shows nothing")
	}
	h.drain()
	for i := range n {
		_, got := s.next()
		if !strings.Contains(got, fmt.Sprintf(`"offset":%d,`, i)) || !strings.HasSuffix(got, "}\n"+filling) {
			t.Fatalf("record %d: got %.100q", i, got)
		}
	}
	if op, payload := s.next(); op != opClose || payload != string(closeFrame(CloseServiceRestart)[2:]) {
		t.Errorf("at the end: got opcode %d, %q; want the close frame", op, payload)
	}
	if st := h.counters.stats(""); st.Deliveries != n || st.Abandoned != 0 {
		t.Errorf("stats: %+v; want all %d delivered", st, n)
	}
}

var filling = strings.Repeat("v", 50<<10)

// fill publishes n records, more than a socket takes.
func (h *testHub) fill(n int) {
	for i := range n {
		h.publish(h.topics["prices"], &record{offset: int64(i), value: []byte(filling)})
	}
}

// Clients that go without a word, in the middle of what is written to them, leave nothing behind, be the socket full
// or not.
func TestPolledClientsGo(t *testing.T) {
	h := newPolledHub(t, func(c *Config) { c.QueueBytes = 64 << 20 })
	for range 3 {
		var far []*net.TCPConn
		for range 20 {
			far = append(far, h.dialPolled(t, nil, "prices"))
		}
		for i := range 100 {
			h.fill(1)
			if i >= 40 && i < 60 {
				far[i-40].Close()
			}
		}
		h.wait()
	}
	for i, p := range h.polls.pollers {
		p.mu.Lock()
		if len(p.free) != len(p.entries) {
			t.Errorf("poller %d: %d of %d places are free; want all", i, len(p.free), len(p.entries))
		}
		p.mu.Unlock()
	}
	st := h.counters.stats("")
	if st.Connections != 0 || st.Subscriptions != 0 || st.Queued != st.Deliveries+st.Abandoned {
		t.Errorf("stats: %+v; want nobody left and every record accounted for", st)
	}
}

// A client costs no goroutine, and one whose connection is cut off is gone.
func TestPolledClientsHaveNoGoroutines(t *testing.T) {
	h := newPolledHub(t, nil)
	scanFrames(t, h.dialPolled(t, nil)).skipHello()
	before := runtime.NumGoroutine()
	for range 200 {
		scanFrames(t, h.dialPolled(t, nil)).skipHello()
	}
	if got := runtime.NumGoroutine() - before; got > 20 {
		t.Errorf("200 clients: got %d goroutines more; want none", got)
	}
	h.close()
	h.sever()
	h.wait()
}

// Where a client can't be polled it has goroutines, as where there are no pollers.
func TestPollsTakeSocketsAlone(t *testing.T) {
	h := newPolledHub(t, nil)
	near, far := net.Pipe()
	defer far.Close()
	c := newClient(near, &h.cfg, h.hub)
	if !h.add(c, nil) || c.queue.carriage != nil {
		t.Error("a pipe was taken for a socket")
	}
	scanFrames(t, far).skipHello()

	ended, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	_ = ended.file.Close() // nothing can be added to it
	h = newTestHub(t, SlowDisconnect)
	h.polls = &polls{hub: h.hub, pollers: []*poller{ended}}
	tcp, remote := testkit.TCPPair(t)
	c = newClient(tcp, &h.cfg, h.hub)
	if !h.add(c, nil) || c.queue.carriage != nil {
		t.Error("a poller that has ended took a client")
	}
	scanFrames(t, remote).skipHello()
}

// The descriptor that a client is served by is the only one of its socket.
func TestPolledSocketIsClosed(t *testing.T) {
	h := newPolledHub(t, nil)
	before := descriptors(t)
	far := h.dialPolled(t, nil)
	if got := descriptors(t) - before; got != 2 { // both ends
		t.Errorf("a client of this process: got %d descriptors; want 2", got)
	}
	far.Close()
	h.wait()
	if got := descriptors(t) - before; got != 0 {
		t.Errorf("after it has gone: got %d descriptors more; want 0", got)
	}
	if _, err := receive(-1, make([]byte, 1)); !errors.Is(err, unix.EBADF) {
		t.Errorf("receive: got %v; want EBADF", err)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
