package results

import (
	"math"
	"math/bits"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Recorder collects the values of one series in the generator's hot path. It belongs to one worker at a time and has
// no lock. The zero value is ready and takes its histogram's memory (some 180 KB) with the first value; NewRecorder
// takes it at once. The histogram for negative values is only made when the first one comes.
type Recorder struct {
	positive  *hdrhistogram.Histogram
	negative  *hdrhistogram.Histogram
	overflow  int64
	underflow int64
	minNS     int64
	maxNS     int64
	// The sum in two's complement, 128 bits: exact whatever is recorded, and without a branch.
	sumHigh int64
	sumLow  uint64
}

// NewRecorder returns an empty recorder whose memory is taken already, so that no Record of a value ≥ 0 allocates.
func NewRecorder() *Recorder {
	r := new(Recorder)
	r.prepare()
	return r
}

func (r *Recorder) prepare() {
	r.positive = NewHistogram()
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
	_ = r.positive.RecordValue(ns) // within the range, as just checked
}

func (r *Recorder) recordOutside(ns int64) {
	switch {
	case ns > HighestNS:
		r.overflow++
	case ns < -HighestNS:
		r.underflow++
	default:
		if r.negative == nil {
			r.negative = NewHistogram()
		}
		_ = r.negative.RecordValue(-ns)
	}
}

// Empty reports whether nothing was recorded since the start or the last Reset.
func (r *Recorder) Empty() bool { return r.Count() == 0 }

// Count is the number of values recorded since the start or the last Reset.
func (r *Recorder) Count() int64 {
	return total(r.positive) + total(r.negative) + r.overflow + r.underflow
}

// Reset empties the recorder and keeps its memory.
func (r *Recorder) Reset() {
	if r.Empty() {
		return
	}
	positive, negative := r.positive, r.negative
	positive.Reset()
	if negative != nil {
		negative.Reset()
	}
	*r = Recorder{positive: positive, negative: negative, minNS: math.MaxInt64, maxNS: math.MinInt64}
}

// Series returns what was recorded as a series of its own: it shares no memory with the recorder.
func (r *Recorder) Series(stage Stage, label Label) Series {
	s := r.view()
	s.Stage, s.Label = stage, label
	if s.Histogram == nil {
		s.Histogram = NewHistogram()
	} else {
		s.Histogram = s.Histogram.Clone()
	}
	if s.Negative != nil {
		s.Negative = s.Negative.Clone()
	}
	return s
}

// AddTo merges what was recorded into dst, whose stage must be set; it spares the copy that Series makes. The errors
// are those of MergeSeries, none of which a recorder's own series causes short of 2⁶³ values.
func (r *Recorder) AddTo(dst *Series) error {
	s := r.view()
	s.Stage, s.Label = dst.Stage, dst.Label
	return MergeSeries(dst, s)
}

// view is the recorder's content as a series that shares its histograms.
func (r *Recorder) view() Series {
	if r.Empty() {
		return Series{}
	}
	s := Series{
		Histogram: r.positive,
		Overflow:  r.overflow,
		Underflow: r.underflow,
		SumNS:     r.sum(),
		MinNS:     r.minNS,
		MaxNS:     r.maxNS,
	}
	if total(r.negative) > 0 {
		s.Negative = r.negative
	}
	return s
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
