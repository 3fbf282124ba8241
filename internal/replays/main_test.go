package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// measured is a run of phases in which the live clients' latencies are so many milliseconds, each a hundred times.
func measured(t *testing.T, c *comparison, replayed int64, phases map[string][]int, order ...string) error {
	t.Helper()
	var plan scenarios.Plan
	for _, name := range order {
		plan.Phases.Measure = append(plan.Phases.Measure, scenarios.MeasurePhase{Name: name})
	}
	return c.add("run", &plan, func(yield func(*results.Interval, error) bool) {
		for _, name := range order {
			series := func(group string, stage results.Stage, ms []int) results.Series {
				r := results.NewRecorder()
				for _, v := range ms {
					for range 100 {
						r.Record(int64(v) * int64(time.Millisecond))
					}
				}
				return r.Series(stage, results.Label{Phase: name, Group: group})
			}
			iv := results.Interval{Phase: name, Series: []results.Series{
				series(judged, results.StageE2E, phases[name]),
				series("commuters", results.StageE2E, []int{500}),
				series(judged, results.StageGateway, []int{700}),
			}}
			if strings.HasPrefix(name, "replaying") {
				iv.Counters = []results.Counter{{Name: results.CountReplayed, Label: results.Label{Phase: name}, Value: replayed}}
			}
			if !yield(&iv, nil) {
				return
			}
		}
	})
}

// TestRatio: the p99 of those who stay, of their own latency alone, with replays to that without.
func TestRatio(t *testing.T) {
	for _, c := range []struct {
		name      string
		calm, not []int
		replayed  int64
		says, err string
	}{
		{"equal", []int{1, 2, 10}, []int{1, 5, 10}, 9, "1.00 of all together; 1.00 in the median of 2 pairs of phases (1.00 to 1.00)", ""},
		{"at the limit", []int{10}, []int{13}, 9, "1.30 of all together", ""},
		{"slowed", []int{10}, []int{14}, 9, "1.40 of all together", "the ratio is 1.40; want at most 1.3"},
		{"nothing replayed", []int{10}, []int{10}, 0, "1.00 of all together", "nothing was replayed in the phases with replays"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got comparison
			phases := map[string][]int{"calm-1": c.calm, "replaying-1": c.not, "calm-2": c.calm, "replaying-2": c.not}
			if err := measured(t, &got, c.replayed, phases, "calm-1", "replaying-1", "calm-2", "replaying-2"); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := got.write(&out)
			if !strings.Contains(out.String(), c.says) || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
				t.Errorf("got %v\n%swant %q, %q", err, out.String(), c.says, c.err)
			}
		})
	}
}

// TestNothingToCompare: phases of other names, only one kind, or a group that got nothing.
func TestNothingToCompare(t *testing.T) {
	for _, order := range [][]string{{"steady"}, {"calm"}, {"replaying", "calm"}} {
		var c comparison
		err := measured(t, &c, 1, map[string][]int{"steady": {1}, "calm": {1}, "replaying": {1}}, order...)
		if err = errors.Join(err, c.write(&bytes.Buffer{})); !errors.Is(err, errReplayless) {
			t.Errorf("%v: got %v; want %v", order, err, errReplayless)
		}
	}
	var c comparison
	if err := measured(t, &c, 1, nil, "calm", "replaying"); err == nil || err.Error() != "the group stayers got nothing in phase calm" {
		t.Errorf("got %v; want the group that got nothing", err)
	}
}
