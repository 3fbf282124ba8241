package runner

import (
	"fmt"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// Progress is something to show the user while a run goes on: a step that was taken, or an interval's figures.
type Progress struct {
	// Line is plain text of one line: each step has one, figures every few seconds and at the end of a phase. Empty
	// otherwise.
	Line string
	// Figures are those of the interval that just ended; nil for a step.
	Figures *Figures
}

// Figures is how a run stands at an interval's end.
type Figures struct {
	Phase string
	// Elapsed is how long the phase has lasted, Length how long it will, or for a phase that ends when it has done its work
	// may at most; 0 where the plan does not say.
	Elapsed, Length time.Duration
	Measured        bool // the phase is one that the summary is about
	Clients         int  // connected
	Planned         int  // clients of the plan
	// Closing is after the drain, when weir closes the clients' connections: how many there are still says nothing.
	Closing bool
	// SentPerSecond and DeliveredPerSecond are of the last interval.
	SentPerSecond, DeliveredPerSecond float64
	// P99 is the e2e latency over the Deliveries of the measure phases so far.
	P99        time.Duration
	Deliveries int64
	Missing    int64 // expected in the measure phases so far and not delivered
	Warnings   int64
}

// progressEvery is how often a line of figures is given.
const progressEvery = 5 * time.Second

// status remembers what the user is to be told.
type status struct {
	// Of the time since the last line of figures.
	line            results.SeriesSet
	sent, delivered int64
	since           int64 // Unix ns
	linePhase       string

	// Of the whole run.
	measured   results.SeriesSet // e2e of the measure phases
	phase      string
	phaseBegan int64 // Unix ns
	warnings   int64
}

// lines hands progress to the user's function from one goroutine, so that a terminal that takes none can't hold up the
// run: what does not fit in between is dropped.
type lines struct {
	queue chan Progress
	done  chan struct{}
}

// maxLines bounds the progress that waits, and lastLines is how long the end of a run waits for it to be taken.
const (
	maxLines  = 64
	lastLines = time.Second
)

func newLines(show func(Progress)) *lines {
	l := &lines{queue: make(chan Progress, maxLines), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for p := range l.queue {
			if show != nil {
				show(p)
			}
		}
	}()
	return l
}

func (l *lines) add(p Progress) {
	select {
	case l.queue <- p:
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

// say shows the user a step.
func (r *run) say(line string) { r.lines.add(Progress{Line: line}) }

// progress adds an interval and its events to the figures and shows them.
func (r *run) progress(iv *results.Interval, events []results.Event) {
	if r.o.Progress == nil {
		return
	}
	s := &r.status
	s.note(iv, events)
	var sent, delivered int64
	for _, series := range iv.Series {
		if series.Stage != results.StageE2E {
			continue
		}
		// A series that does not merge is an error of the summary, not of the progress.
		_ = s.line.Add(series)
		if r.phaseMeasured(series.Phase) {
			_ = s.measured.Add(series)
		}
	}
	for _, c := range iv.Counters {
		switch c.Name {
		case results.CountSent:
			sent += c.Value
		case results.CountDelivered:
			delivered += c.Value
		}
	}
	s.sent, s.delivered = s.sent+sent, s.delivered+delivered
	all := s.measured.Get(results.StageE2E, anyLabel)
	span := max(time.Duration(iv.EndAt-iv.StartAt), 1).Seconds()
	r.lines.add(Progress{Line: s.text(iv, r.closing.Load()), Figures: &Figures{
		Phase: iv.Phase, Elapsed: time.Duration(iv.EndAt - s.phaseBegan), Length: r.phaseLength(iv.Phase), Measured: r.phaseMeasured(iv.Phase),
		Closing: r.closing.Load(), Clients: int(iv.Gauges[results.GaugeClients]), Planned: r.o.Plan.ClientCount(),
		SentPerSecond: float64(sent) / span, DeliveredPerSecond: float64(delivered) / span,
		P99: time.Duration(all.Quantile(0.99)), Deliveries: all.Count(),
		Missing: int64(iv.Gauges[results.GaugeMissingSoFar]), Warnings: s.warnings,
	}})
}

func anyLabel(results.Label) bool { return true }

// note takes over what the interval says about phases and warnings.
func (s *status) note(iv *results.Interval, events []results.Event) {
	if s.since == 0 {
		s.since, s.linePhase = iv.StartAt, iv.Phase
	}
	if iv.Phase != s.phase {
		s.phase, s.phaseBegan = iv.Phase, iv.StartAt
	}
	for _, e := range events {
		switch e.Kind {
		case results.EventPhase:
			if e.Phase == iv.Phase {
				s.phaseBegan = e.AtNS
			}
		case results.EventWarning:
			s.warnings += max(e.Count, 1)
		}
	}
}

// text is the line of figures where one is due, and empty otherwise.
func (s *status) text(iv *results.Interval, closing bool) string {
	span := time.Duration(iv.EndAt - s.since)
	if span < progressEvery && iv.Phase == s.linePhase || s.sent == 0 && s.delivered == 0 || span <= 0 {
		return ""
	}
	e2e := s.line.Get(results.StageE2E, anyLabel)
	clients := fmt.Sprintf("%6.0f clients", iv.Gauges[results.GaugeClients])
	if closing {
		clients = fmt.Sprintf("%14s", "closing")
	}
	line := fmt.Sprintf("%-10s %s %9.0f sent/s %10.0f delivered/s   p99 %-9v missing %.0f",
		iv.Phase, clients, float64(s.sent)/span.Seconds(), float64(s.delivered)/span.Seconds(),
		time.Duration(e2e.Quantile(0.99)).Round(10*time.Microsecond), iv.Gauges[results.GaugeMissingSoFar])
	s.line, s.sent, s.delivered, s.since, s.linePhase = results.SeriesSet{}, 0, 0, iv.EndAt, iv.Phase
	return line
}

func (r *run) phaseMeasured(name string) bool {
	for _, m := range r.o.Plan.Phases.Measure {
		if m.Name == name {
			return true
		}
	}
	return false
}

// phaseLength is how long a phase lasts, or may last.
func (r *run) phaseLength(name string) time.Duration {
	p := r.o.Plan.Phases
	for _, m := range p.Measure {
		if m.Name == name {
			return m.Duration
		}
	}
	switch name {
	case scenarios.PhaseConnect:
		return p.ConnectDeadline + p.JoinDeadline
	case scenarios.PhaseWarmUp:
		return p.WarmUp
	case scenarios.PhaseDrain:
		return p.DrainDeadline
	}
	return 0
}
