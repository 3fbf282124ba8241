package gateway

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// testQueue is a queue with members of two channels, and a model of what was
// pushed into it.
type testQueue struct {
	queue
	counters counters
	members  []*member

	pushed  map[stream][]int64 // offsets of records, in order
	replies []map[stream]int   // for each reply, how many records of each stream came before
	offsets [3]int64           // next offset of each partition
	now     int64              // ns since the epoch
}

type stream struct {
	channel   string
	partition int32
}

func newTestQueue(bound int, policy SlowPolicy) *testQueue {
	q := &testQueue{pushed: make(map[stream][]int64), now: 1}
	q.init(bound, policy, &q.counters, nil)
	h := newHub([]string{"prices"}, nil, 10, &q.counters)
	for _, name := range []string{"prices/k1", "prices/k2"} {
		q.members = append(q.members, &member{channel: h.channel(name)})
	}
	return q
}

func (q *testQueue) record(m *member, partition int32, size int) {
	offset := q.offsets[partition]
	q.offsets[partition]++
	payload := fmt.Appendf(nil, "%s %d %d ", m.channel.name, partition, offset)
	payload = append(payload, make([]byte, max(0, size-len(payload)))...)
	if open, _ := q.pushRecord(&message{frame: appendFrame(nil, opText, payload), partition: partition, offset: offset, queuedAt: q.now}, m); open {
		s := stream{m.channel.name, partition}
		q.pushed[s] = append(q.pushed[s], offset)
	}
}

// batch pushes records of the members, each with its partition, as a batch: of
// one client's own where they are several, else of a channel.
func (q *testQueue) batch(members []*member, partitions []int32) {
	p := &parts{members: members}
	var of *member
	if len(members) == 1 {
		p.members, of = nil, members[0]
	}
	payload := []byte("batch")
	for i, partition := range partitions {
		m := members[i%len(members)]
		if len(members) > 1 {
			p.members = append(p.members[:i:i], m)
		}
		payload = fmt.Appendf(payload, "\n%s %d %d", m.channel.name, partition, q.offsets[partition])
		p.records = append(p.records, &message{partition: partition, offset: q.offsets[partition]})
		q.offsets[partition]++
	}
	if open, _ := q.pushRecord(&message{frame: appendFrame(nil, opText, payload), parts: p, queuedAt: q.now}, of); open {
		for i, r := range p.records {
			s := stream{p.member(i, of).channel.name, r.partition}
			q.pushed[s] = append(q.pushed[s], r.offset)
		}
	}
}

func (q *testQueue) reply() {
	before := make(map[stream]int, len(q.pushed))
	for s, offsets := range q.pushed {
		before[s] = len(offsets)
	}
	q.pushReply(fmt.Appendf(nil, `{"type":"reply","id":%d}`, len(q.replies)))
	q.replies = append(q.replies, before)
}

// serverFrames splits what a server has written.
func serverFrames(b []byte) (ops []opcode, payloads [][]byte) {
	for len(b) > 0 {
		n, h := int(b[1]), 2
		switch n {
		case 126:
			n, h = int(binary.BigEndian.Uint16(b[2:])), 4
		case 127:
			n, h = int(binary.BigEndian.Uint64(b[2:])), 10
		}
		ops = append(ops, opcode(b[0]&0xF))
		payloads = append(payloads, b[h:h+n])
		b = b[h+n:]
	}
	return ops, payloads
}

// replay holds what was written against what was pushed.
type replay struct {
	q         *testQueue
	seen      map[stream]int
	replies   int
	delivered int64
	dropped   int64
	slow      int64
}

func (r *replay) message(op opcode, payload []byte) error {
	if op != opText {
		return nil
	}
	if records, ok := strings.CutPrefix(string(payload), "batch\n"); ok {
		for line := range strings.SplitSeq(records, "\n") {
			if err := r.record([]byte(line)); err != nil {
				return err
			}
		}
		return nil
	}
	if payload[0] != '{' {
		return r.record(payload)
	}
	var m received
	if err := json.Unmarshal(payload, &m); err != nil {
		return err
	}
	if m.Kind == "slow" {
		r.slow++
		if m.LimitBytes != r.q.bound || m.QueuedBytes <= m.LimitBytes/2 || m.QueuedBytes > m.LimitBytes {
			return fmt.Errorf("slow notice %s; bound %d", payload, r.q.bound)
		}
		return nil
	}
	if m.Type == "notice" {
		return r.notice(m)
	}
	if *m.ID != uint64(r.replies) {
		return fmt.Errorf("reply %d came when %d was due", *m.ID, r.replies)
	}
	for s, want := range r.q.replies[r.replies] {
		if r.seen[s] != want {
			return fmt.Errorf("reply %d came after %d records of %v; want %d", r.replies, r.seen[s], s, want)
		}
	}
	r.replies++
	return nil
}

func (r *replay) record(payload []byte) error {
	var s stream
	var offset int64
	if _, err := fmt.Sscan(string(payload), &s.channel, &s.partition, &offset); err != nil {
		return err
	}
	r.delivered++
	return r.advance(s, 1, offset, offset)
}

func (r *replay) notice(m received) error {
	r.dropped += m.Count
	return r.advance(stream{m.Channel, m.Partition}, int(m.Count), m.FirstOffset, m.LastOffset)
}

// advance says that the next n records of the stream, which have the offsets
// from first to last, are accounted for.
func (r *replay) advance(s stream, n int, first, last int64) error {
	i := r.seen[s]
	pushed := r.q.pushed[s]
	if i+n > len(pushed) || pushed[i] != first || pushed[i+n-1] != last {
		return fmt.Errorf("%v: %d records %d to %d do not continue at %d of %v", s, n, first, last, i, pushed)
	}
	r.seen[s] += n
	return nil
}

// Whatever the order of pushes and writes: each record is delivered or counted
// in a notice at its place, replies keep their place, and the bound holds.
func TestQueueAccountsForEveryRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.IntRange(1024, 4096).Draw(t, "bound")
		q := newTestQueue(bound, SlowDropOldest)
		r := &replay{q: q, seen: make(map[stream]int)}
		write := func(b *burst) {
			ops, payloads := serverFrames(b.join())
			for i := range ops {
				if err := r.message(ops[i], payloads[i]); err != nil {
					t.Fatal(err)
				}
			}
		}
		inFlight := new(burst)
		// finish ends the write that is under way.
		finish := func() {
			write(inFlight)
			q.release(inFlight.bytes)
			inFlight.reset()
		}
		t.Repeat(map[string]func(*rapid.T){
			"record": func(t *rapid.T) {
				m := rapid.SampledFrom(q.members).Draw(t, "channel")
				q.record(m, int32(rapid.IntRange(0, 2).Draw(t, "partition")), rapid.IntRange(20, 700).Draw(t, "size"))
			},
			"large record": func(t *rapid.T) { q.record(q.members[0], 0, rapid.IntRange(700, 9000).Draw(t, "size")) },
			"batch": func(t *rapid.T) {
				members := rapid.SliceOfN(rapid.SampledFrom(q.members), 1, 3).Draw(t, "channels")
				q.batch(members, rapid.SliceOfN(rapid.Int32Range(0, 2), 2, 20).Draw(t, "partitions"))
			},
			"reply": func(*rapid.T) { q.reply() },
			"time":  func(*rapid.T) { q.now += int64(slowNoticeInterval) / 2 },
			"ping":  func(*rapid.T) { q.pushPing() },
			"pong":  func(t *rapid.T) { q.pushPong(make([]byte, rapid.IntRange(0, 125).Draw(t, "size"))) },
			"write": func(*rapid.T) {
				finish()
				q.take(inFlight)
			},
			"": func(t *rapid.T) {
				if q.closing {
					t.SkipNow()
				}
				if q.bytes > q.bound+q.oversized {
					t.Fatalf("queue holds %d bytes; bound %d, of a large frame %d", q.bytes, q.bound, q.oversized)
				}
			},
		})
		if q.closing { // too many replies: allowed, and there is no account then
			if q.closeCode != CloseSlowClient {
				t.Fatalf("closed with %d", q.closeCode)
			}
			return
		}
		for finish(); len(q.front) > 0 || q.ring.n > 0; finish() {
			q.take(inFlight)
		}
		for s, pushed := range q.pushed {
			if r.seen[s] != len(pushed) {
				t.Errorf("%v: %d of %d records accounted for", s, r.seen[s], len(pushed))
			}
		}
		if q.bytes != 0 || r.replies != len(q.replies) || q.counters.dropped.Load() != r.dropped || q.counters.slowNotices.Load() != r.slow {
			t.Errorf("in the end: %d bytes; %d of %d replies; %d dropped, %d told; %d slow notices, %d told",
				q.bytes, r.replies, len(q.replies), q.counters.dropped.Load(), r.dropped, q.counters.slowNotices.Load(), r.slow)
		}
	})
}

// A client that never reads gets notices that coalesce, however much is
// dropped, and is not closed for it.
func TestDroppingForEverStaysWithinBound(t *testing.T) {
	q := newTestQueue(4096, SlowDropOldest)
	q.record(q.members[0], 0, 500)
	q.take(new(burst)) // and is never written
	for range 10_000 {
		for _, m := range q.members {
			for p := range int32(3) {
				q.record(m, p, 100)
			}
		}
	}
	if q.closing || q.bytes > q.bound || len(q.front) != 7 {
		t.Errorf("after 60,000 records: closing %t, %d of %d bytes, %d notices; want 6 of drops and one that it is slow", q.closing, q.bytes, q.bound, len(q.front))
	}
}

func TestDisconnectPolicyClosesAndAbandons(t *testing.T) {
	q := newTestQueue(1024, SlowDisconnect)
	for range 4 {
		q.record(q.members[0], 0, 300)
	}
	code, frame, closing := q.closed()
	if !closing || code != CloseSlowClient || string(frame) != string(closeFrame(CloseSlowClient)) {
		t.Errorf("queue: got closing %t, code %d, frame %q", closing, code, frame)
	}
	if n := q.counters.abandoned.Load(); n != 4 || q.bytes != 0 || q.wait(0) {
		t.Errorf("abandoned: got %d, %d bytes left; want 4, 0", n, q.bytes)
	}
	if open, _ := q.pushRecord(&message{frame: []byte{1}}, q.members[0]); open {
		t.Error("a closed queue took a record")
	}
}

// A frame that is larger than the bound passes when nothing else waits, and a
// ping beside it is not what closes the client.
func TestOversizedFrame(t *testing.T) {
	for _, policy := range []SlowPolicy{SlowDisconnect, SlowDropOldest} {
		t.Run(string(policy), func(t *testing.T) {
			q := newTestQueue(1024, policy)
			q.record(q.members[0], 0, 5000)
			q.pushPing()
			q.pushReply([]byte("{}"))
			frames := 0
			for q.ring.n > 0 {
				b := new(burst)
				q.take(b)
				q.release(b.bytes)
				frames += len(b.frames)
			}
			if q.closing || frames != 3 || q.bytes != 0 || q.oversized != 0 {
				t.Errorf("got closing %t, %d frames, %d bytes left; want 3 frames", q.closing, frames, q.bytes)
			}
		})
	}
}

func TestPongsCoalesce(t *testing.T) {
	q := newTestQueue(1024, SlowDisconnect)
	for i := range 1000 {
		q.pushPong([]byte(strconv.Itoa(i)))
	}
	b := new(burst)
	q.take(b)
	var want []byte
	for i := range maxPongs - 1 {
		want = appendFrame(want, opPong, []byte(strconv.Itoa(i)))
	}
	want = appendFrame(want, opPong, []byte("999"))
	if string(b.join()) != string(want) || q.closing {
		t.Errorf("got %q, closing %t; want %q", b.join(), q.closing, want)
	}
	if q.release(b.bytes); q.bytes != 0 {
		t.Errorf("%d bytes left; want 0", q.bytes)
	}
}

func TestDequeKeepsOrderAndGivesMemoryBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r deque[entry]
		var model []*message
		t.Repeat(map[string]func(*rapid.T){
			"push": func(*rapid.T) {
				m := new(message)
				r.push(entry{msg: m})
				model = append(model, m)
			},
			"pop": func(t *rapid.T) {
				if len(model) == 0 {
					t.SkipNow()
				}
				if r.at(0).msg != model[0] || r.pop().msg != model[0] {
					t.Fatal("not the first that was pushed")
				}
				model = model[1:]
			},
			"": func(t *rapid.T) {
				if r.n != len(model) {
					t.Fatalf("length: got %d; want %d", r.n, len(model))
				}
			},
		})
	})
	for _, tt := range []struct {
		name        string
		first, then int // how much is put in the first time, and then again and again
		want        int // entries that are kept in the end
	}{
		{"a large backlog", keepUsedDeque + 1, 0, 0},
		{"a burst, then little", 2 * keepDeque, 1, minDeque},
		{"burst after burst", 2 * keepDeque, 2 * keepDeque, 2 * keepDeque},
		{"a burst, then a little more than a quarter", keepUsedDeque, keepUsedDeque/4 + 1, keepUsedDeque},
	} {
		var r deque[entry]
		n := tt.first
		for range 2 * leanDrains {
			for range n {
				r.push(entry{})
			}
			for r.n > 0 {
				r.pop()
			}
			r.release()
			n = tt.then
		}
		if len(r.items) != tt.want {
			t.Errorf("%s: an empty deque keeps %d entries; want %d", tt.name, len(r.items), tt.want)
		}
	}
}

// A client that has a burst of small frames written again and again has no memory made for it.
func TestDequeOfBurstsIsReused(t *testing.T) {
	var r deque[entry]
	if got := testing.AllocsPerRun(100, func() {
		for range 160 {
			r.push(entry{})
		}
		for r.n > 0 {
			r.pop()
		}
		r.release()
	}); got != 0 {
		t.Errorf("got %v allocations a burst; want 0", got)
	}
}

// A client whose queue passes half its bound is told, ahead of what waits, once
// until it has caught up, and at most once a second.
func TestSlowNotice(t *testing.T) {
	for _, policy := range []SlowPolicy{SlowDisconnect, SlowDropOldest} {
		t.Run(string(policy), func(t *testing.T) {
			q := newTestQueue(8192, policy)
			m := q.members[0]
			fill := func() {
				for q.bytes < 5000 {
					q.record(m, 0, 200)
				}
			}
			catchUp := func() {
				for q.bytes > 0 {
					b := new(burst)
					q.take(b)
					q.release(b.bytes)
				}
			}
			for _, step := range []struct {
				what string
				do   func()
				want int64 // notices so far
			}{
				{"up to half", func() {
					for q.bytes+205 < 4096 {
						q.record(m, 0, 200)
					}
				}, 0},
				{"more than half", fill, 1},
				{"still more, and later", func() { q.now += int64(time.Hour); q.record(m, 0, 200) }, 1},
				{"less than a quarter, and more than half at once", func() { q.now++; catchUp(); fill() }, 2},
				{"the same within a second", func() { q.now++; catchUp(); fill() }, 2},
				{"a second after the last notice", func() { q.now += int64(slowNoticeInterval); q.record(m, 0, 200) }, 3},
			} {
				if step.do(); q.counters.slowNotices.Load() != step.want {
					t.Fatalf("%s: got %d notices; want %d", step.what, q.counters.slowNotices.Load(), step.want)
				}
			}
			b := new(burst)
			q.take(b)
			var n received
			if _, payloads := serverFrames(b.frames[0]); json.Unmarshal(payloads[0], &n) != nil || n.Kind != "slow" || n.LimitBytes != 8192 {
				t.Errorf("first of the queue: got %q; want a slow notice", b.frames[0])
			}
			if q.closing || q.counters.dropped.Load() != 0 {
				t.Errorf("closing %t, %d dropped", q.closing, q.counters.dropped.Load())
			}
		})
	}
}

// A notice for which there is no room is not sent: it would close the client.
func TestSlowNoticeNeedsRoom(t *testing.T) {
	q := newTestQueue(1024, SlowDisconnect)
	q.record(q.members[0], 0, 1015)
	if q.closing || q.counters.slowNotices.Load() != 0 || q.bytes > q.bound {
		t.Errorf("got closing %t, %d notices, %d bytes", q.closing, q.counters.slowNotices.Load(), q.bytes)
	}
}
