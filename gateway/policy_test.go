package gateway

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestSlowClientIsDisconnected(t *testing.T) {
	g := start(t, func(c *Config) { c.QueueBytes = 256 << 10 })
	stuck, brisk := g.dial("prices"), g.dial("prices/k")
	produced := int64(0)
	for g.stats().SlowDisconnects == 0 {
		g.produce(0, &kgo.Record{Key: []byte("k"), Value: make([]byte, 64<<10)})
		if m := brisk.read(); m.Offset != produced {
			t.Fatalf("brisk client: got offset %d; want %d", m.Offset, produced)
		}
		produced++
	}
	// What it gets is whole and without a hole; then it is told why.
	next := int64(0)
	for {
		m, err := stuck.tryRead()
		if err != nil {
			break
		}
		if m.Offset != next {
			t.Fatalf("got offset %d; want %d", m.Offset, next)
		}
		next++
	}
	s := g.eventually("the slow client is gone", func(s Stats) bool { return s.Connections == 1 })
	if s.Closes["slow_client"] != 1 || s.Deliveries != produced+next || s.Queued != s.Deliveries+s.Abandoned {
		t.Errorf("stats: %+v; produced %d, slow client got %d", s, produced, next)
	}
}

// A slow client that begins to read again learns that it was slow.
func TestSlowClientIsToldWhy(t *testing.T) {
	g := start(t, func(c *Config) { c.QueueBytes = 128 << 10 })
	stuck := g.dial("prices")
	for g.stats().Abandoned == 0 {
		g.produce(0, &kgo.Record{Value: make([]byte, 64<<10)})
	}
	stuck.wantClose(CloseSlowClient)
	// And before it that it would be.
	if n := g.stats().SlowNotices; stuck.slow == 0 || int64(stuck.slow) > n {
		t.Errorf("slow notices: got %d of %d; want one at least", stuck.slow, n)
	}
}

// Each client's deliveries and the counts of its notices add up to what was
// produced, by channel, and the offsets leave no hole.
func TestDropOldestAccountsForEveryRecord(t *testing.T) {
	g := start(t, func(c *Config) {
		c.QueueBytes = 256 << 10
		c.SlowPolicy = SlowDropOldest
	})
	const partitions, n = 2, 300
	byTopic, byKey := g.dial("prices"), g.dial("prices/k0", "prices/k1")
	for i := range n {
		for p := range partitions {
			g.produce(int32(p), &kgo.Record{Key: fmt.Appendf(nil, "k%d", p), Value: make([]byte, 32<<10), Headers: []kgo.RecordHeader{{Key: fmt.Sprint(i)}}})
		}
	}
	before := g.eventually("all are queued", func(s Stats) bool { return s.Queued == 2*partitions*n })
	if before.Dropped == 0 {
		t.Fatal("nothing was dropped: the test shows nothing")
	}
	var dropped int64
	for c, channel := range map[*testClient]func(int32) string{
		byTopic: func(int32) string { return "prices" },
		byKey:   func(p int32) string { return fmt.Sprintf("prices/k%d", p) },
	} {
		var next [partitions]int64
		for next != [partitions]int64{n, n} {
			m := c.read()
			first, last := m.Offset, m.Offset
			if m.Type == "notice" {
				first, last = m.FirstOffset, m.LastOffset
				dropped += m.Count
				if m.Kind != "dropped" || m.Channel != channel(m.Partition) || m.Topic != "prices" || m.Count != last-first+1 {
					t.Fatalf("notice: got %s", m.Raw)
				}
			}
			if first != next[m.Partition] {
				t.Fatalf("partition %d: got %d; want %d: %.150s", m.Partition, first, next[m.Partition], m.Raw)
			}
			next[m.Partition] = last + 1
		}
	}
	s := g.eventually("all are written", func(s Stats) bool { return s.Deliveries+s.Dropped == s.Queued })
	if s.Dropped != dropped || s.SlowDisconnects != 0 {
		t.Errorf("stats: %+v; notices counted %d", s, dropped)
	}
}

func TestDrainWritesQueuesOut(t *testing.T) {
	g := start(t, func(c *Config) { c.QueueBytes = 64 << 20 })
	c := g.dial("prices")
	const n = 100
	for range n {
		g.produce(0, &kgo.Record{Value: make([]byte, 100<<10)})
	}
	if s := g.eventually("all are queued", func(s Stats) bool { return s.Queued == n }); s.Deliveries == n {
		t.Fatal("nothing waits in the queue: the test shows nothing")
	}
	g.stop()
	var ready readiness
	g.eventually("draining", func(Stats) bool { return g.get("/readyz", &ready) == http.StatusServiceUnavailable })
	if ready != (readiness{Status: "draining", Instance: "gw-1"}) {
		t.Errorf("GET /readyz: got %+v", ready)
	}
	var refused received
	if status := g.get("/ws", &refused); status != http.StatusServiceUnavailable || refused.Code != "not_ready" {
		t.Errorf("GET /ws: got status %d, %+v; want 503, not_ready", status, refused)
	}
	for i := range n {
		if m := c.read(); m.Offset != int64(i) {
			t.Fatalf("got offset %d; want %d", m.Offset, i)
		}
	}
	c.wantClose(CloseServiceRestart)
	g.shutDown()
}

// A client that does not read holds the gateway's end up for no longer than the
// timeouts say.
func TestDrainGivesUpOnStuckClients(t *testing.T) {
	g := start(t, func(c *Config) {
		c.QueueBytes = 64 << 20
		c.Timeouts.Drain, c.Timeouts.Close = 50*time.Millisecond, 50*time.Millisecond
	})
	g.dial("prices")
	for range 100 {
		g.produce(0, &kgo.Record{Value: make([]byte, 100<<10)})
	}
	g.eventually("all are queued", func(s Stats) bool { return s.Queued == 100 })
	g.shutDown()
}

// Clients that connect while the gateway drains are closed properly too.
func TestHubAdmitsNoneWhenClosed(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	h.drain()
	var written []byte
	c := newClient(newSink(func(b []byte) { written = append(written, b...) }), &h.cfg, h.hub)
	if h.add(c, nil) {
		t.Fatal("a closed hub admitted a client")
	}
	c.refuse()
	if want := closeFrame(CloseServiceRestart); string(written) != string(want) {
		t.Errorf("written: got %q; want %q", written, want)
	}
}
