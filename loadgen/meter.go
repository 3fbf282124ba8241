package loadgen

import (
	"sync"

	"github.com/weirbench/weir/results"
)

// meter is what one worker measures between two hand-overs: latency recorders and counters, by cell. A cell is one
// combination of phase, group and producer, flattened to an index. A meter belongs to its worker, which records under
// its own lock or from its only goroutine; hand-over swaps what was recorded for empty ones and stops nobody for longer
// than a few copies.
type meter struct {
	layout meterLayout
	pool   *recorderPool
	slots  []*results.Recorder // cell × stage
	counts []int64             // cell × counter
}

// meterLayout names what a meter's cells, stages and counters stand for.
type meterLayout struct {
	cells    []results.Label
	stages   []results.Stage
	counters []string
}

// recorderPool keeps empty recorders, since one takes some 86 KB and is needed only while its cell is active. It is no
// sync.Pool, which two collections between hand-overs empty.
type recorderPool struct {
	fresh func() *results.Recorder

	mu   sync.Mutex
	free []*results.Recorder
	idle int // the fewest that were free at once since the last trim
}

func newRecorderPool() *recorderPool { return &recorderPool{fresh: results.NewRecorder} }

func (p *recorderPool) get() *results.Recorder {
	if r := p.spare(); r != nil {
		return r
	}
	return p.fresh() // without the lock, since it takes its time
}

// spare takes one that is free; nil where none is.
func (p *recorderPool) spare() *results.Recorder {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.free) - 1
	if last < 0 {
		return nil
	}
	r := p.free[last]
	p.free[last] = nil
	p.free = p.free[:last]
	p.idle = min(p.idle, last)
	return r
}

func (p *recorderPool) put(r *results.Recorder) {
	r.Reset()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, r)
}

// trim gives up the recorders that nobody needed since the last trim, which was an interval ago.
func (p *recorderPool) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := len(p.free) - p.idle
	clear(p.free[kept:])
	p.free = p.free[:kept]
	p.idle = kept
}

func newMeter(layout meterLayout, pool *recorderPool) *meter {
	m := &meter{layout: layout, pool: pool}
	m.slots, m.counts = m.empty()
	return m
}

func (m *meter) empty() ([]*results.Recorder, []int64) {
	return make([]*results.Recorder, len(m.layout.cells)*len(m.layout.stages)), make([]int64, len(m.layout.cells)*len(m.layout.counters))
}

// record adds a latency to a cell's stage.
func (m *meter) record(cell, stage int, ns int64) {
	at := cell*len(m.layout.stages) + stage
	r := m.slots[at]
	if r == nil {
		r = m.pool.get()
		m.slots[at] = r
	}
	r.Record(ns)
}

// count adds n to a cell's counter.
func (m *meter) count(cell, counter int, n int64) {
	m.counts[cell*len(m.layout.counters)+counter] += n
}

// reading is what a meter held at a hand-over.
type reading struct {
	layout *meterLayout
	pool   *recorderPool
	slots  []*results.Recorder
	counts []int64
}

// handOver returns what was recorded and leaves the meter with the empty slots and counts, which the caller made by
// empty before it took the worker's lock.
func (m *meter) handOver(slots []*results.Recorder, counts []int64) reading {
	r := reading{&m.layout, m.pool, m.slots, m.counts}
	m.slots, m.counts = slots, counts
	return r
}

// handOverLocked takes lock for no longer than the swap.
func (m *meter) handOverLocked(lock sync.Locker) reading {
	slots, counts := m.empty()
	lock.Lock()
	defer lock.Unlock()
	return m.handOver(slots, counts)
}

// tally merges readings of one interval. Histograms are merged, percentiles never are.
type tally struct {
	spares *results.Spares
	series map[seriesKey]*results.Series
	order  []seriesKey
	counts map[countKey]int64
	named  []countKey
}

type seriesKey struct {
	stage results.Stage
	label results.Label
}

type countKey struct {
	name  string
	label results.Label
}

// newTally takes its histograms from spares.
func newTally(spares *results.Spares) *tally {
	return &tally{spares: spares, series: map[seriesKey]*results.Series{}, counts: map[countKey]int64{}}
}

// add merges a reading and gives its recorders back.
func (t *tally) add(r reading) error {
	for i, rec := range r.slots {
		if rec == nil {
			continue
		}
		key := seriesKey{r.layout.stages[i%len(r.layout.stages)], r.layout.cells[i/len(r.layout.stages)]}
		if err := t.addRecorder(key, rec); err != nil {
			return err
		}
		r.pool.put(rec)
	}
	for i, n := range r.counts {
		if n != 0 {
			t.addCount(r.layout.counters[i%len(r.layout.counters)], r.layout.cells[i/len(r.layout.counters)], n)
		}
	}
	return nil
}

func (t *tally) addRecorder(key seriesKey, rec *results.Recorder) error {
	have := t.series[key]
	if have == nil {
		have = &results.Series{Stage: key.stage, Label: key.label}
		t.series[key] = have
		t.order = append(t.order, key)
	}
	return t.spares.AddTo(have, rec)
}

func (t *tally) addCount(name string, label results.Label, n int64) {
	key := countKey{name, label}
	if _, ok := t.counts[key]; !ok {
		t.named = append(t.named, key)
	}
	t.counts[key] += n
}

// fill puts the tally into an interval.
func (t *tally) fill(iv *results.Interval) {
	for _, key := range t.order {
		iv.Series = append(iv.Series, *t.series[key])
	}
	for _, key := range t.named {
		iv.Counters = append(iv.Counters, results.Counter{Name: key.name, Label: key.label, Value: t.counts[key]})
	}
}
