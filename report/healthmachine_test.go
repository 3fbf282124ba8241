package report

import (
	"testing"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// What the run recorded goes before the intervals', which have the worst thread of each: of several senders their mean is
// no thread's, as in runs of before.
func TestPacingWaitOfPhases(t *testing.T) {
	sender := scenarios.Producer{Rate: scenarios.Curve{}}
	for _, test := range []struct {
		name      string
		producers int
		health    *results.Health
		want      *float64
	}{
		{"recorded", 2, &results.Health{PacingWait: new(0.001)}, new(0.001)},
		{"one sender of before", 1, &results.Health{}, new(0.02)},
		{"one sender of a killed run", 1, nil, new(0.02)},
		{"two senders of before", 2, &results.Health{}, nil},
	} {
		plan := &scenarios.Plan{}
		for range test.producers {
			plan.Producers = append(plan.Producers, sender)
		}
		e := &evidence{gauges: map[gaugeKey]*gaugeStat{{results.GaugePacingWait, "steady"}: {sum: 0.04, weight: 2, max: 0.02, intervals: 2}}}
		got := pacingWaitOf(&results.Run{Plan: plan, Health: test.health}, e, scope{phases: map[string]bool{"steady": true}})
		if (got == nil) != (test.want == nil) || got != nil && *got != *test.want {
			t.Errorf("%s: got %v; want %v", test.name, deref(got), deref(test.want))
		}
	}
}

// A run of before counted whatever a listener dropped as its queue's, which it may not have been.
func TestListenDropsOfBefore(t *testing.T) {
	gauges := map[gaugeKey]*gaugeStat{
		{results.GaugeSegments, "steady"}:        {sum: 1000, intervals: 1},
		{results.GaugeListenOverflows, "steady"}: {sum: 5, intervals: 1},
	}
	run, all := &results.Run{Plan: &scenarios.Plan{}}, scope{phases: map[string]bool{"steady": true}}
	if got := machineOf(run, &evidence{gauges: gauges}, all).tcp; got.ListenOverflows != 0 || got.ListenDrops != 5 {
		t.Errorf("of before: got %+v; want 0 overflows, 5 drops", got)
	}
	gauges[gaugeKey{results.GaugeListenDrops, "steady"}] = &gaugeStat{sum: 7, intervals: 1}
	run.Plan.Clients = []scenarios.ClientGroup{{}, {Slow: &scenarios.SlowReading{}}}
	if got := machineOf(run, &evidence{gauges: gauges}, all).tcp; got.ListenOverflows != 5 || got.ListenDrops != 7 || !got.SlowByPlan {
		t.Errorf("got %+v; want 5 overflows of 7 drops, slow by plan", got)
	}
}

// The table says where the kernel's counts were not judged.
func TestTCPRow(t *testing.T) {
	last := func(tcp TCPCounts) string {
		rows := gaugeRows(HealthFigures{TCP: &tcp})
		return rows[len(rows)-1][2]
	}
	const want = "98 sent again, 1 connection dropped by full listeners (7 in all), receive buffers full 3 times; on this machine, whoever's"
	tcp := TCPCounts{Segments: 1000, Retransmits: 98, ListenOverflows: 1, ListenDrops: 7, FullReceiveBuffers: 3}
	if got := last(tcp); got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	tcp.SlowByPlan = true
	if got, want := last(tcp), want+"; clients read slowly by plan, so neither what was sent again nor full buffers were judged"; got != want {
		t.Errorf("slow by plan: got %q; want %q", got, want)
	}
}
