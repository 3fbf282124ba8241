package results

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// reference is what a Recorder was made of the library's histograms would hold.
type reference struct {
	positive, negative *hdrhistogram.Histogram
	overflow           int64
	underflow          int64
	sum                *big.Int
	low, high          int64
}

func referenceOf(tb testing.TB, values []int64) *reference {
	tb.Helper()
	r := &reference{positive: NewHistogram(), negative: NewHistogram(), sum: new(big.Int), low: math.MaxInt64, high: math.MinInt64}
	for _, v := range values {
		r.sum.Add(r.sum, big.NewInt(v))
		r.low, r.high = min(r.low, v), max(r.high, v)
		var err error
		switch {
		case v > HighestNS:
			r.overflow++
		case v < -HighestNS:
			r.underflow++
		case v < 0:
			err = r.negative.RecordValue(-v)
		default:
			err = r.positive.RecordValue(v)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	return r
}

// compare requires that s holds what the library counted, bit by bit.
func (r *reference) compare(tb testing.TB, s Series) {
	tb.Helper()
	sameHistogram(tb, "positive", s.Histogram, r.positive)
	if s.Negative == nil && r.negative.TotalCount() == 0 {
		s.Negative = NewHistogram()
	}
	sameHistogram(tb, "negative", s.Negative, r.negative)
	got := []int64{s.Overflow, s.Underflow, s.SumNS, s.MinNS, s.MaxNS}
	if want := []int64{r.overflow, r.underflow, r.sumNS(), r.low, r.high}; !slices.Equal(got, want) {
		tb.Fatalf("overflow, underflow, sum, minimum, maximum = %v; want %v", got, want)
	}
}

func (r *reference) sumNS() int64 {
	switch {
	case r.sum.IsInt64():
		return r.sum.Int64()
	case r.sum.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

func sameHistogram(tb testing.TB, name string, got, want *hdrhistogram.Histogram) {
	tb.Helper()
	if got == nil {
		tb.Fatalf("%s: no histogram", name)
	}
	g, w := got.Export(), want.Export()
	for i := range w.Counts {
		if g.Counts[i] != w.Counts[i] {
			tb.Fatalf("%s: %d values in bucket %d; want %d", name, g.Counts[i], i, w.Counts[i])
		}
	}
	if !got.Equals(want) || got.TotalCount() != want.TotalCount() || got.Min() != want.Min() || got.Max() != want.Max() {
		tb.Fatalf("%s: %d values from %d to %d; want %d from %d to %d", name,
			got.TotalCount(), got.Min(), got.Max(), want.TotalCount(), want.Min(), want.Max())
	}
	for _, q := range []float64{0, 1, 50, 90, 99, 99.9, 100} {
		if g, w := got.ValueAtPercentile(q), want.ValueAtPercentile(q); g != w {
			tb.Fatalf("%s: percentile %v is %d; want %d", name, q, g, w)
		}
	}
}

// borders are the values around every bucket's edge and around the ends of what is counted.
func borders() []int64 {
	values := []int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64 - 1, math.MaxInt64}
	for i := range bucketCount {
		edge := bucketLowest(int(i))
		values = append(values, edge-1, edge, edge+1, -edge-1, -edge, -edge+1)
	}
	for d := int64(-1); d <= 1; d++ {
		values = append(values, d, HighestNS+d, -HighestNS+d, LowestNS+d)
	}
	return values
}

// TestBucketsAreTheLibrarys: one value in each bucket stands where the library puts it, and in no other.
func TestBucketsAreTheLibrarys(t *testing.T) {
	if got, want := bucketIndex(HighestNS), int(bucketCount-1); got != want {
		t.Fatalf("the highest value has the index %d; want %d, the last", got, want)
	}
	h := NewHistogram()
	for i := range int(bucketCount) {
		v := bucketLowest(i)
		if got := bucketIndex(v); got != i || lowestEquivalent(v) != v {
			t.Fatalf("bucket %d: %d is its lowest value, which has the index %d", i, v, got)
		}
		if v > 0 && bucketIndex(v-1) != i-1 {
			t.Fatalf("bucket %d: %d below its lowest value has the index %d", i, v-1, bucketIndex(v-1))
		}
		if err := h.RecordValues(v, int64(i)+1); err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range h.Export().Counts[:bucketCount] {
		if n != int64(i)+1 {
			t.Fatalf("the library has %d values in bucket %d; want %d", n, i, i+1)
		}
	}
}

// TestRecorderIsTheLibrarys compares it with hdrhistogram's own RecordValue, value by value.
func TestRecorderIsTheLibrarys(t *testing.T) {
	var r Recorder
	record := func(values []int64) {
		t.Helper()
		r.Reset()
		for _, v := range values {
			r.Record(v)
		}
		want := referenceOf(t, values)
		want.compare(t, r.Series(StageE2E, Label{}))
		if got := r.Count(); got != int64(len(values)) {
			t.Fatalf("count = %d; want %d", got, len(values))
		}
	}
	all := borders()
	record(all)
	record(slices.DeleteFunc(slices.Clone(all), func(v int64) bool { return v < 0 }))
	record(slices.DeleteFunc(slices.Clone(all), func(v int64) bool { return v >= 0 }))
	for _, v := range []int64{0, 1, -1, HighestNS, HighestNS + 1, -HighestNS, -HighestNS - 1, math.MinInt64, math.MaxInt64} {
		record([]int64{v})
	}
	draw := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		values := make([]int64, 1+draw.IntN(300))
		around := int64(1) << draw.IntN(63)
		for i := range values {
			switch draw.IntN(8) {
			case 0:
				values[i] = all[draw.IntN(len(all))]
			case 1:
				values[i] = int64(draw.Uint64())
			case 2:
				values[i] = -draw.Int64N(around)
			default:
				values[i] = draw.Int64N(around)
			}
		}
		record(values)
	}
}

// FuzzRecorder records any values, eight bytes each, in two parts of which the second one is merged into the first's
// series.
func FuzzRecorder(f *testing.F) {
	seed := func(values ...int64) {
		var b []byte
		for _, v := range values {
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		}
		f.Add(b, uint8(len(values)/2))
	}
	seed(0)
	seed(0, 1, -1, 1<<20-1, 1<<20, 1<<20+1)
	seed(HighestNS, HighestNS+1, HighestNS-1, -HighestNS, -HighestNS-1, -HighestNS+1, math.MinInt64, math.MaxInt64)
	f.Fuzz(func(t *testing.T, data []byte, split uint8) {
		var values []int64
		for ; len(data) >= 8; data = data[8:] {
			values = append(values, int64(binary.LittleEndian.Uint64(data)))
		}
		if len(values) == 0 {
			return
		}
		at := min(int(split), len(values))
		var r Recorder
		var spares Spares
		s := Series{Stage: StageE2E}
		for _, part := range [][]int64{values[:at], values[at:]} {
			for _, v := range part {
				r.Record(v)
			}
			if err := spares.AddTo(&s, &r); err != nil {
				t.Fatal(err)
			}
			r.Reset()
			if !r.Empty() || r.Count() != 0 {
				t.Fatalf("a reset recorder has %d values", r.Count())
			}
		}
		if n := s.Count(); n != int64(len(values)) {
			t.Fatalf("count = %d; want %d", n, len(values))
		}
		merged := referenceOf(t, values)
		if saturated(s.SumNS) { // and stays so where later values would bring it back
			s.SumNS = merged.sumNS()
		}
		merged.compare(t, s)
	})
}

// TestFullCountsGoOn: a bucket's count of 32 bits loses nothing when it is full, of either sign, and through a reset.
func TestFullCountsGoOn(t *testing.T) {
	const value = int64(5e6)
	r := NewRecorder()
	for _, sign := range []int64{1, -1} {
		for range 2 {
			r.Record(sign * value)
			full := r.positive
			if sign < 0 {
				full = r.rare.negative
			}
			for range 2 { // twice, so that the second one adds to what was carried
				full[bucketIndex(value)] = math.MaxUint32
				r.Record(sign * value)
			}
			if sign*value > 0 && full[bucketIndex(value)] != 0 {
				t.Fatalf("the count is %d; want 0, all of it carried", full[bucketIndex(value)])
			}
			s := r.Series(StageE2E, Label{})
			h := s.Histogram
			if sign < 0 {
				h = s.Negative
			}
			want := NewHistogram()
			if err := want.RecordValues(value, 2<<32); err != nil {
				t.Fatal(err)
			}
			sameHistogram(t, "carried", h, want)
			if r.Count() != 2<<32 || s.Count() != 2<<32 {
				t.Fatalf("the recorder counts %d, its series %d; want %d", r.Count(), s.Count(), int64(2<<32))
			}
			r.Reset()
			if r.Count() != 0 {
				t.Fatalf("a reset recorder has %d values", r.Count())
			}
		}
	}
}

func TestRecorderRefusesMoreThanInt64Counts(t *testing.T) {
	full := seriesOf(1)
	full.Overflow = math.MaxInt64 - 2
	var r Recorder
	r.Record(1)
	if err := r.AddTo(&full); err != nil || full.Count() != math.MaxInt64 {
		t.Fatalf("error %v, count %d; want none, and all that int64 holds", err, full.Count())
	}
	const want = "merge series e2e: more values than int64 counts"
	if err := r.AddTo(&full); err == nil || err.Error() != want || full.Count() != math.MaxInt64 || full.SumNS != 2 {
		t.Errorf("got %v, and %d values with the sum %d; want %s, and as before", err, full.Count(), full.SumNS, want)
	}
	foreign := Series{Stage: StageE2E, Histogram: hdrhistogram.New(1, 100, 2)}
	if err := r.AddTo(&foreign); err == nil || foreign.Count() != 0 {
		t.Errorf("got %v, and %d values in a histogram of another geometry; want an error and none", err, foreign.Count())
	}
}

// TestRecorderMemory is what the doc comments say: 64 bytes and 86 KB.
func TestRecorderMemory(t *testing.T) {
	if got := unsafe.Sizeof(Recorder{}); got != 64 {
		t.Errorf("a recorder takes %d bytes; want one cache line, 64", got)
	}
	if got := unsafe.Sizeof(counts{}); got < 85_500 || got > 86_500 {
		t.Errorf("its counts take %d bytes; want about 86 KB", got)
	}
	if got := NewHistogram().ByteSize(); got < 179_500 || got > 180_500 {
		t.Errorf("a histogram takes %d bytes; want about 180 KB", got)
	}
}

// BenchmarkRecordSix: each value into six recorders, as a delivery's latencies are.
func BenchmarkRecordSix(b *testing.B) {
	var recorders [6]*Recorder
	for i := range recorders {
		recorders[i] = NewRecorder()
	}
	ns := int64(1)
	b.ReportAllocs()
	for b.Loop() {
		ns = ns * 48271 % 0x7fffffff
		for _, r := range recorders {
			r.Record(ns)
		}
	}
}
