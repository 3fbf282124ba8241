package loadgen

import (
	"maps"
	"math"
	"time"

	"github.com/weirbench/weir/results"
)

// collector merges what the workers, producers and the observer hand over into intervals. It belongs to one goroutine,
// which is the only one that calls the engine's sink.
type collector struct {
	engine *Engine
	pool   *recorderPool
	spares results.Spares // of the interval before
	index  int
	lastAt int64
	// What only the collector can measure: deliveries that had to wait for the observer, and fan-out spreads.
	late    *meter // cells as the clients'
	spread  *meter // cells: load phase × producer
	waiting []awaited
	spreads map[spreadKey]*sample
	totals  map[countKey]int64
	unseen  int64
	gc      gcWatch
	wait    runWait
	// peakDescriptors is the most that a table of the process held at any interval's end.
	peakDescriptors int64
	// followers is how many clients a sampled message is for, as far as they don't read slowly on purpose; varies tells
	// that it changes as clients come and go.
	followers func(*sample) int64
	varies    bool
}

type spreadKey struct {
	producer, partition uint32
	seq                 uint64
}

// maxSpreads bounds the sampled messages whose deliveries may still come in.
const maxSpreads = 1 << 16

// awaitRounds is for how many intervals a delivery waits for the observer's read.
const awaitRounds = 15

func newCollector(e *Engine, pool *recorderPool) *collector {
	varying := false
	for g := range e.topo.groups {
		varying = varying || varies(e.topo.plan, g)
	}
	c := &collector{
		followers: func(o *sample) int64 { return e.swarm.expectations[o.producer].prompt(o.partition, o.key) },
		varies:    varying,
		engine:    e, pool: pool, lastAt: time.Now().UnixNano(),
		late:    newMeter(meterLayout{e.topo.clientCells(), []results.Stage{results.StageGateway}, nil}, pool),
		spread:  newMeter(meterLayout{e.topo.producerCells(), []results.Stage{results.StageSpread}, nil}, pool),
		spreads: map[spreadKey]*sample{}, totals: map[countKey]int64{},
	}
	c.gc.begin()
	return c
}

// collect makes the interval that ends now. final closes what still waits.
func (c *collector) collect(final bool) (*results.Interval, error) {
	now := time.Now().UnixNano()
	iv := &results.Interval{Index: c.index, StartAt: c.lastAt, EndAt: now, Phase: c.engine.phaseName(), Gauges: map[string]float64{}}
	c.index, c.lastAt = c.index+1, now
	t := newTally(&c.spares)
	var spread []sample
	for _, w := range c.engine.swarm.workers {
		r := w.handOver()
		if err := t.add(r.reading); err != nil {
			return nil, err
		}
		room := min(len(r.waiting), max(0, maxAwaited-len(c.waiting)))
		c.waiting = append(c.waiting, r.waiting[:room]...)
		c.unseen += int64(len(r.waiting) - room)
		c.unseen += r.unseen
		spread = append(spread, r.spread...)
		c.engine.remark(results.EventWarning, r.remarks)
		c.engine.remark(results.EventDisconnect, r.closings)
	}
	c.mergeSpreads(spread)
	c.engine.swarm.expected(t.addCount)
	for _, p := range c.engine.producers {
		for _, r := range p.handOver() {
			if err := t.add(r); err != nil {
				return nil, err
			}
		}
	}
	observed, errs := c.engine.observer.handOver()
	c.engine.remark(results.EventWarning, errs)
	if err := t.add(observed); err != nil {
		return nil, err
	}
	c.matchObserver(final)
	if final {
		c.closeSpreads()
	}
	for _, m := range []*meter{c.late, c.spread} {
		if err := t.add(m.handOver(m.empty())); err != nil {
			return nil, err
		}
	}
	for key, n := range t.counts {
		c.totals[key] += n
	}
	t.fill(iv)
	c.pool.trim()
	c.gauges(iv)
	return iv, nil
}

// matchObserver measures the deliveries whose message the observer has read by now.
func (c *collector) matchObserver(final bool) {
	kept := c.waiting[:0]
	for _, a := range c.waiting {
		if seen, ok := c.engine.swarm.seen[a.producer][a.partition].get(a.seq); ok {
			c.late.record(a.cell, 0, a.readAt-seen)
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

// mergeSpreads adds what the workers saw of sampled messages, and records those that every follower has received.
func (c *collector) mergeSpreads(samples []sample) {
	for _, s := range samples {
		key := spreadKey{s.producer, s.partition, s.seq}
		o := c.spreads[key]
		switch {
		case o != nil:
			o.first, o.last = min(o.first, s.first), max(o.last, s.last)
			o.clients += s.clients
		case len(c.spreads) < maxSpreads:
			o = &s
			c.spreads[key] = o
		default:
			continue
		}
		if o.clients >= c.followers(o) {
			c.closeSpread(key, o)
		}
	}
	if c.varies {
		c.ageSpreads()
	}
}

// ageSpreads closes the samples that have waited for as long as deliveries wait for the observer: clients that were there
// when the message was sent may have left without it.
func (c *collector) ageSpreads() {
	for key, o := range c.spreads {
		if o.rounds++; o.rounds >= awaitRounds {
			c.closeSpread(key, o)
		}
	}
}

// closeSpread records a sampled message. A message for one client has no spread.
func (c *collector) closeSpread(key spreadKey, o *sample) {
	delete(c.spreads, key)
	if o.clients > 1 {
		c.spread.record(max(o.phase, 0)*len(c.engine.topo.producers)+int(o.producer), 0, o.last-o.first)
	}
}

// closeSpreads records those that somebody never received, at the end.
func (c *collector) closeSpreads() {
	for key, o := range c.spreads {
		c.closeSpread(key, o)
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
	c.collections(iv)
	c.wait.gauges(time.Now(), threadTimes(), e.pacingThreads(), usableCores, e.measured(iv.Phase), iv.Gauges)
	_, _, drift := e.clock.state()
	iv.Gauges[results.GaugeClockOffset] = float64(drift)
	missing := int64(0)
	for key, n := range c.totals {
		if !e.measured(key.label.Phase) || e.topo.isConflated(key.label.Producer) {
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
		if own := float64(e.swarm.descriptors()); own > iv.Gauges[results.GaugeDescriptors] {
			iv.Gauges[results.GaugeDescriptors] = own // the fullest table is what its limit is for
		}
		c.peakDescriptors = max(c.peakDescriptors, int64(iv.Gauges[results.GaugeDescriptors]))
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
