package results

import (
	"math/bits"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// counts holds how many values fell into each bucket, by the bucket's index, in 86 KB: half of what the library's
// histogram takes for the same buckets, and so half of the processor's cache. A count of 32 bits that is full goes on at
// zero; whoever adds must carry then.
type counts [bucketCount]uint32

// topShift is the bucketIndex's shift of HighestNS, and bucketCount one more than its index.
const (
	topShift    = 29
	bucketCount = (topShift-unitBits)<<(subBucketBits-1) + HighestNS>>topShift + 1
)

// bucketIndex returns the index of v's bucket, v ≥ 0; below bucketCount for v ≤ HighestNS. It is HdrHistogram's
// countsArrayIndex for weir's geometry: each doubling of the value from 2²⁰ ns on has half as many buckets as there are
// below, 2¹⁰.
func bucketIndex(v int64) int {
	shift := bits.Len64(uint64(v)|(1<<(unitBits+subBucketBits)-1)) - subBucketBits
	return (shift-unitBits)<<(subBucketBits-1) + int(v>>(shift&63))
}

// bucketLowest returns the lowest value of the bucket with the index i.
func bucketLowest(i int) int64 {
	shift := max(i>>(subBucketBits-1)-1, 0)
	return int64(i-shift<<(subBucketBits-1)) << (shift + unitBits)
}

// part is what a recorder holds of values of one sign, as magnitudes: counts from low's bucket to high's, 0 ≤ low ≤ high
// ≤ HighestNS, outside of which they are zero, and what they could not hold, by the bucket's index in whole 2³². The
// zero part is empty.
type part struct {
	counts    *counts
	low, high int64
	carried   map[int]int64
}

// used returns the counts from low's to high's, and the index of the first.
func (p part) used() (first int, counts []uint32) {
	if p.counts == nil {
		return 0, nil
	}
	first = bucketIndex(p.low)
	return first, p.counts[first : bucketIndex(p.high)+1]
}

func (p part) total() (sum int64) {
	_, counts := p.used()
	for _, n := range counts {
		sum += int64(n)
	}
	for _, n := range p.carried {
		sum += n
	}
	return sum
}

// addTo adds the part to h, which is of NewHistogram's geometry and has room for the total: RecordValues refuses nothing
// then.
func (p part) addTo(h *hdrhistogram.Histogram) {
	first, counts := p.used()
	for i, n := range counts {
		if n != 0 {
			_ = h.RecordValues(bucketLowest(first+i), int64(n))
		}
	}
	for i, n := range p.carried {
		_ = h.RecordValues(bucketLowest(i), n)
	}
}
