package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/weirbench/weir/internal/benchtable"
)

// stalledReading is how the slow ones of bench/scenarios/stalled.yaml read: half of what comes.
const stalledReading = "clients.others.slow={every: 200ms, bytes: 4KiB}"

// compareStalled has the same clients get the same messages with and without slow ones among them, in turn, and tells what
// the others' latency is by that.
func (b *bench) compareStalled(ctx context.Context, out io.Writer) error {
	var without, with rounds[repeat]
	var came outcomes
	for round := 1; round <= b.rounds; round++ {
		if err := b.others.look(ctx); err != nil {
			return err
		}
		say("stalled clients, round %d of %d", round, b.rounds)
		pair := [2]repeat{noRepeat(), noRepeat()}
		for _, i := range inTurn(len(pair), round) {
			side := [2]string{"without", "with"}[i]
			which := fmt.Sprintf("round %d, %s", round, side)
			dir := filepath.Join(b.out, fmt.Sprintf("stalled-%d-%s", round, side))
			s, err := b.runScenario(ctx, "bench/scenarios/stalled.yaml", dir, [2][]string{nil, {stalledReading}}[i]...)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				came.failed(which, err)
				continue
			}
			pair[i].p50, pair[i].p99 = milliseconds(s.Latency.E2E)
			came.ran(which, s.Health.State)
		}
		without, with = append(without, pair[0]), append(with, pair[1])
	}
	t := stalledTable(without, with)
	came.note(t, fmt.Sprintf("`weir run bench/scenarios/stalled.yaml` without and with `--set '%s'`, %d rounds", stalledReading, b.rounds))
	return t.Write(out)
}

func stalledTable(without, with rounds[repeat]) *benchtable.Table {
	t := &benchtable.Table{
		Title: "Slow clients among others: 10 records/s of 4 KiB to 1,000 clients",
		Head:  []string{"e2e of the clients that read as fast as they can", "all do, ms", "50 are slow, ms", "with ÷ without"},
	}
	for _, f := range repeatFigures() {
		a, b := without.sample(f.of), with.sample(f.of)
		t.Add(f.name, a.Cell(benchtable.Digits), b.Cell(benchtable.Digits), benchtable.Ratios(b, a).Cell(benchtable.Digits))
	}
	return t
}
