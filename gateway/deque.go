package gateway

import "sort"

const (
	minDeque = 4
	// keepDeque is the largest that a client keeps whatever it uses of it.
	keepDeque = 32
	// keepUsedDeque is the largest that it keeps at all: a burst of small frames fits.
	keepUsedDeque = 256
	// leanDrains is how often it is emptied with no more than a quarter in use before it is given back.
	leanDrains = 8
)

// deque is a growing circular buffer: in at the back, out at the front.
type deque[T any] struct {
	items   []T // the length is zero or a power of two
	head, n int
	peak    int32 // the most that n was since it was last released, up to keepUsedDeque
	lean    uint8 // how often in a row that was no more than a quarter
}

func (d *deque[T]) push(item T) {
	if d.n == len(d.items) {
		grown := make([]T, max(minDeque, 2*d.n))
		copied := copy(grown, d.items[d.head:])
		copy(grown[copied:], d.items[:d.head])
		d.items, d.head = grown, 0
	}
	d.items[(d.head+d.n)&(len(d.items)-1)] = item
	d.n++
	d.peak = max(d.peak, int32(min(d.n, keepUsedDeque)))
}

func (d *deque[T]) pop() T {
	var zero T
	item := d.items[d.head]
	d.items[d.head] = zero
	d.head = (d.head + 1) & (len(d.items) - 1)
	d.n--
	return item
}

// at is the item with i others before it.
func (d *deque[T]) at(i int) *T { return &d.items[(d.head+i)&(len(d.items)-1)] }

// search is the place of the first item for which f is true, as sort.Search.
func (d *deque[T]) search(f func(*T) bool) int {
	return sort.Search(d.n, func(i int) bool { return f(d.at(i)) })
}

// release gives the memory of a past backlog back. What is used again and again is kept.
func (d *deque[T]) release() {
	if d.n != 0 {
		return
	}
	if d.lean++; int(d.peak) > len(d.items)/4 {
		d.lean = 0
	}
	d.peak = 0
	switch {
	case len(d.items) <= keepDeque:
		d.lean = 0
	case len(d.items) > keepUsedDeque || d.lean == leanDrains:
		*d = deque[T]{}
	}
}
