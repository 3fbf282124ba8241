package runner

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// TestProgressAgreesWithTheSummary: what the user was shown last is what the summary says.
func TestProgressAgreesWithTheSummary(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{})
	var steps []string
	var figures []Figures
	summary, _, err := Run(t.Context(), Options{Plan: p.plan, Dir: filepath.Join(t.TempDir(), "run"), Progress: func(p Progress) {
		if p.Figures == nil {
			steps = append(steps, p.Line)
			return
		}
		figures = append(figures, *p.Figures)
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(steps, "; "); !strings.Contains(got, "start external Kafka; ") || !strings.HasSuffix(got, "every subscription is in force; load; drain") {
		t.Errorf("got the steps %q", got)
	}
	if len(figures) == 0 {
		t.Fatal("no figures were shown")
	}
	last := figures[len(figures)-1]
	if last.Deliveries != summary.Latency.E2E.Count || last.P99 != time.Duration(summary.Latency.E2E.P99NS) || last.Missing != 0 {
		t.Errorf("got p99 %v of %d deliveries, %d missing; want %v of %d, 0", last.P99, last.Deliveries, last.Missing,
			time.Duration(summary.Latency.E2E.P99NS), summary.Latency.E2E.Count)
	}
	if !last.Closing {
		t.Error("the last figures count clients that weir has closed itself")
	}
	for _, f := range figures {
		if f.Closing && f.Phase != scenarios.PhaseDrain || !f.Closing && f.Clients != f.Planned && f.Phase == scenarios.PhaseDrain {
			t.Errorf("got %+v; want closing after the drain alone, and every client until then", f)
		}
		if f.Planned != keyedClients+wholeClients || f.Elapsed < 0 || f.Measured != (f.Phase == "steady") {
			t.Errorf("got %+v; want %d planned, a time in the phase, and only steady measured", f, keyedClients+wholeClients)
		}
	}
}

// follow gives a run's status intervals and returns what is shown of each.
func follow(r *run, give func(add func(iv results.Interval, events ...results.Event))) []Progress {
	var shown []Progress
	r.o.Progress = func(p Progress) { shown = append(shown, p) }
	r.lines = newLines(r.o.Progress)
	give(func(iv results.Interval, events ...results.Event) { r.progress(&iv, events) })
	r.lines.close()
	return shown
}

// TestFiguresOfAnInterval: rates are of the interval, the phase's time is from its event on, warnings add up, and a line
// comes every five seconds and at a phase's end.
func TestFiguresOfAnInterval(t *testing.T) {
	second := int64(time.Second)
	at := func(from, to int64, phase string) results.Interval {
		return results.Interval{StartAt: from * second, EndAt: to * second, Phase: phase,
			Gauges: map[string]float64{results.GaugeClients: 24, results.GaugeMissingSoFar: 3},
			Counters: []results.Counter{
				{Name: results.CountSent, Value: 100}, {Name: results.CountDelivered, Value: 400}, {Name: results.CountAcked, Value: 7},
			}}
	}
	plan := smallPlan(nil, "")
	plan.Phases.WarmUp = 4 * time.Second
	shown := follow(&run{o: Options{Plan: plan}}, func(add func(results.Interval, ...results.Event)) {
		add(at(100, 101, scenarios.PhaseWarmUp), results.Event{Kind: results.EventWarning, Count: 3}, results.Event{Kind: results.EventWarning})
		add(at(101, 103, scenarios.PhaseWarmUp))
		add(at(103, 104, "steady"), results.Event{Kind: results.EventPhase, Phase: "steady", AtNS: 103*second + second/2})
		for i := range int64(5) {
			add(at(104+i, 105+i, "steady"))
		}
	})
	var lines []int
	for i, p := range shown {
		if p.Line != "" {
			lines = append(lines, i)
		}
	}
	if len(shown) != 8 || len(lines) != 2 || lines[0] != 2 || lines[1] != 7 {
		t.Fatalf("got %d figures, lines with %v; want 8, with the third and the last", len(shown), lines)
	}
	want := Figures{Phase: scenarios.PhaseWarmUp, Elapsed: 3 * time.Second, Length: 4 * time.Second, Clients: 24, Planned: 24,
		SentPerSecond: 50, DeliveredPerSecond: 200, Missing: 3, Warnings: 4}
	if got := *shown[1].Figures; got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	want = Figures{Phase: "steady", Elapsed: time.Second / 2, Length: testMeasure, Measured: true, Clients: 24, Planned: 24,
		SentPerSecond: 100, DeliveredPerSecond: 400, Missing: 3, Warnings: 4}
	if got := *shown[2].Figures; got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if line := "steady         24 clients       100 sent/s        400 delivered/s   p99 0s        missing 3"; shown[7].Line != line {
		t.Errorf("got  %q\nwant %q", shown[7].Line, line)
	}
}

// TestATerminalThatTakesNothing holds up neither the collector nor the end.
func TestATerminalThatTakesNothing(t *testing.T) {
	stuck := make(chan struct{})
	l := newLines(func(Progress) { <-stuck })
	for range 10 * maxLines {
		l.add(Progress{Line: "x"})
	}
	l.close()
	close(stuck)
	<-l.done
}
