package loadgen

import (
	"errors"
	"slices"
	"sort"
)

// tracker follows one stream as one reader sees it: which of its sequence numbers arrived, in a few dozen bytes. All
// below next has arrived except for what stands in gaps. The zero value expects the stream from 0.
type tracker struct {
	base uint64 // first sequence number expected
	next uint64 // one above the highest seen
	gaps int32  // list in the gapStore, plus one; 0 for none
	flag trackerFlag
}

type trackerFlag uint8

const (
	flagJoined   trackerFlag = 1 << iota // a join marker was seen: the subscription is in force
	flagRejoin                           // the connection is new and its marker not seen yet
	flagFinal                            // the final marker was seen
	flagSettled                          // final and without gaps: counted as done
	flagExpected                         // the stream can carry messages
)

// arrival is what one message is to its stream.
type arrival uint8

const (
	arrivedFirst     arrival = iota
	arrivedReordered         // first too, but below the highest seen
	arrivedDuplicate
	arrivedEarly // sent before the subscription was in force
)

// span is a half-open range of sequence numbers.
type span struct{ from, to uint64 }

func (s span) size() uint64 { return s.to - s.from }

// errGaps means that the audit's bound was hit: the account can't be closed to the message.
var errGaps = errors.New("more gaps in the streams than the audit may remember")

// gapStore holds the gaps of many trackers, bounded in number. It belongs to one goroutine or is guarded by its owner's
// mutex.
type gapStore struct {
	lists [][]span
	free  []int32
	count int
	limit int
	err   error // errGaps once a gap could not be kept
}

// join puts the subscription in force: what follows seq, itself included, is expected.
func (t *tracker) join(seq uint64) {
	if t.flag&flagJoined == 0 {
		t.base, t.next = seq, seq
		t.flag |= flagJoined
	}
	t.flag &^= flagRejoin
}

// arrive records sequence number seq. The stream must have been joined.
func (g *gapStore) arrive(t *tracker, seq uint64) arrival {
	switch {
	case seq == t.next:
		t.next++
		return arrivedFirst
	case seq > t.next:
		g.open(t, span{t.next, seq})
		t.next = seq + 1
		return arrivedFirst
	case seq < t.base:
		return arrivedEarly
	case g.fill(t, seq):
		return arrivedReordered
	}
	return arrivedDuplicate
}

// open appends a gap above all others of the tracker.
func (g *gapStore) open(t *tracker, s span) {
	if g.count >= g.limit {
		g.err = errGaps
		return
	}
	if t.gaps == 0 {
		t.gaps = g.newList()
	}
	g.lists[t.gaps-1] = append(g.lists[t.gaps-1], s)
	g.count++
}

func (g *gapStore) newList() int32 {
	if n := len(g.free); n > 0 {
		id := g.free[n-1]
		g.free = g.free[:n-1]
		return id
	}
	g.lists = append(g.lists, nil)
	return int32(len(g.lists))
}

// find returns the index of the first of the tracker's gaps that ends above seq.
func (g *gapStore) find(t *tracker, seq uint64) int {
	list := g.spans(t)
	return sort.Search(len(list), func(i int) bool { return seq < list[i].to })
}

// fill takes seq out of the tracker's gaps and reports whether it was in one.
func (g *gapStore) fill(t *tracker, seq uint64) bool {
	list := g.spans(t)
	i := g.find(t, seq)
	if i == len(list) || seq < list[i].from {
		return false
	}
	s := list[i]
	switch {
	case s.size() == 1:
		list = slices.Delete(list, i, i+1)
		g.count--
	case seq == s.from:
		list[i].from++
	case seq == s.to-1:
		list[i].to--
	case g.count >= g.limit:
		g.err = errGaps
	default:
		list[i].to = seq
		list = slices.Insert(list, i+1, span{seq + 1, s.to})
		g.count++
	}
	g.lists[t.gaps-1] = list
	if len(list) == 0 {
		g.free = append(g.free, t.gaps)
		t.gaps = 0
	}
	return true
}

// spans returns the tracker's gaps in order. The slice is the store's own.
func (g *gapStore) spans(t *tracker) []span {
	if t.gaps == 0 {
		return nil
	}
	return g.lists[t.gaps-1]
}

// has reports whether seq arrived.
func (g *gapStore) has(t *tracker, seq uint64) bool {
	if seq < t.base || seq >= t.next {
		return false
	}
	list := g.spans(t)
	i := g.find(t, seq)
	return i == len(list) || seq < list[i].from
}

// missing calls f for each range below end that was expected and did not arrive. tail tells that nothing above the
// range was seen.
func (g *gapStore) missing(t *tracker, end uint64, f func(s span, tail bool)) {
	for _, s := range g.spans(t) {
		if s.from < end {
			f(span{s.from, min(s.to, end)}, false)
		}
	}
	if t.next < end {
		f(span{t.next, end}, true)
	}
}
