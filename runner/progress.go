package runner

import (
	"fmt"
	"time"

	"github.com/weirbench/weir/results"
)

// progressEvery is how often a line of figures is printed.
const progressEvery = 5 * time.Second

// statusLine remembers what the last line of figures covered.
type statusLine struct {
	set       results.SeriesSet
	sent      int64
	delivered int64
	since     int64
	phase     string
}

// say prints a line for the user.
func (r *run) say(line string) {
	if r.o.Progress != nil {
		r.o.Progress(line)
	}
}

// progress adds an interval to the figures and prints them every few seconds and at each phase's end.
func (r *run) progress(iv *results.Interval) {
	s := &r.status
	if s.since == 0 {
		s.since, s.phase = iv.StartAt, iv.Phase
	}
	for _, series := range iv.Series {
		if series.Stage == results.StageE2E {
			_ = s.set.Add(series) // a series that does not merge is an error of the summary, not of the progress
		}
	}
	for _, c := range iv.Counters {
		switch c.Name {
		case results.CountSent:
			s.sent += c.Value
		case results.CountDelivered:
			s.delivered += c.Value
		}
	}
	span := time.Duration(iv.EndAt - s.since)
	if span < progressEvery && iv.Phase == s.phase || s.sent == 0 && s.delivered == 0 {
		return
	}
	e2e := s.set.Get(results.StageE2E, func(results.Label) bool { return true })
	r.say(fmt.Sprintf("%-10s %6.0f clients %9.0f sent/s %10.0f delivered/s   p99 %-9v missing %.0f",
		iv.Phase, iv.Gauges[results.GaugeClients], float64(s.sent)/span.Seconds(), float64(s.delivered)/span.Seconds(),
		time.Duration(e2e.Quantile(0.99)).Round(10*time.Microsecond), iv.Gauges[results.GaugeMissingSoFar]))
	*s = statusLine{since: iv.EndAt, phase: iv.Phase}
}
