package loadgen

import (
	"slices"
	"sync"
	"sync/atomic"
)

// ledger is what one producer knows of its sends: how many went to each stream, where each phase began, and which were
// not acknowledged. What stands above the mutex belongs to the pacing goroutine until it has ended; others see of it
// what position and begun tell.
type ledger struct {
	partSeq []uint64     // next, by partition; stored atomically
	keySeq  []uint64     // next, by key; stored atomically
	marks   []ledgerMark // appended to under the mutex

	sent int64
	// unnumbered are the sends that were refused before they got a sequence number.
	unnumbered int64
	// sentAt is when each message of a conflated topic's keys was sent, Unix ns, by sequence number; nil elsewhere. The
	// plan's audit memory bounds it: 8 bytes a message.
	sentAt [][]int64

	mu        sync.Mutex
	acked     int64
	refused   []send
	unsettled []send // answered neither by an ack nor by a proof that nothing was written
}

// ledgerMark is the state of the sequence numbers at the beginning of a load phase.
type ledgerMark struct{ partSeq, keySeq []uint64 }

func (m *ledgerMark) of(byKey bool, id int) uint64 {
	if byKey {
		return m.keySeq[id]
	}
	return m.partSeq[id]
}

// send identifies one message in its streams.
type send struct {
	partSeq   uint64
	keySeq    uint64
	partition uint32
	key       uint32
}

func newLedger(partitions, keys int) *ledger {
	return &ledger{partSeq: make([]uint64, partitions), keySeq: make([]uint64, keys)}
}

func newLedgerOf(s *producerShape) *ledger {
	l := newLedger(s.partitions, s.keys)
	if s.conflation > 0 {
		l.sentAt = make([][]int64, s.keys)
	}
	return l
}

// enter marks the beginning of phase, and of those before it that had no message.
func (l *ledger) enter(phase int) {
	for len(l.marks) <= phase {
		mark := ledgerMark{slices.Clone(l.partSeq), slices.Clone(l.keySeq)}
		l.mu.Lock()
		l.marks = append(l.marks, mark)
		l.mu.Unlock()
	}
}

// position is the number that the stream's next message will have. Any goroutine may ask: what it has received of the
// stream lies below.
func (l *ledger) position(byKey bool, id int) uint64 {
	if byKey {
		return atomic.LoadUint64(&l.keySeq[id])
	}
	return atomic.LoadUint64(&l.partSeq[id])
}

// begun returns the marks of the phases that have begun: of all messages below a position that was asked for before.
func (l *ledger) begun() []ledgerMark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.marks
}

// take returns the sequence numbers of the next message and advances them.
func (l *ledger) take(key, partition uint32) send {
	s := send{partSeq: l.partSeq[partition], partition: partition, key: key}
	atomic.StoreUint64(&l.partSeq[partition], s.partSeq+1)
	if key != NoKey {
		s.keySeq = l.keySeq[key]
		atomic.StoreUint64(&l.keySeq[key], s.keySeq+1)
	}
	return s
}

// note remembers when a message was sent, where that matters.
func (l *ledger) note(s send, sentAt int64) {
	if l.sentAt != nil {
		l.sentAt[s.key] = append(l.sentAt[s.key], sentAt)
	}
}

// at returns the sequence numbers that the next message of a stream would have.
func (l *ledger) at(key, partition uint32) send {
	s := send{partSeq: l.partSeq[partition], partition: partition, key: key}
	if key != NoKey {
		s.keySeq = l.keySeq[key]
	}
	return s
}

// phaseRange is the range of sequence numbers that a stream's messages of one phase have: partition id for a stream
// (producer, partition), key id for (producer, key). It is called after the pacing goroutine has ended.
func (l *ledger) phaseRange(phase int, byKey bool, id int) span {
	at := func(phase int) uint64 {
		switch {
		case phase >= len(l.marks) && byKey:
			return l.keySeq[id]
		case phase >= len(l.marks):
			return l.partSeq[id]
		case byKey:
			return l.marks[phase].keySeq[id]
		}
		return l.marks[phase].partSeq[id]
	}
	return span{at(phase), at(phase + 1)}
}

// answer books what became of sends.
func (l *ledger) answer(s send, outcome outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch outcome {
	case sendAcked:
		l.acked++
	case sendRefused:
		l.refused = append(l.refused, s)
	case sendUnsettled:
		l.unsettled = append(l.unsettled, s)
	}
}
