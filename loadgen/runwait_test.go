//go:build linux

package loadgen

import (
	"maps"
	"os"
	"testing"
	"time"

	"github.com/weirbench/weir/results"
)

// TestRunWait: what threads waited is of the cores' time, and the worst sending thread's of the interval; a thread
// that is new or has another's id counts from its beginning.
func TestRunWait(t *testing.T) {
	const s = int64(time.Second)
	start := time.Unix(1000, 0)
	var w runWait
	got := map[string]float64{}
	w.gauges(start, map[int]threadTime{1: {10 * s, 5 * s}, 2: {2 * s, s}, 3: {9 * s, 9 * s}}, []int{2}, 2, true, got)
	if len(got) != 0 {
		t.Errorf("got %v of the first reading; want none", got)
	}
	// Thread 1 ran 1 s, 2 ran 1 and waited 2, 3 is another one that ran 1 and waited 1, 4 is new and ran 2.
	w.gauges(start.Add(4*time.Second), map[int]threadTime{1: {11 * s, 5 * s}, 2: {3 * s, 3 * s}, 3: {s, s}, 4: {2 * s, 0}}, []int{1, 2, 4, 99}, 2, true, got)
	if want := map[string]float64{results.GaugeRunQueue: 3.0 / 8, results.GaugePacingWait: 0.5}; !maps.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
	got = map[string]float64{}
	if w.gauges(start.Add(5*time.Second), nil, nil, 2, true, got); len(got) != 0 {
		t.Errorf("got %v where the kernel tells nothing; want none", got)
	}
}

// TestWorstPacing: each interval another of twenty threads waits for a fiftieth of it, so that none waited for more than a
// thousandth of all; what was before the measure phases does not count.
func TestWorstPacing(t *testing.T) {
	var w runWait
	now, out := time.Unix(1000, 0), map[string]float64{}
	times, pacing := map[int]threadTime{}, []int{}
	for id := range 20 {
		times[id], pacing = threadTime{ran: 1}, append(pacing, id)
	}
	step := func(id int, waited time.Duration, measured bool) {
		now = now.Add(time.Second)
		times = maps.Clone(times)
		times[id] = threadTime{ran: times[id].ran + 1, waited: times[id].waited + int64(waited)}
		w.gauges(now, times, pacing, 2, measured, out)
	}
	step(0, 0, false)
	step(3, 500*time.Millisecond, false)
	if got := w.worstPacing(); got != nil {
		t.Errorf("got %v before the measure phases; want none", *got)
	}
	for i := range 40 {
		step(i%20, 20*time.Millisecond, true)
		if got := out[results.GaugePacingWait]; got != 0.02 {
			t.Fatalf("interval %d: got %v; want 0.02", i, got)
		}
	}
	if got := w.worstPacing(); got == nil || *got != 0.001 {
		t.Errorf("got %v; want 0.001", got)
	}
}

func TestThreadTimes(t *testing.T) {
	if _, err := os.Stat("/proc/self/schedstat"); err != nil {
		t.Skip("the kernel keeps no account of its scheduler")
	}
	if got := threadTimes()[os.Getpid()]; got.ran <= 0 {
		t.Errorf("got %+v of the main thread; want that it ran", got)
	}
	for _, text := range []string{"", "1", "a b c"} {
		if got, ok := parseThreadTime(text); ok {
			t.Errorf("%q: got %+v; want none", text, got)
		}
	}
}
