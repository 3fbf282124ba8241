package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weirbench/weir/internal/benchtable"
	"github.com/weirbench/weir/report"
)

// gatewayKind is a gateway of the comparison.
type gatewayKind struct {
	name  string
	set   string // what --set gateway= says of it
	tools []string
}

// gatewayBase is what the others are compared with.
const gatewayBase = "node-ws"

func gatewayKinds() []gatewayKind {
	return []gatewayKind{
		{"reference", "target: reference", nil},
		{gatewayBase, "target: node-ws, variant: shared", []string{"node", "npm"}},
		{"spring-boot", "target: spring-boot", []string{"java", "mvn"}},
		{"centrifugo", "target: centrifugo", []string{"centrifugo"}},
	}
}

// gatewayFigures is what one gateway took in one round.
type gatewayFigures struct {
	cpu        float64 // µs a delivery
	connection float64 // bytes a connection, of the whole gateway
	p50, p99   float64 // ms
	delivered  float64 // of expected, a share of 1
	busy       float64
}

func noGateway() gatewayFigures {
	n := benchtable.Absent()
	return gatewayFigures{n, n, n, n, n, n}
}

// gatewayResult is all rounds of one gateway in one work.
type gatewayResult struct {
	gatewayKind
	missing string
	rounds  rounds[gatewayFigures]
	faults  []string
	health  map[string]int
}

// compareGateways has each gateway pass on the same work, from Apache Kafka in Docker: kafkajs does not take the embedded
// one's answers.
func (b *bench) compareGateways(ctx context.Context, out io.Writer) error {
	docker := missingDocker(ctx)
	for _, work := range strings.Split(b.works, ",") {
		var all []*gatewayResult
		for _, kind := range gatewayKinds() {
			if !b.wanted(kind.name) && b.only != "" {
				continue
			}
			r := &gatewayResult{gatewayKind: kind, missing: docker, health: map[string]int{}}
			for _, tool := range kind.tools {
				if _, err := exec.LookPath(tool); err != nil && r.missing == "" {
					r.missing = tool + " is not on the PATH"
				}
			}
			all = append(all, r)
		}
		for round := 1; round <= b.rounds && docker == ""; round++ {
			if err := b.others.look(ctx); err != nil {
				return err
			}
			for _, i := range inTurn(len(all), round) {
				r := all[i]
				if r.missing != "" {
					continue
				}
				say("gateways, %s, round %d of %d: %s", work, round, b.rounds, r.name)
				f, err := b.gatewayRun(ctx, work, filepath.Join(b.out, fmt.Sprintf("gateways-%s-%s-%d", work, r.name, round)), r)
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err != nil {
					r.faults = append(r.faults, fmt.Sprintf("round %d: %v", round, err))
				}
				r.rounds = append(r.rounds, f)
			}
		}
		if err := b.gatewayTable(work, all).Write(out); err != nil {
			return err
		}
	}
	return nil
}

// missingDocker says why there is no Kafka in Docker; empty where there may be.
func missingDocker(ctx context.Context) string {
	if _, err := exec.LookPath("docker"); err != nil {
		return "docker is not on the PATH"
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := exec.CommandContext(ctx, "docker", "version").Run(); err != nil {
		return "docker does not answer"
	}
	return ""
}

func (b *bench) gatewayRun(ctx context.Context, work, dir string, r *gatewayResult) (gatewayFigures, error) {
	p, err := b.startRun(ctx, work, dir, nil, fmt.Sprintf("clients.viewers.count=%d", b.clients), "kafka.provider=docker",
		"gateway={"+r.set+", ready_in: 2m}", "phases.warm-up="+b.warm.String(), "phases.measure.steady.duration="+b.measure.String())
	if err != nil {
		return noGateway(), err
	}
	if err := p.wait(ctx); err != nil {
		return noGateway(), err
	}
	s, err := report.SummariseComplete(dir)
	if err != nil {
		return noGateway(), fmt.Errorf("%w (%s)", err, p.log)
	}
	r.health[string(s.Health.State)]++
	return gatewayFiguresOf(s), nil
}

func gatewayFiguresOf(s *report.Summary) gatewayFigures {
	f := gatewayFigures{
		cpu: known(s.Resources.GatewayCPUPerDelivery), connection: known(s.Resources.GatewayRSSPerConnection), busy: known(s.Resources.MachineBusyMean),
		delivered: benchtable.Absent(),
	}
	f.p50, f.p99 = milliseconds(s.Latency.E2E)
	if s.Audit.Expected > 0 {
		f.delivered = float64(s.Audit.Delivered) / float64(s.Audit.Expected)
	}
	return f
}

// tally lists counts by name: "1 doubtful, 4 valid".
func tally(counts map[string]int) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(out, ", ")
}

// known is a figure of the summary, NaN where it was not measured.
func known(v *float64) float64 {
	if v == nil {
		return benchtable.Absent()
	}
	return *v
}

// milliseconds are a latency's p50 and p99; NaN where none was measured.
func milliseconds(l report.Latency) (p50, p99 float64) {
	if l.Count == 0 {
		return benchtable.Absent(), benchtable.Absent()
	}
	return float64(l.P50NS) / 1e6, float64(l.P99NS) / 1e6
}

func (b *bench) gatewayTable(work string, all []*gatewayResult) *benchtable.Table {
	t := &benchtable.Table{
		Title: fmt.Sprintf("Gateways, %s: %d clients, 10 messages/s of 128 B each, Apache Kafka in Docker", work, b.clients),
		Head:  []string{"gateway", "CPU µs a delivery", "÷ " + gatewayBase, "KiB a connection", "÷ " + gatewayBase, "e2e p50, ms", "p99", "delivered", "machine busy"},
	}
	cpu := func(f gatewayFigures) float64 { return f.cpu }
	memory := func(f gatewayFigures) float64 { return f.connection / 1024 }
	var baseCPU, baseMemory benchtable.Sample
	for _, r := range all {
		if r.name == gatewayBase {
			baseCPU, baseMemory = r.rounds.sample(cpu), r.rounds.sample(memory)
		}
	}
	for _, r := range all {
		if r.missing != "" {
			t.Add(r.name, "skipped: "+r.missing)
			continue
		}
		t.Add(r.name, r.rounds.sample(cpu).Cell(benchtable.Digits), benchtable.Ratios(r.rounds.sample(cpu), baseCPU).Cell(benchtable.Digits),
			r.rounds.sample(memory).Cell(benchtable.Digits), benchtable.Ratios(r.rounds.sample(memory), baseMemory).Cell(benchtable.Digits),
			r.rounds.sample(func(f gatewayFigures) float64 { return f.p50 }).Cell(benchtable.Digits),
			r.rounds.sample(func(f gatewayFigures) float64 { return f.p99 }).Cell(benchtable.Digits),
			r.rounds.sample(func(f gatewayFigures) float64 { return f.delivered }).Cell(benchtable.Percent),
			r.rounds.sample(func(f gatewayFigures) float64 { return f.busy }).Cell(benchtable.Percent))
	}
	t.Note("Rounds: %d, each measured for %s. A delivery carries its share of reading Kafka; memory is the whole gateway's by its connections.", b.rounds, b.measure)
	for _, r := range all {
		if len(r.health) > 0 && r.health[string(report.HealthValid)] < b.rounds {
			t.Note("%s: health of its runs: %s.", r.name, tally(r.health))
		}
		if len(r.faults) > 0 {
			t.Note("%s: %s", r.name, strings.Join(r.faults, "; "))
		}
	}
	return t
}
