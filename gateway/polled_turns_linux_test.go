package gateway

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newStillHub is a hub with one poller, which has its turns when the test gives them, as has who writes.
func newStillHub(t *testing.T, change func(*Config)) *testHub {
	t.Helper()
	h := newTestHub(t, SlowDisconnect)
	h.cfg.QueueBytes = 64 << 20
	h.cfg.Timeouts.Ping, h.cfg.Timeouts.Write, h.cfg.Timeouts.Close = time.Hour, time.Minute, time.Second
	if change != nil {
		change(&h.cfg)
	}
	var err error
	if h.polls, err = newPolls(h.hub); err != nil {
		t.Fatal(err)
	}
	for _, p := range h.polls.pollers[1:] {
		p.file.Close()
	}
	h.polls.pollers = h.polls.pollers[:1]
	t.Cleanup(func() {
		h.close()
		h.sever()
		ended := goErr(func() error { h.polls.run(); return nil })
		h.wait()
		h.polls.close()
		<-ended
	})
	return h
}

// dialStill is a client of such a hub, and its far end.
func (h *testHub) dialStill(t *testing.T, handle handlerOf, channels ...string) (*polled, *net.TCPConn) {
	t.Helper()
	var c *client
	far := h.dialPolled(t, func(its *client) func(opcode, []byte) bool {
		c = its
		if handle == nil {
			return its.handle
		}
		return handle(its)
	}, channels...)
	return c.queue.carriage.(*polled), far
}

// writeAll writes until no client is in the writers' list.
func (h *testHub) writeAll() {
	w := &h.polls.writers
	for w.list.n > 0 {
		var turn [writersTurn]*polled
		for _, l := range turn[:w.take(&turn)] {
			l.write()
		}
	}
}

// dialFull is a client whose socket is full.
func (h *testHub) dialFull(t *testing.T) *polled {
	t.Helper()
	l, _ := h.dialStill(t, nil, "prices")
	h.fill(300)
	h.writeAll()
	if !l.blocked || l.writeBy == 0 {
		t.Fatal("the socket took everything: the test shows nothing")
	}
	return l
}

// A socket with a little room and the timer come in one wake-up: when the socket is full again, the time is over.
func TestPolledWriteTimeoutWithRoom(t *testing.T) {
	h := newStillHub(t, nil)
	l := h.dialFull(t)
	by := l.writeBy
	l.ready(unix.EPOLLOUT, nil)
	l.due(l.timerAt, by)
	h.writeAll()
	if got := h.counters.stats("").Closes["write_timeout"]; got != 1 || !l.writerOver {
		t.Errorf("got %d write timeouts, writer over: %t, blocked: %t; want the one", got, l.writerOver, l.blocked)
	}
}

// A client that closes while its socket is full is waited for no longer than Timeouts.Write, whatever its ping timer.
func TestPolledCloseBehindFullSocket(t *testing.T) {
	h := newStillHub(t, nil)
	l := h.dialFull(t)
	now := l.poller.now()
	l.readBy = now
	l.setTimer()
	l.handle(opClose, nil)
	l.endReading(true)
	l.due(now, now)
	if l.timerAt != l.writeBy {
		t.Fatalf("next timer at %v, now is %v; want the writer's, %v", l.timerAt, now, l.writeBy)
	}
	l.due(l.timerAt, l.writeBy)
	h.writeAll()
	if !l.closed {
		t.Error("the socket is open when the writer's time is over; want it closed")
	}
}

// One read of compressed frames may be a thousand times as much work as of others: it is done in turns, between which
// others that are ready have theirs.
func TestPolledInflatingIsDoneInTurns(t *testing.T) {
	h := newStillHub(t, func(c *Config) { c.Limits.FramesPerSecond = 1e6 })
	var order []string
	note := func(name string) handlerOf {
		return func(c *client) func(opcode, []byte) bool {
			c.useDeflate(&deflateTerms{})
			return func(_ opcode, payload []byte) bool {
				order = append(order, fmt.Sprint(name, len(payload)))
				return true
			}
		}
	}
	const frames, size = 100, 60 << 10
	greedy, far := h.dialStill(t, note("greedy"))
	other, otherFar := h.dialStill(t, note("other"))
	greedy.receives(t, far, strings.Repeat(string(maskedDeflated(opText, deflated(strings.Repeat(" ", size), 9))), frames))
	perTurn := turnInflated/size + 1
	for turn := range frames / perTurn {
		other.receives(t, otherFar, string(masked(opText, "x")))
		before := len(order)
		if err := h.polls.pollers[0].turn(); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(order[before:], " ")
		theirs := strings.Repeat(fmt.Sprint(" greedy", size), perTurn)
		if want := "other1" + theirs; got != want && (turn > 0 || got != theirs[1:]+" other1") {
			t.Fatalf("turn %d: got %s; want %s", turn, got, want)
		}
	}
}

// Of many small frames a turn has its share, and none is lost when nothing more comes.
func TestPolledSmallFramesAreTakenInTurns(t *testing.T) {
	h := newStillHub(t, func(c *Config) { c.Limits.FramesPerSecond = 1e6 })
	taken := 0
	l, far := h.dialStill(t, func(*client) func(opcode, []byte) bool {
		return func(opcode, []byte) bool { taken++; return true }
	})
	l.receives(t, far, strings.Repeat(string(masked(opText, "x")), 3*turnFrames+1))
	for _, want := range []int{64, 128, 192, 193} {
		if err := h.polls.pollers[0].turn(); err != nil || taken != want {
			t.Fatalf("got %d frames, error %v; want %d", taken, err, want)
		}
	}
	if again := len(h.polls.pollers[0].again); again != 0 {
		t.Errorf("%d clients are in the list when nothing is left; want none", again)
	}
}

// What was sent behind a request that takes its time is all taken when that is over, however much it is.
func TestPolledManyFramesBehindAPause(t *testing.T) {
	h := newStillHub(t, func(c *Config) { c.Limits.FramesPerSecond = 1e6 })
	taken, release := 0, make(chan struct{})
	l, far := h.dialStill(t, func(c *client) func(opcode, []byte) bool {
		return func(_ opcode, payload []byte) bool {
			if taken++; string(payload) == "wait" {
				c.queue.carriage.pause(func() { <-release })
			}
			return true
		}
	})
	l.receives(t, far, string(masked(opText, "wait"))+strings.Repeat(string(masked(opText, "x")), 3*turnFrames))
	if err := h.polls.pollers[0].turn(); err != nil || taken != 1 {
		t.Fatalf("got %d frames, error %v; want one", taken, err)
	}
	close(release)
	for reading := false; !reading; runtime.Gosched() {
		l.mu.Lock()
		reading = l.reading
		l.mu.Unlock()
	}
	if taken != 1+3*turnFrames {
		t.Errorf("got %d frames; want %d", taken, 1+3*turnFrames)
	}
}

// receives sends to the client, and returns when all of it can be read.
func (l *polled) receives(t *testing.T, far net.Conn, s string) {
	t.Helper()
	if _, err := far.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	for {
		switch n, err := unix.IoctlGetInt(l.fd, unix.TIOCINQ); {
		case err != nil:
			t.Fatal(err)
		case n == len(s):
			return
		}
		runtime.Gosched()
	}
}

// The client is closed, and its writer done, while a probe is about to set a long deadline: the short one stays.
func TestPolledProbeLeavesCloseDeadline(t *testing.T) {
	h := newStillHub(t, nil)
	l, _ := h.dialStill(t, nil)
	l.mu.Lock()
	probed := goErr(func() error { l.setReadDeadline(time.Hour); return nil })
	awaitBlocked("setReadDeadline")
	l.client.close(CloseNormal)
	l.mu.Unlock()
	<-probed
	if left := l.readBy - l.poller.now(); left > h.cfg.Timeouts.Close {
		t.Errorf("the client has %v to close; want no more than %v", left, h.cfg.Timeouts.Close)
	}
}

// awaitBlocked returns when a goroutine waits for a mutex in the function.
func awaitBlocked(function string) {
	stacks := make([]byte, 1<<20)
	for {
		for one := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(one, "[sync.Mutex.Lock") && strings.Contains(one, function) {
				return
			}
		}
		runtime.Gosched()
	}
}

// A timer that came while a request took its time counts when reading goes on, but not against a client that is being
// closed: it has Timeouts.Close for its close frame.
func TestPolledResumeHeedsItsDeadline(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile func(*polled)
		want      time.Duration // at most
		atLeast   time.Duration
	}{
		"nothing else": {func(*polled) {}, 0, -time.Minute},
		"a new deadline": {
			func(l *polled) { l.setReadDeadline(time.Hour) },
			time.Hour, 59 * time.Minute,
		},
		"closed and told": {
			func(l *polled) { l.client.close(CloseNormal); l.hub.polls.writeOne() },
			time.Minute, 59 * time.Second,
		},
		"closed": {
			func(l *polled) { l.client.close(CloseNormal) },
			time.Minute, 59 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newStillHub(t, func(c *Config) { c.Timeouts.Close = time.Minute })
			l, _ := h.dialStill(t, nil)
			l.mu.Lock()
			l.reading = false
			l.readBy = l.poller.now()
			l.setTimer()
			at := l.timerAt
			l.mu.Unlock()
			l.due(at, l.poller.now())
			if !l.overdue {
				t.Fatal("the timer was not noted")
			}
			tt.meanwhile(l)
			l.resume()
			if left := l.readBy - l.poller.now(); left > tt.want || left < tt.atLeast {
				t.Errorf("silence is noted in %v; want %v to %v", left, tt.atLeast, tt.want)
			}
		})
	}
}

// writeOne writes all that one client has.
func (p *polls) writeOne() {
	for p.writers.list.n > 0 {
		var turn [writersTurn]*polled
		p.writers.take(&turn)
		turn[0].write()
	}
}

// Writers that are idle are left their share of what waits, and one is woken for it.
func TestWritersShare(t *testing.T) {
	for _, tt := range []struct {
		waiting, idle int
		want          []int
	}{
		{100, 3, []int{25, 25, 25, 25}},
		{100, 0, []int{64, 36}},
		{3, 3, []int{1, 1, 1}},
		{1, 3, []int{1}},
		{1000, 1, []int{64, 64, 64}},
	} {
		var w writers
		w.init()
		for range tt.waiting {
			w.push(new(polled))
		}
		w.idle = tt.idle
		for i, want := range tt.want {
			var turn [writersTurn]*polled
			got := w.take(&turn)
			if idle := max(0, tt.idle-i-1); got != want || w.list.n > 0 && w.idle != idle || slices.Contains(turn[:got], nil) {
				t.Errorf("%d waiting, %d idle, take %d: got %d, leaving %d idle; want %d, leaving %d",
					tt.waiting, tt.idle, i, got, w.idle, want, idle)
			}
		}
	}
}
