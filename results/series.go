package results

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"math/bits"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Count is the number of values in the series: histogram, negative, overflow and underflow together.
func (s Series) Count() int64 {
	return total(s.Histogram) + total(s.Negative) + s.Overflow + s.Underflow
}

// Quantile returns the q-quantile in nanoseconds, signed; 0 for an empty series. q is taken as within [0, 1].
//
// The rule is that of the nearest rank (Hyndman and Fan 1996, definition 1): the smallest value v for which at least
// ⌈q·n⌉ of the n values are ≤ v. A value is known to three digits only, so v stands for the range of values that
// share its histogram bucket, and the highest of that range is returned (HdrHistogram's highestEquivalentValue), never
// more than HighestNS or the exact MaxNS: a quantile errs upwards, by at most 0.1% or 512 ns. For a value below zero the highest
// of its range is the one nearest to zero, and still below it. The first and the last rank are exact. A rank among the
// overflow gives MaxNS, one among the underflow −HighestNS−1.
func (s Series) Quantile(q float64) int64 {
	n := s.Count()
	if n == 0 {
		return 0
	}
	return s.atRank(nearestRank(q, n))
}

// QuantileOver returns the q-quantile, in nanoseconds, of a population of total values of which the series holds those
// that arrived and the missing ones exceed every limit. ok is false where the rank falls among the missing, or where
// the population is empty. A total below Count is taken as Count.
func (s Series) QuantileOver(q float64, total int64) (ns int64, ok bool) {
	n := s.Count()
	k := nearestRank(q, max(total, n))
	if k > n {
		return 0, false
	}
	return s.atRank(k), true
}

// Mean returns the arithmetic mean in nanoseconds, signed; 0 for an empty series. It is exact (from SumNS) unless the
// sum left the range of int64, 292 years of latency together; then it is the histograms' mean, with every overflow
// counted as HighestNS.
func (s Series) Mean() float64 {
	n := s.Count()
	if n == 0 {
		return 0
	}
	if !saturated(s.SumNS) {
		return float64(s.SumNS) / float64(n)
	}
	sum := meanTimesCount(s.Histogram) - meanTimesCount(s.Negative) + float64(HighestNS)*float64(s.Overflow-s.Underflow)
	return sum / float64(n)
}

// CountAtOrBelow returns how many values are ≤ ns by the same convention as Quantile: a bucket counts when its highest
// value, bounded by MaxNS, is ≤ ns. So Quantile(q) ≤ ns exactly if CountAtOrBelow(ns) ≥ ⌈q·n⌉, but for the first rank,
// which Quantile gives exactly.
func (s Series) CountAtOrBelow(ns int64) int64 {
	if ns >= s.MaxNS {
		return s.Count()
	}
	var n int64
	for b := range s.Buckets() {
		if b.HighNS > ns {
			break
		}
		n += b.Count
	}
	return n
}

// Bucket is a range of values, both ends included, that a series does not tell apart, and how many it has of them.
type Bucket struct {
	LowNS, HighNS, Count int64
}

// Buckets iterates over the series' non-empty buckets in ascending order of their values, signed. Underflow and
// overflow come as one bucket each, up to the exact MinNS and MaxNS.
func (s Series) Buckets() iter.Seq[Bucket] {
	return func(yield func(Bucket) bool) {
		if s.Underflow > 0 && !yield(Bucket{s.MinNS, min(-HighestNS-1, s.MaxNS), s.Underflow}) {
			return
		}
		if !s.yieldNegative(yield) || !s.yieldPositive(yield) {
			return
		}
		if s.Overflow > 0 {
			yield(Bucket{HighestNS + 1, s.MaxNS, s.Overflow})
		}
	}
}

func (s Series) yieldNegative(yield func(Bucket) bool) bool {
	if total(s.Negative) == 0 {
		return true
	}
	bars := s.Negative.Distribution()
	for i := len(bars) - 1; i >= 0; i-- {
		b := bars[i]
		if b.Count > 0 && !yield(Bucket{max(-b.To, -HighestNS, s.MinNS), min(-max(b.From, 1), s.MaxNS), b.Count}) {
			return false
		}
	}
	return true
}

func (s Series) yieldPositive(yield func(Bucket) bool) bool {
	if total(s.Histogram) == 0 {
		return true
	}
	for _, b := range s.Histogram.Distribution() {
		if b.Count > 0 && !yield(Bucket{max(b.From, s.MinNS), min(b.To, HighestNS, s.MaxNS), b.Count}) {
			return false
		}
	}
	return true
}

// atRank returns the k-th smallest value, 1 ≤ k ≤ Count, by Quantile's convention.
func (s Series) atRank(k int64) int64 {
	n := s.Count()
	below := s.Underflow + total(s.Negative)
	switch {
	case k >= n:
		return s.MaxNS
	case k == 1:
		return s.MinNS
	case k <= s.Underflow:
		return -HighestNS - 1
	case k <= below:
		magnitude := highestAtRank(s.Negative, below-k+1)
		return min(-max(lowestEquivalent(magnitude), 1), s.MaxNS)
	case k <= below+total(s.Histogram):
		return min(highestAtRank(s.Histogram, k-below), HighestNS, s.MaxNS)
	default:
		return s.MaxNS
	}
}

// highestAtRank returns the highest value equivalent to the k-th smallest of h. The library takes a percentile p and
// makes ⌊p/100·n + ½⌋ of it, so p = 100·k/n gives k back as long as rounding stays below ½: for n up to 10^15.
func highestAtRank(h *hdrhistogram.Histogram, k int64) int64 {
	return h.ValueAtPercentile(100 * float64(k) / float64(h.TotalCount()))
}

// nearestRank returns ⌈q·n⌉, within 1…n. q stands for the decimal that it was written as: 0.07 of 100 is rank 7, though
// the float64 product is a little above 7. Both roundings together are less than 2⁻⁵¹ of the product.
func nearestRank(q float64, n int64) int64 {
	exact := q * float64(n)
	k := math.Floor(exact)
	if exact-k > exact*0x1p-51 {
		k++
	}
	switch {
	case !(k >= 1): // NaN too
		return 1
	case k >= float64(n):
		return n
	}
	return int64(k)
}

// The geometry that LowestNS and SignificantDigits give: buckets are 2⁹ ns wide up to 2¹¹ of them, and twice as wide
// for each doubling of the value from there.
const (
	unitBits      = 9
	subBucketBits = 11
)

// lowestEquivalent returns the lowest value of v's bucket, for v ≥ 0.
func lowestEquivalent(v int64) int64 {
	shift := max(bits.Len64(uint64(v)), unitBits+subBucketBits) - subBucketBits
	return v >> shift << shift
}

// errGeometry says that a histogram was not made by NewHistogram.
var errGeometry = errors.New("histogram has another range or precision than weir's (make it with results.NewHistogram)")

var errTooMany = errors.New("more values than int64 counts")

func checkGeometry(h *hdrhistogram.Histogram) error {
	if h == nil || h.LowestTrackableValue() == LowestNS && h.HighestTrackableValue() == HighestNS &&
		h.SignificantFigures() == SignificantDigits {
		return nil
	}
	return errGeometry
}

// MergeSeries adds src's values to dst, which afterwards shares no memory with src. A zero dst takes src's stage and
// label; otherwise the stages must be the same, and the label keeps the fields in which both agree. On an error (other
// stage, foreign histogram, counts beyond int64) dst is unchanged.
func MergeSeries(dst *Series, src Series) error {
	if err := mergeable(dst, src); err != nil {
		return fmt.Errorf("merge series %s: %w", src.Stage, err)
	}
	if dst.Stage == "" {
		dst.Stage, dst.Label = src.Stage, src.Label
	}
	dst.Label = commonLabel(dst.Label, src.Label)
	mergeExtremes(dst, src)
	dst.Histogram = mergeHistogram(dst.Histogram, src.Histogram)
	if total(src.Negative) > 0 {
		dst.Negative = mergeHistogram(dst.Negative, src.Negative)
	}
	dst.Overflow += src.Overflow
	dst.Underflow += src.Underflow
	dst.SumNS = addSaturating(dst.SumNS, src.SumNS)
	return nil
}

func mergeable(dst *Series, src Series) error {
	if dst.Stage != "" && dst.Stage != src.Stage {
		return fmt.Errorf("into one of stage %s", dst.Stage)
	}
	for _, h := range []*hdrhistogram.Histogram{dst.Histogram, dst.Negative, src.Histogram, src.Negative} {
		if err := checkGeometry(h); err != nil {
			return err
		}
	}
	if src.Count() > math.MaxInt64-dst.Count() {
		return errTooMany
	}
	return nil
}

func mergeExtremes(dst *Series, src Series) {
	switch {
	case src.Count() == 0:
	case dst.Count() == 0:
		dst.MinNS, dst.MaxNS = src.MinNS, src.MaxNS
	default:
		dst.MinNS, dst.MaxNS = min(dst.MinNS, src.MinNS), max(dst.MaxNS, src.MaxNS)
	}
}

func mergeHistogram(dst, src *hdrhistogram.Histogram) *hdrhistogram.Histogram {
	switch {
	case dst == nil && src == nil:
		return NewHistogram()
	case dst == nil:
		return src.Clone()
	case src != nil:
		dst.Merge(src) // drops nothing: mergeable checked geometry and totals
	}
	return dst
}

func commonLabel(a, b Label) Label {
	common := func(x, y string) string {
		if x == y {
			return x
		}
		return ""
	}
	return Label{
		Phase:    common(a.Phase, b.Phase),
		Group:    common(a.Group, b.Group),
		Producer: common(a.Producer, b.Producer),
	}
}

func total(h *hdrhistogram.Histogram) int64 {
	if h == nil {
		return 0
	}
	return h.TotalCount()
}

func meanTimesCount(h *hdrhistogram.Histogram) float64 {
	if h == nil {
		return 0
	}
	return h.Mean() * float64(h.TotalCount())
}

func saturated(sum int64) bool { return sum == math.MaxInt64 || sum == math.MinInt64 }

// addSaturating adds two sums; one that left int64's range stays at its end, so that Mean can tell.
func addSaturating(a, b int64) int64 {
	switch {
	case saturated(a):
		return a
	case saturated(b):
		return b
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}
