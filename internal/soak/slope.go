package main

import (
	"fmt"
	"math"
	"time"
)

// reading is a gauge's value at a time.
type reading struct {
	at    time.Time
	value float64
}

// slope is what a gauge rises by, with its 95% interval: perHour ± within.
type slope struct {
	mean            float64
	perHour, within float64
	over            time.Duration // between the first reading and the last
}

const (
	// batches is how many means are fitted. Readings a second apart hang together, by garbage collection and by who comes
	// and goes, so that an interval taken from them one by one would be far too narrow; means over longer stretches hang
	// together little (the method of batch means: Law & Kelton, Simulation Modeling and Analysis, 9.5.3).
	batches = 20
	// quantile is Student's t for 95% with batches − 2 degrees of freedom.
	quantile = 2.1009
)

// fit fits a line to the means of batches of equal length by least squares.
func fit(readings []reading) (slope, error) {
	if len(readings) < batches {
		return slope{}, fmt.Errorf("%d readings are too few for a slope (at least %d)", len(readings), batches)
	}
	begin := readings[0].at
	s := slope{over: readings[len(readings)-1].at.Sub(begin)}
	var sum, count, hours [batches]float64
	for _, r := range readings {
		since := r.at.Sub(begin)
		b := min(int(float64(since)/float64(s.over)*batches), batches-1)
		if b < 0 {
			return slope{}, fmt.Errorf("the reading of %s is older than the first", r.at.Format(time.RFC3339))
		}
		sum[b] += r.value
		hours[b] += since.Hours()
		count[b]++
		s.mean += r.value / float64(len(readings))
	}
	var x, y float64 // means of the batches'
	for b := range batches {
		if count[b] == 0 {
			return slope{}, fmt.Errorf("no reading between %v and %v after the first", s.over*time.Duration(b)/batches, s.over*time.Duration(b+1)/batches)
		}
		sum[b] /= count[b]
		hours[b] /= count[b]
		x += hours[b] / batches
		y += sum[b] / batches
	}
	var xx, xy float64
	for b := range batches {
		xx += (hours[b] - x) * (hours[b] - x)
		xy += (hours[b] - x) * (sum[b] - y)
	}
	s.perHour = xy / xx
	var residual float64
	for b := range batches {
		r := sum[b] - y - s.perHour*(hours[b]-x)
		residual += r * r
	}
	s.within = quantile * math.Sqrt(residual/(batches-2)/xx)
	return s, nil
}

// limit is the slope up to which nothing is said of a gauge that may grow by so much in an hour. What settles in the
// beginning is large by the hour in a soak of minutes: such a one may grow by as much in all.
func (s slope) limit(tolerance float64) float64 {
	return tolerance / min(s.over.Hours(), 1)
}

// leaks reports whether the gauge rises: by more than chance would have it, and by more than is tolerated.
func (s slope) leaks(tolerance float64) bool {
	return s.perHour > s.within && s.perHour > s.limit(tolerance)
}
