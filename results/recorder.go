package results

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Recorder collects the values of one series in the generator's hot path. It belongs to one worker at a time and has
// no lock. The zero value is ready and takes its counts' memory (86 KB) with the first value; NewRecorder takes it at
// once. The counts for negative values are only made when the first one comes. How many values there are is derived
// when it is asked for, and so are the histograms: see Series, AddTo and Spares.
type Recorder struct {
	positive *counts
	minNS    int64 // above maxNS where nothing was recorded
	maxNS    int64
	// The sum in two's complement, 128 bits: exact whatever is recorded, and without a branch.
	sumHigh   int64
	sumLow    uint64
	overflow  int64
	underflow int64
	rare      *rare // the struct takes one cache line with this
}

// rare is what few recorders have.
type rare struct {
	negative *counts // of magnitudes
	// What counts could not hold, by the bucket's index: values in whole 2³².
	carriedPositive, carriedNegative map[int]int64
}

// NewRecorder returns an empty recorder whose memory is taken already, so that no Record of a value ≥ 0 allocates.
func NewRecorder() *Recorder {
	r := new(Recorder)
	r.prepare()
	return r
}

func (r *Recorder) prepare() {
	r.positive = new(counts)
	r.minNS, r.maxNS = math.MaxInt64, math.MinInt64
}

// Record counts one value in nanoseconds. Values below zero, above HighestNS and below −HighestNS are counted as such.
func (r *Recorder) Record(ns int64) {
	if r.positive == nil {
		r.prepare()
	}
	r.minNS = min(r.minNS, ns)
	r.maxNS = max(r.maxNS, ns)
	low, carry := bits.Add64(r.sumLow, uint64(ns), 0)
	r.sumLow = low
	r.sumHigh += ns>>63 + int64(carry)
	if uint64(ns) > uint64(HighestNS) {
		r.recordOutside(ns)
		return
	}
	i := bucketIndex(ns)
	r.positive[i]++
	if r.positive[i] == 0 {
		r.carryPositive(i)
	}
}

func (r *Recorder) recordOutside(ns int64) {
	switch {
	case ns > HighestNS:
		r.overflow++
	case ns < -HighestNS:
		r.underflow++
	default:
		r.recordNegative(bucketIndex(-ns))
	}
}

func (r *Recorder) recordNegative(i int) {
	u := r.needRare()
	if u.negative == nil {
		u.negative = new(counts)
	}
	u.negative[i]++
	if u.negative[i] == 0 {
		u.carriedNegative = carry(u.carriedNegative, i)
	}
}

// carryPositive goes on with a count that is zero again after 2³² values.
func (r *Recorder) carryPositive(i int) {
	u := r.needRare()
	u.carriedPositive = carry(u.carriedPositive, i)
}

func carry(to map[int]int64, i int) map[int]int64 {
	if to == nil {
		to = make(map[int]int64)
	}
	to[i] += 1 << 32
	return to
}

func (r *Recorder) needRare() *rare {
	if r.rare == nil {
		r.rare = new(rare)
	}
	return r.rare
}

// Empty reports whether nothing was recorded since the start or the last Reset.
func (r *Recorder) Empty() bool { return r.positive == nil || r.minNS > r.maxNS }

// Count is the number of values recorded since the start or the last Reset. It adds all buckets up.
func (r *Recorder) Count() int64 {
	return r.positives().total() + r.negatives().total() + r.overflow + r.underflow
}

// positives is what was recorded in the histogram's range. The exact extremes bound where it can be.
func (r *Recorder) positives() part {
	if r.Empty() {
		return part{}
	}
	p := part{counts: r.positive, low: within(r.minNS), high: within(r.maxNS)}
	if r.rare != nil {
		p.carried = r.rare.carriedPositive
	}
	return p
}

// negatives is what was recorded below zero, down to −HighestNS.
func (r *Recorder) negatives() part {
	if r.Empty() || r.rare == nil {
		return part{}
	}
	return part{
		counts: r.rare.negative, carried: r.rare.carriedNegative,
		low: within(-max(r.maxNS, -HighestNS)), high: within(-max(r.minNS, -HighestNS)),
	}
}

func within(ns int64) int64 { return min(max(ns, 0), HighestNS) }

// Reset empties the recorder and keeps its memory.
func (r *Recorder) Reset() {
	if r.Empty() {
		return
	}
	for _, p := range []part{r.positives(), r.negatives()} {
		_, counts := p.used()
		clear(counts)
	}
	if r.rare != nil {
		r.rare.carriedPositive, r.rare.carriedNegative = nil, nil
	}
	*r = Recorder{positive: r.positive, rare: r.rare, minNS: math.MaxInt64, maxNS: math.MinInt64}
}

// Series returns what was recorded as a series of its own: it shares no memory with the recorder.
func (r *Recorder) Series(stage Stage, label Label) Series {
	s := Series{Stage: stage, Label: label}
	_ = r.addTo(&s, NewHistogram) // cannot fail into an empty series short of 2⁶³ values
	return s
}

// AddTo merges what was recorded into dst, whose stage must be set; it spares the copy that Series makes. The errors
// are those of MergeSeries, none of which a recorder's own series causes short of 2⁶³ values.
func (r *Recorder) AddTo(dst *Series) error { return r.addTo(dst, NewHistogram) }

// addTo is AddTo that takes the histograms which dst has not from fresh, an empty one each.
func (r *Recorder) addTo(dst *Series, fresh func() *hdrhistogram.Histogram) error {
	if err := errors.Join(checkGeometry(dst.Histogram), checkGeometry(dst.Negative)); err != nil {
		return fmt.Errorf("merge series %s: %w", dst.Stage, err)
	}
	have, positives, negatives := dst.Count(), r.positives(), r.negatives()
	below := negatives.total()
	if positives.total()+below+r.overflow+r.underflow > math.MaxInt64-have {
		return fmt.Errorf("merge series %s: %w", dst.Stage, errTooMany)
	}
	if dst.Histogram == nil {
		dst.Histogram = fresh()
	}
	if r.Empty() {
		return nil
	}
	positives.addTo(dst.Histogram)
	if below > 0 {
		if dst.Negative == nil {
			dst.Negative = fresh()
		}
		negatives.addTo(dst.Negative)
	}
	if have == 0 {
		dst.MinNS, dst.MaxNS = r.minNS, r.maxNS
	}
	dst.MinNS, dst.MaxNS = min(dst.MinNS, r.minNS), max(dst.MaxNS, r.maxNS)
	dst.Overflow += r.overflow
	dst.Underflow += r.underflow
	dst.SumNS = addSaturating(dst.SumNS, r.sum())
	return nil
}

// sum is the sum within int64; at its end where it left the range.
func (r *Recorder) sum() int64 {
	low := int64(r.sumLow)
	if r.sumHigh == low>>63 {
		return low
	}
	if r.sumHigh < 0 {
		return math.MinInt64
	}
	return math.MaxInt64
}
