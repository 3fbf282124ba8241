package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// leastFetchBytes is what replays ask for at once with the least memory that they may have, and nobody else does.
var leastFetchBytes = (&history{bound: minReplayMemory / historyShare}).fetchBytes()

// replaysFetch holds replays' fetches of the topic's partitions, as long as nobody leads them.
func replaysFetch(c *kfake.Cluster, topic string) *kfake.FaultHandle {
	return c.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Err: kerr.NotLeaderForPartition, Count: -1,
		When: func(r kmsg.Request) bool { return r.(*kmsg.FetchRequest).MaxBytes == leastFetchBytes },
	})
}

// Replays of a partition that nobody leads keep no others from theirs, however many they are.
func TestReplaysWithoutLeaderKeepNoPlace(t *testing.T) {
	g := start(t, func(c *Config) { c.Resume.MemoryBytes, c.Resume.Replays = minReplayMemory, 2 })
	stuck := make([]*comeback, 4)
	for i := range stuck {
		stuck[i] = &comeback{g: g, channels: []string{"prices"}}
	}
	other := &comeback{g: g, channels: []string{"chat"}}
	for _, c := range append(stuck, other) {
		c.connect()
		c.until("caught_up")
		c.leave()
	}
	g.produce(1, large("k", 40)...)
	chat := keyed("q", 0, 3)
	for _, r := range chat {
		r.Topic = "chat"
	}
	g.produce(0, chat...)
	g.eventually("all is read", func(s Stats) bool { return s.Records == 43 })
	held := replaysFetch(g.cluster, "prices")
	for _, c := range stuck {
		c.connect()
	}
	if err := held.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	other.connect()
	other.until("caught_up")
	if len(other.got) != 3 {
		t.Errorf("got %d records; want 3", len(other.got))
	}
	held.Remove()
	for _, c := range stuck {
		c.until("caught_up")
		if len(c.got) != 40 {
			t.Errorf("got %d records; want 40", len(c.got))
		}
	}
	g.eventually("no replay is left", func(s Stats) bool { return s.ReplaysRunning == 0 && s.ReplaysWaiting == 0 })
}

// newTestReplayer is a replayer without Kafka: all is in memory.
func newTestReplayer(h *testHub, replays int) *replayer {
	h.cfg.Resume.Replays = replays
	p := newReplayer(&h.cfg, h.hub, &errorLog{log: slog.New(slog.DiscardHandler), counter: &h.counters.kafkaErrors})
	p.history = newHistory(nil, 1<<20, p.pace)
	h.replayer = p
	h.readFrom("prices", 0, 0)
	h.topics["prices"].log.keep()
	return p
}

// resumes is a client's request for all of the channel.
func resumes(h *testHub, c *client, channel string) *resumption {
	epoch := h.topics["prices"].log.epoch
	return &resumption{
		client: c, startedAt: time.Now(), answered: make(chan struct{}),
		request: &request{Channels: []string{channel}, Resume: map[string]resumePositions{"prices": {Epoch: epoch, Next: map[int32]int64{0: 0}}}},
	}
}

// A long replay lets a short one pass before it is done. That one's client takes nothing until then, and a replay that
// waits for its client keeps its place here: only that it passes the place on in time can help.
func TestLongReplayLetsShortOnesPass(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	p := newTestReplayer(h, 1)
	p.slots.patience, p.slots.turn = time.Hour, 0
	for i := range int64(20 * replayRecords) {
		key := "long"
		if i == 0 {
			key = "short"
		}
		h.publish(h.topics["prices"], &record{offset: i, key: []byte(key), value: make([]byte, 100)})
	}
	done := make(chan struct{})
	caughtUp := make(chan struct{})
	long := h.join(t, func([]byte) { <-done })
	short := h.join(t, func(b []byte) {
		if strings.Contains(string(b), "caught_up") {
			close(caughtUp)
		}
	})
	p.slots.places <- struct{}{}
	ended := make(chan struct{}, 2)
	for i, r := range []*resumption{resumes(h, long, "prices/long"), resumes(h, short, "prices/short")} {
		go func() {
			p.serve(t.Context(), r)
			ended <- struct{}{}
		}()
		for p.slots.queueing.Load() <= int64(i) { // they come in this order
			runtime.Gosched()
		}
	}
	<-p.slots.places
	select {
	case <-caughtUp:
	case <-time.After(patience):
		t.Error("the short replay waits for the long one")
	}
	close(done)
	<-ended
	<-ended
	if n := h.counters.replaysRunning.Load() + h.counters.replaysWaiting.Load(); n != 0 || len(p.slots.places) != 0 {
		t.Errorf("%d replays are left, %d places taken", n, len(p.slots.places))
	}
}

// Stretches that are looked at count for the memory of what was read again: one more waits until there is room.
func TestStretchesInUseAreBounded(t *testing.T) {
	past := newHistory(nil, 1000, newPace())
	part := past.partition(partitionKey{topic: "prices"})
	read := func(from int64) *stretch {
		s := &stretch{partition: partitionKey{topic: "prices"}, from: from, to: from + 1, bytes: 600}
		past.remember(part, s, 500)
		return s
	}
	if err := past.reserve(t.Context(), 500); err != nil {
		t.Fatal(err)
	}
	first := read(0)
	ctx, cancel := context.WithCancel(t.Context())
	reserved := goErr(func() error { return past.reserve(ctx, 500) })
	for forgotten := false; !forgotten; runtime.Gosched() {
		past.mu.Lock()
		forgotten = first.forgotten
		past.mu.Unlock()
	}
	select {
	case <-reserved:
		t.Fatal("there was room beside a stretch that is looked at")
	default:
	}
	cancel()
	if err := <-reserved; err == nil {
		t.Error("waited on after its end")
	}
	if past.bytes != 600 || past.find(part, 0) != nil {
		t.Errorf("%d bytes are counted; want those of the stretch that is looked at, which is forgotten", past.bytes)
	}
	reserved = goErr(func() error { return past.reserve(t.Context(), 500) })
	past.release(first)
	if err := <-reserved; err != nil {
		t.Fatal(err)
	}
	second := read(1)
	past.release(second)
	if got := past.find(part, 1); got != second {
		t.Error("what nobody looks at, and fits, is not remembered")
	}
	past.release(second)
	if past.bytes != 600 {
		t.Errorf("%d bytes are counted; want 600", past.bytes)
	}
}

// Kafka is asked about topics that are subscribed to, and what it says wrong is not told the client.
func TestResumeAsksOfItsTopicsAlone(t *testing.T) {
	c := gone(t, []string{"prices"})
	c.g.produce(0, large("k", 40)...)
	c.g.eventually("all is read", func(s Stats) bool { return s.Records == 40 })
	fault := func(topic string) *kfake.FaultHandle {
		return c.g.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: topic, Err: kerr.TopicAuthorizationFailed, Count: -1})
	}
	chat := fault("chat")
	c.positions["chat"] = resumePositions{Epoch: "x"}
	c.wantAnswered(c.connect(), true, `null`)
	c.until("caught_up")
	c.leave()
	chat.Remove()
	defer fault("prices").Remove()
	c.positions["prices"].Next[0] = 0
	d := c.g.dial()
	d.send(c.request())
	m := d.read()
	if m.Type != "error" || m.Code != string(ErrorKafka) || m.Message != "topic prices: Kafka does not say which offsets it has (ask again)" {
		t.Errorf("got %s; want the code kafka and a text of our own", m.Raw)
	}
}

// A gateway that drains while it asks Kafka says that it shuts down.
func TestDrainDuringResumeIsNoFaultOfKafka(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	p := newTestReplayer(h, 1)
	c := h.join(t, nil)
	r := resumes(h, c, "prices")
	r.request.Resume["prices"] = resumePositions{Epoch: "another"}
	_, done, err := p.history.ask(t.Context(), "prices") // somebody else waits for the answer
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.serve(ctx, r)
	if r.refused == nil || r.refused.code != ErrorShuttingDown {
		t.Errorf("got %v; want code %s", r.refused, ErrorShuttingDown)
	}
}

// A client that goes in the midst of a replay of many keys takes them out one by one, at the cost of one clone for all:
// what a reader without the lock was given stays as it was.
func TestLeavingAReplayClonesOnce(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	tr := &topicReplay{topic: h.topics["prices"], want: &wanted{keys: make(map[string]*member)}}
	const n = 500
	var members []*member
	for i := range n {
		for _, ch := range []*channel{{ofKey: true, key: fmt.Sprint(i)}, {ofKey: true, key: fmt.Sprint(i, "*"), glob: newGlob(fmt.Sprint(i, "*"))}} {
			m := &member{channel: ch}
			tr.want.add(m)
			members = append(members, m)
		}
	}
	_, lent := h.wants(tr, 0)
	tr.leave(members[0])
	own := tr.want
	for i, m := range members[1:] {
		tr.leave(m)
		if tr.want != own {
			t.Fatal("cloned again for each channel")
		}
		left := 0
		for range tr.want.all {
			left++
		}
		if left != len(members)-2-i {
			t.Fatalf("%d channels are left; want %d", left, len(members)-2-i)
		}
	}
	if !tr.want.empty() || len(lent.keys) != n || len(lent.patterns) != n {
		t.Errorf("what was lent has %d keys, %d patterns; want %d of each", len(lent.keys), len(lent.patterns), n)
	}
}
