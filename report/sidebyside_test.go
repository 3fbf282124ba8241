package report

import (
	"bytes"
	"testing"
)

// TestSideBySide: a row for each scenario and gateway with the median and the range of its valid runs.
func TestSideBySide(t *testing.T) {
	run := func(target string, p99 int64, state HealthState) *Summary {
		rss, cpu := 100e3, 12.5
		s := &Summary{Run: RunInfo{Scenario: "keyed", Target: target}, Health: HealthReport{State: state}}
		s.Latency.E2E = Latency{Count: 10, P50NS: 1e6, P99NS: p99, P999NS: 9e6}
		s.Audit.Available = true
		s.Audit.Expected, s.Audit.Delivered, s.Audit.Lost, s.Audit.Unseen = 10_000, 9_990, 7, 3
		s.Resources.GatewayRSSPerConnection, s.Resources.GatewayCPUPerDelivery = &rss, &cpu
		return s
	}
	silent := run("silent|one", 0, HealthValid)
	silent.Latency.E2E, silent.Audit.Available, silent.Resources = Latency{}, false, Resources{}
	var b bytes.Buffer
	err := SideBySide(&b, []*Summary{
		run("node-ws (shared)", 4e6, HealthValid), run("node-ws (shared)", 900e6, HealthInvalid), silent,
		run("node-ws (shared)", 2e6, HealthDoubtful), run("node-ws (shared)", 3e6, HealthValid),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `
| scenario | gateway | valid runs | e2e p50 | p99 | p99.9 | expected | delivered | lost or unseen | undetermined | duplicate | reordered | CPU a delivery | memory a connection |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| keyed | node-ws (shared) | 3 of 4 | 1.00 ms | 3.00 ms (2.00 ms to 4.00 ms) | 9.00 ms | 10,000 | 9,990 | 10 | 0 | 0 | 0 | 12.5 µs | 97.7 KiB |
| keyed | silent\|one | 1 | – | – | – | – | – | – | – | – | – | – | – |
`
	if b.String() != want {
		t.Errorf("got %s\nwant %s", b.String(), want)
	}
}
