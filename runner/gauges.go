package runner

import (
	"runtime"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/testbed"
)

// gauges reads what the generator and the parts of the pipeline use. It belongs to the collector's goroutine.
type gauges struct {
	parts []*part
	last  time.Time
	busy  busyWatch
	net   netWatch
	first bool
	self  testbed.ResourceUse
}

// part is one process, or group of them, whose use is followed.
type part struct {
	use      func() (testbed.ResourceUse, error)
	cpuName  string
	rssName  string
	openName string // of its descriptors; "" where they are not followed
	goName   string // likewise of its goroutines
	last     testbed.ResourceUse
	known    bool // last is there
	rate     float64
	rated    bool // rate is of the last two readings
}

func newGauges(kafka []int, target func() (testbed.ResourceUse, error)) *gauges {
	brokers := func() (testbed.ResourceUse, error) {
		if len(kafka) == 0 {
			return testbed.ResourceUse{}, testbed.ErrNoUsage
		}
		use, err := testbed.Usage(kafka)
		use.At = time.Now()
		return use, err
	}
	return &gauges{first: true, parts: []*part{
		{use: brokers, cpuName: results.GaugeKafkaCPU, rssName: results.GaugeKafkaRSS},
		{use: target, cpuName: results.GaugeGatewayCPU, rssName: results.GaugeGatewayRSS, openName: results.GaugeGatewayDescriptors, goName: results.GaugeGatewayGoroutines},
	}}
}

// read adds the part's gauges. What can't be read is left out: a part that just died is reported as that elsewhere. A
// reading that is older than the last call stands for another interval.
func (p *part) read(out map[string]float64) {
	use, err := p.use()
	if err != nil {
		p.known, p.rated = false, false
		return
	}
	if p.known && use.At.After(p.last.At) {
		spent := use.CPUSeconds - p.last.CPUSeconds
		p.rate, p.rated = spent/use.At.Sub(p.last.At).Seconds(), spent >= 0 // less than before is another process
	}
	if p.rated {
		out[p.cpuName] = p.rate
	}
	out[p.rssName] = float64(use.RSSBytes)
	if p.openName != "" && use.Descriptors > 0 {
		out[p.openName] = float64(use.Descriptors)
	}
	if p.goName != "" && use.Goroutines > 0 {
		out[p.goName] = float64(use.Goroutines)
	}
	p.last, p.known = use, true
}

// read returns the gauges of the time since the last call.
func (g *gauges) read() map[string]float64 {
	now := time.Now()
	span := now.Sub(g.last).Seconds()
	out := map[string]float64{}
	for _, p := range g.parts {
		p.read(out)
	}
	used, known := 0.0, false // by weir and the pipeline, in cores
	if use, err := selfUse(); err == nil {
		if !g.first {
			used, known = (use.CPUSeconds-g.self.CPUSeconds)/span, true
			out[results.GaugeGeneratorCPU] = used
		}
		out[results.GaugeGeneratorRSS] = float64(use.RSSBytes)
		out[results.GaugeDescriptors] = float64(use.Descriptors)
		out[results.GaugeGoroutines] = float64(runtime.NumGoroutine())
		g.self = use
	}
	for _, p := range g.parts {
		used, known = used+p.rate, known && p.rated
	}
	if busy, ok := g.busy.share(); ok && !g.first {
		out[results.GaugeMachineBusy] = busy.all
		if known && busy.cores > 0 {
			out[results.GaugeForeignCPU] = busy.processes - used/float64(busy.cores)
		}
	}
	g.net.gauges(readNetCounts(), span, out)
	g.first, g.last = false, now
	return out
}
