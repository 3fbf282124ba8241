package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"github.com/weirbench/weir/internal/benchtable"
	"github.com/weirbench/weir/report"
)

// repeat is one run of a scenario that is run again and again.
type repeat struct{ p50, p99 float64 } // ms

func noRepeat() repeat { return repeat{benchtable.Absent(), benchtable.Absent()} }

const repeatedFor = "12s" // of measuring

// compareRepeats runs one scenario in pairs that differ in nothing: what they differ by is what a comparison can't tell from
// noise.
func (b *bench) compareRepeats(ctx context.Context, out io.Writer) error {
	var pairs [][2]repeat
	var faults []string
	health := map[string]int{}
	for i := 1; i <= b.aa; i++ {
		if err := b.others.look(ctx); err != nil {
			return err
		}
		say("A/A, pair %d of %d", i, b.aa)
		var pair [2]repeat
		for side := range pair {
			r, state, err := b.repeat(ctx, filepath.Join(b.out, fmt.Sprintf("aa-%d-%c", i, 'a'+side)))
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				faults = append(faults, fmt.Sprintf("pair %d: %v", i, err))
			}
			pair[side] = r
			health[state]++
		}
		pairs = append(pairs, pair)
	}
	t := repeatsTable(pairs)
	t.Note("`weir run quickstart` with %s measured, %d runs; health of the runs: %s.", repeatedFor, 2*b.aa, tally(health))
	t.Notes = append(t.Notes, faults...)
	return t.Write(out)
}

func (b *bench) repeat(ctx context.Context, dir string) (repeat, string, error) {
	s, err := b.runScenario(ctx, "scenarios/quickstart.yaml", dir, "phases.warm-up=1s", "phases.measure.steady.duration="+repeatedFor)
	if err != nil {
		return noRepeat(), "none", err
	}
	p50, p99 := milliseconds(s.Latency.E2E)
	return repeat{p50, p99}, string(s.Health.State), nil
}

// runScenario has weir run a scenario to its end and returns the summary.
func (b *bench) runScenario(ctx context.Context, scenario, dir string, sets ...string) (*report.Summary, error) {
	p, err := b.startWeir(ctx, scenario, dir, nil, sets...)
	if err != nil {
		return nil, err
	}
	<-p.done
	s, err := report.SummariseComplete(dir)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, p.log)
	}
	return s, nil
}

// repeatsTable tells how far runs that should be alike are apart: all of them, and those of a pair.
func repeatsTable(pairs [][2]repeat) *benchtable.Table {
	t := &benchtable.Table{
		Title: "A/A: the same scenario twice, again and again",
		Head:  []string{"figure", "lowest", "median", "highest", "(highest − lowest) ÷ median", "a pair's difference ÷ its mean: median", "largest"},
	}
	for _, f := range []struct {
		name string
		of   func(repeat) float64
	}{
		{"e2e p50, ms", func(r repeat) float64 { return r.p50 }},
		{"e2e p99, ms", func(r repeat) float64 { return r.p99 }},
	} {
		var all, apart benchtable.Sample
		for _, p := range pairs {
			a, b := f.of(p[0]), f.of(p[1])
			all = append(all, a, b)
			apart = append(apart, math.Abs(a-b)/((a+b)/2))
		}
		low, high := all.Range()
		_, most := apart.Range()
		t.Add(f.name, benchtable.Digits(low), benchtable.Digits(all.Median()), benchtable.Digits(high), benchtable.Percent(all.Spread()),
			benchtable.Percent(apart.Median()), benchtable.Percent(most))
	}
	return t
}
