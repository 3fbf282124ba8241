package report

import (
	"math"
	"testing"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// TestRatiosAreOfOneTime: what the gateway used in the measure phases is divided by what arrived, and who was connected,
// in that time. A reviewer found it divided by all that was due in them: a pipeline that delivered half of it in the drain
// appeared to need half the processor time for each.
func TestRatiosAreOfOneTime(t *testing.T) {
	t.Parallel()
	delivered := func(due string, n int64) results.Counter {
		return counter(results.CountDelivered, due, "viewers", "feed", n)
	}
	for _, c := range []struct {
		name          string
		change        func(intervals []*results.Interval)
		cpuUS, rssPer float64 // below 0: null
	}{
		{"all in time", func([]*results.Interval) {}, 1500, 5000},
		{"half in the drain", func(in []*results.Interval) {
			in[1].Counters, in[2].Counters = []results.Counter{delivered("m", 500)}, []results.Counter{delivered("m", 500)}
			in[3].Counters = []results.Counter{delivered("m", 1000)}
		}, 3000, 5000},
		{"the warm-up's came late", func(in []*results.Interval) {
			in[1].Counters = append(in[1].Counters, delivered(scenarios.PhaseWarmUp, 1000))
		}, 1000, 5000},
		{"half of the clients were connected", func(in []*results.Interval) {
			in[1].Gauges[results.GaugeClients], in[2].Gauges[results.GaugeClients] = 100, 100
		}, 1500, 10000},
		{"metered from the second interval on", func(in []*results.Interval) {
			delete(in[1].Gauges, results.GaugeGatewayCPU)
			delete(in[1].Gauges, results.GaugeGatewayRSS)
			in[1].Gauges[results.GaugeClients] = 1
		}, 2000, 5000},
		{"nothing arrived, nobody was there", func(in []*results.Interval) {
			for _, i := range in {
				i.Counters, i.Gauges[results.GaugeClients] = nil, 0
			}
		}, -1, -1},
		{"not metered", func(in []*results.Interval) {
			for _, i := range in {
				delete(i.Gauges, results.GaugeGatewayCPU)
				delete(i.Gauges, results.GaugeGatewayRSS)
			}
		}, -1, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := passing()
			f.plan.Phases.Measure = f.plan.Phases.Measure[:1]
			f.plan.Phases.Measure[0].Name = "m"
			f.intervals = nil
			for i, phase := range []string{scenarios.PhaseWarmUp, "m", "m", scenarios.PhaseDrain} {
				in := &results.Interval{Index: i, StartAt: int64(i) * 1e9, EndAt: int64(i+1) * 1e9, Phase: phase, Gauges: map[string]float64{
					results.GaugeGatewayCPU: 1.0, results.GaugeGatewayRSS: 1e6, results.GaugeClients: 200}}
				if phase == "m" {
					in.Counters = []results.Counter{delivered("m", 1000)}
				}
				f.intervals = append(f.intervals, in)
			}
			f.intervals[2].Gauges[results.GaugeGatewayCPU] = 2
			c.change(f.intervals)
			j := NewJudge(f.plan)
			for _, in := range f.intervals {
				if err := j.Add(in); err != nil {
					t.Fatal(err)
				}
			}
			got := summarise(&results.Run{Plan: f.plan, Audit: f.audit, Health: f.health, End: f.end}, j).Resources
			for _, figure := range []struct {
				name string
				got  *float64
				want float64
			}{{"CPU a delivery", got.GatewayCPUPerDelivery, c.cpuUS}, {"memory a connection", got.GatewayRSSPerConnection, c.rssPer}} {
				switch {
				case figure.want < 0 && figure.got != nil:
					t.Errorf("%s is %v; want null", figure.name, *figure.got)
				case figure.want >= 0 && (figure.got == nil || math.Abs(*figure.got-figure.want) > 1e-6):
					t.Errorf("%s is %v; want %v", figure.name, figure.got, figure.want)
				}
			}
		})
	}
}
