package loadgen

import (
	"time"

	"github.com/weirbench/weir/scenarios"
)

// hotSet chooses among keys of which some, side by side on the ring of all keys, get a share of their own. See
// [scenarios.Keys].
type hotSet struct {
	keys, hot uint64
	share     float64
	move      time.Duration
}

func newHotSet(k scenarios.Keys) hotSet {
	h := hotSet{keys: uint64(k.Count), hot: uint64(min(k.Hot, k.Count)), share: k.HotShare, move: k.HotMove}
	switch h.hot {
	case 0:
		h.share = 0
	case h.keys:
		h.share = 1
	}
	return h
}

// first is the first hot key at a time since the load's beginning.
func (h *hotSet) first(due time.Duration) uint64 {
	if h.move <= 0 {
		return 0
	}
	// Modulo before multiplying: no overflow, however long the run.
	return uint64(due/h.move) % h.keys * h.hot % h.keys
}

// key returns the key that a number in [0, 1) chooses: below share a hot one, else one of the others, each alike.
func (h *hotSet) key(unit float64, due time.Duration) uint64 {
	first := h.first(due)
	if unit < h.share {
		return (first + part(unit/h.share, h.hot)) % h.keys
	}
	return (first + h.hot + part((unit-h.share)/(1-h.share), h.keys-h.hot)) % h.keys
}

// part returns which of n equal parts of [0, 1) holds the number.
func part(unit float64, n uint64) uint64 { return min(uint64(unit*float64(n)), n-1) }

// largestShare is the largest share of messages that ever goes to the keys of a subset, over all places of the hot keys
// on the ring that they may come to.
func (h *hotSet) largestShare(in func(key uint64) bool) float64 {
	size, hot := 0, 0 // keys of the subset, and those of them that are hot
	for key := range h.keys {
		if in(key) {
			size++
			if key < h.hot {
				hot++
			}
		}
	}
	largest := h.shareOf(size, hot)
	if h.move <= 0 {
		return largest
	}
	for first := range h.keys - 1 {
		if in(first) {
			hot--
		}
		if in((first + h.hot) % h.keys) {
			hot++
		}
		largest = max(largest, h.shareOf(size, hot))
	}
	return largest
}

func (h *hotSet) shareOf(size, hot int) float64 {
	share := 0.0
	if h.hot > 0 {
		share = h.share * float64(hot) / float64(h.hot)
	}
	if others := h.keys - h.hot; others > 0 {
		share += (1 - h.share) * float64(size-hot) / float64(others)
	}
	return share
}
