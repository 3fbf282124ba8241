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

// lines hands lines to the user's function from one goroutine, so that a terminal that takes none can't hold up the run:
// what does not fit in between is dropped.
type lines struct {
	queue chan string
	done  chan struct{}
}

// maxLines bounds the lines that wait, and lastLines is how long the end of a run waits for them to be taken.
const (
	maxLines  = 64
	lastLines = time.Second
)

func newLines(print func(string)) *lines {
	l := &lines{queue: make(chan string, maxLines), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for line := range l.queue {
			if print != nil {
				print(line)
			}
		}
	}()
	return l
}

func (l *lines) add(line string) {
	select {
	case l.queue <- line:
	default:
	}
}

// close waits for the last lines, or leaves the goroutine to a terminal that takes none.
func (l *lines) close() {
	close(l.queue)
	timer := time.NewTimer(lastLines)
	defer timer.Stop()
	select {
	case <-l.done:
	case <-timer.C:
	}
}

// say shows the user a line.
func (r *run) say(line string) { r.lines.add(line) }

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
