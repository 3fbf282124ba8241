package results

import (
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// TestSparesMakeSeriesInTakenMemory: what an interval's series had comes back empty, and no more than it had.
func TestSparesMakeSeriesInTakenMemory(t *testing.T) {
	var spares Spares
	var r Recorder
	for _, values := range [][]int64{{5, -5, HighestNS + 5}, {7, 1 << 30}, {-7}, {0}} {
		r.Reset()
		for _, v := range values {
			r.Record(v)
		}
		free := len(spares.free)
		s := Series{Stage: StageE2E, Label: Label{Phase: "measure"}}
		if err := spares.AddTo(&s, &r); err != nil {
			t.Fatal(err)
		}
		sameSeries(t, s, seriesOf(values...))
		if err := spares.AddTo(&s, &r); err != nil {
			t.Fatal(err)
		}
		sameSeries(t, s, seriesOf(append(values, values...)...))
		made := []*hdrhistogram.Histogram{s.Histogram}
		if s.Negative != nil {
			made = append(made, s.Negative)
		}
		if got, want := len(spares.free), max(free-len(made), 0); got != want {
			t.Errorf("%v: %d spare histograms left of %d; want %d", values, got, free, want)
		}
		in := &Interval{Series: []Series{s}}
		spares.Take(in)
		if in.Series != nil || len(spares.free) != len(made) {
			t.Errorf("%v: %d series left, %d spare histograms; want none, and the %d of the interval",
				values, len(in.Series), len(spares.free), len(made))
		}
	}
	foreign := Series{Stage: StageE2E, Histogram: hdrhistogram.New(1, 100, 2)}
	spares.Take(&Interval{Series: []Series{foreign}})
	if len(spares.free) != 0 {
		t.Error("a histogram of another geometry was kept")
	}
}

// TestSparesTakeNoFreshHistograms: the second interval on, a series takes no memory.
func TestSparesTakeNoFreshHistograms(t *testing.T) {
	var spares Spares
	r := NewRecorder()
	r.Record(5)
	r.Record(-5)
	in := &Interval{Series: make([]Series, 0, 1)}
	kept := in.Series
	got := testing.AllocsPerRun(100, func() {
		s := Series{Stage: StageE2E}
		if err := spares.AddTo(&s, r); err != nil {
			t.Fatal(err)
		}
		in.Series = append(kept, s)
		spares.Take(in)
	})
	if got > 3 {
		t.Errorf("a series allocates %v times; want at most what is no histogram, 3", got)
	}
}
