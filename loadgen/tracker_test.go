package loadgen

import (
	"errors"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func newGapStore(limit int) *gapStore { return &gapStore{limit: limit} }

// TestTrackerAgainstSets compares the tracker with a plain set on arbitrary arrivals.
func TestTrackerAgainstSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const space = 40
		base := rapid.Uint64Range(0, 5).Draw(t, "base")
		store := newGapStore(1000)
		var tr tracker
		tr.join(base)
		seen := map[uint64]bool{}
		highest := int64(base) - 1
		for _, seq := range rapid.SliceOf(rapid.Uint64Range(0, space-1)).Draw(t, "arrivals") {
			want := arrivedFirst
			switch {
			case seq < base:
				want = arrivedEarly
			case seen[seq]:
				want = arrivedDuplicate
			case int64(seq) < highest:
				want = arrivedReordered
			}
			if got := store.arrive(&tr, seq); got != want {
				t.Fatalf("arrival of %d: got %d; want %d", seq, got, want)
			}
			if seq >= base {
				seen[seq] = true
				highest = max(highest, int64(seq))
			}
		}
		for seq := range uint64(space) {
			if got, want := store.has(&tr, seq), seen[seq]; got != want {
				t.Fatalf("has %d: got %v; want %v", seq, got, want)
			}
		}
		missing := map[uint64]bool{}
		store.missing(&tr, space, func(s span, tail bool) {
			for q := s.from; q < s.to; q++ {
				missing[q] = true
				if tail != (int64(q) > highest) {
					t.Fatalf("missing %d: tail %v with highest %d", q, tail, highest)
				}
			}
		})
		for q := base; q < space; q++ {
			if missing[q] == seen[q] {
				t.Fatalf("%d: missing %v, seen %v", q, missing[q], seen[q])
			}
		}
	})
}

func TestTrackerFailsOpenlyBeyondItsBound(t *testing.T) {
	store := newGapStore(2)
	var tr tracker
	tr.join(0)
	for _, seq := range []uint64{1, 3, 5} {
		store.arrive(&tr, seq)
	}
	if !errors.Is(store.err, errGaps) {
		t.Errorf("three gaps in a store of two: got %v; want %v", store.err, errGaps)
	}
}

func TestTrackerReusesLists(t *testing.T) {
	store := newGapStore(100)
	var tr tracker
	tr.join(0)
	for i := range uint64(50) {
		store.arrive(&tr, 2*i+1)
		store.arrive(&tr, 2*i)
	}
	if got := len(store.lists); got != 1 {
		t.Errorf("got %d lists; want 1", got)
	}
	if store.count != 0 || tr.gaps != 0 {
		t.Errorf("got %d gaps, list %d; want none", store.count, tr.gaps)
	}
}

func TestTrackerIsSmall(t *testing.T) {
	if got := unsafe.Sizeof(tracker{}); got > 24 {
		t.Errorf("a tracker takes %d bytes; want at most 24", got)
	}
}
