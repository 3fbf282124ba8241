package loadgen

import "github.com/weirbench/weir/scenarios"

// workerReading is what a worker held at a hand-over.
type workerReading struct {
	reading
	waiting  []awaited
	spread   []sample
	remarks  map[string]int64
	closings map[string]int64
	unseen   int64
}

// handOver gives what was measured since the last call.
func (w *worker) handOver() workerReading {
	slots, counts := w.meter.empty()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bookAllAttendance()
	r := workerReading{w.meter.handOver(slots, counts), w.waiting, w.spread, w.remarks.take(), w.closings.take(), w.unseen}
	w.waiting, w.spread, w.unseen = nil, nil, 0
	return r
}

// clientStats is one client's measure phases in four words.
type clientStats struct {
	count, within int64
	sum, max      int64
}

func (s *clientStats) add(ns, objective int64) {
	s.count++
	s.sum += ns
	s.max = max(s.max, ns)
	if ns <= objective {
		s.within++
	}
}

// phaseName names a load phase; −1 is what comes before the load and the number of load phases what comes after.
func (t *topology) phaseName(phase int) string {
	switch {
	case phase < 0:
		return scenarios.PhaseConnect
	case phase >= len(t.phases):
		return scenarios.PhaseDrain
	}
	return t.phases[phase].Name
}
