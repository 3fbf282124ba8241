package loadgen

import (
	"fmt"
	"maps"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// gcEvents bounds the collections of an interval that get an event each; the others share one.
const gcEvents = 50

// gcWatch follows the garbage collector of this process.
type gcWatch struct {
	seen  int64
	first int64
	max   time.Duration
	cpu   gcTime
	// What of it ended in measure phases.
	measured      int64
	measuredMax   time.Duration
	measuredMaxAt int64
}

// collection is one run of the garbage collector. stopped is for how long it stopped the program, its two stops together
// and the time until all threads had stopped included.
type collection struct {
	number  int64
	endedAt int64 // Unix ns
	stopped time.Duration
}

// begin takes what was before as no matter of this watch.
func (g *gcWatch) begin() {
	var stats debug.GCStats
	debug.ReadGCStats(&stats)
	g.seen, g.first, g.cpu = stats.NumGC, stats.NumGC, readGCTime()
}

// news returns the collections since the last call, the oldest first, and how many of them the runtime did not keep, which
// are missing.
func (g *gcWatch) news() (found []collection, missing int64) {
	var stats debug.GCStats
	debug.ReadGCStats(&stats)
	count := stats.NumGC - g.seen
	kept := min(count, int64(len(stats.Pause)), int64(len(stats.PauseEnd)))
	for i := range kept { // the newest come first
		found = append(found, collection{stats.NumGC - i, stats.PauseEnd[i].UnixNano(), stats.Pause[i]})
	}
	slices.Reverse(found)
	g.seen = stats.NumGC
	return found, count - kept
}

// gcTime is processor time so far, in seconds, by the runtime's own estimate at the end of the last collection.
type gcTime struct{ collector, all float64 }

func readGCTime() (t gcTime) {
	samples := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/total:cpu-seconds"}, {Name: "/cpu/classes/idle:cpu-seconds"}}
	metrics.Read(samples)
	for _, s := range samples {
		if s.Value.Kind() != metrics.KindFloat64 {
			return gcTime{}
		}
	}
	return gcTime{samples[0].Value.Float64(), samples[1].Value.Float64() - samples[2].Value.Float64()}
}

// collections puts the collections since the last interval into the record: each as an event, and what they cost as gauges.
// The longest pause is that of those which ended in the interval's phase: what went on before it began is no matter of it.
func (c *collector) collections(iv *results.Interval) {
	found, missing := c.gc.news()
	longest := time.Duration(0)
	rest := map[string]int64{} // by phase
	for i, g := range found {
		phase := c.engine.phaseAt(g.endedAt)
		c.gc.max = max(c.gc.max, g.stopped)
		if c.engine.measured(phase) {
			c.gc.measured++
			if g.stopped > c.gc.measuredMax || c.gc.measuredMaxAt == 0 {
				c.gc.measuredMax, c.gc.measuredMaxAt = g.stopped, g.endedAt
			}
		}
		if phase == iv.Phase {
			longest = max(longest, g.stopped)
		}
		if i >= gcEvents {
			rest[phase]++
			continue
		}
		c.engine.eventAt(results.Event{AtNS: g.endedAt, Kind: results.EventGC, Phase: phase,
			Text: fmt.Sprintf("collection %d of the generator's heap stopped it for %v", g.number, g.stopped.Round(time.Microsecond))})
	}
	if missing > 0 {
		rest[iv.Phase] += missing
		if c.engine.measured(iv.Phase) {
			c.gc.measured += missing
		}
	}
	for _, phase := range slices.Sorted(maps.Keys(rest)) {
		c.engine.eventAt(results.Event{AtNS: iv.EndAt, Kind: results.EventGC, Phase: phase, Text: "further collections of the generator's heap", Count: rest[phase]})
	}
	spent := readGCTime()
	if seconds := float64(iv.EndAt-iv.StartAt) / 1e9; seconds > 0 {
		iv.Gauges[results.GaugeGCCPU] = (spent.collector - c.gc.cpu.collector) / seconds
		iv.Gauges[results.GaugeGoCPU] = (spent.all - c.gc.cpu.all) / seconds
	}
	c.gc.cpu = spent
	iv.Gauges[results.GaugeGCCount] = float64(int64(len(found)) + missing)
	iv.Gauges[results.GaugeGCPauseMax] = longest.Seconds()
	if len(found) > 0 || missing > 0 {
		c.engine.gcBudget.renew()
	}
}

// phaseAt names the phase that the instant, in Unix ns, lies in: by the schedule, but that the drain may begin before its end.
func (e *Engine) phaseAt(unix int64) string {
	if !stopped(e.signals.start) {
		return e.phaseName()
	}
	if drained := e.drained.Load(); drained > 0 && unix >= drained {
		return scenarios.PhaseDrain
	}
	since := time.Duration(unix - e.signals.loadAt.unix)
	if since < 0 {
		return scenarios.PhaseConnect
	}
	for _, p := range e.topo.phases {
		if since < p.End {
			return p.Name
		}
	}
	return scenarios.PhaseDrain
}

// eventAt puts an event with a time of its own into the record.
func (e *Engine) eventAt(event results.Event) {
	e.eventMu.Lock()
	defer e.eventMu.Unlock()
	e.events = append(e.events, event)
}

// gcHealth is what the collector did, for the record.
func (e *Engine) gcHealth() *results.GCHealth {
	g := e.collector.gc
	bound, limit, live := e.gcBudget.told()
	return &results.GCHealth{Bound: bound, LimitBytes: limit, LiveBytes: live,
		Measured: g.measured, MeasuredPauseMaxNS: int64(g.measuredMax), MeasuredPauseMaxAtNS: g.measuredMaxAt}
}
