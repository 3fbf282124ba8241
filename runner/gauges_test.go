package runner

import (
	"errors"
	"maps"
	"runtime"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/machine"
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

// TestNetCounts reads what the kernel writes, by name, and makes rates of what came since.
func TestNetCounts(t *testing.T) {
	const snmp = "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: RtoMin MaxConn OutSegs RetransSegs\nTcp: 200 -1 1000 7\n"
	const netstat = "TcpExt: PruneCalled RcvPruned ListenOverflows ListenDrops TCPBacklogDrop TCPToZeroWindowAdv TCPRcvQDrop TCPReqQFullDrop New\n" +
		"TcpExt: 1 2 3 40 8 16 32 64 99\nIpExt: ListenDrops\nIpExt: 77\n"
	got := netCountsOf(snmp, netstat)
	if want := (netCounts{true, 1000, 7, 67, 40, 59}); got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
	if cut := netCountsOf("Tcp: OutSegs\n", netstat); cut.known {
		t.Errorf("got %+v from names without values; want it unknown", cut)
	}
	var w netWatch
	gauges := map[string]float64{}
	if w.gauges(got, 1, gauges); len(gauges) != 0 {
		t.Errorf("got %v of the first reading; want none", gauges)
	}
	w.gauges(netCounts{true, 1500, 8, 67, 42, 79}, 2, gauges)
	want := map[string]float64{results.GaugeSegments: 250, results.GaugeRetransmits: 0.5, results.GaugeListenOverflows: 0, results.GaugeListenDrops: 1,
		results.GaugeFullReceiveBuffers: 10}
	if !maps.Equal(gauges, want) {
		t.Errorf("got %v; want %v", gauges, want)
	}
}

// TestForeignCPU: what weir's and the pipeline's processes used is no neighbour's;
// where a part's use is not known, nobody can tell.
func TestForeignCPU(t *testing.T) {
	was := machine.ProcessorTime{Idle: 1000}
	for now, want := range map[machine.ProcessorTime]busyShares{
		{User: 20, Steal: 10, SoftIRQ: 20, Idle: 1050}:         {all: 0.5, processes: 0.5}, // processes are charged for what interrupts them
		{User: 20, Steal: 10, SoftIRQ: 19, IRQ: 1, Idle: 1050}: {all: 0.5, processes: 0.3},
	} {
		if got, known := busySince(now, was); got != want || !known {
			t.Errorf("%+v: got %+v, %v; want %+v", now, got, known, want)
		}
	}
	if got, known := busySince(machine.ProcessorTime{User: 50, Idle: 999}, was); known {
		t.Errorf("got %+v while idle time fell; want it unknown", got)
	}
	rated := func(cores float64) *part {
		now, spent := time.Unix(0, 0), 0.0
		return &part{cpuName: results.GaugeGatewayCPU, rssName: results.GaugeGatewayRSS, use: func() (testbed.ResourceUse, error) {
			now, spent = now.Add(time.Second), spent+cores
			return testbed.ResourceUse{CPUSeconds: spent, At: now}, nil
		}}
	}
	foreign := func(parts ...*part) (share float64, known bool) {
		g := &gauges{first: true, parts: parts}
		g.read()
		g.busy.last.User -= 1000 // ticks of processes, more than were spent since
		g.busy.last.Idle -= 1000
		g.last = g.last.Add(-1000 * time.Second) // so that what this test uses itself is nothing
		got := g.read()
		share, known = got[results.GaugeForeignCPU]
		return share, known
	}
	idle, known := foreign(rated(0), rated(0))
	if !known {
		t.Skip("this system does not tell")
	}
	with, _ := foreign(rated(0), rated(0.5))
	if cores := float64(runtime.NumCPU()); idle-with < 0.2/cores || idle-with > 0.8/cores {
		t.Errorf("got %.3f, and %.3f with half a core of the pipeline's; want about %.3f less", idle, with, 0.5/cores)
	}
	if share, known := foreign(rated(0), &part{use: func() (testbed.ResourceUse, error) { return testbed.ResourceUse{}, testbed.ErrNoUsage }}); known {
		t.Errorf("got %v where a part's use is not known; want none", share)
	}
}
