package report

import (
	"fmt"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// evidence is what a run's intervals say, merged: series and counters by label, and gauges by measure phase. Its memory
// does not grow with the run's length.
type evidence struct {
	series   results.SeriesSet
	counts   map[countKey]int64
	gauges   map[gaugeKey]*gaugeStat
	measure  map[string]bool
	measured map[string]time.Duration // by measure phase, what of it the intervals cover
	inPhase  map[string]int           // intervals, by measure phase
	// Over the intervals of the measure phases: the gateway's processor seconds by first arrivals, whenever due, and its
	// byte seconds of memory by client seconds connected.
	cpuOfArrivals, rssOfConnections ratio

	intervals int
	startAt   int64 // Unix ns of the first interval; 0 before it
	endAt     int64 // of the last
}

type countKey struct {
	name string
	results.Label
}

type gaugeKey struct{ name, phase string }

func newEvidence(p *scenarios.Plan) *evidence {
	return &evidence{
		counts:   map[countKey]int64{},
		gauges:   map[gaugeKey]*gaugeStat{},
		measure:  measureScope(p, nil).phases,
		measured: map[string]time.Duration{},
		inPhase:  map[string]int{},
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
	e.inPhase[in.Phase]++
	e.addRatios(in, length)
	for name, value := range in.Gauges {
		key := gaugeKey{name, in.Phase}
		if e.gauges[key] == nil {
			e.gauges[key] = &gaugeStat{}
		}
		e.gauges[key].add(value, length)
	}
}

// gauge merges a gauge over the scope's phases; it has no interval where it was never given.
func (e *evidence) gauge(name string, within scope) (g gaugeStat) {
	for _, phase := range sortedKeys(within.phases) { // in one order, since floating-point sums depend on it
		if stat := e.gauges[gaugeKey{name, phase}]; stat != nil {
			g.merge(*stat)
		}
	}
	return g
}

// gaugeMean is a gauge's mean within the scope, weighted by time; nil where it was never given.
func (e *evidence) gaugeMean(name string, within scope) *float64 {
	g := e.gauge(name, within)
	if g.intervals == 0 {
		return nil
	}
	v := g.mean()
	return &v
}

// measuredIntervals counts the intervals of the scope's phases.
func (e *evidence) measuredIntervals(within scope) (n int) {
	for phase := range within.phases {
		n += e.inPhase[phase]
	}
	return n
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
	if stage == results.StageConnect || stage == results.StageCaughtUp {
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
