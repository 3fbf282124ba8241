package loadgen

import (
	"time"

	"github.com/weirbench/weir/results"
)

// runWait follows how long the generator's threads wait for a processor while they could run.
type runWait struct {
	last map[int]threadTime
	at   time.Time
}

// gauges adds what happened since the last call. pacing are the threads that send.
func (w *runWait) gauges(now time.Time, times map[int]threadTime, pacing []int, out map[string]float64) {
	span := now.Sub(w.at)
	last := w.last
	w.last, w.at = times, now
	if len(times) == 0 || last == nil || span <= 0 {
		return
	}
	var ran, waited int64
	for id, t := range times {
		before, old := last[id]
		if old && t.ran >= before.ran { // else another thread has the id
			t.ran, t.waited = t.ran-before.ran, t.waited-before.waited
		}
		ran, waited = ran+t.ran, waited+t.waited
	}
	if ran+waited > 0 {
		out[results.GaugeRunWait] = float64(waited) / float64(ran+waited)
	}
	longest, found := int64(0), false
	for _, id := range pacing {
		t, there := times[id]
		before, old := last[id]
		if there && old {
			longest, found = max(longest, t.waited-before.waited), true
		}
	}
	if found {
		out[results.GaugePacingWait] = float64(longest) / float64(span)
	}
}

// pacingThreads lists the threads that send, as far as they do so by now.
func (e *Engine) pacingThreads() (threads []int) {
	for _, p := range e.producers {
		if id := p.thread.Load(); id != 0 {
			threads = append(threads, int(id))
		}
	}
	return threads
}

// UsableProcessors is how many processors the generator may use, by its affinity and its control group.
func UsableProcessors() int { return processors }
