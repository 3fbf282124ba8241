package gateway

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// logged is a record as the model of a topic's log knows it.
type logged struct {
	partition int32
	offset    int64
	key       string
}

// Whatever was published, forgotten and evicted: a reader that is nowhere behind
// what is kept finds the records of its keys from its positions on, all, in the
// order in which they came, and is then at the end.
func TestFindsWhatIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHub([]string{"prices", "chat"}, nil, 10, new(counters))
		h.memory.bound = rapid.Int64Range(1, 40_000).Draw(t, "bound")
		topic := h.topics["prices"]
		topic.log.keep()
		h.topics["chat"].log.keep()
		var model []logged
		next := make([]int64, 3)
		for p := range next {
			topic.log.begin(int32(p), 0)
		}
		publish := func() {
			p := rapid.IntRange(0, 2).Draw(t, "partition")
			key := fmt.Sprintf("k%d", rapid.IntRange(0, 3).Draw(t, "key"))
			next[p] += rapid.Int64Range(0, 2).Draw(t, "hole")
			h.publish(topic, &record{partition: int32(p), offset: next[p], key: []byte(key), value: []byte("v")})
			model = append(model, logged{int32(p), next[p], key})
			next[p]++
		}
		for range rapid.IntRange(0, 150).Draw(t, "steps") {
			switch rapid.IntRange(0, 20).Draw(t, "step") {
			case 0:
				p := rapid.IntRange(0, 2).Draw(t, "lost partition")
				next[p] += rapid.Int64Range(1, 5).Draw(t, "gap")
				topic.log.begin(int32(p), next[p])
			case 1:
				p := rapid.IntRange(0, 2).Draw(t, "truncated partition")
				next[p] -= rapid.Int64Range(0, next[p]).Draw(t, "back")
				topic.log.begin(int32(p), next[p])
				model = slices.DeleteFunc(model, func(l logged) bool { return l.partition == int32(p) && l.offset >= next[p] })
			case 2:
				h.publish(h.topics["chat"], &record{value: make([]byte, 100), offset: h.topics["chat"].log.partsNext()})
			default:
				publish()
			}
		}
		if h.memory.bytes > h.memory.bound {
			t.Fatalf("memory holds %d bytes of %d", h.memory.bytes, h.memory.bound)
		}
		findAll(t, topic, model)
	})
}

// partsNext is the next offset of partition 0.
func (l *topicLog) partsNext() int64 {
	if len(l.parts) == 0 {
		return 0
	}
	return l.parts[0].next
}

func findAll(t *rapid.T, topic *topic, model []logged) {
	tr := &topicReplay{topic: topic, want: &wanted{keys: make(map[string]*member)}}
	for p := range topic.log.parts {
		part := &topic.log.parts[p]
		tr.positions = append(tr.positions, rapid.Int64Range(part.kept, part.next).Draw(t, "position"))
	}
	if rapid.Bool().Draw(t, "whole") {
		tr.want.whole = new(member)
	} else {
		tr.want.keys["k0"], tr.want.keys["k2"] = new(member), new(member)
	}
	var got, want []logged
	for _, l := range model {
		if l.offset >= tr.positions[l.partition] && (tr.want.whole != nil || tr.want.keys[l.key] != nil) {
			want = append(want, l)
		}
	}
	for {
		found, until := tr.find()
		for _, f := range found {
			key := topic.log.records.at(int(f.number - topic.log.first)).key.key
			got = append(got, logged{f.msg.partition, f.msg.offset, key})
		}
		topic.log.move(tr.positions, until)
		if until == topic.log.end() {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got %v; want %v", got, want)
	}
	for p := range topic.log.parts {
		if tr.positions[p] != topic.log.parts[p].next {
			t.Fatalf("position in partition %d at the end: got %d; want %d", p, tr.positions[p], topic.log.parts[p].next)
		}
	}
}

// What is found is all, though it comes in pieces: few records are looked at, and
// fewer queued, while the hub is held.
func TestFindsInPieces(t *testing.T) {
	h := newHub([]string{"prices"}, nil, 10, new(counters))
	h.memory.bound = 64 << 20
	topic := h.topics["prices"]
	topic.log.keep()
	const records, keys = 8 * replayScan, 100
	for i := range int64(records) {
		key := fmt.Sprintf("k%02d", i%keys)
		if i%2 == 0 {
			key = "hot"
		}
		h.publish(topic, &record{offset: i, key: []byte(key)})
	}
	many := make(map[string]*member)
	for i := range manyKeys + 1 {
		many[fmt.Sprintf("k%02d", i)] = new(member)
	}
	for _, test := range []struct {
		name string
		want *wanted
	}{
		{"topic", &wanted{whole: new(member)}},
		{"pattern of few", &wanted{patterns: []*member{{channel: &channel{glob: newGlob("k1*")}}}}},
		{"pattern of none", &wanted{patterns: []*member{{channel: &channel{glob: newGlob("x*")}}}}},
		{"keys, one of them hot", &wanted{keys: map[string]*member{"hot": {}, "k07": {}, "none": {}}}},
		{"many keys", &wanted{keys: many}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := &topicReplay{topic: topic, want: test.want, positions: []int64{17}}
			var got, want []int64
			for i := int64(17); i < records; i++ {
				if test.want.of(topic.log.records.at(int(i)).key.key, true) != nil {
					want = append(want, i)
				}
			}
			for until := uint64(0); until < topic.log.end(); {
				var found []replayed
				found, until = tr.find()
				if len(found) > replayRecords {
					t.Fatalf("found %d records at once; want at most %d", len(found), replayRecords)
				}
				for _, f := range found {
					got = append(got, f.msg.offset)
				}
				topic.log.move(tr.positions, until)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %d records; want %d", len(got), len(want))
			}
		})
	}
}

// However many records of its keys a client has had, few are looked at while the hub is held.
func TestLooksAtFewAtATime(t *testing.T) {
	h := newHub([]string{"prices"}, nil, 10, new(counters))
	h.memory.bound = 64 << 20
	topic := h.topics["prices"]
	topic.log.keep()
	topic.log.begin(0, 0)
	topic.log.begin(1, 0)
	want := &wanted{keys: make(map[string]*member)}
	h.publish(topic, &record{partition: 1, key: []byte("k0")})
	for i := range int64(8 * replayScan) {
		key := fmt.Sprintf("k%d", i%manyKeys)
		want.keys[key] = new(member)
		h.publish(topic, &record{offset: i, key: []byte(key)})
	}
	tr := &topicReplay{topic: topic, want: want, positions: []int64{8 * replayScan, 0}}
	if found, until := tr.find(); len(found) != 1 || until > replayScan+1 {
		t.Errorf("found %d, and looked at all below %d; want 1 and about %d", len(found), until, replayScan)
	}
}

// The compressed copies of records that are kept count for the memory's bound.
func TestCompressedCopiesAreCounted(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	h.memory.bound = 64 << 10
	topic := h.topics["prices"]
	topic.log.keep()
	c := newClient(newSink(nil), &h.cfg, h.hub)
	c.useDeflate(&deflateTerms{})
	h.add(c, []string{"prices"})
	random := rand.New(rand.NewPCG(1, 1))
	value := make([]byte, 2000) // which is compressed to about half
	for i := range value {
		value[i] = byte('a' + random.IntN(16))
	}
	for i := range int64(200) {
		h.publish(topic, &record{offset: i, value: value})
	}
	var size int
	for i := range topic.log.records.n {
		msg := topic.log.records.at(i).msg
		if msg.deflated == nil || msg.deflated == msg {
			t.Fatal("the record was not compressed")
		}
		size += len(msg.frame) + len(msg.deflated.frame)
	}
	if size > 64<<10 || size < 40<<10 {
		t.Errorf("%d bytes are kept; want no more than %d, and not much less", size, 64<<10)
	}
	found := []replayed{{msg: topic.log.records.at(0).msg}}
	if h.asTaken(c, found); found[0].msg.frame[0]&rsv1Bit == 0 {
		t.Error("a replay does not use the compressed copy")
	}
}

// Keeping records costs no allocation beside the frame and the message.
func TestKeepAllocations(t *testing.T) {
	h := newHub([]string{"prices"}, nil, 10, new(counters))
	h.memory.bound = 1 << 20
	topic := h.topics["prices"]
	topic.log.keep()
	r := &record{key: []byte("k7"), value: make([]byte, 300)}
	publish := func() {
		h.publish(topic, r)
		r.offset++
	}
	for range 10_000 {
		publish() // until the memory is full
	}
	if got := testing.AllocsPerRun(1000, publish); got > 2 {
		t.Errorf("allocations for a record that is kept: got %v; want the frame and the message", got)
	}
}

// BenchmarkKeep is what a record costs that nobody receives, kept and not.
func BenchmarkKeep(b *testing.B) {
	for _, keeps := range []bool{false, true} {
		b.Run(fmt.Sprintf("keeps=%t", keeps), func(b *testing.B) {
			h := newHub([]string{"prices"}, nil, 10, new(counters))
			h.memory.bound = 64 << 20
			topic := h.topics["prices"]
			if keeps {
				topic.log.keep()
			}
			r := &record{key: []byte("k7"), value: make([]byte, 300)}
			b.ReportAllocs()
			for b.Loop() {
				h.publish(topic, r)
				r.offset++
			}
		})
	}
}

// What was read of a partition before it was truncated is not what is there now:
// replays must not find it any more.
func TestTruncationForgetsWhatWasReadAgain(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	tr := &topicReplay{topic: h.topics["prices"], want: &wanted{}, positions: []int64{850}}
	h.readFrom("prices", 0, 1000)
	old, _ := h.wants(tr, 0)
	past := newHistory(nil, 1<<20, newPace())
	s := &stretch{partition: old, from: 800, to: 1000}
	past.remember(past.partition(old), s, 0)
	h.readFrom("prices", 0, 900) // Kafka lost what followed
	h.readFrom("prices", 0, 1100)
	now, _ := h.wants(tr, 0)
	if got := past.find(past.partition(now), 850); got != nil {
		t.Errorf("found the records from %d to %d of before", got.from, got.to)
	}
	at := int64(850)
	r := &resumption{client: h.join(t, func([]byte) {})}
	found := []replayed{{msg: &message{offset: 950}, member: &member{replay: tr}}}
	if n, to := h.take(r, tr, s, tr.want, &at, found); n != 1 || to != progressMore || at != 850 {
		t.Errorf("a stretch of before: got %d done with, %v, position %d; want it thrown away whole, and the position kept", n, to, at)
	}
	if sent := h.counters.replayedKafka.Load(); sent != 0 {
		t.Errorf("%d records of before were sent", sent)
	}
}
