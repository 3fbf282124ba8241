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

// repeatFigure is one of a repeat's figures.
type repeatFigure struct {
	name string
	of   func(repeat) float64
}

func repeatFigures() []repeatFigure {
	return []repeatFigure{
		{"p50", func(r repeat) float64 { return r.p50 }},
		{"p99", func(r repeat) float64 { return r.p99 }},
	}
}

const repeatedFor = "12s" // of measuring

// compareRepeats runs one scenario in pairs that differ in nothing: what they differ by is what a comparison can't tell from
// noise.
func (b *bench) compareRepeats(ctx context.Context, out io.Writer) error {
	var pairs [][2]repeat
	var came outcomes
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
			which := fmt.Sprintf("pair %d, %c", i, 'a'+side)
			if err != nil {
				came.failed(which, err)
			} else {
				came.ran(which, state)
			}
			pair[side] = r
		}
		pairs = append(pairs, pair)
	}
	t := repeatsTable(pairs)
	came.note(t, fmt.Sprintf("`weir run quickstart` with %s measured, %d runs", repeatedFor, 2*b.aa))
	return t.Write(out)
}

func (b *bench) repeat(ctx context.Context, dir string) (repeat, report.HealthState, error) {
	s, err := b.runScenario(ctx, "scenarios/quickstart.yaml", dir, "phases.warm-up=1s", "phases.measure.steady.duration="+repeatedFor)
	if err != nil {
		return noRepeat(), "", err
	}
	p50, p99 := milliseconds(s.Latency.E2E)
	return repeat{p50, p99}, s.Health.State, nil
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
	for _, f := range repeatFigures() {
		var all, apart benchtable.Sample
		for _, p := range pairs {
			a, b := f.of(p[0]), f.of(p[1])
			all = append(all, a, b)
			apart = append(apart, math.Abs(a-b)/((a+b)/2))
		}
		low, high := all.Range()
		_, most := apart.Range()
		t.Add("e2e "+f.name+", ms", figure(low, benchtable.Digits), figure(all.Median(), benchtable.Digits), figure(high, benchtable.Digits),
			figure(all.Spread(), benchtable.Percent), figure(apart.Median(), benchtable.Percent), figure(most, benchtable.Percent))
	}
	return t
}
