package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// After a stall, of Kafka or of the gateway itself, the backlog comes at once.
// A client that reads as fast as it can gets all of it. Without the pacer its
// queue was full, and it thrown out as slow, before its writer had run once.
func TestBacklogIsDelivered(t *testing.T) {
	g := start(t, nil)
	c := g.dial("prices")
	blocked := g.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.NotLeaderForPartition, Count: -1})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	g.produce(0, keyed("k", 0, 1)...)
	if err := blocked.Wait(ctx, 1); err != nil {
		t.Fatal(err)
	}
	const partitions, n = 4, 6000 // 8 MB of frames for a queue of 1 MiB
	records := make([]*kgo.Record, n)
	for p := range int32(partitions) {
		for i := range records {
			records[i] = &kgo.Record{Value: make([]byte, 200)}
		}
		g.produce(p, records...)
	}
	blocked.Remove()
	c.ws.SetReadDeadline(time.Now().Add(patience))
	for i := range partitions*n + 1 {
		if _, _, err := c.ws.ReadMessage(); err != nil {
			t.Fatalf("after %d records: %v; stats %+v", i, err, g.stats())
		}
	}
}

// heldFor publishes n records to a queue and returns how long that took by the
// bubble's clock, on which only holding takes time. Write, if not nil, is the
// client's writer.
func heldFor(t *testing.T, n int, behind func(i int) bool, write func(q *queue)) (held time.Duration, q *queue) {
	t.Helper()
	h := newTestHub(t, SlowDropOldest)
	q = &parkedMembers(h, 1, "prices")[0].client.queue
	stop := make(chan struct{})
	writer := goErr(func() error {
		for write != nil {
			select {
			case <-stop:
				return nil
			case <-time.After(time.Millisecond):
				write(q)
			}
		}
		return nil
	})
	startedAt := time.Now()
	for i := range n {
		h.publish(h.topics["prices"], &record{value: make([]byte, 1000), behind: behind(i)})
	}
	held = time.Since(startedAt)
	close(stop)
	<-writer
	return held, q
}

func TestPacerHolds(t *testing.T) {
	// slowly takes 16 KiB a millisecond.
	slowly := func(q *queue) {
		b := new(burst)
		q.take(b)
		q.mu.Lock()
		defer q.mu.Unlock()
		q.writes++
		q.release(b.bytes)
	}
	live := func(int) bool { return false }
	behind := func(int) bool { return true }
	// until is a backlog that ends: its last records have fewer behind them than make the gateway behind.
	until := func(n int) func(int) bool { return func(i int) bool { return i < n } }
	for _, tt := range []struct {
		name     string
		behind   func(i int) bool
		records  int
		write    func(*queue)
		min, max time.Duration
		dropped  bool
	}{
		{"not below half the bound", live, 400, nil, 0, 0, false},
		{"once for a stuck client", live, 10_000, nil, stuckWhenLive, stuckWhenLive, true},
		{"once for a stuck client, behind", behind, 10_000, nil, stuckWhenBehind, stuckWhenBehind, true},
		{"for a moving client until the account is empty", live, 10_000, slowly, holdWhenLive, holdWhenLive + 2*time.Millisecond, true},
		{"for a moving client until it has all, behind", behind, 10_000, slowly, 500 * time.Millisecond, time.Second, false},
		{"for a moving client to a backlog's last record", until(9_000), 10_000, slowly, 500 * time.Millisecond, time.Second, false},
		{"for a moving client until the large account is empty", behind, 100_000, slowly, holdWhenBehind, holdWhenBehind * 5 / 4, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				held, q := heldFor(t, tt.records, tt.behind, tt.write)
				if held < tt.min || held > tt.max {
					t.Errorf("held for %s; want %s to %s", held, tt.min, tt.max)
				}
				if dropped := q.counters.dropped.Load(); (dropped > 0) != tt.dropped {
					t.Errorf("%d records dropped; want any: %t", dropped, tt.dropped)
				}
			})
		})
	}
}
