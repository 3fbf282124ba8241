package loadgen

import (
	"maps"
	"math"
	"runtime/debug"
	"time"

	"github.com/weirbench/weir/results"
)

// collector merges what the workers, producers and the observer hand over into intervals. It belongs to one goroutine,
// which is the only one that calls the engine's sink.
type collector struct {
	engine *Engine
	index  int
	lastAt int64
	// own is what only the collector can measure: deliveries that had to wait for the observer, and fan-out spreads.
	own     *meter
	waiting []awaited
	spreads map[spreadKey]*openSpread
	totals  map[countKey]int64
	unseen  int64
	gc      gcWatch
}

type spreadKey struct {
	producer, partition uint32
	seq                 uint64
}

// openSpread is a sampled message whose deliveries may still come in.
type openSpread struct {
	sample
	age int // hand-overs since its last delivery
}

// spreadSettles is after how many intervals without a delivery a sampled message's spread is final.
const spreadSettles = 2

// awaitRounds is for how many intervals a delivery waits for the observer's read.
const awaitRounds = 15

const (
	ownGateway = iota
	ownSpread
)

func newCollector(e *Engine, pool *recorderPool) *collector {
	layout := meterLayout{e.topo.clientCells(), []results.Stage{results.StageGateway, results.StageSpread}, nil}
	return &collector{
		engine: e, lastAt: time.Now().UnixNano(), own: newMeter(layout, pool),
		spreads: map[spreadKey]*openSpread{}, totals: map[countKey]int64{},
	}
}

// collect makes the interval that ends now. final closes what still waits.
func (c *collector) collect(final bool) (*results.Interval, error) {
	now := time.Now().UnixNano()
	iv := &results.Interval{Index: c.index, StartAt: c.lastAt, EndAt: now, Phase: c.engine.phaseName(), Gauges: map[string]float64{}}
	c.index, c.lastAt = c.index+1, now
	t := newTally()
	for _, w := range c.engine.swarm.workers {
		r := w.handOver()
		if err := t.add(r.reading); err != nil {
			return nil, err
		}
		c.waiting = append(c.waiting, r.waiting...)
		c.unseen += r.unseen
		c.mergeSpreads(r.spread)
		c.engine.remark(r.remarks)
	}
	for _, p := range c.engine.producers {
		for _, r := range p.handOver() {
			if err := t.add(r); err != nil {
				return nil, err
			}
		}
	}
	observed, errs := c.engine.observer.handOver()
	c.engine.remark(errs)
	if err := t.add(observed); err != nil {
		return nil, err
	}
	c.matchObserver(final)
	c.closeSpreads(final)
	if err := t.add(c.own.handOver(c.own.empty())); err != nil {
		return nil, err
	}
	for key, n := range t.counts {
		c.totals[key] += n
	}
	t.fill(iv)
	c.gauges(iv)
	return iv, nil
}

// matchObserver measures the deliveries whose message the observer has read by now.
func (c *collector) matchObserver(final bool) {
	kept := c.waiting[:0]
	for _, a := range c.waiting {
		if seen, ok := c.engine.swarm.seen[a.producer][a.partition].get(a.seq); ok {
			c.own.record(a.cell, ownGateway, a.readAt-seen)
			continue
		}
		if a.rounds++; a.rounds < awaitRounds && !final {
			kept = append(kept, a)
		} else {
			c.unseen++
		}
	}
	c.waiting = kept
}

func (c *collector) mergeSpreads(samples []sample) {
	for _, s := range samples {
		key := spreadKey{s.producer, s.partition, s.seq}
		o := c.spreads[key]
		if o == nil {
			c.spreads[key] = &openSpread{sample: s}
			continue
		}
		o.first, o.last, o.age = min(o.first, s.first), max(o.last, s.last), 0
		o.clients += s.clients
	}
}

// closeSpreads records the sampled messages that nobody receives any more. A message for one client has no spread.
func (c *collector) closeSpreads(final bool) {
	for key, o := range c.spreads {
		if o.age++; o.age <= spreadSettles && !final {
			continue
		}
		delete(c.spreads, key)
		if o.clients > 1 {
			c.own.record(c.engine.topo.cell(o.phase, 0, int(o.producer)), ownSpread, o.last-o.first)
		}
	}
}

// gauges reads what has a value rather than a count.
func (c *collector) gauges(iv *results.Interval) {
	e := c.engine
	iv.Gauges[results.GaugeClients] = float64(e.swarm.linked.Load())
	inFlight := int64(0)
	for _, p := range e.producers {
		inFlight += p.inFlight.Load()
	}
	iv.Gauges[results.GaugeUnsettled] = float64(inFlight)
	iv.Gauges[results.GaugeGCPauseMax] = c.gc.longest().Seconds()
	_, _, drift := e.clock.state()
	iv.Gauges[results.GaugeClockOffset] = float64(drift)
	missing := int64(0)
	for key, n := range c.totals {
		if !e.measured(key.label.Phase) {
			continue
		}
		switch key.name {
		case results.CountExpected:
			missing += n
		case results.CountDelivered:
			missing -= n
		}
	}
	iv.Gauges[results.GaugeMissingSoFar] = math.Max(0, float64(missing))
	if e.options.Gauges != nil {
		maps.Copy(iv.Gauges, e.options.Gauges())
	}
}

// total sums a counter over the labels that match.
func (c *collector) total(name string, match func(results.Label) bool) (sum int64) {
	for key, n := range c.totals {
		if key.name == name && match(key.label) {
			sum += n
		}
	}
	return sum
}

// gcWatch follows the garbage collector's pauses.
type gcWatch struct {
	began bool
	seen  int64
	first int64
	max   time.Duration
}

// longest returns the longest pause since the last call.
func (g *gcWatch) longest() time.Duration {
	var stats debug.GCStats
	debug.ReadGCStats(&stats)
	if !g.began {
		g.began, g.seen, g.first = true, stats.NumGC, stats.NumGC
		return 0
	}
	news := min(stats.NumGC-g.seen, int64(len(stats.Pause)))
	g.seen = stats.NumGC
	longest := time.Duration(0)
	for _, p := range stats.Pause[:news] { // the newest come first
		longest = max(longest, p)
	}
	g.max = max(g.max, longest)
	return longest
}
