package runner

import (
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/testbed"
)

// gauges reads what the generator and the parts of the pipeline use. It belongs to the collector's goroutine.
type gauges struct {
	parts []*part
	last  time.Time
	busy  busyWatch
	first bool
	self  testbed.ResourceUse
	// peakDescriptors is the most that the generator had open at any reading.
	peakDescriptors int64
}

// part is one process, or group of them, whose use is followed.
type part struct {
	pids    []int
	cpuName string
	rssName string
	cpu     float64
	known   bool // cpu is of the last reading
}

func newGauges(kafka, target []int) *gauges {
	return &gauges{first: true, parts: []*part{
		{pids: kafka, cpuName: results.GaugeKafkaCPU, rssName: results.GaugeKafkaRSS},
		{pids: target, cpuName: results.GaugeGatewayCPU, rssName: results.GaugeGatewayRSS},
	}}
}

// read returns the gauges of the time since the last call. What can't be read is left out: a part that just died is
// reported as that elsewhere.
func (g *gauges) read() map[string]float64 {
	now := time.Now()
	span := now.Sub(g.last).Seconds()
	out := map[string]float64{}
	for _, p := range g.parts {
		if len(p.pids) == 0 {
			continue
		}
		use, err := testbed.Usage(p.pids)
		if err != nil {
			p.known = false
			continue
		}
		if p.known {
			out[p.cpuName] = (use.CPUSeconds - p.cpu) / span
		}
		out[p.rssName] = float64(use.RSSBytes)
		p.cpu, p.known = use.CPUSeconds, true
	}
	if use, err := selfUse(); err == nil {
		if !g.first {
			out[results.GaugeGeneratorCPU] = (use.CPUSeconds - g.self.CPUSeconds) / span
		}
		out[results.GaugeGeneratorRSS] = float64(use.RSSBytes)
		out[results.GaugeDescriptors] = float64(use.Descriptors)
		g.self = use
		g.peakDescriptors = max(g.peakDescriptors, int64(use.Descriptors))
	}
	if busy, ok := g.busy.share(); ok && !g.first {
		out[results.GaugeMachineBusy] = busy
	}
	g.first, g.last = false, now
	return out
}
