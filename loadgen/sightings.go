package loadgen

import (
	"sync/atomic"
	"time"
)

// sightings remembers when the observer read each recent message of one producer's partition, or of one publishing client, so that a delivery can be
// compared with the observer's read of the same message. The observer writes, workers read; a slot that was overwritten
// meanwhile is a miss, never a wrong time.
type sightings struct {
	slots []sighting
}

type sighting struct {
	seq atomic.Uint64 // sequence number plus one; 0 while empty or being written
	at  atomic.Int64
}

// newSightings makes room for the last n messages, n a power of two.
func newSightings(n int) *sightings { return &sightings{make([]sighting, n)} }

func (s *sightings) put(seq uint64, at int64) {
	slot := &s.slots[seq&uint64(len(s.slots)-1)]
	slot.seq.Store(0)
	slot.at.Store(at)
	slot.seq.Store(seq + 1)
}

// get returns when seq was seen; ok is false where it was not, or too long ago.
func (s *sightings) get(seq uint64) (at int64, ok bool) {
	slot := &s.slots[seq&uint64(len(s.slots)-1)]
	if slot.seq.Load() != seq+1 {
		return 0, false
	}
	at = slot.at.Load()
	return at, slot.seq.Load() == seq+1
}

// sightingsLast is how long a message's sighting is kept, at the planned rate: longer than stalls that a run survives.
const sightingsLast = 30 * time.Second

// The room of a partition, and of a publishing client: of the latter there may be many thousands, and a group's have
// about groupSightings together. A slot takes 16 bytes.
const (
	leastSightings       = 1 << 10
	mostSightings        = 1 << 20
	leastClientSightings = 1 << 4
	groupSightings       = 1 << 22
)

// sightingSlots sizes the memory for a rate in messages a second, within powers of two.
func sightingSlots(rate float64, least, most int) int {
	n := least
	for float64(n) < rate*sightingsLast.Seconds() && n < most {
		n <<= 1
	}
	return n
}
