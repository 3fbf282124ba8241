package gateway

import (
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
)

// topicLog is how far a topic was read, and, once a client wants to resume, its
// most recent records. It is guarded by the hub's mutex.
//
// Records are numbered in the order in which they were published: within a
// partition that is the order of their offsets, so that a number parts what a
// reader of all partitions has had from what it has not.
type topicLog struct {
	epoch   string         // the topic's id, so that one created anew is told from the old
	parts   []partitionLog // by partition
	version uint64         // grows with each change of the above
	replays map[*topicReplay]struct{}

	keeps   bool // records are kept
	first   uint64
	records deque[keptRecord] // numbered from first on
	keys    map[string]*keptKey
	stale   int // how many of the memory's next turns are of records that were forgotten

	json        []byte // positions, as of jsonVersion
	jsonVersion uint64
}

// partitionLog is how far a partition was read.
type partitionLog struct {
	began int64 // where reading began
	next  int64 // the offset after the last record published; unknownOffset if it is not read
	kept  int64 // records from this offset on are kept
	// truncations is how often the partition went back: what was read before is not what is there now.
	truncations int
	index       deque[indexEntry]
}

// unknownOffset is the position in a partition that is not read.
const unknownOffset = -1

type indexEntry struct {
	offset int64
	number uint64
}

type keptRecord struct {
	msg *message
	key *keptKey // nil where the record has none
}

// keptKey has the numbers of a key's records.
type keptKey struct {
	key     string
	numbers deque[uint64]
}

// begin notes that a partition is read from the offset on, by whatever is the
// cause: what lies between and was not published is not kept.
func (l *topicLog) begin(p int32, offset int64) {
	for int(p) >= len(l.parts) {
		l.parts = append(l.parts, partitionLog{next: unknownOffset})
	}
	part := &l.parts[p]
	switch {
	case part.next == unknownOffset:
		part.began, part.kept = offset, offset
	case offset < part.next:
		l.forget()
		part.kept = offset
		part.truncations++
		for tr := range l.replays {
			tr.truncate(p, offset)
		}
	case offset > part.next:
		part.kept = offset
	}
	part.next = offset
	part.began = min(part.began, offset)
	l.version++
}

// restart begins a topic, and reports whether it was created anew.
func (l *topicLog) restart(epoch string) bool {
	if l.epoch == epoch {
		return false
	}
	l.forget()
	l.epoch, l.parts = epoch, nil
	for tr := range l.replays {
		tr.restarted()
	}
	l.version++
	return true
}

// advance notes that the record is published.
func (l *topicLog) advance(p int32, offset int64) {
	if int(p) >= len(l.parts) || offset < l.parts[p].next || l.parts[p].next == unknownOffset {
		l.begin(p, offset)
	}
	l.parts[p].next = offset + 1
	l.version++
}

// forget lets go of all records.
func (l *topicLog) forget() {
	l.stale += l.records.n
	l.first += uint64(l.records.n)
	l.records = deque[keptRecord]{}
	clear(l.keys)
	for p := range l.parts {
		l.parts[p].kept = l.parts[p].next
		l.parts[p].index = deque[indexEntry]{}
	}
}

// keep has records kept from now on.
func (l *topicLog) keep() {
	if l.keeps {
		return
	}
	l.keeps = true
	l.keys = make(map[string]*keptKey)
	for p := range l.parts {
		l.parts[p].kept = l.parts[p].next
	}
}

// end is the number that the next record gets.
func (l *topicLog) end() uint64 { return l.first + uint64(l.records.n) }

// memory bounds the records that the topics keep, by their frames' bytes.
type memory struct {
	bound, bytes int64
	order        deque[memoryTurn] // whose record is the oldest, and so on
}

type memoryTurn struct {
	log   *topicLog
	bytes int64
}

const (
	// keptOverhead is about what a record costs beside its frame, deflatedOverhead
	// what its compressed copy does, and keptKeyOverhead what a key does.
	keptOverhead     = 176
	deflatedOverhead = 128
	keptKeyOverhead  = 256
)

// add keeps a record, which has been advanced over, and lets go of the oldest
// ones that no longer fit.
func (m *memory) add(l *topicLog, key []byte, msg *message) {
	number := l.end()
	size := int64(len(msg.frame) + keptOverhead)
	if msg.deflated != nil && msg.deflated != msg { // whoever got it live has made it: no other does
		size += int64(len(msg.deflated.frame) + deflatedOverhead)
	}
	r := keptRecord{msg: msg}
	if key != nil {
		k, ok := l.keys[string(key)]
		if !ok {
			k = &keptKey{key: string(key)}
			l.keys[k.key] = k
			size += keptKeyOverhead + int64(len(key))
		}
		k.numbers.push(number)
		r.key = k
	}
	l.records.push(r)
	l.parts[msg.partition].index.push(indexEntry{msg.offset, number})
	m.order.push(memoryTurn{l, size})
	m.bytes += size
	for m.bytes > m.bound {
		turn := m.order.pop()
		m.bytes -= turn.bytes
		turn.log.evict()
	}
}

// evict lets go of the oldest record.
func (l *topicLog) evict() {
	if l.stale > 0 {
		l.stale--
		return
	}
	r := l.records.pop()
	l.first++
	part := &l.parts[r.msg.partition]
	part.index.pop()
	part.kept = max(part.kept, r.msg.offset+1)
	if r.key == nil {
		return
	}
	r.key.numbers.pop()
	if r.key.numbers.n == 0 {
		delete(l.keys, r.key.key)
	}
}

// start is the number of the first record that is at or behind one of the
// positions, none of which is before what is kept.
func (l *topicLog) start(positions []int64) uint64 {
	from := l.end()
	for p := range l.parts {
		index := &l.parts[p].index
		if i := index.search(func(e *indexEntry) bool { return e.offset >= positions[p] }); i < index.n {
			from = min(from, index.at(i).number)
		}
	}
	return from
}

// move sets the positions to where a reader is that has had all records below
// the number.
func (l *topicLog) move(positions []int64, number uint64) {
	for p := range l.parts {
		part := &l.parts[p]
		offset := part.next
		if i := part.index.search(func(e *indexEntry) bool { return e.number >= number }); i < part.index.n {
			offset = part.index.at(i).offset
		}
		positions[p] = max(positions[p], offset)
	}
}

// positionsJSON is the topic's positions on the wire, without its name.
func (l *topicLog) positionsJSON() []byte {
	if l.json == nil || l.jsonVersion != l.version {
		l.json = appendPositions(nil, l.epoch, func(yield func(int, int64) bool) {
			for p := range l.parts {
				if next := l.parts[p].next; next != unknownOffset && !yield(p, next) {
					return
				}
			}
		})
		l.jsonVersion = l.version
	}
	return l.json
}

// appendPositions appends {"epoch":"…","next":{"0":17}}.
func appendPositions(b []byte, epoch string, next func(func(int, int64) bool)) []byte {
	b = appendJSONString(append(b, `{"epoch":`...), epoch)
	b = append(b, `,"next":{`...)
	first := true
	for p, offset := range next {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = strconv.AppendInt(append(b, '"'), int64(p), 10)
		b = strconv.AppendInt(append(b, `":`...), offset, 10)
	}
	return append(b, "}}"...)
}

// appendByTopic appends {"TOPIC":…}, sorted by topic.
func appendByTopic(b []byte, values map[string][]byte) []byte {
	b = append(b, '{')
	for i, topic := range slices.Sorted(maps.Keys(values)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(appendJSONString(b, topic), ':'), values[topic]...)
	}
	return append(b, '}')
}

// epochOf is a topic's id as it stands in positions. Brokers before Kafka 2.8 give none: then
// it is all zeros, and a topic created anew is not told from the old one by it.
func epochOf(id [16]byte) string { return hex.EncodeToString(id[:]) }
