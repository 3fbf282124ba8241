package loadgen

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// attended is the planned and the absent milliseconds that the meter holds, by phase.
func attended(w *worker) map[string][2]int64 {
	got := map[string][2]int64{}
	for i, n := range w.meter.counts {
		phase := w.meter.layout.cells[i/len(clientCounters)].Phase
		sum := got[phase]
		switch i % len(clientCounters) {
		case countPlanned:
			sum[0] += n
		case countAbsent:
			sum[1] += n
		default:
			continue
		}
		if got[phase] = sum; sum == [2]int64{} {
			delete(got, phase)
		}
	}
	return got
}

// TestAttendanceIsCountedToTheMillisecond: by phase, from the load's beginning to its end, however often it is booked.
func TestAttendanceIsCountedToTheMillisecond(t *testing.T) {
	plan := enginePlan("ws://127.0.0.1:1/", nil)
	plan.Phases.WarmUp = time.Second
	plan.Phases.Measure = []scenarios.MeasurePhase{{Name: "m", Duration: 2 * time.Second}}
	s := profiledSwarm(t, plan)
	w := s.workers[0]
	s.begin(s.clients[0]) // the other has not been connected yet
	book := func(until time.Duration) {
		for step := 1300 * time.Microsecond; w.attendance[0].since+step < until; {
			w.bookUntil(0, w.attendance[0].since+step)
		}
		w.bookUntil(0, until)
	}
	book(1500 * time.Millisecond)
	s.begin(s.clients[1])
	book(1700 * time.Millisecond)
	s.thrownOut(s.clients[0], errClosed)
	book(1800 * time.Millisecond)
	s.leaving(s.clients[0]) // while it is away
	s.leaving(s.clients[1])
	s.left(s.clients[1])
	book(1900 * time.Millisecond)
	s.arrive(s.clients[1])
	book(time.Hour)
	got := attended(w)
	// 2 clients for 800 ms and 1 for 1,100; away for 500 ms, 100 and 1,100.
	want := map[string][2]int64{scenarios.PhaseWarmUp: {2000, 1000}, "m": {2700, 1700}}
	if len(got) != 2 || got["m"] != want["m"] || got[scenarios.PhaseWarmUp] != want[scenarios.PhaseWarmUp] {
		t.Errorf("got %v; want %v", got, want)
	}
}

// TestWhoCannotComeBackIsAbsent: a target that takes nobody back is seen although its clients expect nothing; where all
// come back nobody is away for longer than there.
func TestWhoCannotComeBackIsAbsent(t *testing.T) {
	t.Parallel()
	for _, refuses := range []bool{false, true} {
		kafka := testkit.Kafka(t, 1, "t")
		var shut atomic.Bool
		target := &oddTarget{subscribed: func(*http.Request) []string { return []string{"t"} }, channel: byTopic}
		target.upgrader.CheckOrigin = func(*http.Request) bool { return !shut.Load() }
		target = startOddTarget(t, kafka.ListenAddrs(), target)
		plan := enginePlan(target.url, kafka.ListenAddrs())
		plan.Phases.DrainDeadline = missingDrain
		plan.Phases.Measure[0].Duration = 2 * time.Second // long enough for somebody to leave, however busy the machine is
		plan.Gateway.Profile = scenarios.BareProfile()
		plan.Clients[0].Churn = &scenarios.Churn{Session: 50 * time.Millisecond, Away: time.Millisecond}
		plan.Clients[0].Count = 10
		e, totals := sumEngine(t, plan)
		if err := e.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := e.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		shut.Store(refuses)
		if err := e.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.Drain(t.Context())
		if _, _, err := e.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		planned, absent := totals[results.CountPlanned], totals[results.CountAbsent]
		if planned == 0 || absent > planned {
			t.Errorf("refuses %v: got %d ms absent of %d; want some planned, and no more absent", refuses, absent, planned)
		}
		if refuses && absent == 0 {
			t.Errorf("nobody could come back and nobody was absent in %d ms", planned)
		}
	}
}

// sumEngine starts an engine that adds its counters of the measure phase m up.
func sumEngine(t *testing.T, plan *scenarios.Plan) (*Engine, map[string]int64) {
	t.Helper()
	totals := map[string]int64{}
	e, err := Start(t.Context(), Options{
		Plan: plan, Run: 77, Seeds: plan.Kafka.Seeds, URL: plan.Gateway.URL, Partitions: map[string]int{"t": 1},
		TopicName: func(s string) string { return s },
		Sink: func(iv *results.Interval, _ []results.Event) error {
			for _, c := range iv.Counters {
				if c.Phase == "m" {
					totals[c.Name] += c.Value
				}
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e, totals
}
