package gateway

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/weirbench/weir/internal/settings"
)

func newBatchedHub(t testing.TB, policy SlowPolicy, b settings.Batch) *testHub {
	h := newTestHub(t, policy)
	b.Topic = "prices"
	h.batchTopics([]settings.Batch{b})
	return h
}

// A batch is its records, each with the time at which they were queued; its
// frame is text if all of them are.
func TestBatchMessage(t *testing.T) {
	var records recordEncoder
	header := recordHeader("prices")
	at := func(offset int64, key, value string) *message {
		r := record{partition: 1, offset: offset, key: []byte(key), value: []byte(value), receivedAt: 5, queuedAt: 6}
		return &message{frame: records.encode(header, &r), partition: 1, offset: offset, queuedAt: r.queuedAt, kafkaAt: offset + 1}
	}
	line := func(offset int, key string) string {
		return fmt.Sprintf(`{"type":"message","topic":"prices","partition":1,"offset":%d,"key":%q,"received_at_ns":5,"queued_at_ns":77}`+"\n", offset, key)
	}
	first, second := line(8, `a":1`)+"x\ny}", line(9, "")
	for _, tt := range []struct {
		name    string
		records []*message
		op      opcode
		want    string
	}{
		{"alone", []*message{at(8, `a":1`, "x\ny}")}, opText, first},
		{"two", []*message{at(8, `a":1`, "x\ny}"), at(9, "", "")}, opText, fmt.Sprintf(`{"type":"batch","count":2,"sizes":[%d,%d]}`, len(first), len(second)) + "\n" + first + second},
		{"binary", []*message{at(9, "", ""), at(9, "", "\xff")}, opBinary, fmt.Sprintf(`{"type":"batch","count":2,"sizes":[%d,%d]}`, len(second), len(second)+1) + "\n" + second + second + "\xff"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			msg := (&parts{records: tt.records}).message(77)
			ops, payloads := serverFrames(msg.batch.plain())
			if len(ops) != 1 || ops[0] != tt.op || string(payloads[0]) != tt.want {
				t.Errorf("got opcode %d %q; want %d %q", ops[0], payloads[0], tt.op, tt.want)
			}
			if msg.count() != len(tt.records) || msg.kafkaAt != tt.records[0].kafkaAt || msg.queuedAt != 77 {
				t.Errorf("got %+v", msg)
			}
		})
	}
}

// What clients of all kinds subscribe to and leave at random, while records are
// published and what is gathered is settled at random: each gets what it would
// get unbatched, in the same order, and nothing is left out of the account.
func TestBatchedIsWhatUnbatchedIs(t *testing.T) {
	names := []string{"prices", "prices/k0", "prices/k1", "prices/k2", patternMark + "prices/k*", patternMark + "prices/*1"}
	rapid.Check(t, func(rt *rapid.T) {
		var counters [2]counters
		cfg := Config{QueueBytes: 1 << 20}.WithDefaults()
		hubs := [2]*hub{}
		clients := [2][]*client{}
		for i := range hubs {
			hubs[i] = newHub([]string{"prices"}, nil, 10, &counters[i])
			for range 3 {
				c := newMuteClient(nil, &cfg, hubs[i])
				hubs[i].clients[c] = struct{}{}
				clients[i] = append(clients[i], c)
			}
		}
		hubs[1].batchTopics([]settings.Batch{{Topic: "prices", Interval: time.Hour, Bytes: rapid.SampledFrom([]int{1, 500, 1 << 20}).Draw(rt, "bytes")}})
		offsets := [2]int64{}
		ask := func(t *rapid.T, do func(*hub, *client, *request) *requestError) {
			n := rapid.IntRange(0, 2).Draw(t, "client")
			var req request
			for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 1, 3).Draw(t, "channels") {
				if plain := trimMark(name); plain != name {
					req.Patterns = append(req.Patterns, plain)
				} else {
					req.Channels = append(req.Channels, name)
				}
			}
			for i := range hubs {
				if err := do(hubs[i], clients[i][n], &req); err != nil {
					t.Fatal(err)
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) {
				p := rapid.Int32Range(0, 1).Draw(t, "partition")
				key := rapid.SampledFrom([]string{"k0", "k1", "k2", "k11"}).Draw(t, "key")
				for i := range hubs {
					hubs[i].publish(hubs[i].topics["prices"], &record{partition: p, offset: offsets[p], key: []byte(key), value: []byte(key)})
				}
				offsets[p]++
			},
			"subscribe": func(t *rapid.T) {
				ask(t, func(h *hub, c *client, r *request) *requestError { return h.subscribe(c, r) })
			},
			"unsubscribe": func(t *rapid.T) {
				ask(t, func(h *hub, c *client, r *request) *requestError { return h.unsubscribe(c, r) })
			},
			"settle": func(*rapid.T) { hubs[1].flushGathered() },
			"goes": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "one in ten") > 0 {
					t.SkipNow()
				}
				n := rapid.IntRange(0, 2).Draw(t, "client")
				for i, h := range hubs {
					h.flushGathered() // what a client is left with at its end is chance
					h.remove(clients[i][n])
					c := newMuteClient(nil, &cfg, h)
					h.clients[c] = struct{}{}
					clients[i][n] = c
				}
			},
		})
		hubs[1].flushGathered()
		if b := hubs[1].topics["prices"].batcher; len(b.filled) != 0 || b.apart > 3 {
			rt.Errorf("left in the batcher: %d gatherings, %d clients apart", len(b.filled), b.apart)
		}
		for n := range clients[0] {
			want, got := takenBy(rt, clients[0][n]), takenBy(rt, clients[1][n])
			if !slices.Equal(got, want) {
				rt.Errorf("client %d got %v; want %v", n, got, want)
			}
		}
		if got, want := counters[1].queued.Load(), counters[0].queued.Load(); got != want {
			rt.Errorf("queued: got %d; want %d", got, want)
		}
		for _, c := range clients[1] {
			hubs[1].remove(c)
		}
		if n := hubs[1].topics["prices"].batcher.apart; n != 0 {
			rt.Errorf("clients apart when there are none: %d", n)
		}
	})
}

// takenBy takes all that waits for a client, and says what it is.
func takenBy(t *rapid.T, c *client) (all []string) {
	b := new(burst)
	for records := 0; ; {
		c.queue.take(b)
		if len(b.frames) == 0 {
			return all
		}
		b.build(c.hub.deflaters)
		ops, payloads := serverFrames(b.join())
		for i := range ops {
			messages, err := parseAll(int(ops[i]), payloads[i])
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				all = append(all, fmt.Sprint(m.Type, m.Channels, m.Patterns, m.Partition, m.Offset, string(m.Value)))
				if m.Type == "message" {
					records++
				}
			}
		}
		if b.records != records {
			t.Fatalf("taken as %d records; want %d", b.records, records)
		}
		records = 0
		b.reset()
	}
}

// Between its acknowledgements each client gets every record of its channels in
// order, while others come and go and batches go by time.
func TestBatchedFanOutWithJoinsAndLeaves(t *testing.T) {
	h := newBatchedHub(t, SlowDisconnect, settings.Batch{Interval: time.Millisecond, Bytes: 4 << 10})
	h.cfg.QueueBytes = 1 << 30
	ctx, stop := context.WithCancel(t.Context())
	ended := goErr(func() error { h.runBatcher(ctx, h.topics["prices"]); return nil })
	fanOutWithJoinsAndLeaves(t, h)
	stop()
	<-ended
	if h.counters.batches.Load() == 0 {
		t.Error("there were no batches")
	}
}

// A record waits for the interval and no longer, and not at all when there are bytes enough.
func TestBatchGoesInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newBubbleHub()
		h.batchTopics([]settings.Batch{{Topic: "prices", Interval: time.Second, Bytes: 1000}})
		ctx, stop := context.WithCancel(t.Context())
		ended := goErr(func() error { h.runBatcher(ctx, h.topics["prices"]); return nil })
		c := newMuteClient(nil, &h.cfg, h.hub)
		if err := h.subscribe(c, &request{Channels: []string{"prices"}}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var offset int64
		publish := func(size int) {
			h.publish(h.topics["prices"], &record{offset: offset, value: make([]byte, size)})
			offset++
		}
		queued := func(at time.Duration, want int64) {
			t.Helper()
			time.Sleep(time.Until(began.Add(at))) // false time
			synctest.Wait()
			if got := h.counters.queued.Load(); got != want {
				t.Errorf("after %s: got %d records; want %d", at, got, want)
			}
		}
		publish(1)
		queued(500*time.Millisecond, 0)
		publish(1)
		queued(999*time.Millisecond, 0)
		queued(time.Second, 2)
		queued(3*time.Second, 2)
		publish(1)
		publish(1000)
		queued(3*time.Second, 4) // enough
		publish(1)
		queued(3900*time.Millisecond, 4)
		queued(4*time.Second, 5)
		stop()
		<-ended
	})
}

// A batch is built and compressed once for all who share it, and each record of
// it is followed on its own.
func TestBatchIsShared(t *testing.T) {
	h := newBatchedHub(t, SlowDisconnect, settings.Batch{Interval: time.Hour, Bytes: 64 << 10})
	members := parkedMembers(h, 3, "prices")
	members[1].client.deflateMax, members[2].client.deflateMax = 1<<15, 1<<15
	trace := &recordTrace{queuedAt: 1}
	for i := range int64(4) {
		h.publish(h.topics["prices"], &record{offset: i, value: []byte(strings.Repeat("v", 100)), trace: trace, kafkaAt: 9 + i})
		trace = nil
	}
	h.flushGathered()
	var frames [3][]byte
	for i, m := range members {
		b := new(burst)
		m.client.queue.take(b)
		b.build(h.deflaters)
		if b.records != 4 || len(b.frames) != 1 || b.kafkaAt != 9 || len(b.traces) != 1 || b.traces[0].queuedAt == 1 {
			t.Fatalf("client %d: got %+v", i, b)
		}
		frames[i] = b.frames[0]
	}
	if &frames[1][0] != &frames[2][0] || frames[1][0] != finBit|rsv1Bit|byte(opText) || len(frames[1]) >= len(frames[0]) {
		t.Errorf("compressed frames: got %s and %s", hex.EncodeToString(frames[1][:2]), hex.EncodeToString(frames[2][:2]))
	}
	if q, n := h.counters.batches.Load(), h.counters.batched.Load(); q != 3 || n != 12 {
		t.Errorf("counted: %d batches with %d records; want 3 with 12", q, n)
	}
}

// Batches that are dropped are counted by their records, and what is told of
// them is exact.
func TestBatchesAreDropped(t *testing.T) {
	h := newBatchedHub(t, SlowDropOldest, settings.Batch{Interval: time.Hour, Bytes: 1 << 20})
	h.cfg.QueueBytes = 4096
	m := parkedMembers(h, 1, "prices")[0]
	for round := range int64(6) {
		for i := range int64(10) {
			h.publish(h.topics["prices"], &record{partition: int32(i % 2), offset: round*5 + i/2, value: []byte("v")})
		}
		h.flushGathered()
	}
	b := new(burst)
	m.client.queue.take(b)
	b.build(h.deflaters)
	_, payloads := serverFrames(b.join())
	var got []string
	for _, p := range payloads {
		if n, err := parse(0, p); err == nil && n.Kind == string(noticeDropped) {
			got = append(got, fmt.Sprint(n.Partition, n.FirstOffset, n.LastOffset, n.Count))
		}
	}
	queued, dropped := h.counters.queued.Load(), h.counters.dropped.Load()
	last := dropped/2 - 1
	if want := []string{fmt.Sprint(0, 0, last, dropped/2), fmt.Sprint(1, 0, last, dropped/2)}; !slices.Equal(got, want) || dropped == 0 || dropped%10 != 0 || queued != 60 {
		t.Errorf("notices: got %v with %d dropped of %d; want %v", got, dropped, queued, want)
	}
	m.client.queue.close(CloseNormal, nil, false)
	if n := h.counters.abandoned.Load(); n+int64(b.records)+dropped != 60 {
		t.Errorf("of 60 records %d were dropped, %d taken and %d abandoned", dropped, b.records, n)
	}
}

// A drain writes what was gathered, spread out or not; so do the positions that a client is told.
func TestBatchesAreSettled(t *testing.T) {
	for _, spread := range []time.Duration{0, time.Millisecond} {
		t.Run(spread.String(), func(t *testing.T) {
			g := start(t, func(c *Config) {
				c.Batch = []settings.Batch{{Topic: "prices", Interval: 10 * time.Second}}
				c.Timeouts.DrainSpread = spread
				c.Resume.PositionsEvery = 10 * time.Millisecond
			})
			teller := &comeback{g: g, channels: []string{"prices"}}
			teller.connect()
			g.produce(1, keyed("k", 0, 2)...)
			for teller.positions["prices"].Next[1] < 2 {
				teller.next()
			}
			if len(teller.got) != 2 {
				t.Errorf("the client has %d records with position %d", len(teller.got), teller.positions["prices"].Next[1])
			}
			teller.leave()
			g.eventually("it has gone", func(s Stats) bool { return s.Connections == 0 })
			c := g.dial("prices")
			c.whole = true
			g.produce(0, keyed("k", 0, 3)...)
			g.eventually("they are read", func(s Stats) bool { return s.Records == 5 })
			g.stop()
			if m := c.read(); m.Type != "batch" || m.Count != 3 {
				t.Errorf("got %s; want a batch of 3", m.Raw)
			}
			c.wantClose(CloseServiceRestart)
			g.shutDown()
		})
	}
}

// In a group nothing is committed that waits for others.
func TestBatchedGroupCommitsWhatIsQueued(t *testing.T) {
	t.Parallel()
	g := start(t, func(c *Config) {
		inGroup(c)
		c.Batch = []settings.Batch{{Topic: "prices", Interval: 10 * time.Second}}
	})
	c := g.dial("prices")
	g.produce(1, &kgo.Record{Value: []byte("a")}, &kgo.Record{Value: []byte("b")})
	for deadline := time.Now().Add(patience); committed(t, g.cluster)[1] != 2; {
		if time.Now().After(deadline) {
			t.Fatalf("committed: got %v; want 2 of partition 1", committed(t, g.cluster))
		}
	}
	if s := g.stats(); s.Queued != 2 {
		t.Errorf("queued when committed: got %d; want 2", s.Queued)
	}
	c.read()
	c.read()
}

func TestBatchSettings(t *testing.T) {
	cfg := Config{
		Brokers: []string{"127.0.0.1:1"}, Topics: []string{"a", "b", "c"}, QueueBytes: 4096,
		Conflate: []Conflation{{Topic: "b", Interval: time.Second}},
	}
	cfg.Batch = []settings.Batch{
		{Topic: "a", Interval: time.Second}, {Topic: "a", Interval: time.Second, Bytes: 1}, {Topic: "b", Interval: time.Second},
		{Topic: "d", Interval: time.Second}, {Topic: "c", Interval: time.Minute, Bytes: 1025},
	}
	want := []string{
		`Batch[1]: topic "a" is named twice`,
		`Batch[2]: topic "b" is conflated, and what conflation holds back must not be held again (leave out one of the two)`,
		`Batch[3]: topic "d" is not one of Topics`,
		`Batch[4]: an interval of 1m0s is not from 1ms to 10s`,
		`Batch[4]: 1025 bytes are not from 1 to 1024, a quarter of QueueBytes`,
	}
	filled := cfg.WithDefaults()
	err := filled.Validate()
	if err == nil || !slices.Equal(strings.Split(err.Error(), "\n"), want) {
		t.Errorf("got %v; want %q", err, want)
	}
	if cfg.Batch[0].Bytes != 0 || filled.Batch[0].Bytes != 1024 {
		t.Errorf("bytes by default: got %d, and %d in the caller's list; want 1024 and 0", filled.Batch[0].Bytes, cfg.Batch[0].Bytes)
	}
}
