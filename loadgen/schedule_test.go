package loadgen

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirbench/weir/scenarios"
)

// drawCurve is any curve that a plan may have, its levels at most top.
func drawCurve(t *rapid.T, length time.Duration, top float64) scenarios.Curve {
	level := rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, top))
	at := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(length+length/4)).Draw(t, "at"))
	})
	c := scenarios.Curve{From: level.Draw(t, "from"), To: level.Draw(t, "to")}
	c.Kind = rapid.SampledFrom([]scenarios.CurveKind{
		"", scenarios.CurveHold, scenarios.CurveRamp, scenarios.CurveSteps, scenarios.CurveSpike, scenarios.CurveSine,
	}).Draw(t, "kind")
	switch c.Kind {
	case scenarios.CurveSteps:
		c.Steps = rapid.IntRange(2, 9).Draw(t, "steps")
	case scenarios.CurveSpike:
		c.At, c.For = at.Draw(t, "spike at"), 1+at.Draw(t, "spike for")
	case scenarios.CurveSine:
		c.From, c.To = c.From/2, c.From/2*(1+rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(t, "swing"))
		c.Period = 1 + at.Draw(t, "period")
	}
	return c
}

// planOfCurve is a plan of one producer and phases of the given curves.
func planOfCurve(seed uint64, arrivals scenarios.Arrivals, length time.Duration, curves ...scenarios.Curve) *scenarios.Plan {
	p := &scenarios.Plan{Seed: seed, Producers: []scenarios.Producer{{Name: "p", Arrivals: arrivals}}}
	for i, c := range curves {
		p.Phases.Measure = append(p.Phases.Measure, scenarios.MeasurePhase{
			Name: fmt.Sprintf("m%d", i), Duration: length, Rates: map[string]scenarios.Curve{"p": c},
		})
	}
	return p
}

// TestConstantArrivalsFollowTheArea: in any stretch as many messages are due as the area passes whole numbers there, and
// each is due where the area passes its own, to a nanosecond.
func TestConstantArrivalsFollowTheArea(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(20*time.Second)).Draw(t, "length"))
		c := drawCurve(t, length, 400)
		s := NewSchedule(planOfCurve(1, scenarios.ArrivalsConstant, length, c), 0)
		area := func(at time.Duration) float64 { return c.Area(min(max(at, 0), length), length) }
		const slack = 1e-6 // messages, for rounding
		var dues []time.Duration
		for cur := s.Cursor(); !cur.Done(); cur.Next() {
			k, due := cur.Index(), cur.Due()
			if alone := s.Due(k); alone != due {
				t.Fatalf("message %d of %+v: computed %v, walked %v", k, c, alone, due)
			}
			if due < 0 || due >= length || k > 0 && due < dues[k-1] {
				t.Fatalf("message %d of %+v is due at %v, outside the phase or out of order", k, c, due)
			}
			if area(due-1) > float64(k)+slack || area(due+1) < float64(k)-slack {
				t.Fatalf("message %d of %+v is due at %v, where the area is %v", k, c, due, area(due))
			}
			dues = append(dues, due)
		}
		bound := rapid.Custom(func(t *rapid.T) time.Duration {
			at := time.Duration(rapid.Int64Range(0, int64(length)).Draw(t, "at"))
			if a := area(at); math.Abs(a-math.Round(a)) < slack {
				return 0 // a message is due just there, and rounding may put it on either side
			}
			return at
		})
		a, b := bound.Draw(t, "from"), bound.Draw(t, "to")
		a, b = min(a, b), max(a, b)
		got := 0
		for _, due := range dues {
			if due >= a && due < b {
				got++
			}
		}
		if want := int(math.Ceil(area(b)) - math.Ceil(area(a))); got != want {
			t.Fatalf("%+v: %d messages are due from %v to %v; want %d", c, got, a, b, want)
		}
	})
}

// TestNothingIsDueAtLevelZero: where the level is 0 nothing is due, and what follows comes when it rises.
func TestNothingIsDueAtLevelZero(t *testing.T) {
	const length = 10 * time.Second
	for _, c := range []struct {
		name     string
		curve    scenarios.Curve
		from, to time.Duration // all messages are due within
		count    uint64
	}{
		{"never", scenarios.Hold(0), 0, 0, 0},
		{"ramp from nothing to nothing", scenarios.Curve{Kind: scenarios.CurveRamp}, 0, 0, 0},
		{"spike out of nothing", scenarios.Curve{Kind: scenarios.CurveSpike, To: 50, At: 4 * time.Second, For: time.Second}, 4 * time.Second, 5 * time.Second, 50},
		{"spike after the phase", scenarios.Curve{Kind: scenarios.CurveSpike, To: 50, At: length, For: time.Second}, 0, 0, 0},
		{"steps up from nothing", scenarios.Curve{Kind: scenarios.CurveSteps, To: 20, Steps: 2}, 5 * time.Second, 10 * time.Second, 100},
		{"steps down to nothing", scenarios.Curve{Kind: scenarios.CurveSteps, From: 20, Steps: 2}, 0, 5 * time.Second, 100},
		{"sine that touches it", scenarios.Curve{Kind: scenarios.CurveSine, From: 7, To: 14, Period: 4 * time.Second}, 0, length, 79},
		{"no period", scenarios.Curve{Kind: scenarios.CurveSine, From: 7, To: 14}, 0, length, 70},
	} {
		for _, arrivals := range []scenarios.Arrivals{scenarios.ArrivalsConstant, scenarios.ArrivalsPoisson} {
			t.Run(c.name+" "+string(arrivals), func(t *testing.T) {
				s := NewSchedule(planOfCurve(7, arrivals, length, c.curve), 0)
				if got := s.Total(); arrivals == scenarios.ArrivalsConstant && got != c.count {
					t.Errorf("got %d messages; want %d", got, c.count)
				} else if (got == 0) != (c.count == 0) {
					t.Errorf("got %d messages; want about %d", got, c.count)
				}
				for cur := s.Cursor(); !cur.Done(); cur.Next() {
					if due := cur.Due(); due < c.from || due > c.to {
						t.Fatalf("message %d is due at %v; want %v to %v", cur.Index(), due, c.from, c.to)
					}
				}
			})
		}
	}
}

// TestWhatEndsAtLevelZeroWaits: message 20 of a rate that falls to 0 when 20 have been due comes when the rate is back,
// and not where it ended.
func TestWhatEndsAtLevelZeroWaits(t *testing.T) {
	c := scenarios.Curve{Kind: scenarios.CurveSpike, From: 10, To: 0, At: 2 * time.Second, For: 3 * time.Second}
	s := NewSchedule(planOfCurve(1, scenarios.ArrivalsConstant, 10*time.Second, c), 0)
	for k, want := range map[uint64]time.Duration{0: 0, 19: 1900 * time.Millisecond, 20: 5 * time.Second, 21: 5100 * time.Millisecond} {
		if got := s.Due(k); got != want {
			t.Errorf("message %d is due at %v; want %v", k, got, want)
		}
	}
	if got := s.Total(); got != 70 {
		t.Errorf("got %d messages; want 70", got)
	}
}

// TestWarmUpHoldsTheFirstLevel: whatever the first measure phase does later, and for publishing clients as for producers.
func TestWarmUpHoldsTheFirstLevel(t *testing.T) {
	p := planOfCurve(1, scenarios.ArrivalsConstant, 2*time.Second,
		scenarios.Curve{Kind: scenarios.CurveRamp, From: 10, To: 100}, scenarios.Hold(7))
	p.Phases.WarmUp = 3 * time.Second
	p.Clients = []scenarios.ClientGroup{{Name: "g", Count: 4, Publish: &scenarios.Publish{
		Name: "posts", Arrivals: scenarios.ArrivalsConstant, Rate: scenarios.Curve{Kind: scenarios.CurveSpike, From: 2, To: 5, At: time.Second, For: time.Second},
	}}}
	phases := LoadPhases(p)
	for _, c := range []struct {
		sender          int
		total, measured uint64
	}{{0, 30 + 110 + 14, 110 + 14}, {1, 3*8 + 8 + 20 + 8 + 20, 8 + 20 + 8 + 20}} {
		s := NewSchedule(p, c.sender)
		if s.Total() != c.total || s.Measured(phases) != c.measured {
			t.Errorf("sender %d: got %d messages, %d measured; want %d and %d", c.sender, s.Total(), s.Measured(phases), c.total, c.measured)
		}
		if got, want := s.Due(1), 3*time.Second/time.Duration(c.total-c.measured); got != want {
			t.Errorf("sender %d: message 1 is due at %v; want %v", c.sender, got, want)
		}
	}
}

// poissonFit sets counts in stretches of a curve against the means that the area gives them: χ² ÷ stretches, which is 1
// but for √(2/n).
func poissonFit(s *Schedule, c scenarios.Curve, length time.Duration, stretches int) float64 {
	counts := make([]float64, stretches)
	for cur := s.Cursor(); !cur.Done(); cur.Next() {
		counts[int64(cur.Due())*int64(stretches)/int64(length)]++
	}
	chi2 := 0.0
	for i, n := range counts {
		edge := func(i int) time.Duration { return length * time.Duration(i) / time.Duration(stretches) }
		mean := c.Area(edge(i+1), length) - c.Area(edge(i), length)
		if mean > 0 {
			chi2 += (n - mean) * (n - mean) / mean
		}
	}
	return chi2 / float64(stretches)
}

// TestPoissonArrivalsFollowTheLevel: over 40 seeds the mean count is the area, and the counts of stretches vary as a
// Poisson process's do. Arrivals that followed another curve of the same area would not.
func TestPoissonArrivalsFollowTheLevel(t *testing.T) {
	t.Parallel()
	const length, seeds, stretches = 10 * time.Second, 40, 50
	for _, c := range []scenarios.Curve{
		scenarios.Hold(200),
		{Kind: scenarios.CurveRamp, From: 20, To: 600},
		{Kind: scenarios.CurveRamp, From: 600, To: 20},
		{Kind: scenarios.CurveSteps, From: 50, To: 500, Steps: 5},
		{Kind: scenarios.CurveSpike, From: 50, To: 2000, At: 3 * time.Second, For: time.Second},
		{Kind: scenarios.CurveSine, From: 200, To: 350, Period: 3 * time.Second},
	} {
		t.Run(string(c.Kind), func(t *testing.T) {
			area := c.Area(length, length)
			total, fit := 0.0, 0.0
			for seed := range uint64(seeds) {
				s := NewSchedule(planOfCurve(seed, scenarios.ArrivalsPoisson, length, c), 0)
				total += float64(s.Total()) / seeds
				fit += poissonFit(s, c, length, stretches) / seeds
			}
			if slack := 4 * math.Sqrt(area/seeds); math.Abs(total-area) > slack {
				t.Errorf("got %.1f arrivals on average; want %.1f ± %.1f", total, area, slack)
			}
			if slack := 4 * math.Sqrt(2.0/(seeds*stretches)); math.Abs(fit-1) > slack {
				t.Errorf("got χ²/n = %.3f; want 1 ± %.3f", fit, slack)
			}
			flat := scenarios.Hold(area / length.Seconds())
			if other := poissonFit(NewSchedule(planOfCurve(1, scenarios.ArrivalsPoisson, length, c), 0), flat, length, stretches); c.Kind != scenarios.CurveHold && other < 2 {
				t.Errorf("χ²/n against a level curve is %.3f: this test would not tell", other)
			}
		})
	}
}

// TestPoissonArrivalsAreComputedAlone: of any curve, in order, inside the phase.
func TestPoissonArrivalsAreComputedAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(5*time.Second)).Draw(t, "length"))
		p := planOfCurve(rapid.Uint64().Draw(t, "seed"), scenarios.ArrivalsPoisson, length, drawCurve(t, length, 200), drawCurve(t, length, 200))
		phases, s := LoadPhases(p), NewSchedule(p, 0)
		last := time.Duration(0)
		n := uint64(0)
		for cur := s.Cursor(); !cur.Done(); cur.Next() {
			due, phase := cur.Due(), phases[cur.Phase()]
			if due < last || due < phase.Start || due >= phase.End {
				t.Fatalf("message %d is due at %v, outside %+v or before %v", cur.Index(), due, phase, last)
			}
			if alone := s.Due(cur.Index()); alone != due {
				t.Fatalf("message %d: computed %v, walked %v", cur.Index(), alone, due)
			}
			last = due
			n++
		}
		if n != s.Total() || n != s.Measured(phases) {
			t.Fatalf("walked %d; want %d, all measured", n, s.Total())
		}
	})
}
