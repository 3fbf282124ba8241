package report

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// measured gives the fixture's intervals a gauge, one value a measure interval (steady 4, burst 2), and the others 99.
func measured(f *fixture, gauge string, values ...float64) {
	next := 0
	for _, in := range f.intervals {
		own := map[string]float64{}
		for name, v := range in.Gauges {
			own[name] = v
		}
		in.Gauges = own
		delete(own, gauge)
		switch {
		case in.Phase != "steady" && in.Phase != "burst":
			own[gauge] = 99
		case next < len(values):
			own[gauge] = values[next]
			next++
		}
	}
}

func TestResourceThresholds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		metric string
		op     string
		value  float64
		unit   string
		phase  string
		gauge  string
		values []float64
		want   Outcome
		reason string
		note   string
	}{
		{"mean holds", "gateway_cpu.mean", "<", 1.5, "cores", "", results.GaugeGatewayCPU, []float64{1, 1, 1, 1, 2, 2}, OutcomePass, "gateway_cpu.mean was 1.33 cores", ""},
		{"mean of a phase", "gateway_cpu.mean", "<", 1.5, "cores", "burst", results.GaugeGatewayCPU, []float64{1, 1, 1, 1, 2, 2}, OutcomeFail, "gateway_cpu{phase=burst}.mean was 2.00 cores, not < 1.5 cores", ""},
		{"maximum", "gateway_rss.max", "<=", 1 << 30, "bytes", "", results.GaugeGatewayRSS, []float64{1, 1, 3 << 29, 1, 1, 1}, OutcomeFail, "gateway_rss.max was 1.50 GiB, not <= 1 GiB", ""},
		{"maximum of another phase", "gateway_rss.max", "<=", 1 << 30, "bytes", "burst", results.GaugeGatewayRSS, []float64{1, 1, 3 << 29, 1, 1, 1}, OutcomePass, "", ""},
		{"share", "machine_busy.max", "<", 0.9, "ratio", "", results.GaugeMachineBusy, []float64{.1, .1, .95, .1, .1, .1}, OutcomeFail, "machine_busy.max was 95%, not < 90%", ""},
		{"at least", "kafka_cpu.max", ">", 2, "cores", "", results.GaugeKafkaCPU, []float64{1, 1, 3, 1, 1, 1}, OutcomePass, "", ""},
		{"generator", "generator_cpu.mean", "<", 1, "cores", "", results.GaugeGeneratorCPU, []float64{2, 2, 2, 2, 2, 2}, OutcomeFail, "", ""},
		{"generator's memory", "generator_rss.mean", "<", 1, "bytes", "", results.GaugeGeneratorRSS, []float64{2, 2, 2, 2, 2, 2}, OutcomeFail, "", ""},
		{"kafka's memory", "kafka_rss.max", "<", 1, "bytes", "", results.GaugeKafkaRSS, []float64{2, 2, 2, 2, 2, 2}, OutcomeFail, "", ""},
		{"measured in part", "gateway_cpu.mean", "<", 1.5, "cores", "", results.GaugeGatewayCPU, []float64{1, 1}, OutcomePass, "", "measured in 2 of 6 intervals only"},
		// A target that weir did not start has no process to look at: a limit that nobody measured is not held.
		{"not measured", "gateway_cpu.mean", "<", 1.5, "cores", "", results.GaugeGatewayCPU, nil, OutcomeFail, "not measured", ""},
		{"not measured, at least", "gateway_cpu.mean", ">=", 0, "cores", "", results.GaugeGatewayCPU, nil, OutcomeFail, "not measured", ""},
		{"hair apart", "gateway_cpu.mean", "<", 1, "cores", "", results.GaugeGatewayCPU, []float64{1.001, 1.001, 1.001, 1.001, 1.001, 1.001}, OutcomeFail, "was 1.001 cores, not < 1 core", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := passing()
			measured(f, test.gauge, test.values...)
			var filters map[string]string
			if test.phase != "" {
				filters = map[string]string{"phase": test.phase}
			}
			f.plan.Thresholds = []scenarios.Threshold{threshold(test.metric, test.op, test.value, test.unit, filters)}
			j := NewJudge(f.plan)
			for _, in := range f.intervals {
				if err := j.Add(in); err != nil {
					t.Fatal(err)
				}
			}
			got := j.Final(f.audit, f.end.Status)[0]
			if got.Result != test.want || !strings.Contains(got.Reason, test.reason) || got.Note != test.note {
				t.Errorf("got %s, %q (%s); want %s, %q (%s)", got.Result, got.Reason, got.Note, test.want, test.reason, test.note)
			}
		})
	}
}

// A maximum that was exceeded stays exceeded; a mean may still come down. What aborted fails at the end.
func TestResourceAborts(t *testing.T) {
	t.Parallel()
	for metric, want := range map[string]int{"gateway_rss.max": 2, "gateway_rss.mean": -1} {
		limit := threshold(metric, "<", 100, "bytes", nil)
		limit.Abort = true
		p := smallPlan(1, 10, 1, limit)
		var intervals []*results.Interval
		for i, v := range []float64{50, 99, 100, 1, 1} {
			in := tick(i, nil)
			in.Gauges = map[string]float64{results.GaugeGatewayRSS: v}
			intervals = append(intervals, in)
		}
		if got := breachedAt(t, p, intervals); got != want {
			t.Errorf("%s: breached after interval %d; want %d", metric, got, want)
		}
		j := NewJudge(p)
		for _, in := range intervals[:3] {
			if err := j.Add(in); err != nil {
				t.Fatal(err)
			}
		}
		if f := j.Final(nil, results.StatusAborted)[0]; want >= 0 && (f.Result != OutcomeFail || !f.Early) {
			t.Errorf("%s: in the end %s (%s); want fail, early", metric, f.Result, f.Reason)
		}
	}
}

func TestResourcesOfASummary(t *testing.T) {
	f := passing()
	measured(f, results.GaugeGatewayCPU, 0.2, 0.2, 0.2, 0.2, 0.5, 0.5)
	measured(f, results.GaugeGatewayDescriptors, 30, 30, 530, 520, 510, 30)
	j := NewJudge(f.plan)
	for _, in := range f.intervals {
		if err := j.Add(in); err != nil {
			t.Fatal(err)
		}
	}
	got := summarise(&results.Run{Plan: f.plan, Audit: f.audit, Health: f.health, End: f.end}, j).Resources
	// 0.3 cores for 2,000 deliveries a second are 150 µs each.
	if got.Gateway.CPUMean == nil || math.Abs(*got.Gateway.CPUMean-0.3) > 1e-9 || *got.Gateway.CPUMax != 0.5 ||
		math.Abs(*got.GatewayCPUPerDelivery-150) > 1e-6 {
		t.Errorf("got %+v, %v µs a delivery; want a mean of 0.3, a maximum of 0.5 and 150 µs", got.Gateway, got.GatewayCPUPerDelivery)
	}
	if got.Gateway.DescriptorsMax == nil || *got.Gateway.DescriptorsMax != 530 || got.Kafka.DescriptorsMax != nil {
		t.Errorf("got %v and %v descriptors; want up to 530 of the gateway, and null of Kafka", got.Gateway.DescriptorsMax, got.Kafka.DescriptorsMax)
	}
	if got.Gateway.RSSMean != nil || got.Gateway.RSSMax != nil {
		t.Errorf("memory is %v; want null, since nobody measured it", *got.Gateway.RSSMean)
	}
}

// TestGatewayOfASummary: what a comparison of gateways asks for is said wherever a run is.
func TestGatewayOfASummary(t *testing.T) {
	f := passing()
	measured(f, results.GaugeGatewayRSS, 52<<20, 52<<20, 52<<20, 52<<20, 52<<20, 52<<20)
	measured(f, results.GaugeClients, 52, 52, 52, 52, 52, 52)
	measured(f, results.GaugeGatewayDescriptors, 30, 30, 530, 520, 510, 30)
	f.plan.Gateway.Guarantees = scenarios.Guarantees{Delivery: "at-least-once", Sheds: true, Resumes: true}
	j := NewJudge(f.plan)
	for _, in := range f.intervals {
		if err := j.Add(in); err != nil {
			t.Fatal(err)
		}
	}
	s := summarise(&results.Run{Plan: f.plan, Audit: f.audit, Health: f.health, End: f.end}, j)
	if got := s.Resources.GatewayRSSPerConnection; got == nil || *got != 1<<20 {
		t.Errorf("got %v bytes a connection; want 1 MiB, 52 MiB by 52 clients", got)
	}
	var b bytes.Buffer
	if err := Terminal(&b, s, TerminalOptions{}); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{
		"the gateway 1.00 MiB a connection",
		"the gateway declares at-least-once, in any order, may shed what it reports, clients that return get what they missed (profile reference)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got %s; want %s", text, want)
		}
	}
}
