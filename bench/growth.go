package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/weirbench/weir/internal/benchtable"
	"github.com/weirbench/weir/report"
)

// growth is one quantity that grows while the others stay.
type growth struct {
	name  string // of the files and the heading
	about string
	unit  string // what x counts
	steps []step
}

// step is one run.
type step struct {
	x    float64
	work string
	sets []string
}

// stepFigures is what a step took.
type stepFigures struct {
	generatorCPU, gatewayCPU     float64 // µs a delivery
	generatorBytes, gatewayBytes float64 // the most in the measure phase
	p50, p99                     float64 // ms
	delivered                    float64 // deliveries a second
	busy                         float64
	health                       string
}

// More clients than one process has descriptors for are spread over several gateways.
const clientsPerGateway = 18_000

// growths are the steps, by what grows. clients bounds how many of them there are at most.
func growths(clients int) []growth {
	all := []growth{
		{name: "clients", unit: "clients", about: "all follow one topic with one record of 128 B a second"},
		{name: "rate", unit: "deliveries/s", about: "1,000 clients, 100 of them behind each of 10 keys, 128 B"},
		{name: "streams", unit: "keys", about: "1,000 clients follow a tenth of the keys each, 100 records of 128 B a second: 10,000 deliveries/s throughout"},
		{name: "size", unit: "bytes", about: "200 clients follow one topic with 10 records a second: 2,000 deliveries/s throughout"},
	}
	for _, n := range []int{1000, 2000, 5000, 10_000, 18_000, 30_000, 50_000} {
		if n > clients {
			break
		}
		sets := []string{fmt.Sprintf("clients.viewers.count=%d", n), "producers.feed.rate=1/s"}
		if n > clientsPerGateway {
			sets = append(sets, fmt.Sprintf("gateway.instances=%d", (n+clientsPerGateway-1)/clientsPerGateway))
		}
		all[0].steps = append(all[0].steps, step{float64(n), "broadcast", sets})
	}
	for _, rate := range []int{10, 30, 100, 300, 1000, 1500} {
		all[1].steps = append(all[1].steps, step{float64(rate * 100), "keyed",
			[]string{"clients.viewers.count=1000", fmt.Sprintf("producers.feed.rate=%d/s", rate)}})
	}
	for _, keys := range []int{10, 100, 1000, 10_000} {
		sets := []string{"clients.viewers.count=1000", fmt.Sprintf("producers.feed.keys.count=%d", keys), fmt.Sprintf("clients.viewers.subscribe.keys=%d", keys/10)}
		all[2].steps = append(all[2].steps, step{float64(keys), "keyed", sets})
	}
	for _, size := range []int{128, 512, 2048, 8192, 32_768, 65_536} {
		all[3].steps = append(all[3].steps, step{float64(size), "broadcast",
			[]string{"clients.viewers.count=200", fmt.Sprintf("producers.feed.size=%dB", size)}})
	}
	return all
}

// grow runs the steps and writes a table and a plot of each growth. A step that can't be run says why.
func (b *bench) grow(ctx context.Context, out io.Writer) error {
	for _, g := range growths(b.most) {
		if b.only != "" && !b.wanted(g.name) {
			continue
		}
		var all []stepFigures
		t := &benchtable.Table{
			Title: "Cost as work grows: " + g.name,
			Head: []string{g.unit, "delivered/s", "generator CPU, µs a delivery", "gateway CPU, µs a delivery", "generator memory, MiB", "gateway memory, MiB",
				"e2e p50, ms", "p99", "machine busy", "health"},
		}
		if err := b.others.look(ctx); err != nil {
			return err
		}
		for _, s := range g.steps {
			say("growth, %s: %s", g.name, short(s.x))
			f, err := b.step(ctx, filepath.Join(b.out, fmt.Sprintf("growth-%s-%.0f", g.name, s.x)), s)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				t.Add(short(s.x), "skipped: "+err.Error())
			} else {
				t.Add(stepRow(s, f)...)
			}
			all = append(all, f)
		}
		t.Note("%s; %s of warm-up and %s measured, each step once.", strings.ToUpper(g.about[:1])+g.about[1:], b.warm, b.measure)
		t.Note("%s", superlinear(g, all))
		if err := b.plot(g, all); err != nil {
			return err
		}
		if err := t.Write(out); err != nil {
			return err
		}
	}
	return nil
}

func short(v float64) string { return fmt.Sprintf("%.0f", v) }

func stepRow(s step, f stepFigures) []string {
	const mib = 1 << 20
	row := []string{short(s.x)}
	for _, v := range []float64{f.delivered, f.generatorCPU, f.gatewayCPU, f.generatorBytes / mib, f.gatewayBytes / mib, f.p50, f.p99} {
		row = append(row, figure(v, benchtable.Digits))
	}
	return append(row, figure(f.busy, benchtable.Percent), f.health)
}

func (b *bench) step(ctx context.Context, dir string, s step) (stepFigures, error) {
	n := benchtable.Absent()
	none := stepFigures{n, n, n, n, n, n, n, n, ""}
	p, err := b.startRun(ctx, s.work, dir, nil, append([]string{"clients.viewers.connect_rate=5000/s",
		"phases.warm-up=" + b.warm.String(), "phases.measure.steady.duration=" + b.measure.String()}, s.sets...)...)
	if err != nil {
		return none, err
	}
	if err := p.wait(ctx); err != nil {
		return none, err
	}
	if _, err := os.Stat(dir); err != nil {
		return none, p.failed("weir") // it refused the scenario
	}
	sum, err := report.SummariseComplete(dir)
	if err != nil {
		return none, fmt.Errorf("%w (%s)", err, p.log)
	}
	return stepFiguresOf(sum), nil
}

func stepFiguresOf(s *report.Summary) stepFigures {
	f := stepFigures{
		gatewayCPU:     known(s.Resources.GatewayCPUPerDelivery),
		generatorBytes: known(s.Resources.Generator.RSSMax), gatewayBytes: known(s.Resources.Gateway.RSSMax),
		delivered: s.Rates.Delivered, busy: known(s.Resources.MachineBusyMean), health: string(s.Health.State),
	}
	f.p50, f.p99 = milliseconds(s.Latency.E2E)
	f.generatorCPU = benchtable.Absent()
	if s.Rates.Delivered > 0 {
		f.generatorCPU = known(s.Resources.Generator.CPUMean) / s.Rates.Delivered * 1e6
	}
	return f
}

// tolerated is by how much a cost a delivery may rise over a growth before the table speaks of it.
const tolerated = 1.25

// superlinear names what grows faster than the work: of a cost a delivery any rise, of memory a rise beyond that of x. What a
// delivery costs falls as fixed costs are shared by more of them, so that each step is held against the cheapest before it. A
// step that was skipped, or whose run is invalid, counts for nothing, and of fewer than two nothing can be told.
func superlinear(g growth, all []stepFigures) string {
	var worse, untold []string
	for _, c := range []struct {
		name   string
		linear bool // may grow with x
		of     func(stepFigures) float64
	}{
		{"generator CPU a delivery", g.name == "size", func(f stepFigures) float64 { return f.generatorCPU }},
		{"gateway CPU a delivery", g.name == "size", func(f stepFigures) float64 { return f.gatewayCPU }},
		{"generator memory", true, func(f stepFigures) float64 { return f.generatorBytes }},
		{"gateway memory", true, func(f stepFigures) float64 { return f.gatewayBytes }},
	} {
		cheapest := math.Inf(1) // in the units of the step's own x where the cost may grow with it
		compared := 0
		for i, f := range all {
			v := c.of(f)
			if math.IsNaN(v) || f.health == "" || f.health == string(report.HealthInvalid) {
				continue
			}
			compared++
			if c.linear {
				v /= g.steps[i].x
			}
			if v > cheapest*tolerated {
				worse = append(worse, fmt.Sprintf("%s at %s (%s of its least before)", c.name, short(g.steps[i].x), benchtable.Percent(v/cheapest)))
			}
			if v < cheapest {
				cheapest = v
			}
		}
		if compared < 2 {
			untold = append(untold, c.name)
		}
	}
	said := "Nothing that can be told grows faster than linearly, beyond a quarter."
	switch {
	case worse != nil:
		said = "Faster than linearly, beyond a quarter: " + strings.Join(worse, "; ") + "."
	case untold == nil:
		said = "Nothing grows faster than linearly, beyond a quarter."
	}
	if untold != nil {
		said += " Of fewer than two steps that are not invalid can't be told: " + strings.Join(untold, ", ") + "."
	}
	return said
}

// plot draws what a growth costs into growth-NAME.svg.
func (b *bench) plot(g growth, all []stepFigures) error {
	const mib = 1 << 20
	var x []float64
	var generatorCPU, gatewayCPU, generatorMiB, gatewayMiB, p50, p99 benchtable.Sample
	for i, f := range all {
		x = append(x, g.steps[i].x)
		generatorCPU, gatewayCPU = append(generatorCPU, f.generatorCPU), append(gatewayCPU, f.gatewayCPU)
		generatorMiB, gatewayMiB = append(generatorMiB, f.generatorBytes/mib), append(gatewayMiB, f.gatewayBytes/mib)
		p50, p99 = append(p50, f.p50), append(p99, f.p99)
	}
	file, err := os.Create(filepath.Join(b.out, "growth-"+g.name+".svg"))
	if err != nil {
		return err
	}
	err = benchtable.SVG(file, 3, []benchtable.Panel{
		{Title: "processor time, µs a delivery", XLabel: g.unit, X: x, Curves: []benchtable.Curve{{Name: "generator", Y: generatorCPU}, {Name: "gateway", Y: gatewayCPU}}},
		{Title: "memory, MiB", XLabel: g.unit, X: x, Curves: []benchtable.Curve{{Name: "generator", Y: generatorMiB}, {Name: "gateway", Y: gatewayMiB}}},
		{Title: "e2e latency, ms", XLabel: g.unit, X: x, Curves: []benchtable.Curve{{Name: "p50", Y: p50}, {Name: "p99", Y: p99}}},
	})
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}
