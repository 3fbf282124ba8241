package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/settings"
)

// comeback is a client that goes and comes, and resumes where it was.
type comeback struct {
	g         *gatewayUnderTest
	channels  []string
	patterns  []string
	positions map[string]resumePositions
	*testClient

	got      []received // records of all sessions
	notices  []received
	sessions int
}

// request is what it sends when it connects.
func (c *comeback) request() string {
	if c.positions == nil {
		c.positions = make(map[string]resumePositions)
	}
	if c.channels == nil {
		c.channels = []string{}
	}
	text, err := json.Marshal(map[string]any{
		"type": "subscribe", "id": 1, "channels": c.channels, "patterns": c.patterns, "resume": c.positions,
	})
	if err != nil {
		c.g.t.Fatal(err)
	}
	return string(text)
}

// connect begins a session and returns the answer.
func (c *comeback) connect() received {
	c.g.t.Helper()
	c.sessions++
	c.testClient = c.g.dial()
	c.send(c.request())
	m := c.next()
	if m.Type != "subscribed" {
		c.g.t.Fatalf("answer to a subscription with resume: got %s", m.Raw)
	}
	return m
}

// next reads a message and notes what it says.
func (c *comeback) next() received {
	c.g.t.Helper()
	m := c.read()
	c.note(m)
	return m
}

func (c *comeback) note(m received) {
	switch m.Type {
	case "message":
		c.got = append(c.got, m)
		at := c.positions[m.Topic]
		if at.Next == nil {
			at.Next = make(map[int32]int64)
		}
		at.Next[m.Partition] = m.Offset + 1
		c.positions[m.Topic] = at
	case "notice":
		c.notices = append(c.notices, m)
	case "subscribed", "positions":
		for topic, at := range m.Positions {
			c.positions[topic] = resumePositions{Epoch: at.Epoch, Next: maps.Clone(at.Next)}
		}
	}
}

// until reads up to a message of a type.
func (c *comeback) until(kind string) received {
	c.g.t.Helper()
	for {
		if m := c.next(); m.Type == kind {
			return m
		}
	}
}

// leave ends the session without a word.
func (c *comeback) leave() {
	c.g.t.Helper()
	if err := c.ws.NetConn().Close(); err != nil {
		c.g.t.Fatal(err)
	}
}

// has reads until it has n records.
func (c *comeback) has(n int) {
	c.g.t.Helper()
	for len(c.got) < n {
		c.next()
	}
}

// wants reports whether a key is in the client's channels.
func (c *comeback) wants(key string) bool {
	for _, ch := range c.channels {
		if ch == "prices" || ch == "prices/"+key {
			return true
		}
	}
	return slices.ContainsFunc(c.patterns, func(p string) bool {
		return newGlob(strings.TrimPrefix(p, "prices/")).matches(key)
	})
}

// wantSequence compares what came with what was produced.
func (c *comeback) wantSequence(produced map[int32][]string) {
	c.g.t.Helper()
	got := make(map[int32][]int64)
	for _, m := range c.got {
		got[m.Partition] = append(got[m.Partition], m.Offset)
	}
	for p, keys := range produced {
		var want []int64
		for offset, key := range keys {
			if c.wants(key) {
				want = append(want, int64(offset))
			}
		}
		if !slices.Equal(got[p], want) {
			at := 0
			for at < min(len(got[p]), len(want)) && got[p][at] == want[at] {
				at++
			}
			c.g.t.Errorf("channels %v %v, partition %d, %d sessions: got %d records, want %d; they part at the %dth: got %v; want %v",
				c.channels, c.patterns, p, c.sessions, len(got[p]), len(want), at, head(got[p][at:]), head(want[at:]))
		}
	}
}

func head(offsets []int64) []int64 { return offsets[:min(len(offsets), 5)] }

// Clients of all kinds of channels go and come at random while records are
// produced without a pause. What each has got by the end, over all its
// sessions, is what was produced, in each partition in order and once.
func TestResumeGivesWhatWasMissed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		seed   uint64
		size   int // of a value: at 16 KiB the memory holds about fifty
		memory int64
		slow   SlowPolicy
		batch  []settings.Batch
	}{
		{"from memory", 1, 10, 64 << 20, SlowDisconnect, nil},
		{"from memory, other seed", 2, 100, 64 << 20, SlowDropOldest, nil},
		{"from Kafka", 3, 16 << 10, minReplayMemory, SlowDisconnect, nil},
		{"from Kafka, other seed", 4, 8 << 10, minReplayMemory, SlowDropOldest, nil},
		{"from memory, batched", 5, 100, 64 << 20, SlowDropOldest, []settings.Batch{{Topic: "prices", Interval: time.Millisecond, Bytes: 2000}}},
		{"from Kafka, batched", 6, 8 << 10, minReplayMemory, SlowDisconnect, []settings.Batch{{Topic: "prices", Interval: 5 * time.Millisecond}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := start(t, func(c *Config) {
				c.Resume.MemoryBytes, c.Resume.Replays = test.memory, 2
				c.Resume.PositionsEvery = 20 * time.Millisecond
				c.SlowPolicy, c.QueueBytes = test.slow, 64<<20
				c.Batch = test.batch
			})
			goAndCome(g, test.seed, test.size, test.memory)
			// A replay ends behind what it tells the client last.
			g.eventually("the replays are over", func(s Stats) bool { return s.ReplaysRunning == 0 && s.ReplaysWaiting == 0 })
			s := g.stats()
			if s.ReplayedMemory == 0 || (s.ReplayedKafka == 0) != (test.memory > minReplayMemory) {
				t.Errorf("replayed from memory %d, from Kafka %d", s.ReplayedMemory, s.ReplayedKafka)
			}
			if (s.Batches == 0) != (test.batch == nil) {
				t.Errorf("batches: got %d", s.Batches)
			}
			if s.RecentBytes > test.memory || s.ResumesLost != 0 {
				t.Errorf("stats at the end: %+v", s)
			}
		})
	}
}

func goAndCome(g *gatewayUnderTest, seed uint64, size int, memory int64) {
	const partitions, sessions = 3, 8
	clients := []*comeback{
		{channels: []string{"prices"}},
		{channels: []string{"prices/eu-1"}},
		{channels: []string{"prices/eu-0", "prices/us-2", "prices/nobody"}},
		{patterns: []string{"prices/eu-*"}},
		{channels: []string{"prices", "prices/eu-1"}, patterns: []string{"prices/*1"}},
		{channels: []string{"prices/us-1"}, patterns: []string{"prices/eu*2"}},
	}
	for _, c := range clients {
		c.g = g
		c.connect()
	}
	produced := make(map[int32][]string)
	ended, stepped := make(chan struct{}), make(chan int, sessions*len(clients))
	var producer sync.WaitGroup
	producer.Go(func() {
		random := rand.New(rand.NewPCG(seed, 0))
		value := make([]byte, size)
		done := make([]int, len(clients)) // sessions
		for batches := 0; ; batches++ {
			// Enough for each to go on, and no more than the slowest can follow.
			for batches >= 80*(1+slices.Min(done)) {
				select {
				case <-ended:
					return
				case i := <-stepped:
					done[i]++
				}
			}
			p := int32(random.IntN(partitions))
			batch := make([]*kgo.Record, 1+random.IntN(8))
			for i := range batch {
				key := fmt.Sprintf("%s-%d", []string{"eu", "us"}[random.IntN(2)], random.IntN(3))
				batch[i] = &kgo.Record{Key: []byte(key), Value: value}
				produced[p] = append(produced[p], key)
			}
			g.produce(p, batch...)
		}
	})
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i+1)))
			for range sessions {
				for range random.IntN(20) {
					c.next()
				}
				c.leave()
				for range random.IntN(4) { // others go on meanwhile
					g.stats()
				}
				if m := c.connect(); m.Resumed == nil || !*m.Resumed {
					g.t.Errorf("got %s; want resumed", m.Raw)
				}
				stepped <- i
			}
		})
	}
	all.Wait()
	close(ended)
	producer.Wait()
	for _, c := range clients { // together: one that does not read for long is cut off
		all.Go(func() {
			want := 0
			for _, keys := range produced {
				for _, key := range keys {
					if c.wants(key) {
						want++
					}
				}
			}
			c.has(want)
			c.leave()
			c.connect() // what comes twice comes now
			c.until("caught_up")
			c.leave()
			c.wantSequence(produced)
		})
	}
	all.Wait()
	// However busy the machine is, memory has one record, and not all of twice what it may hold.
	miss(g, clients[0], 1, size)
	if memory == minReplayMemory {
		miss(g, clients[0], int(2*memory)/size, size)
	}
}

// miss has a client that has all miss so many records of that size.
func miss(g *gatewayUnderTest, c *comeback, n, size int) {
	g.t.Helper()
	read := g.stats().Records
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Key: []byte("eu-1"), Value: make([]byte, size)}
	}
	g.produce(0, records...)
	g.eventually("the records are read", func(s Stats) bool { return s.Records == read+int64(n) })
	had := len(c.got)
	c.connect()
	c.until("caught_up")
	c.leave()
	if len(c.got) != had+n {
		g.t.Errorf("got %d records; want the %d that were missed", len(c.got)-had, n)
	}
}

// Many clients are cut off at once and come back together while records flow.
// Each is given what it missed, from memory, and none is slow for it.
func TestResumeStorm(t *testing.T) {
	t.Parallel()
	g := start(t, func(c *Config) { c.Resume.Replays = 4 })
	const clients, keys, partitions = 200, 20, 4
	produced := make(map[int32][]string)
	produce := func(n int) {
		for i := range n {
			p, key := int32(i%partitions), fmt.Sprintf("k%d", i%keys)
			g.produce(p, keyed(key, 0, 1)...)
			produced[p] = append(produced[p], key)
		}
	}
	all := make([]*comeback, clients)
	together := func(do func(*comeback)) {
		var wg sync.WaitGroup
		for _, c := range all {
			wg.Go(func() { do(c) })
		}
		wg.Wait()
	}
	for i := range all {
		all[i] = &comeback{g: g, channels: []string{fmt.Sprintf("prices/k%d", i%keys)}}
	}
	together(func(c *comeback) {
		c.connect()
		c.until("caught_up")
	})
	for round := range 3 {
		produce(2 * keys)
		together(func(c *comeback) {
			c.has(2*(2*round+1) - round%2) // some have read less than came
			c.leave()
		})
		produce(keys)
		var flow sync.WaitGroup
		flow.Go(func() { produce(keys) })
		together(func(c *comeback) { c.connect() })
		flow.Wait()
		together(func(c *comeback) { c.has(4 * (round + 1)) })
	}
	for _, c := range all {
		c.wantSequence(produced)
	}
	if s := g.stats(); s.ReplayedKafka != 0 || s.Resumes != 4*clients || s.SlowDisconnects != 0 {
		t.Errorf("stats: %+v", s)
	}
}
