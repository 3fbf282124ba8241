package gateway

import "math/bits"

// ring is a growing circular buffer of entries.
type ring struct {
	entries []entry // the length is zero or a power of two
	head, n int
}

const (
	minRing = 8
	// keepRing is the largest ring that an idle client keeps.
	keepRing = 256
)

func (r *ring) push(e entry) {
	if r.n == len(r.entries) {
		r.grow()
	}
	r.entries[(r.head+r.n)&(len(r.entries)-1)] = e
	r.n++
}

func (r *ring) grow() {
	grown := make([]entry, max(minRing, 1<<bits.Len(uint(r.n))))
	copied := copy(grown, r.entries[r.head:])
	copy(grown[copied:], r.entries[:r.head])
	r.entries, r.head = grown, 0
}

func (r *ring) first() entry { return r.entries[r.head] }

func (r *ring) pop() entry {
	e := r.entries[r.head]
	r.entries[r.head] = entry{}
	r.head = (r.head + 1) & (len(r.entries) - 1)
	r.n--
	return e
}

// release gives the memory of a past backlog back.
func (r *ring) release() {
	if r.n == 0 && len(r.entries) > keepRing {
		*r = ring{}
	}
}
