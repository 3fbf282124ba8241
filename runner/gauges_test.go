package runner

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/testbed"
)

// TestPartGauges: rates are of the time between readings, which may be others than the calls.
func TestPartGauges(t *testing.T) {
	start := time.Unix(1000, 0)
	gone := errors.New("gone")
	var use testbed.ResourceUse
	var err error
	p := &part{
		use:     func() (testbed.ResourceUse, error) { return use, err },
		cpuName: results.GaugeGatewayCPU, rssName: results.GaugeGatewayRSS, openName: results.GaugeGatewayDescriptors,
		goName: results.GaugeGatewayGoroutines,
	}
	for i, step := range []struct {
		at       time.Duration
		cpu      float64
		open     int
		err      error
		rate     float64 // −1 for none
		readable bool
	}{
		{0, 10, 5, nil, -1, true},
		{2 * time.Second, 11, 6, nil, 0.5, true},
		{2 * time.Second, 11, 6, nil, 0.5, true}, // the same reading again
		{3 * time.Second, 13, 0, nil, 2, true},   // descriptors are not known
		{4 * time.Second, 1, 7, nil, -1, true},   // another process
		{5 * time.Second, 2, 7, nil, 1, true},
		{6 * time.Second, 3, 7, gone, -1, false},
		{7 * time.Second, 9, 7, nil, -1, true}, // the time in between is not known
	} {
		use = testbed.ResourceUse{CPUSeconds: step.cpu, RSSBytes: 100, Descriptors: step.open, Goroutines: 10 * step.open, At: start.Add(step.at)}
		err = step.err
		want := map[string]float64{}
		if step.readable {
			want[results.GaugeGatewayRSS] = 100
		}
		if step.readable && step.open > 0 {
			want[results.GaugeGatewayDescriptors], want[results.GaugeGatewayGoroutines] = float64(step.open), float64(10*step.open)
		}
		if step.rate >= 0 {
			want[results.GaugeGatewayCPU] = step.rate
		}
		got := map[string]float64{}
		if p.read(got); !maps.Equal(got, want) {
			t.Errorf("step %d: got %v; want %v", i, got, want)
		}
	}
}
