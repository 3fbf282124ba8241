package loadgen

import (
	"time"

	"github.com/weirbench/weir/results"
)

// runWait follows how long the generator's threads wait for a processor while they could run.
type runWait struct {
	last map[int]threadTime
	at   time.Time

	// Of the measure phases: what each sending thread waited, in ns, and how long they were followed.
	pacing map[int]int64
	span   time.Duration
}

// gauges adds what happened since the last call. pacing are the threads that send, cores those that the generator may use,
// measured says whether this was in a measure phase.
func (w *runWait) gauges(now time.Time, times map[int]threadTime, pacing []int, cores float64, measured bool, out map[string]float64) {
	span := now.Sub(w.at)
	last := w.last
	w.last, w.at = times, now
	if len(times) == 0 || last == nil || span <= 0 {
		return
	}
	var waited int64
	for id, t := range times {
		before, old := last[id]
		if old && t.ran >= before.ran { // else another thread has the id
			t.waited -= before.waited
		}
		waited += t.waited
	}
	if cores > 0 {
		out[results.GaugeRunQueue] = float64(waited) / (cores * float64(span))
	}
	longest, found := int64(0), false
	if measured && w.pacing == nil {
		w.pacing = map[int]int64{}
	}
	for _, id := range pacing {
		t, there := times[id]
		before, old := last[id]
		if there && old {
			longest, found = max(longest, t.waited-before.waited), true
			if measured {
				w.pacing[id] += t.waited - before.waited
			}
		}
	}
	if found {
		out[results.GaugePacingWait] = float64(longest) / float64(span)
		if measured {
			w.span += span
		}
	}
}

// worstPacing is the part of the measure phases that the sending thread which waited longest in all did; nil where nobody
// knows.
func (w *runWait) worstPacing() *float64 {
	if w.span <= 0 {
		return nil
	}
	longest := int64(0)
	for _, waited := range w.pacing {
		longest = max(longest, waited)
	}
	share := float64(longest) / float64(w.span)
	return &share
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
