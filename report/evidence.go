package report

import (
	"fmt"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// evidence is what a run's intervals say, merged: series and counters by label, and the mean of gauges over the measure
// phases. Its memory does not grow with the run's length.
type evidence struct {
	series    results.SeriesSet
	counts    map[countKey]int64
	gauges    map[string]*weightedMean
	measure   map[string]bool
	measured  map[string]time.Duration // by measure phase, what of it the intervals cover
	intervals int
	startAt   int64 // Unix ns of the first interval; 0 before it
	endAt     int64 // of the last
}

type countKey struct {
	name string
	results.Label
}

type weightedMean struct{ sum, weight float64 }

func newEvidence(p *scenarios.Plan) *evidence {
	return &evidence{
		counts:   map[countKey]int64{},
		gauges:   map[string]*weightedMean{},
		measure:  measureScope(p, nil).phases,
		measured: map[string]time.Duration{},
	}
}

// add takes an interval, which stays the caller's.
func (e *evidence) add(in *results.Interval) error {
	for _, s := range in.Series {
		if err := e.series.Add(s); err != nil {
			return fmt.Errorf("judge interval %d: %w", in.Index, err)
		}
	}
	for _, c := range in.Counters {
		e.counts[countKey{c.Name, c.Label}] += c.Value
	}
	if e.intervals == 0 {
		e.startAt = in.StartAt
	}
	e.intervals++
	e.endAt = in.EndAt
	if e.measure[in.Phase] {
		e.addMeasured(in)
	}
	return nil
}

func (e *evidence) addMeasured(in *results.Interval) {
	length := max(time.Duration(in.EndAt-in.StartAt), 0)
	e.measured[in.Phase] += length
	for name, value := range in.Gauges {
		mean := e.gauges[name]
		if mean == nil {
			mean = &weightedMean{}
			e.gauges[name] = mean
		}
		mean.sum += value * length.Seconds()
		mean.weight += length.Seconds()
	}
}

// gauge is a gauge's mean over the measure phases, weighted by time; nil where it was never given.
func (e *evidence) gauge(name string) *float64 {
	mean := e.gauges[name]
	if mean == nil || mean.weight == 0 {
		return nil
	}
	v := mean.sum / mean.weight
	return &v
}

// count sums the counter of that name over the labels that match; nil takes all.
func (e *evidence) count(name string, match func(results.Label) bool) (sum int64) {
	for key, n := range e.counts {
		if key.name == name && (match == nil || match(key.Label)) {
			sum += n
		}
	}
	return sum
}

// totals sums every counter over the labels that match; nil takes all.
func (e *evidence) totals(match func(results.Label) bool) map[string]int64 {
	sums := map[string]int64{}
	for key, n := range e.counts {
		if match == nil || match(key.Label) {
			sums[key.name] += n
		}
	}
	return sums
}

// latency merges a stage's series within the scope.
func (e *evidence) latency(stage results.Stage, s scope) results.Series {
	if stage == results.StageConnect {
		return e.series.Get(stage, s.hasAnyPhase)
	}
	return e.series.Get(stage, s.has)
}

// elapsed is the measure time that a rate is taken over: what was planned where the run is complete, since phases
// begin and end by the clock while intervals straddle their ends, and otherwise what the intervals cover.
func (e *evidence) elapsed(p *scenarios.Plan, s scope, status results.Status) time.Duration {
	if status == results.StatusComplete {
		return s.duration(p)
	}
	var d time.Duration
	for phase := range s.phases {
		d += e.measured[phase]
	}
	return d
}
