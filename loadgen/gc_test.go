package loadgen

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/scenarios"
)

// TestGCWatchHasEachCollection: each run of the collector is told once, with when it ended and for how long it stopped the
// program, and its processor time counts.
func TestGCWatchHasEachCollection(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var g gcWatch
	g.begin()
	before := time.Now().UnixNano()
	for range 3 {
		runtime.GC()
	}
	after := time.Now().UnixNano()
	found, missing := g.news()
	if len(found) != 3 || missing != 0 {
		t.Fatalf("got %d collections, %d missing; want 3, 0", len(found), missing)
	}
	for i, c := range found {
		if c.number != g.first+int64(i)+1 || c.endedAt < before || c.endedAt > after || c.stopped <= 0 || i > 0 && c.endedAt < found[i-1].endedAt {
			t.Errorf("collection %d: got %+v; want number %d, ended within %d and %d, and a pause", i, c, g.first+int64(i)+1, before, after)
		}
	}
	if spent := readGCTime(); spent.collector <= g.cpu.collector || spent.all-g.cpu.all < spent.collector-g.cpu.collector {
		t.Errorf("got %+v s, and %+v s before; want more of the collector, and no less more of all", spent, g.cpu)
	}
	if again, missing := g.news(); len(again)+int(missing) != 0 {
		t.Errorf("got %d collections again", len(again))
	}
}

// TestGCWatchCountsWhatTheRuntimeForgot: the runtime keeps 256 collections.
func TestGCWatchCountsWhatTheRuntimeForgot(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var g gcWatch
	g.begin()
	const made = 300
	for range made {
		runtime.GC()
	}
	found, missing := g.news()
	if int64(len(found))+missing != made || missing == 0 {
		t.Errorf("got %d collections and %d missing; want %d in all, some of them missing", len(found), missing, made)
	}
}

var kept [][]byte

// allocate makes garbage of so many bytes.
func allocate(bytes int) {
	const piece = 64 << 10
	for range bytes / piece {
		kept = append(kept[:0], make([]byte, piece))
	}
}

func newTestBudget(available int64, env map[string]string) *gcBudget {
	return &gcBudget{getenv: func(name string) string { return env[name] }, available: func() (int64, bool) { return available, available >= 0 }}
}

// TestGCBudgetPutsCollectionsOff: below the budget nothing is collected, at the limit it is, the limit then stands above
// what is live, and release gives all back.
func TestGCBudgetPutsCollectionsOff(t *testing.T) {
	percent := debug.SetGCPercent(100)
	defer debug.SetGCPercent(percent)
	limit := debug.SetMemoryLimit(-1)
	const budget = 100 << 20
	b := newTestBudget(2*budget, nil)
	b.hold()
	defer b.release()
	bound, held, _ := b.told()
	if got := debug.SetMemoryLimit(-1); bound != gcByLimit || got != held || held < budget {
		t.Fatalf("got bound %q, limit %d of %d; want a memory limit that holds", bound, held, got)
	}
	var g gcWatch
	g.begin()
	allocate(budget / 2)
	if found, _ := g.news(); len(found) != 0 {
		t.Errorf("half of the budget was allocated, and collected %d times", len(found))
	}
	var found []collection
	for range 100 { // a collection goes on beside what allocates, and on a busy machine it takes its time
		allocate(2 * budget)
		if found, _ = g.news(); len(found) > 0 {
			break
		}
	}
	if len(found) == 0 {
		t.Error("many times the budget was allocated, and nothing collected")
	}
	kept = append(kept, make([]byte, budget/2)) // live from now on
	runtime.GC()
	b.renew()
	if _, renewed, _ := b.told(); renewed <= held || debug.SetMemoryLimit(-1) != renewed {
		t.Errorf("got a limit of %d after %d more are live; want above %d, and that it holds", renewed, budget/2, held)
	}
	kept = nil
	b.release()
	if got := debug.SetMemoryLimit(-1); got != limit {
		t.Errorf("got a limit of %d afterwards; want %d as before", got, limit)
	}
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("got GOGC %d afterwards; want 100 as before", got)
	}
	b.release()
}

// TestGCBudgetLeavesWhatTheUserSet, and a machine without memory to spare.
func TestGCBudgetLeavesWhatTheUserSet(t *testing.T) {
	for _, c := range []struct {
		name      string
		env       map[string]string
		limit     int64 // that the runtime has set by it
		available int64
		bound     string
		percent   int // while it holds
	}{
		{"GOGC", map[string]string{"GOGC": "50"}, math.MaxInt64, 1 << 40, gcByGOGC, 50},
		{"GOMEMLIMIT", map[string]string{"GOMEMLIMIT": "64GiB"}, 64 << 30, 1 << 40, gcByUser, -1},
		{"both", map[string]string{"GOGC": "50", "GOMEMLIMIT": "64GiB"}, 64 << 30, 1 << 40, gcByGOGC, 50},
		{"no limit", map[string]string{"GOMEMLIMIT": "off"}, math.MaxInt64, 1 << 40, gcByGrowthUser, 50},
		{"a limit above what there is", map[string]string{"GOMEMLIMIT": "64GiB"}, 64 << 30, 16 << 30, gcByGrowthUser, 50},
		{"a limit, and nobody knows what there is", map[string]string{"GOMEMLIMIT": "64GiB"}, 64 << 30, -1, gcByGrowthUser, 50},
		{"no memory", nil, math.MaxInt64, 2*gcBudgetWorth - 2, gcByGrowth, 50},
		{"just enough", nil, math.MaxInt64, 2 * gcBudgetWorth, gcByLimit, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			limit := c.limit
			defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
			defer debug.SetGCPercent(debug.SetGCPercent(50))
			b := newTestBudget(c.available, c.env)
			b.hold()
			defer b.release()
			percent := debug.SetGCPercent(50)
			debug.SetGCPercent(percent)
			bound, told, _ := b.told()
			if (bound == gcByUser || bound == gcByLimit) != (told > 0) {
				t.Errorf("bound %q: got a limit of %d", bound, told)
			}
			if bound != c.bound || percent != c.percent {
				t.Errorf("got bound %q, GOGC %d; want %q, %d", bound, percent, c.bound, c.percent)
			}
			if got := debug.SetMemoryLimit(-1); c.bound != gcByLimit && got != limit {
				t.Errorf("got a limit of %d; want %d, as it was", got, limit)
			}
			b.release()
			if got := debug.SetGCPercent(50); got != 50 {
				t.Errorf("got GOGC %d afterwards; want 50", got)
			}
		})
	}
}

// TestCollectionsAfterAnAbort are the drain's, whatever the schedule has at their time.
func TestCollectionsAfterAnAbort(t *testing.T) {
	kafka := testkit.Kafka(t, 1, "t")
	plan := enginePlan("ws://127.0.0.1:1/", kafka.ListenAddrs())
	plan.Phases.Measure[0].Duration = time.Minute
	e := newTestEngine(t, plan)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Load(gone); err == nil {
		t.Fatal("the load went on")
	}
	at := func(since time.Duration) string { return e.phaseAt(e.signals.loadAt.unix + int64(since)) }
	if got := at(30 * time.Second); got != "m" {
		t.Errorf("got %q half through the schedule; want m", got)
	}
	e.Drain(gone)
	if got := at(30 * time.Second); got != scenarios.PhaseDrain {
		t.Errorf("got %q after the drain began; want it", got)
	}
	e.drained.Store(e.signals.loadAt.unix + int64(10*time.Second))
	if before, then := at(10*time.Second-1), at(10*time.Second); before != "m" || then != scenarios.PhaseDrain {
		t.Errorf("got %q before the drain and %q in it", before, then)
	}
}
