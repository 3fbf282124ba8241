package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/weirbench/weir/internal/benchtable"
	"github.com/weirbench/weir/report"
)

// pacedRun is how close to its schedule one run sent.
type pacedRun struct {
	p50, p99, p999 float64 // of send lag, ms
	busy           float64
	rate           float64 // records sent a second
}

// comparePacing has weir send 20,000 records a second, as often as there are rounds, and tells how late they went out.
func (b *bench) comparePacing(ctx context.Context, out io.Writer) error {
	var runs rounds[pacedRun]
	var came outcomes
	for i := 1; i <= b.rounds; i++ {
		if err := b.others.look(ctx); err != nil {
			return err
		}
		say("pacing, round %d of %d", i, b.rounds)
		s, err := b.runScenario(ctx, "bench/scenarios/pacing.yaml", filepath.Join(b.out, fmt.Sprintf("pacing-%d", i)))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		which := fmt.Sprintf("round %d", i)
		if err != nil {
			came.failed(which, err)
			continue
		}
		runs = append(runs, pacedRunOf(s))
		came.ran(which, s.Health.State)
	}
	t := pacingTable(runs)
	came.note(t, fmt.Sprintf("`weir run bench/scenarios/pacing.yaml`, %d runs", b.rounds))
	return t.Write(out)
}

func pacedRunOf(s *report.Summary) pacedRun {
	lag := s.Latency.SendLag
	r := pacedRun{busy: known(s.Resources.MachineBusyMean), rate: s.Rates.Sent}
	r.p50, r.p99 = milliseconds(lag)
	r.p999 = benchtable.Absent()
	if lag.Count > 0 {
		r.p999 = float64(lag.P999NS) / 1e6
	}
	return r
}

func pacingTable(runs rounds[pacedRun]) *benchtable.Table {
	t := &benchtable.Table{
		Title: "Pacing: how late 20,000 records a second of 128 B are sent",
		Head:  []string{"sent a second", "send lag p50, ms", "p99", "p99.9", "machine busy"},
	}
	cell := func(of func(pacedRun) float64, format func(float64) string) string {
		return runs.sample(of).Cell(format)
	}
	t.Add(cell(func(r pacedRun) float64 { return r.rate }, benchtable.Digits), cell(func(r pacedRun) float64 { return r.p50 }, benchtable.Digits),
		cell(func(r pacedRun) float64 { return r.p99 }, benchtable.Digits), cell(func(r pacedRun) float64 { return r.p999 }, benchtable.Digits),
		cell(func(r pacedRun) float64 { return r.busy }, benchtable.Percent))
	return t
}
