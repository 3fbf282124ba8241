package gateway

import (
	"maps"
	"slices"
	"time"
)

const (
	// replayRecords bounds how many records are queued, and replayScan how many
	// looked at, while the hub is held.
	replayRecords = 256
	replayScan    = 1024
	// manyKeys is from how many keys of a client on all records are looked at
	// instead of those of each key.
	manyKeys = 64
)

// resumption is one request to be given what was missed.
type resumption struct {
	client    *client
	request   *request
	startedAt time.Time
	answered  chan struct{}
	refused   *requestError // set before answered is closed

	// Guarded by the hub's mutex.
	topics []*topicReplay
	left   int // topics that are not live yet
}

// topicReplay is how far a replay is with a topic. Its channels are held by the
// client, but do not get what is published until they join. It is guarded by the
// hub's mutex.
type topicReplay struct {
	topic     *topic
	given     map[int32]int64 // the client's own positions
	positions []int64         // by partition: what is below was queued or is lost
	want      *wanted
	lent      bool // want is looked at without the lock, and must be cloned to be changed
	queued    int  // bytes, since told was called
}

// told is how many bytes were queued since it was called last. It is for the
// goroutine that replays.
func (tr *topicReplay) told() int {
	n := tr.queued
	tr.queued = 0
	return n
}

// wanted is the channels of a replay.
type wanted struct {
	whole    *member
	keys     map[string]*member
	patterns []*member
}

// replayed is a record found for a client.
type replayed struct {
	msg    *message
	member *member
	number uint64
}

func (w *wanted) empty() bool { return w.whole == nil && len(w.keys) == 0 && len(w.patterns) == 0 }

func (w *wanted) all(yield func(*member) bool) {
	if w.whole != nil && !yield(w.whole) {
		return
	}
	for _, m := range w.keys {
		if !yield(m) {
			return
		}
	}
	for _, m := range w.patterns {
		if !yield(m) {
			return
		}
	}
}

func (w *wanted) add(m *member) {
	switch ch := m.channel; {
	case ch.glob != nil:
		m.index = len(w.patterns)
		w.patterns = append(w.patterns, m)
	case ch.ofKey:
		w.keys[ch.key] = m
	default:
		w.whole = m
	}
}

func (w *wanted) clone() *wanted {
	return &wanted{whole: w.whole, keys: maps.Clone(w.keys), patterns: slices.Clone(w.patterns)}
}

func (w *wanted) remove(m *member) {
	switch ch := m.channel; {
	case ch.glob != nil:
		last := len(w.patterns) - 1
		w.patterns[m.index] = w.patterns[last]
		w.patterns[m.index].index = m.index
		w.patterns[last] = nil
		w.patterns = w.patterns[:last]
	case ch.ofKey:
		delete(w.keys, ch.key)
	default:
		w.whole = nil
	}
}

// broad reports whether all records must be looked at.
func (w *wanted) broad() bool { return w.whole != nil || len(w.patterns) > 0 || len(w.keys) > manyKeys }

// of is the channel by which the client gets a record, or nil.
func (w *wanted) of(key string, keyed bool) *member {
	if w.whole != nil || !keyed {
		return w.whole
	}
	if m, ok := w.keys[key]; ok {
		return m
	}
	for _, m := range w.patterns {
		if m.channel.glob.matches(key) {
			return m
		}
	}
	return nil
}

// truncate goes back, since what is from the offset on is replaced.
func (tr *topicReplay) truncate(p int32, offset int64) {
	if int(p) < len(tr.positions) {
		tr.positions[p] = min(tr.positions[p], offset)
	}
	delete(tr.given, p)
}

// restarted goes back to the beginning of all.
func (tr *topicReplay) restarted() {
	tr.positions = nil
	clear(tr.given)
}

// extend takes up the partitions that have come to be read meanwhile.
func (tr *topicReplay) extend() {
	parts := tr.topic.log.parts
	for p := range parts {
		if p == len(tr.positions) {
			tr.positions = append(tr.positions, unknownOffset)
		}
		if tr.positions[p] != unknownOffset || parts[p].next == unknownOffset {
			continue
		}
		tr.positions[p] = parts[p].began
		if given, ok := tr.given[int32(p)]; ok {
			tr.positions[p] = given
		}
	}
}

// behind is a partition that is to be read from Kafka, since memory does not
// reach so far back.
func (tr *topicReplay) behind() (p int32, from int64, ok bool) {
	parts := tr.topic.log.parts
	for p := range parts {
		if parts[p].next != unknownOffset && tr.positions[p] < parts[p].kept {
			return int32(p), tr.positions[p], true
		}
	}
	return 0, 0, false
}

// find looks for the next records in memory, in the order in which they were
// published. What is below the number until was looked at.
func (tr *topicReplay) find() (found []replayed, until uint64) {
	l := &tr.topic.log
	from := l.start(tr.positions)
	if tr.want.broad() {
		return tr.scan(l, from)
	}
	return tr.merge(l, from)
}

// scan looks at all records; at fewer the more patterns each is held against.
func (tr *topicReplay) scan(l *topicLog, from uint64) (found []replayed, until uint64) {
	until = min(l.end(), from+max(1, replayScan/uint64(1+len(tr.want.patterns)/8)))
	for number := from; number < until; number++ {
		r := l.records.at(int(number - l.first))
		if r.msg.offset < max(tr.positions[r.msg.partition], l.parts[r.msg.partition].kept) {
			continue
		}
		key := ""
		if r.key != nil {
			key = r.key.key
		}
		m := tr.want.of(key, r.key != nil)
		if m == nil {
			continue
		}
		if len(found) == replayRecords {
			return found, number
		}
		found = append(found, replayed{r.msg, m, number})
	}
	return found, until
}

// keyCursor is a place among a key's records.
type keyCursor struct {
	numbers *deque[uint64]
	at      int
	member  *member
}

func (c *keyCursor) number() uint64 { return *c.numbers.at(c.at) }

// merge looks at the records of few keys.
func (tr *topicReplay) merge(l *topicLog, from uint64) (found []replayed, until uint64) {
	cursors := make([]keyCursor, 0, manyKeys)
	for key, m := range tr.want.keys {
		if k, ok := l.keys[key]; ok {
			c := keyCursor{&k.numbers, k.numbers.search(func(n *uint64) bool { return *n >= from }), m}
			if c.at < k.numbers.n {
				cursors = append(cursors, c)
			}
		}
	}
	for looked := 0; len(cursors) > 0; looked++ {
		first := 0
		for i := range cursors {
			if cursors[i].number() < cursors[first].number() {
				first = i
			}
		}
		c := &cursors[first]
		number := c.number()
		if looked == replayScan || len(found) == replayRecords {
			return found, number
		}
		r := l.records.at(int(number - l.first))
		if r.msg.offset >= max(tr.positions[r.msg.partition], l.parts[r.msg.partition].kept) {
			found = append(found, replayed{r.msg, c.member, number})
		}
		if c.at++; c.at == c.numbers.n {
			cursors[first] = cursors[len(cursors)-1]
			cursors = cursors[:len(cursors)-1]
		}
	}
	return found, l.end()
}

// progress is what a step of a replay has come to.
type progress int

const (
	progressLive  progress = iota // the topic's channels are live, or there are none left
	progressMore                  // go on
	progressFull                  // the client must take something first
	progressKafka                 // a stretch is to be read
	progressGone                  // the client has gone
)

// step queues what memory has for the replay. When that is all, the channels
// join in the same moment.
func (h *hub) step(r *resumption, tr *topicReplay) (at progress, p int32, from int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.client.closing() {
		return progressGone, 0, 0
	}
	if tr.want.empty() {
		h.live(r, tr)
		return progressLive, 0, 0
	}
	tr.extend()
	if p, from, ok := tr.behind(); ok {
		return progressKafka, p, from
	}
	found, until := tr.find()
	h.asTaken(r.client, found)
	n, open := r.client.queue.pushReplayed(found)
	tr.count(found[:n])
	h.counters.queued.Add(int64(n))
	h.counters.replayedMemory.Add(int64(n))
	switch {
	case !open:
		return progressGone, 0, 0
	case n < len(found):
		tr.topic.log.move(tr.positions, found[n].number)
		return progressFull, 0, 0
	case until < tr.topic.log.end():
		tr.topic.log.move(tr.positions, until)
		return progressMore, 0, 0
	}
	tr.topic.log.move(tr.positions, until)
	h.live(r, tr)
	return progressLive, 0, 0
}

func (tr *topicReplay) count(queued []replayed) {
	for _, f := range queued {
		tr.queued += len(f.msg.frame)
	}
}

// asTaken puts the compressed messages, where there are any, in place of those
// found, for a client that takes them. None is compressed for a replay, since the
// hub is held.
func (*hub) asTaken(c *client, found []replayed) {
	if c.deflateMax == 0 {
		return
	}
	for i, f := range found {
		if f.msg.deflated != nil && len(f.msg.frame)-sentHeaderLen(f.msg.frame) <= c.deflateMax {
			found[i].msg = f.msg.deflated
		}
	}
}

// live joins the channels of a replay that is through with a topic, and says so
// when it was the last.
func (h *hub) live(r *resumption, tr *topicReplay) {
	skip := tr.ahead()
	for m := range tr.want.all {
		m.replay = nil
		m.channel.replaying--
		m.skip = maps.Clone(skip)
		h.join(m)
		r.client.topic(m.channel.topic).replaying--
	}
	if !tr.want.empty() { // else the topic may be live by another request
		r.client.topic(tr.topic).ahead = skip
		r.client.regroup(tr.topic)
	}
	delete(tr.topic.log.replays, tr)
	r.left--
	if r.left == 0 {
		r.client.queue.pushReply(caughtUp(r.request.ID))
		h.tellPositions(r.client)
	}
}

// take queues what was found in a stretch for what the replay wants, which is at the
// position at, and reports how many of them are done with. When all are, the
// replay is at the stretch's end, or as far as the gateway has read itself.
func (h *hub) take(r *resumption, tr *topicReplay, s *stretch, want *wanted, at *int64, found []replayed) (n int, to progress) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := s.partition.partition
	switch l := &tr.topic.log; {
	case r.client.closing():
		return 0, progressGone
	case l.epoch != s.partition.epoch, int(p) >= len(tr.positions), tr.positions[p] != *at, l.parts[p].truncations != s.partition.truncations:
		return len(found), progressMore // it went back meanwhile
	case tr.want != want:
		return len(found), progressMore // what was for a channel that is left may be for another that is not
	}
	defer func() { *at = tr.positions[p] }()
	next := tr.topic.log.parts[p].next
	part := found[:min(len(found), replayRecords)]
	var wanted []replayed
	for _, f := range part {
		if f.msg.offset < next && f.member.replay == tr {
			wanted = append(wanted, f)
		}
	}
	pushed, open := r.client.queue.pushReplayed(wanted)
	tr.count(wanted[:pushed])
	h.counters.queued.Add(int64(pushed))
	h.counters.replayedKafka.Add(int64(pushed))
	if !open {
		return 0, progressGone
	}
	if pushed < len(wanted) {
		tr.positions[p] = wanted[pushed].msg.offset
		return slices.IndexFunc(part, func(f replayed) bool { return f.msg == wanted[pushed].msg }), progressFull
	}
	if len(part) < len(found) && found[len(part)].msg.offset < next {
		tr.positions[p] = found[len(part)].msg.offset
		return len(part), progressMore
	}
	tr.positions[p] = max(tr.positions[p], min(s.to, next))
	return len(found), progressMore
}

// choose finds in a stretch what the replay wants from an offset on.
func (s *stretch) choose(want *wanted, header []byte, from int64) (found []replayed) {
	var encoder recordEncoder
	add := func(i int, m *member) {
		if s.records[i].Offset >= from {
			found = append(found, replayed{msg: s.message(i, header, &encoder), member: m})
		}
	}
	if want.whole != nil || len(want.patterns) > 0 {
		for i, r := range s.records {
			if m := want.of(string(r.Key), r.Key != nil); m != nil {
				add(i, m)
			}
		}
		return found
	}
	for key, m := range want.keys {
		for _, i := range s.byKey[key] {
			add(i, m)
		}
	}
	slices.SortFunc(found, func(a, b replayed) int { return int(a.msg.offset - b.msg.offset) })
	return found
}

// removed says that Kafka has removed the offsets up to start before they were
// read for the replay.
func (h *hub) removed(tr *topicReplay, epoch string, p int32, start int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if tr.topic.log.epoch != epoch || int(p) >= len(tr.positions) || tr.positions[p] >= start {
		return
	}
	n := notice{
		kind: noticeGap, partition: p,
		firstOffset: tr.positions[p], lastOffset: start - 1, count: start - tr.positions[p],
	}
	for m := range tr.want.all {
		n.channel = m.channel
		m.client.queue.pushReply(n.append(nil))
	}
	tr.positions[p] = start
}
