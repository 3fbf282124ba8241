package gateway

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// newReplayQueue is a queue of a client that resumes.
func newReplayQueue(bound int, policy SlowPolicy, c *counters) (*queue, *member) {
	q := &queue{}
	q.init(bound, policy, c, make(chan struct{}, 1))
	q.roomFor()
	return q, &member{channel: newChannel(&topic{name: "prices"}, "prices", nil)}
}

// write takes what fits a burst, and has it written.
func (q *queue) write() (b *burst) {
	b = new(burst)
	q.take(b)
	q.mu.Lock()
	q.closing = true // so that wait returns where nothing is left
	q.mu.Unlock()
	q.wait(b.bytes)
	q.mu.Lock()
	q.closing = false
	q.unlock()
	return b
}

func missed(m *member, sizes ...int) (found []replayed) {
	for i, size := range sizes {
		found = append(found, replayed{msg: &message{frame: make([]byte, size), offset: int64(i), kafkaAt: 1}, member: m})
	}
	return found
}

// Records that are larger than what a replay may have waiting, and than the whole queue, get to a client whose queue is
// never empty, one at a time, and leave room for what is live.
func TestLargeRecordsAreReplayed(t *testing.T) {
	for _, policy := range []SlowPolicy{SlowDisconnect, SlowDropOldest} {
		t.Run(string(policy), func(t *testing.T) {
			const bound = 512 << 10
			var counters counters
			q, m := newReplayQueue(bound, policy, &counters)
			live := &message{frame: make([]byte, 10<<10)}
			found := missed(m, 100<<10, 900<<10, 1000, 100<<10, 100<<10)
			for round := 0; len(found) > 0; round++ {
				if round > 50 {
					t.Fatalf("no progress: %d of the records are left", len(found))
				}
				q.pushRecord(live, m)
				n, open := q.pushReplayed(found)
				if !open {
					t.Fatal("the client was closed")
				}
				if q.replayed > q.replayBound() && n > 1 {
					t.Fatalf("%d records of %d bytes were let in together", n, q.replayed)
				}
				found = found[n:]
				q.pushRecord(live, m)
				q.write()
				q.write()
			}
			if got := counters.dropped.Load() + counters.abandoned.Load() + counters.slowNotices.Load(); got != 0 || q.pressed {
				t.Errorf("the replay made the client slow: dropped %d, notices %d, pressed %t",
					counters.dropped.Load(), counters.slowNotices.Load(), q.pressed)
			}
			for q.bytes > 0 {
				q.write()
			}
			if q.replayed != 0 || q.replayedTaken != 0 {
				t.Errorf("%d bytes of replayed records are still counted", q.replayed)
			}
		})
	}
}

// What a replay has queued is counted apart however it leaves the queue.
func TestReplayedBytesAddUp(t *testing.T) {
	var counters counters
	q, m := newReplayQueue(64<<10, SlowDropOldest, &counters)
	if n, _ := q.pushReplayed(missed(m, 4000, 4000, 4000, 4000, 4000)); n != 4 || !q.wantsRoom {
		t.Fatalf("queued %d; want the four that fit a quarter", n)
	}
	for range 17 { // the last does not fit beside what waits
		q.pushRecord(&message{frame: make([]byte, 4000)}, m)
	}
	// To drop what is replayed would gain nothing.
	if counters.dropped.Load() != 1 || q.replayed != 16000 || q.live() > 64<<10 {
		t.Errorf("dropped %d, replayed %d, live %d; want one that is live dropped", counters.dropped.Load(), q.replayed, q.live())
	}
	b := new(burst)
	if q.take(b); b.replayed != 4 {
		t.Errorf("the writer took %d replayed records; want the four first", b.replayed)
	}
	taken := int64(b.records)
	q.mu.Lock()
	q.abandon()
	q.mu.Unlock()
	if q.replayed != q.replayedTaken || q.bytes != b.bytes {
		t.Errorf("abandoned: replayed %d, of these taken %d; bytes %d; want %d", q.replayed, q.replayedTaken, q.bytes, b.bytes)
	}
	if got := counters.abandoned.Load(); got != 4+16-taken {
		t.Errorf("abandoned: got %d records; want %d", got, 4+16-taken)
	}
	if q.write(); q.replayed != 0 {
		t.Errorf("written: %d bytes of replayed records are still counted", q.replayed)
	}
}

// A replay waits where all clients together have as much as may wait, and goes on one record at a time.
func TestReplayKeepsToTheTotal(t *testing.T) {
	var counters counters
	total := newQueueTotal(64 << 10)
	stuck, m := newReplayQueue(64<<10, SlowDisconnect, &counters)
	stuck.join(total)
	q, m2 := newReplayQueue(64<<10, SlowDisconnect, &counters)
	q.join(total)
	stuck.pushRecord(&message{frame: make([]byte, 60<<10)}, m)
	found := missed(m2, 3000, 3000, 3000, 3000)
	for i, want := range []int{1, 1} {
		n, _ := q.pushReplayed(found)
		if n != want || total.bytes.Load() > 64<<10 {
			t.Fatalf("round %d: %d records were queued, %d bytes wait; want %d and no more than %d", i, n, total.bytes.Load(), want, 64<<10)
		}
		if !q.wantsRoom {
			t.Fatal("nothing tells the replay when to go on")
		}
		found = found[n:]
		q.write()
		select {
		case <-q.room:
		default:
			t.Fatal("the replay was not told of room")
		}
	}
	stuck.write() // the notice that it is slow
	stuck.write()
	if n, _ := q.pushReplayed(found); n != 2 {
		t.Errorf("when there is room again: %d records were queued; want 2", n)
	}
	q.leave()
	stuck.leave()
	if total.bytes.Load() != 0 {
		t.Errorf("%d bytes are left in the total", total.bytes.Load())
	}
}

// Records far larger than a replay's share arrive, from memory and from Kafka, while live records of another channel keep
// the queue from being empty.
func TestReplayOfLargeRecords(t *testing.T) {
	for _, test := range []struct {
		name   string
		memory int64
	}{{"from memory", 64 << 20}, {"from Kafka", minReplayMemory}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := start(t, func(c *Config) { c.Resume.MemoryBytes = test.memory })
			c := &comeback{g: g, channels: []string{"prices"}}
			c.connect()
			c.until("caught_up")
			c.leave()
			sizes := []int{100 << 10, 900 << 10, 10, 100 << 10, 900 << 10, 100 << 10}
			for _, size := range sizes {
				g.produce(2, &kgo.Record{Key: []byte("k"), Value: []byte(strings.Repeat("x", size))})
			}
			g.eventually("all is read", func(s Stats) bool { return s.Records == int64(len(sizes)) })
			c.connect()
			c.until("caught_up")
			var got []int
			for _, m := range c.got {
				got = append(got, len(m.Value))
			}
			if !slices.Equal(got, sizes) {
				t.Errorf("got records of %v bytes; want %v", got, sizes)
			}
			if s := g.stats(); s.SlowDisconnects != 0 || s.SlowNotices != 0 {
				t.Errorf("stats: %+v", s)
			}
		})
	}
}

// How old replayed records are says nothing of the gateway: they are counted apart, in no histogram and in no trace.
func TestReplayedIsNoLatency(t *testing.T) {
	g := start(t, nil)
	c := &comeback{g: g, channels: []string{"prices"}}
	c.connect()
	c.until("caught_up")
	c.leave()
	old := keyed("k", 0, 3)
	for _, r := range old {
		r.Timestamp = time.Now().Add(-time.Hour)
	}
	g.produce(0, old...)
	g.eventually("all is read", func(s Stats) bool { return s.Records == 3 })
	c.connect()
	c.until("caught_up")
	g.produce(0, keyed("k", 3, 1)...)
	c.has(4)
	g.eventually("all is counted", func(s Stats) bool { return s.Deliveries == 4 && s.ReplayedDeliveries == 3 })
	values, _ := g.metrics()
	if n, over := values["weir_gateway_delivery_duration_seconds_count"], values[`weir_gateway_delivery_duration_seconds_bucket{le="30"}`]; n != "1" || over != "1" {
		t.Errorf("deliveries in the histogram: got %s, %s of them below 30 s; want the live one alone", n, over)
	}
	var b burst
	b.noteReplayed(&message{kafkaAt: 1, trace: &recordTrace{}})
	if b.kafkaAt != 0 || len(b.traces) != 0 {
		t.Error("a replayed record is followed")
	}
}
