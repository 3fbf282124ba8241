package selftest

import (
	"errors"
	"fmt"
	"time"

	"github.com/weirbench/weir/results"
)

// errShort means that a run has too few intervals to tell how much flowed.
var errShort = errors.New("the run has too few intervals to tell")

// flow is how deliveries went in the measure phase.
type flow struct {
	// Arrived is first arrivals a second, whenever their messages were due.
	Arrived float64
	// Growth is by how many deliveries a second the backlog grew: what was sent and had not arrived.
	Growth float64
}

// readFlow reads it from the run's log. The first interval of the phase is left out: it may have begun before.
func readFlow(dir string) (flow, error) {
	run, err := results.Open(dir)
	if err != nil {
		return flow{}, err
	}
	var measured []*results.Interval
	for iv, err := range run.Intervals() {
		if err != nil {
			return flow{}, fmt.Errorf("read the intervals of %s: %w", dir, err)
		}
		if iv.Phase == run.Plan.Phases.Measure[0].Name {
			measured = append(measured, iv)
		}
	}
	return flowOf(measured)
}

func flowOf(measured []*results.Interval) (flow, error) {
	if len(measured) < 3 {
		return flow{}, errShort
	}
	first, last := measured[0], measured[len(measured)-1]
	span := time.Duration(last.EndAt - first.EndAt).Seconds()
	if span <= 0 {
		return flow{}, errShort
	}
	var arrived int64
	for _, iv := range measured[1:] {
		arrived += counted(iv, results.CountDelivered)
	}
	growth := last.Gauges[results.GaugeMissingSoFar] - first.Gauges[results.GaugeMissingSoFar]
	return flow{Arrived: float64(arrived) / span, Growth: growth / span}, nil
}

func counted(iv *results.Interval, name string) (n int64) {
	for _, c := range iv.Counters {
		if c.Name == name {
			n += c.Value
		}
	}
	return n
}

// readDials returns how many connections a second were opened while clients dialled: over the intervals from the first in which
// any was to the last, without these two, in which the dialling began and ended.
func readDials(dir string) (float64, error) {
	run, err := results.Open(dir)
	if err != nil {
		return 0, err
	}
	var dialled []*results.Interval
	for iv, err := range run.Intervals() {
		if err != nil {
			return 0, fmt.Errorf("read the intervals of %s: %w", dir, err)
		}
		if counted(iv, results.CountConnected) > 0 {
			dialled = append(dialled, iv)
		}
	}
	return dialRate(dialled)
}

func dialRate(dialled []*results.Interval) (float64, error) {
	if len(dialled) < 3 {
		return 0, errShort // one that is partly used says too little
	}
	last := dialled[len(dialled)-1]
	span := time.Duration(last.StartAt - dialled[0].EndAt)
	var n int64
	for _, iv := range dialled[1 : len(dialled)-1] {
		n += counted(iv, results.CountConnected)
	}
	if span <= 0 {
		return 0, errShort
	}
	return float64(n) / span.Seconds(), nil
}
