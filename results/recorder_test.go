package results

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestRecordAllocatesNothing(t *testing.T) {
	r := NewRecorder()
	r.Record(-1) // makes the negative histogram
	v := int64(1)
	got := testing.AllocsPerRun(1000, func() {
		v = v * 48271 % 0x7fffffff
		r.Record(v)
		r.Record(-v)
		r.Record(v + HighestNS)
		r.Record(-v - HighestNS)
	})
	if got != 0 {
		t.Errorf("Record allocates %v times, want 0", got)
	}
}

func TestRecorderKeepsExactExtremesAndSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.OneOf(rapid.Int64(), rapid.Int64Range(-1000, HighestNS)), 1, 50).Draw(t, "values")
		var r Recorder
		sum, low, high := new(big.Int), int64(math.MaxInt64), int64(math.MinInt64)
		for _, v := range values {
			r.Record(v)
			sum.Add(sum, big.NewInt(v))
			low, high = min(low, v), max(high, v)
		}
		s := r.Series(StageAck, Label{})
		want := int64(math.MaxInt64)
		switch {
		case sum.IsInt64():
			want = sum.Int64()
		case sum.Sign() < 0:
			want = math.MinInt64
		}
		if s.SumNS != want || s.MinNS != low || s.MaxNS != high || s.Count() != int64(len(values)) {
			t.Fatalf("sum, min, max, count = %d, %d, %d, %d; want %d, %d, %d, %d",
				s.SumNS, s.MinNS, s.MaxNS, s.Count(), want, low, high, len(values))
		}
	})
}

func TestRecorderSeparatesWhatTheHistogramCannotHold(t *testing.T) {
	var r Recorder
	for _, v := range []int64{0, HighestNS, HighestNS + 1, -1, -HighestNS, -HighestNS - 1, math.MinInt64, math.MaxInt64} {
		r.Record(v)
	}
	s := r.Series(StageE2E, Label{})
	if total(s.Histogram) != 2 || total(s.Negative) != 2 || s.Overflow != 2 || s.Underflow != 2 {
		t.Errorf("in range %d, negative %d, overflow %d, underflow %d; want 2 each",
			total(s.Histogram), total(s.Negative), s.Overflow, s.Underflow)
	}
}

func TestRecorderResets(t *testing.T) {
	for _, r := range []*Recorder{new(Recorder), NewRecorder()} {
		if !r.Empty() {
			t.Error("a new recorder is not empty")
		}
		r.Reset()
		r.Record(5)
		r.Record(-5)
		r.Record(HighestNS + 5)
		if r.Empty() || r.Count() != 3 {
			t.Errorf("after three values: empty %v, count %d", r.Empty(), r.Count())
		}
		r.Reset()
		if !r.Empty() {
			t.Error("a reset recorder is not empty")
		}
		if s := r.Series(StageE2E, Label{}); s.Histogram == nil || s.Negative != nil || s.MinNS != 0 || s.MaxNS != 0 {
			t.Errorf("an empty recorder's series is %+v", s)
		}
		r.Record(7)
		sameSeries(t, r.Series(StageE2E, Label{Phase: "measure"}), seriesOf(7))
	}
}

func TestRecorderAddToEqualsMergingItsSeries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := latencies().Draw(t, "values")
		var r Recorder
		for _, v := range values {
			r.Record(v)
		}
		got := seriesOf(1, -1)
		if err := r.AddTo(&got); err != nil {
			t.Fatal(err)
		}
		sameSeries(t, got, seriesOf(append(values, 1, -1)...))
		r.Reset()
		sameSeries(t, got, seriesOf(append(values, 1, -1)...))
	})
}

func BenchmarkRecord(b *testing.B) {
	r := NewRecorder()
	v := int64(1)
	b.ReportAllocs()
	for b.Loop() {
		v = (v*1103515245 + 12345) & 0x3fffffff
		r.Record(v)
	}
}
