package loadgen

import "sync/atomic"

// sightings remembers when the observer read each recent message of one producer's partition, so that a delivery can be
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

// sightingSlots sizes the memory for ten seconds of a partition's messages, within bounds.
func sightingSlots(rate float64, partitions int) int {
	want := rate * 10 / float64(partitions)
	n := 1 << 10
	for float64(n) < want && n < 1<<17 {
		n <<= 1
	}
	return n
}
