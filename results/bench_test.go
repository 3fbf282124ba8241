package results

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkInterval writes intervals of two series with three histograms, with and without waiting for the disk.
func BenchmarkInterval(b *testing.B) {
	for _, everySync := range []bool{false, true} {
		b.Run(fmt.Sprintf("sync=%v", everySync), func(b *testing.B) {
			w, err := Create(filepath.Join(b.TempDir(), "run"))
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			in := sampleInterval(0, 10_000)
			b.ReportAllocs()
			for b.Loop() {
				if everySync {
					w.syncedAt = time.Time{}
				}
				if err := w.Interval(in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(w.end)/float64(b.N), "file-bytes/op")
		})
	}
}

// BenchmarkReadInterval decodes such an interval and merges its series.
func BenchmarkReadInterval(b *testing.B) {
	m := new(memLog)
	w, err := newWriter(m, func() error { return nil }, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Plan(samplePlan()); err != nil {
		b.Fatal(err)
	}
	if err := w.Interval(sampleInterval(0, 10_000)); err != nil {
		b.Fatal(err)
	}
	r, err := openBytes(m.data)
	if err != nil {
		b.Fatal(err)
	}
	var set SeriesSet
	b.ReportAllocs()
	for b.Loop() {
		for in, err := range r.Intervals() {
			if err != nil {
				b.Fatal(err)
			}
			for _, s := range in.Series {
				if err := set.Add(s); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}
