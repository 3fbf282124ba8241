package report

import (
	"bufio"
	"fmt"
	"io"
	"math"

	"github.com/weirbench/weir/results"
)

// hgrmTicks is how many lines there are to each half of the distance to 100%, HdrHistogram's own default.
const hgrmTicks = 5

// HGRM writes the corrected end-to-end latency of the measure phases, over what arrived, as HdrHistogram's
// outputPercentileDistribution does, in milliseconds, so that its plotter reads it. The error is that of reading the
// intervals or the writer's.
func HGRM(w io.Writer, r *results.Run) error {
	t, err := readTimeline(r)
	if err != nil {
		return fmt.Errorf("write hgrm: %w", err)
	}
	return t.hgrm(w)
}

func (t *timeline) hgrm(w io.Writer) error {
	if err := writePercentiles(w, t.curve.Get(results.StageE2E, nil)); err != nil {
		return fmt.Errorf("write hgrm: %w", err)
	}
	return nil
}

// writePercentiles writes what AbstractHistogram.outputPercentileDistribution of HdrHistogram for Java does with five
// ticks a half distance and a scaling ratio of a million. Its line for a percentile level names the lowest recorded value
// up to which at least this share lies.
func writePercentiles(w io.Writer, s results.Series) error {
	out := bufio.NewWriter(w)
	const line = "%12.3f %2.12f %10d"
	fmt.Fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")
	n := s.Count()
	level, seen := 0.0, int64(0)
	for b := range s.Buckets() {
		seen += b.Count
		for 100*float64(seen)/float64(n) >= level {
			fmt.Fprintf(out, line+" %14.2f\n", milliseconds(b.HighNS), level/100, seen, 1/(1-level/100))
			level = nextLevel(level)
			if seen == n {
				break
			}
		}
	}
	if n > 0 {
		fmt.Fprintf(out, line+"\n", milliseconds(s.MaxNS), 1.0, n)
	}
	fmt.Fprintf(out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", s.Mean()/1e6, deviation(s)/1e6)
	fmt.Fprintf(out, "#[Max     = %12.3f, Total count    = %12d]\n", milliseconds(s.MaxNS), n)
	buckets, subBuckets := histogramShape()
	fmt.Fprintf(out, "#[Buckets = %12d, SubBuckets     = %12d]\n", buckets, subBuckets)
	return out.Flush()
}

func milliseconds(ns int64) float64 { return float64(ns) / 1e6 }

// nextLevel is the percentile level behind the given one: the distance to 100% is halved every hgrmTicks levels.
func nextLevel(level float64) float64 {
	halvings := math.Floor(math.Log2(100/(100-level))) + 1
	return level + 100/(hgrmTicks*math.Pow(2, halvings))
}

// deviation is the standard deviation, each value taken as the middle of its bucket.
func deviation(s results.Series) float64 {
	n := s.Count()
	if n == 0 {
		return 0
	}
	mean, sum := s.Mean(), 0.0
	for b := range s.Buckets() {
		off := (float64(b.LowNS)+float64(b.HighNS))/2 - mean
		sum += off * off * float64(b.Count)
	}
	return math.Sqrt(sum / float64(n))
}

// histogramShape is how many buckets and sub-buckets HdrHistogram has for the geometry that all histograms have.
func histogramShape() (buckets, subBuckets int64) {
	subBuckets = 1 << int64(math.Ceil(math.Log2(2*math.Pow10(results.SignificantDigits))))
	unit := int64(math.Floor(math.Log2(float64(results.LowestNS))))
	buckets = 1
	for beyond := subBuckets << unit; beyond <= results.HighestNS; beyond <<= 1 {
		buckets++
	}
	return buckets, subBuckets
}
