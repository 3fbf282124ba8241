package gateway

import "sort"

const (
	minDeque = 4
	// keepDeque is the largest that an idle client keeps.
	keepDeque = 32
)

// deque is a growing circular buffer: in at the back, out at the front.
type deque[T any] struct {
	items   []T // the length is zero or a power of two
	head, n int
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

// release gives the memory of a past backlog back.
func (d *deque[T]) release() {
	if d.n == 0 && len(d.items) > keepDeque {
		*d = deque[T]{}
	}
}
