package gateway

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// gone is a client of channels whose session has ended at positions of zero, and
// a gateway that keeps as little as may be in memory.
func gone(t *testing.T, channels []string, opts ...kfake.Opt) *comeback {
	t.Helper()
	g := start(t, func(c *Config) { c.Resume.MemoryBytes = minReplayMemory }, opts...)
	c := &comeback{g: g, channels: channels}
	c.connect()
	c.until("caught_up")
	c.leave()
	return c
}

// large are records of which the memory holds fewer than 16.
func large(key string, n int) []*kgo.Record {
	rs := keyed(key, 0, n)
	for _, r := range rs {
		r.Value = make([]byte, 64<<10)
	}
	return rs
}

// wantAnswered compares the answer to a resumption.
func (c *comeback) wantAnswered(m received, resumed bool, lost string) {
	c.g.t.Helper()
	got, err := json.Marshal(m.Lost)
	if err != nil {
		c.g.t.Fatal(err)
	}
	if m.Resumed == nil || *m.Resumed != resumed || string(got) != lost {
		c.g.t.Errorf("got %s; want resumed %t, lost %s", m.Raw, resumed, lost)
	}
}

// wantRecords reads records of a partition with these offsets.
func (c *comeback) wantRecords(p int32, from, to int64) {
	c.g.t.Helper()
	for offset := from; offset < to; offset++ {
		m := c.next()
		for m.Type == "positions" {
			m = c.next()
		}
		if m.Type != "message" || m.Partition != p || m.Offset != offset {
			c.g.t.Fatalf("got %.200s; want offset %d of partition %d", m.Raw, offset, p)
		}
	}
}

// wantContiguous requires that what has come of a partition has no hole and nothing twice, from its beginning on, and says
// how much it is.
func (c *comeback) wantContiguous(p int32) (n int64) {
	c.g.t.Helper()
	for _, m := range c.got {
		if m.Partition != p {
			continue
		}
		if m.Offset != n {
			c.g.t.Fatalf("of partition %d came offset %d; want %d", p, m.Offset, n)
		}
		n++
	}
	return n
}

// Retention has taken what a client missed: it is told what, and gets the rest.
func TestResumeAfterRetention(t *testing.T) {
	c := gone(t, []string{"prices/k"})
	c.g.produce(1, large("k", 40)...)
	c.g.eventually("all is read", func(s Stats) bool { return s.Records == 40 })
	if err := c.g.cluster.DeleteRecords("prices", 1, 15); err != nil {
		t.Fatal(err)
	}
	c.wantAnswered(c.connect(), false, `{"prices":{"1":{"first":0,"last":14}}}`)
	c.wantRecords(1, 15, 40)
	c.until("caught_up")
	if s := c.g.stats(); s.Resumes != 2 || s.ResumesLost != 1 || s.ReplayedKafka == 0 || s.ReplayedKafka+s.ReplayedMemory != 25 {
		t.Errorf("stats: %+v", s)
	}
}

// Positions on either side of where a partition begins.
func TestResumeAtTheFirstOffset(t *testing.T) {
	c := gone(t, []string{"prices/k"})
	c.g.produce(1, large("k", 40)...)
	c.g.eventually("all is read", func(s Stats) bool { return s.Records == 40 })
	if err := c.g.cluster.DeleteRecords("prices", 1, 15); err != nil {
		t.Fatal(err)
	}
	for next, lost := range map[int64]string{14: `{"prices":{"1":{"first":14,"last":14}}}`, 15: `null`} {
		c.positions["prices"].Next[1] = next
		c.wantAnswered(c.connect(), next == 15, lost)
		c.wantRecords(1, 15, 40)
		c.until("caught_up")
		c.leave()
	}
}

// Kafka removed records before the gateway had read them, while a client was
// away: memory has what was before and what came after, and must not be taken
// for all.
func TestResumeAcrossGap(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	c := &comeback{g: g, channels: []string{"prices"}}
	c.connect()
	c.until("caught_up")
	c.leave()
	g.produce(2, keyed("a", 0, 3)...)
	g.eventually("the first are read", func(s Stats) bool { return s.Records == 3 })
	held := g.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "prices", Err: kerr.NotLeaderForPartition, Count: -1})
	g.produce(3, keyed("wake", 0, 1)...)
	if err := held.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	g.produce(2, keyed("a", 3, 7)...)
	if err := g.cluster.DeleteRecords("prices", 2, 8); err != nil {
		t.Fatal(err)
	}
	held.Remove()
	g.eventually("all is read", func(s Stats) bool { return s.Records == 6 })
	c.wantAnswered(c.connect(), false, `{"prices":{"2":{"first":0,"last":7}}}`)
	c.until("caught_up")
	if len(c.got) != 3 {
		t.Errorf("got %d records; want 3", len(c.got))
	}
}

// Retention takes records while they are read again: a notice says which.
func TestRetentionDuringReplay(t *testing.T) {
	t.Parallel()
	c := gone(t, []string{"prices/k", "prices/other"})
	c.g.produce(2, large("k", 40)...)
	c.g.eventually("all is read", func(s Stats) bool { return s.Records == 40 })
	held := c.g.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "prices", Err: kerr.NotLeaderForPartition, Count: -1})
	c.wantAnswered(c.connect(), true, `null`)
	if err := held.Wait(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if err := c.g.cluster.DeleteRecords("prices", 2, 7); err != nil {
		t.Fatal(err)
	}
	held.Remove()
	channels := ""
	for range 2 {
		m := c.until("notice")
		channels += m.Channel
		if m.Kind != "gap" || m.Partition != 2 || m.FirstOffset != 0 || m.LastOffset != 6 || m.Count != 7 {
			t.Errorf("got %s; want a gap up to 6", m.Raw)
		}
	}
	if len(channels) != len("prices/kprices/other") {
		t.Errorf("notices for %q; want both channels", channels)
	}
	c.wantRecords(2, 7, 40)
	c.until("caught_up")
}

// A topic was deleted and created anew while a client was gone: its positions
// are of another topic, and it gets all of the new one.
func TestResumeInAnotherEpoch(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	stays := &comeback{g: g, channels: []string{"prices"}}
	stays.connect()
	old := stays.positions["prices"].Epoch
	goes := &comeback{g: g, channels: []string{"prices/k"}}
	goes.connect()
	g.produce(0, keyed("k", 0, 3)...)
	goes.has(3)
	goes.leave()
	if err := g.cluster.DeleteTopic("prices"); err != nil {
		t.Fatal(err)
	}
	if err := g.cluster.CreateTopic("prices", 4, nil); err != nil {
		t.Fatal(err)
	}
	g.kafka.PurgeTopicsFromClient("prices")
	g.produce(0, keyed("k", 100, 2)...)
	stays.has(5)
	if at := stays.positions["prices"]; at.Epoch == old || at.Next[0] != 2 {
		t.Errorf("positions of who stayed: got %+v; want another epoch and 2", at)
	}
	goes.wantAnswered(goes.connect(), false, `{"prices":{"epoch":true}}`)
	goes.wantRecords(0, 0, 2)
	goes.until("caught_up")
	stays.leave()
	stays.wantAnswered(stays.connect(), true, `null`)
	if m := stays.next(); m.Type != "caught_up" {
		t.Errorf("who knows the new epoch got %s; want caught_up", m.Raw)
	}
}

// A client is further than Kafka: what it had is lost, and what comes in its
// place is sent.
func TestResumeBeyondTheEnd(t *testing.T) {
	c := gone(t, []string{"prices"})
	c.g.produce(3, keyed("k", 0, 10)...)
	c.g.eventually("all is read", func(s Stats) bool { return s.Records == 10 })
	c.positions["prices"].Next[3] = 17
	c.wantAnswered(c.connect(), false, `{"prices":{"3":{"first":10,"last":16}}}`)
	c.until("caught_up")
	c.g.produce(3, keyed("k", 10, 1)...)
	c.wantRecords(3, 10, 11)
}

// comesAhead is a client that has had six records from another gateway, of which this one has not read those of partition 1
// until the fault that it is held by is removed.
func comesAhead(t *testing.T) (g *gatewayUnderTest, c *comeback, held *kfake.FaultHandle) {
	t.Helper()
	const mark = 1 << 20 // tells this gateway's fetches from the other's
	g = start(t, func(c *Config) {
		c.KafkaOpts = []kgo.Opt{kgo.FetchMaxBytes(mark)}
		c.Resume.PositionsEvery = 10 * time.Millisecond
	})
	fast := startOn(t, g.cluster, nil)
	c = &comeback{g: fast, channels: []string{"prices"}}
	c.connect()
	c.until("caught_up")
	held = g.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Fetch}, Topic: "prices", Err: kerr.NotLeaderForPartition, Count: -1,
		When: func(r kmsg.Request) bool { return r.(*kmsg.FetchRequest).MaxBytes == mark },
	})
	g.produce(3, keyed("wake", 0, 1)...)
	if err := held.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	g.produce(1, keyed("k", 0, 5)...)
	c.has(6)
	c.leave()
	c.g = g
	c.wantAnswered(c.connect(), true, `null`)
	return g, c, held
}

// A client comes from a gateway that was faster than this one: what it had there
// is not sent again, nor are its positions taken back.
func TestResumeAheadOfTheGateway(t *testing.T) {
	g, c, held := comesAhead(t)
	if m := c.next(); m.Type != "caught_up" {
		t.Errorf("got %s; want caught_up", m.Raw)
	}
	c.send(`{"type":"presence","channels":["prices"]}`)
	if m := c.next(); m.Type != "presence" {
		t.Errorf("got %s; want no positions that are behind the client's", m.Raw)
	}
	held.Remove()
	g.produce(1, keyed("k", 5, 5)...)
	c.wantRecords(1, 5, 10)
	if m := c.until("positions"); m.Positions["prices"].Next[1] != 10 {
		t.Errorf("got %s; want 10 for partition 1", m.Raw)
	}
	if len(c.got) != 11 {
		t.Errorf("got %d records; want 11", len(c.got))
	}
}

// The leader moves and a broker goes while records are read again: all come, in
// order and once.
func TestLeaderMovesDuringReplay(t *testing.T) {
	c := gone(t, []string{"prices"}, kfake.NumBrokers(3))
	const n = 60
	c.g.produce(2, large("k", n)...)
	c.g.eventually("all is read", func(s Stats) bool { return s.Records == n })
	c.wantAnswered(c.connect(), true, `null`)
	for i := range int64(n) {
		if i%10 == 5 {
			c.g.cluster.ShufflePartitionLeaders()
		}
		if i == 20 {
			if err := c.g.cluster.RemoveNode(c.g.cluster.LeaderFor("prices", 2)); err != nil {
				t.Fatal(err)
			}
		}
		c.wantRecords(2, i, i+1)
	}
	c.until("caught_up")
}

// A client that does not read during its replay is not slow for it, keeps no
// others from theirs, and gets all of it. What is published meanwhile comes from
// memory or Kafka, not from its queue.
func TestReplayToSlowClient(t *testing.T) {
	g := start(t, func(c *Config) {
		c.Resume.MemoryBytes, c.Resume.Replays, c.QueueBytes = minReplayMemory, 1, 64<<10
	})
	slow, quick := &comeback{g: g, channels: []string{"prices"}}, &comeback{g: g, channels: []string{"prices/q"}}
	for _, c := range []*comeback{slow, quick} {
		c.connect()
		c.until("caught_up")
		c.leave()
	}
	const n = 400 // 25 MB: more than the kernel takes for who does not read
	g.produce(0, large("k", n)...)
	g.produce(1, keyed("q", 0, 3)...)
	g.eventually("all is read", func(s Stats) bool { return s.Records == n+3 })
	slow.connect()
	g.eventually("the slow one waits", func(s Stats) bool { return s.ReplaysWaiting == 1 })
	quick.connect()
	quick.wantRecords(1, 0, 3)
	quick.until("caught_up")
	g.produce(0, large("k", 50)...)
	slow.has(n + 50 + 3)
	slow.until("caught_up")
	for i, m := range slow.got {
		if m.Partition == 0 && i > 0 && slow.got[i-1].Partition == 0 && m.Offset != slow.got[i-1].Offset+1 {
			t.Fatalf("offset %d came after %d", m.Offset, slow.got[i-1].Offset)
		}
	}
	if s := g.stats(); s.SlowDisconnects != 0 || len(slow.notices) != 0 {
		t.Errorf("stats: %+v; notices: %v", s, slow.notices)
	}
}

// A gateway drains while it replays: the client is closed like all others, and
// resumes at the next gateway where it was.
func TestDrainDuringReplay(t *testing.T) {
	c := gone(t, []string{"prices"})
	const n = 400
	c.g.produce(0, large("k", n)...)
	c.g.eventually("all is read", func(s Stats) bool { return s.Records == n })
	c.connect()
	c.wantRecords(0, 0, 5)
	c.g.stop()
	for {
		m, err := c.tryRead()
		if err != nil {
			break
		}
		c.note(m)
	}
	if len(c.got) == n {
		t.Error("the replay was over before the drain")
	}
	c.g.shutDown()
	c.g = startOn(t, c.g.cluster, nil)
	c.wantAnswered(c.connect(), true, `null`)
	c.has(n)
	c.until("caught_up")
	for i, m := range c.got {
		if m.Offset != int64(i) {
			t.Fatalf("record %d: got offset %d", i, m.Offset)
		}
	}
}

// Channels that are unsubscribed during their replay get no more of it; the
// others do.
func TestUnsubscribeDuringReplay(t *testing.T) {
	c := gone(t, []string{"prices/a", "prices/b"})
	for i := range 200 {
		c.g.produce(0, large(fmt.Sprintf("%c", 'a'+i%2), 1)...)
	}
	c.g.eventually("all is read", func(s Stats) bool { return s.Records == 200 })
	c.connect()
	c.next()
	c.send(`{"type":"unsubscribe","id":2,"channels":["prices/a"]}`)
	c.until("unsubscribed")
	before := len(c.got)
	c.until("caught_up")
	if before == 200 {
		t.Error("the replay was over before the request")
	}
	got := 0
	for i, m := range c.got {
		if *m.Key == "b" {
			got++
		} else if i >= before {
			t.Errorf("offset %d of the channel came after unsubscribed", m.Offset)
		}
	}
	if got != 100 {
		t.Errorf("of the other channel came %d; want 100", got)
	}
	if s := c.g.stats(); s.Subscriptions != 1 {
		t.Errorf("%d subscriptions; want 1", s.Subscriptions)
	}
	c.send(`{"type":"unsubscribe","id":3,"channels":["prices/b"]}`)
	c.until("unsubscribed")
}

// A partition that is added while a client is gone comes whole.
func TestResumeWithNewPartition(t *testing.T) {
	t.Parallel()
	g := start(t, func(c *Config) { c.MetadataInterval = 20 * time.Millisecond })
	c := &comeback{g: g, channels: []string{"prices"}}
	c.connect()
	c.until("caught_up")
	c.leave()
	if _, err := kadm.NewClient(g.kafka).CreatePartitions(t.Context(), 1, "prices"); err != nil {
		t.Fatal(err)
	}
	g.kafka.ForceMetadataRefresh()
	g.produce(4, keyed("k", 0, 3)...)
	g.eventually("all is read", func(s Stats) bool { return s.Records == 3 })
	c.wantAnswered(c.connect(), true, `null`)
	c.wantRecords(4, 0, 3)
	c.until("caught_up")
	g.produce(4, keyed("k", 3, 1)...)
	c.wantRecords(4, 3, 4)
}

func TestNotResumable(t *testing.T) {
	g := start(t, func(c *Config) { c.Conflate = []Conflation{{"chat", time.Hour}} })
	off := startOn(t, g.cluster, func(c *Config) { c.Resume.Off = true })
	const zero = `"resume":{"prices":{"epoch":"0","next":{}}}}`
	for _, test := range []struct {
		name       string
		g          *gatewayUnderTest
		has, asked string
		code       ErrorCode
	}{
		{"off", off, ``, `"channels":["prices"],"positions":true}`, ErrorNotResumable},
		{"off, resume", off, ``, `"channels":["prices"],"resume":{}}`, ErrorNotResumable},
		{"conflated", g, ``, `"channels":["chat/k"],"resume":{}}`, ErrorNotResumable},
		{"topic beside key", g, `"channels":["prices/k"]}`, `"channels":["prices"],` + zero, ErrorNotResumable},
		{"key beside topic", g, `"channels":["prices"]}`, `"channels":["prices/k"],` + zero, ErrorNotResumable},
		{"key beside pattern", g, `"patterns":["prices/k*"]}`, `"channels":["prices/k"],` + zero, ErrorNotResumable},
		{"key beside key", g, `"channels":["prices/k"]}`, `"channels":["prices/l"],` + zero, ErrorNotResumable},
		{"what one has", g, `"channels":["prices"]}`, `"channels":["prices"],` + zero, ""},
		{"negative offset", g, ``, `"channels":["prices"],"resume":{"prices":{"next":{"0":-1}}}}`, ErrorBadRequest},
		{"negative partition", g, ``, `"channels":["prices"],"resume":{"prices":{"next":{"-1":1}}}}`, ErrorBadRequest},
		{"no positions", g, ``, `"channels":["prices"],"resume":7}`, ErrorBadRequest},
		{"pattern without topic", g, ``, `"patterns":["nosuch/*"]}`, ErrorUnknownChannel},
		{"pattern of no key", g, ``, `"patterns":["prices"]}`, ErrorBadRequest},
		{"channel that looks like a pattern", g, ``, `"channels":["/prices/k"]}`, ErrorUnknownChannel},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := test.g.dial()
			c.t = t
			if test.has != "" {
				c.send(`{"type":"subscribe",` + test.has)
				c.read()
			}
			c.send(`{"type":"subscribe","id":1,` + test.asked)
			if m := c.read(); ErrorCode(m.Code) != test.code || test.code == "" && m.Type != "subscribed" {
				t.Errorf("got %s; want code %q", m.Raw, test.code)
			}
		})
	}
}

// While a topic's key is replayed, what overlaps with it is refused.
func TestOverlapWithReplay(t *testing.T) {
	c := gone(t, []string{"prices/k"})
	c.g.produce(0, large("k", 100)...)
	c.g.eventually("all is read", func(s Stats) bool { return s.Records == 100 })
	c.connect()
	c.send(`{"type":"subscribe","id":2,"channels":["prices"]}`)
	if m := c.until("error"); m.Code != string(ErrorNotResumable) || !strings.Contains(m.Message, "caught_up") {
		t.Errorf("got %s; want a refusal", m.Raw)
	}
	c.send(`{"type":"subscribe","id":3,"channels":["prices/other"],"positions":true}`)
	if m := c.until("error"); m.Code != string(ErrorNotResumable) {
		t.Errorf("got %s; want a refusal: the topic's positions would pass over what is still to come", m.Raw)
	}
	c.until("caught_up")
	if len(c.got) != 100 {
		t.Errorf("got %d records; want 100", len(c.got))
	}
	c.send(`{"type":"subscribe","id":4,"channels":["prices"]}`)
	c.until("subscribed")
}

// Kafka has more than the gateway has read itself: the replay ends where the
// gateway is, and what is beyond comes live, once.
func TestReplayEndsWhereTheGatewayIs(t *testing.T) {
	const mark = 1 << 20 // tells the consumer's fetches from those of replays
	g := start(t, func(c *Config) {
		c.Resume.MemoryBytes = minReplayMemory
		c.KafkaOpts = []kgo.Opt{kgo.FetchMaxBytes(mark)}
	})
	c := &comeback{g: g, channels: []string{"prices"}}
	c.connect()
	c.until("caught_up")
	c.leave()
	g.produce(1, large("k", 30)...)
	g.eventually("all is read", func(s Stats) bool { return s.Records == 30 })
	held := g.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Fetch}, Topic: "prices", Err: kerr.NotLeaderForPartition, Count: -1,
		When: func(r kmsg.Request) bool { return r.(*kmsg.FetchRequest).MaxBytes == mark },
	})
	g.produce(3, keyed("wake", 0, 1)...)
	if err := held.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	g.produce(1, keyed("k", 30, 5)...)
	c.connect()
	c.until("caught_up")
	for _, m := range c.got {
		if m.Partition == 1 && m.Offset >= 30 {
			t.Errorf("offset %d came before the gateway had read it", m.Offset)
		}
	}
	held.Remove()
	for c.positions["prices"].Next[1] < 35 {
		c.next()
	}
	c.wantContiguous(1)
}
