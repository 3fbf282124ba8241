package gateway

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// sinkConn is a connection that takes everything, or hands it to written, and
// on which nothing ever comes.
type sinkConn struct {
	net.Conn // nil: only the methods below are used
	closed   chan struct{}
	once     sync.Once
	written  func([]byte)
}

func newSink(written func([]byte)) *sinkConn {
	return &sinkConn{closed: make(chan struct{}), written: written}
}

func (s *sinkConn) Read([]byte) (int, error) { <-s.closed; return 0, io.EOF }
func (s *sinkConn) Write(b []byte) (int, error) {
	if s.written != nil {
		s.written(b)
	}
	return len(b), nil
}
func (s *sinkConn) Close() error                     { s.once.Do(func() { close(s.closed) }); return nil }
func (s *sinkConn) SetReadDeadline(time.Time) error  { return nil }
func (s *sinkConn) SetWriteDeadline(time.Time) error { return nil }

// testHub is a hub of one topic without Kafka or HTTP.
type testHub struct {
	*hub
	cfg      Config
	counters counters
}

func newTestHub(tb testing.TB, policy SlowPolicy) *testHub {
	h := &testHub{cfg: Config{SlowPolicy: policy, InstanceID: "gw-1"}.WithDefaults()}
	h.hub = newHub([]string{"prices"}, nil, h.cfg.Limits.ChannelsPerClient, &h.counters)
	var err error
	if h.publisher, err = newPublisher(&h.cfg, &h.counters, slog.New(slog.DiscardHandler)); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		h.close()
		h.sever()
		h.wait()
	})
	return h
}

// startPolls has the hub serve clients on TCP by pollers, where there are any.
func (h *testHub) startPolls(tb testing.TB) {
	tb.Helper()
	var err error
	if h.polls, err = newPolls(h.hub); err != nil {
		tb.Fatal(err)
	}
	ended := goErr(func() error { h.polls.run(); return nil })
	tb.Cleanup(func() {
		h.close()
		h.sever()
		h.wait()
		h.polls.close()
		<-ended
	})
}

func (h *testHub) join(tb testing.TB, written func([]byte), channels ...string) *client {
	tb.Helper()
	c := newClient(newSink(written), &h.cfg, h.hub)
	if err := h.check(channels); err != nil {
		tb.Fatal(err)
	}
	if !h.add(c, channels) {
		tb.Fatal("the hub is closed")
	}
	return c
}

// While records are published without a pause, clients join, leave, subscribe
// and unsubscribe. Between an acknowledgement and the next each gets every
// record of its key, in order, once, and none outside of it.
func TestFanOutWithJoinsAndLeaves(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	h.cfg.QueueBytes = 1 << 30
	fanOutWithJoinsAndLeaves(t, h)
}

func fanOutWithJoinsAndLeaves(t *testing.T, h *testHub) {
	t.Helper()
	topic := h.topics["prices"]
	stop := make(chan struct{})
	var publisher sync.WaitGroup
	publisher.Go(func() {
		for i := int64(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			for h.counters.queued.Load()-h.counters.deliveries.Load()-h.counters.abandoned.Load() > 100 {
				runtime.Gosched() // so that a client is not long in reading what is behind
			}
			h.publish(topic, &record{offset: i, key: strconv.AppendInt([]byte("k"), i%3, 10), value: []byte("v")})
		}
	})

	var clients sync.WaitGroup
	for n := range 9 {
		clients.Go(func() {
			for range 5 {
				if err := joinAndLeave(h, fmt.Sprintf("prices/k%d", n%3), int64(n%3)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	publisher.Wait()
	h.wait()

	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(topic.keys) + len(topic.whole.members) + len(h.clients); n != 0 {
		t.Errorf("left in the hub: %d channels, members and clients; want none", n)
	}
	if s := h.counters.stats(""); s.Connections != 0 || s.Subscriptions != 0 || s.Queued != s.Deliveries+s.Abandoned {
		t.Errorf("stats: %+v", s)
	}
}

// joinAndLeave is the life of a client that subscribes to a key twice, the
// second time together with the whole topic.
func joinAndLeave(h *testHub, channel string, residue int64) error {
	server, remote := net.Pipe()
	defer remote.Close()
	c := newClient(server, &h.cfg, h.hub)
	if !h.add(c, nil) {
		return fmt.Errorf("the hub is closed")
	}
	events := make(chan received, 1<<16)
	go func() {
		defer close(events)
		readFrames(remote, events)
	}()

	steps := []struct {
		do     func() *requestError
		answer string
		stride int64 // between offsets that come after the answer; 0 for none
	}{
		{func() *requestError { return nil }, "hello", 0},
		{func() *requestError { return h.subscribe(c, &request{Channels: []string{channel}}) }, "subscribed", 3},
		{func() *requestError { return h.unsubscribe(c, &request{Channels: []string{channel}}) }, "unsubscribed", 0},
		{func() *requestError { return h.subscribe(c, &request{Channels: []string{channel, "prices"}}) }, "subscribed", 1},
		{func() *requestError { return h.unsubscribe(c, &request{Channels: []string{"prices"}}) }, "unsubscribed", 3},
	}
	stride, last := int64(0), int64(-1)
	for _, step := range steps {
		if err := step.do(); err != nil {
			return err
		}
		// What came by the step before ends with the answer to this one.
		for m := range events {
			if m.Type == step.answer {
				break
			}
			if stride == 0 || last >= 0 && m.Offset != last+stride || stride == 3 && m.Offset%3 != residue {
				return fmt.Errorf("%s: record %d came after %d by stride %d", step.answer, m.Offset, last, stride)
			}
			last = m.Offset
		}
		stride, last = step.stride, -1
		for range 20 {
			if stride == 0 {
				break
			}
			m := <-events
			if last >= 0 && m.Offset != last+stride {
				return fmt.Errorf("after %s: record %d came after %d by stride %d", step.answer, m.Offset, last, stride)
			}
			last = m.Offset
		}
	}
	remote.Close()
	for range events {
	}
	return nil
}

// readFrames parses the frames of a server until the connection ends.
func readFrames(conn net.Conn, events chan<- received) {
	var pending []byte
	buf := make([]byte, 32<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		pending = append(pending, buf[:n]...)
		for {
			size := serverFrameSize(pending)
			if size == 0 || size > len(pending) {
				break
			}
			ops, payloads := serverFrames(pending[:size])
			messages, err := parseAll(int(ops[0]), append([]byte(nil), payloads[0]...))
			for _, m := range messages {
				if err == nil {
					events <- m
				}
			}
			pending = pending[size:]
		}
	}
}

// serverFrameSize is the size of the frame that b begins with, 0 if that can't
// be told yet. The tests' frames are shorter than 64 KiB.
func serverFrameSize(b []byte) int {
	switch {
	case len(b) < 4:
		return 0
	case b[1] < 126:
		return 2 + int(b[1])
	default:
		return 4 + int(b[2])<<8 + int(b[3])
	}
}

// The work for a record is two allocations, however many receive it.
func TestPublishAllocations(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	members := parkedMembers(h, 1000, "prices/k7")
	topic := h.topics["prices"]
	r := &record{key: []byte("k7"), value: make([]byte, 300)}
	b := new(burst)
	publish := func() {
		h.publish(topic, r)
		for _, m := range members {
			m.client.queue.take(b)
			m.client.queue.bytes -= b.bytes
			b.reset()
		}
	}
	publish()
	if got := testing.AllocsPerRun(50, publish); got > 2 {
		t.Errorf("allocations for a record to 1,000 clients: got %v; want the frame and the message", got)
	}
	r.key = []byte("nobody's")
	if got := testing.AllocsPerRun(50, func() { h.publish(topic, r) }); got != 0 {
		t.Errorf("allocations for a record that nobody receives: got %v; want 0", got)
	}
}

// parkedMembers subscribes n clients that have no goroutines, and empties their
// queues.
func parkedMembers(h *testHub, n int, channel string) []*member {
	members := make([]*member, n)
	for i := range members {
		c := newClient(newSink(nil), &h.cfg, h.hub)
		h.mu.Lock()
		h.joinLive(c, slices.Values([]string{channel}))
		members[i] = c.members[channel]
		h.mu.Unlock()
		b := new(burst)
		c.queue.take(b)
		c.queue.bytes -= b.bytes
	}
	return members
}

// BenchmarkFanOut is the whole way of a record from the hub to the system call
// that would write it, with real clients and a socket that costs nothing.
func BenchmarkFanOut(b *testing.B) {
	for _, subscribers := range []int{1, 10, 500, 5000} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) {
			h := newTestHub(b, SlowDisconnect)
			for range subscribers {
				h.join(b, nil, "prices/k7")
			}
			topic := h.topics["prices"]
			r := &record{key: []byte("k7"), value: make([]byte, 300)}
			b.ReportAllocs()
			for b.Loop() {
				h.publish(topic, r)
				r.offset++
				for h.counters.queued.Load()-h.counters.deliveries.Load() > int64(subscribers)*1000 {
					runtime.Gosched()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*subscribers), "ns/delivery")
			if n := h.counters.stats("").SlowDisconnects; n > 0 {
				b.Errorf("%d clients were thrown out", n)
			}
		})
	}
}

// BenchmarkEnqueue is the fan-out alone: what the one publishing goroutine
// spends on a delivery.
func BenchmarkEnqueue(b *testing.B) {
	h := newTestHub(b, SlowDropOldest)
	h.cfg.QueueBytes = 64 << 10
	const subscribers = 1000
	parkedMembers(h, subscribers, "prices/k7")
	topic := h.topics["prices"]
	r := &record{key: []byte("k7"), value: make([]byte, 300)}
	b.ReportAllocs()
	for b.Loop() {
		h.publish(topic, r)
		r.offset++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*subscribers), "ns/delivery")
}
