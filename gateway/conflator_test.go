package gateway

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

// conflation is a conflator in false time, and what it was offered and has sent.
type conflation struct {
	*conflator
	now     time.Duration
	offered map[string][]int64 // offsets by key
	sent    map[string][]sending
	records int
	replace int
}

type sending struct {
	offset int64
	at     time.Duration
}

func newConflation(interval time.Duration) *conflation {
	c := &conflation{offered: make(map[string][]int64), sent: make(map[string][]sending)}
	c.conflator = newConflator(interval, func(r *record) {
		k := string(r.key)
		if want := fmt.Sprintf("%s@%d", k, r.offset); string(r.value) != want {
			panic(fmt.Sprintf("sent %q; want %s", r.value, want))
		}
		c.sent[k] = append(c.sent[k], sending{r.offset, c.now})
	})
	return c
}

// put offers a record whose memory is then given to others.
func (c *conflation) put(key string, partition int32) {
	c.records++
	offset := int64(c.records)
	r := record{partition: partition, offset: offset, key: []byte(key), value: fmt.Appendf(nil, "%s@%d", key, offset)}
	if c.offer(c.now, &r) {
		c.replace++
	}
	for _, b := range [][]byte{r.key, r.value} {
		for i := range b {
			b[i] = '#'
		}
	}
	c.offered[key] = append(c.offered[key], offset)
}

// check holds what was sent against what conflation promises.
func (c *conflation) check(complete bool) error {
	total, held := 0, 0
	for k, offered := range c.offered {
		sent := c.sent[k]
		total += len(sent)
		for i, s := range sent {
			if !slices.Contains(offered, s.offset) || i > 0 && s.offset <= sent[i-1].offset {
				return fmt.Errorf("key %s: %v is no part of %v in its order", k, sent, offered)
			}
			if i > 0 && s.at-sent[i-1].at < c.interval {
				return fmt.Errorf("key %s: sent at %v", k, sent)
			}
		}
		if last := offered[len(offered)-1]; sent[len(sent)-1].offset != last {
			if held++; complete {
				return fmt.Errorf("key %s: the last record %d was not sent: %v", k, last, sent)
			}
		}
		if sent[0].offset != offered[0] {
			return fmt.Errorf("key %s: the first record was not sent at once: %v", k, sent)
		}
	}
	if total+held+c.replace != c.records {
		return fmt.Errorf("%d records; %d sent, %d held, %d replaced", c.records, total, held, c.replace)
	}
	return nil
}

// Whatever comes when: a key's first record goes at once, its last always, and
// none within an interval of another; quiet keys are forgotten.
func TestConflatorKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := time.Duration(rapid.IntRange(1, 50).Draw(t, "interval"))
		c := newConflation(interval)
		lastPut := make(map[string]time.Duration)
		t.Repeat(map[string]func(*rapid.T){
			"record": func(t *rapid.T) {
				k := rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "key")
				quiet := len(c.sent[k]) == 0 || c.now-c.sent[k][len(c.sent[k])-1].at >= interval && c.keys[k] != nil && !c.keys[k].held
				before := len(c.sent[k])
				c.put(k, 0)
				lastPut[k] = c.now
				if quiet && len(c.sent[k]) != before+1 {
					t.Fatalf("key %s was quiet, and its record not sent", k)
				}
			},
			"time": func(t *rapid.T) { c.now += time.Duration(rapid.IntRange(0, 60).Draw(t, "time")) },
			"advance": func(t *rapid.T) {
				c.advance(c.now)
				for k, last := range c.offered {
					if s := c.sent[k]; s[len(s)-1].offset != last[len(last)-1] && c.now-s[len(s)-1].at >= interval {
						t.Fatalf("key %s: an interval is over and its record not sent", k)
					}
					if c.keys[k] != nil && c.now-lastPut[k] >= 2*interval && c.now-c.sent[k][len(c.sent[k])-1].at >= interval {
						t.Fatalf("key %s was quiet for two intervals and is not forgotten", k)
					}
				}
				if at, ok := c.nextEnd(); ok && at <= c.now {
					t.Fatalf("next is due at %d; it is %d", at, c.now)
				}
			},
			"": func(t *rapid.T) {
				if err := c.check(false); err != nil {
					t.Fatal(err)
				}
			},
		})
		if rapid.Bool().Draw(t, "flush") {
			for k := range c.sent { // flushing knows no interval
				c.sent[k] = []sending{c.sent[k][0]}
			}
			c.sent = make(map[string][]sending)
			c.flush()
			for k, sent := range c.sent {
				if offered := c.offered[k]; len(sent) != 1 || sent[0].offset != offered[len(offered)-1] {
					t.Fatalf("key %s: flushed %v; want the last of %v", k, sent, offered)
				}
			}
		} else {
			for range 3 {
				c.now += interval
				c.advance(c.now)
			}
			if err := c.check(true); err != nil {
				t.Fatal(err)
			}
		}
		if len(c.keys) != 0 || c.first != nil {
			t.Fatalf("%d keys are left", len(c.keys))
		}
	})
}

// A hundred thousand keys cost no timer and are gone when they are quiet.
func TestConflatorOfManyKeys(t *testing.T) {
	const keys = 100_000
	c := newConflation(time.Second)
	for round := range 2 {
		for i := range keys {
			c.now += time.Microsecond
			c.put(fmt.Sprint(i), 0)
		}
		if len(c.keys) != keys {
			t.Fatalf("round %d: %d keys; want %d", round, len(c.keys), keys)
		}
	}
	for range 2 {
		c.now += time.Second
		c.advance(c.now)
	}
	if err := c.check(true); err != nil || len(c.keys) != 0 {
		t.Errorf("in the end: %v, %d keys left", err, len(c.keys))
	}
	if c.replace != 0 {
		t.Errorf("replaced: got %d; want %d", c.replace, 0)
	}
}

// What Kafka has lost is not sent after the notice that it has.
func TestConflatorForgetsWhatIsTruncated(t *testing.T) {
	c := newConflation(10)
	for _, k := range []string{"a", "b", "c"} {
		c.put(k, 0) // 1, 2, 3
	}
	c.put("a", 0) // 4
	c.put("b", 0) // 5
	c.put("c", 1) // 6
	c.truncate(0, 5)
	c.now = 10
	c.advance(c.now)
	for k, want := range map[string]int{"a": 2, "b": 1, "c": 2} {
		if got := len(c.sent[k]); got != want {
			t.Errorf("key %s: got %d records; want %d", k, got, want)
		}
	}
}

// The hub conflates once for all clients, and only the topics that it is told to.
func TestHubConflates(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	h.hub = newHub([]string{"prices", "chat"}, []Conflation{{Topic: "prices", Interval: 10}}, 10, &h.counters)
	var now time.Duration
	h.clock = func() time.Duration { return now }
	members := append(parkedMembers(h, 2, "prices"), parkedMembers(h, 1, "chat")...)
	for i := range 5 {
		r := &record{offset: int64(i), key: []byte("k"), value: []byte("v")}
		h.publish(h.topics["prices"], r)
		h.publish(h.topics["chat"], r)
		h.publish(h.topics["prices"], &record{offset: int64(10 + i), value: []byte("no key")})
	}
	conflator := h.topics["prices"].conflator
	if wait, ok := h.advance(conflator); !ok || wait != 10 {
		t.Errorf("wait: got %d, %t; want 10", wait, ok)
	}
	now = 10
	h.advance(conflator)
	want := []string{"[0 10 11 12 13 14 4]", "[0 10 11 12 13 14 4]", "[0 1 2 3 4]"}
	for i, m := range members {
		b := new(burst)
		m.client.queue.take(b)
		var got []int64
		_, payloads := serverFrames(b.join())
		for _, p := range payloads {
			r, err := parse(1, p)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Offset)
		}
		if fmt.Sprint(got) != want[i] {
			t.Errorf("client %d: got offsets %v; want %s", i, got, want[i])
		}
	}
	if n := h.counters.conflated.Load(); n != 3 {
		t.Errorf("conflated: got %d; want 3", n)
	}
}

// The last of each key's records comes, though nothing else is produced, and
// what is held when the gateway ends comes then.
func TestConflatedDelivery(t *testing.T) {
	g := start(t, func(c *Config) {
		c.Topics = []string{"prices", "chat", "ticks"}
		c.Conflate = []Conflation{{"prices", time.Millisecond}, {"ticks", time.Hour}}
	}, kfake.SeedTopics(1, "ticks"))
	c := g.dial("prices", "ticks/k")
	const keys, each = 20, 50
	for k := range keys {
		g.produce(int32(k%4), keyed(fmt.Sprintf("k%d", k), 0, each)...)
	}
	last := make(map[string]string)
	for done := 0; done < keys; {
		m := c.read()
		if m.Key == nil {
			t.Fatalf("got %s; want a record", m.Raw)
		}
		last[*m.Key] = string(m.Value)
		if string(m.Value) == fmt.Sprint(each-1) {
			done++
		}
	}
	s := g.stats()
	if s.Queued+s.Conflated != keys*each || s.Records != keys*each {
		t.Errorf("stats: %+v; want %d records queued or conflated", s, keys*each)
	}
	for i := range 3 {
		g.produce(0, &kgo.Record{Topic: "ticks", Key: []byte("k"), Value: fmt.Append(nil, i)})
	}
	if m := c.read(); string(m.Value) != "0" || m.Topic != "ticks" {
		t.Errorf("got %s; want the first of ticks", m.Raw)
	}
	g.eventually("one is held", func(s Stats) bool { return s.Records == keys*each+3 })
	g.stop()
	if m := c.read(); string(m.Value) != "2" || m.Topic != "ticks" {
		t.Errorf("got %s; want the last of ticks", m.Raw)
	}
	c.wantClose(CloseServiceRestart)
}
