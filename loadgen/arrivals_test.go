package loadgen

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// The values that A² exceeds once in twenty and once in a hundred where the distribution is the asked one, known in full,
// whichever it is (Stephens, EDF Statistics for Goodness of Fit and Some Comparisons, JASA 69, 1974, table 1, case 0).
const (
	exceededBy5Percent = 2.492
	exceededBy1Percent = 3.857
)

// andersonDarling is A² of values that should be uniform between 0 and 1, which it sorts (Anderson and Darling, A Test of
// Goodness of Fit, JASA 49, 1954). Of values of another distribution it takes what that distribution's function makes of
// them.
func andersonDarling(u []float64) float64 {
	slices.Sort(u)
	n := len(u)
	sum := 0.0
	for i, v := range u {
		sum += float64(2*i+1) * (math.Log(v) + math.Log1p(-u[n-1-i]))
	}
	return -float64(n) - sum/float64(n)
}

// exponential is what the distribution function of Exp(1) makes of gaps. A gap of none, which rounding to nanoseconds
// makes, is of the smallest that there is.
func exponential(gaps []float64) []float64 {
	u := make([]float64, len(gaps))
	for i, g := range gaps {
		u[i] = -math.Expm1(-max(g, 1e-9))
	}
	return u
}

// rescaledGaps are the gaps between a schedule's due times along the curve's area: Exp(1), independently, where the due
// times are a Poisson process of that rate (time rescaling; Brown et al., The Time-Rescaling Theorem, Neural Computation 14,
// 2002; Çinlar 1975 as poissonCells says).
func rescaledGaps(s *Schedule, c scenarios.Curve, length time.Duration) (gaps []float64) {
	last := 0.0
	for cur := s.Cursor(); !cur.Done(); cur.Next() {
		area := c.Area(cur.Due(), length)
		gaps = append(gaps, area-last)
		last = area
	}
	return gaps
}

// TestAndersonDarling: of uniform values it exceeds the table's as often as that says.
func TestAndersonDarling(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const trials = 4000
	beyond5, beyond1 := 0, 0
	for range trials {
		u := make([]float64, 200)
		for i := range u {
			u[i] = random.Float64()
		}
		a := andersonDarling(u)
		if a > exceededBy5Percent {
			beyond5++
		}
		if a > exceededBy1Percent {
			beyond1++
		}
	}
	for _, c := range []struct {
		got   int
		share float64
	}{{beyond5, 0.05}, {beyond1, 0.01}} {
		if want, slack := trials*c.share, 4*math.Sqrt(trials*c.share*(1-c.share)); math.Abs(float64(c.got)-want) > slack {
			t.Errorf("got %d of %d beyond the value for %v; want %.0f ± %.0f", c.got, trials, c.share, want, slack)
		}
	}
}

// arrivalCurves are one of each kind that a rate may follow.
func arrivalCurves() []scenarios.Curve {
	return []scenarios.Curve{
		scenarios.Hold(500),
		{Kind: scenarios.CurveRamp, From: 50, To: 950},
		{Kind: scenarios.CurveRamp, From: 950, To: 50},
		{Kind: scenarios.CurveSteps, From: 100, To: 900, Steps: 5},
		{Kind: scenarios.CurveSpike, From: 200, To: 3000, At: 3 * time.Second, For: time.Second},
		{Kind: scenarios.CurveSine, From: 500, To: 900, Period: 3 * time.Second},
	}
}

// TestPlannedArrivalsFitTheirDistribution: the due times of Poisson arrivals are exponentially apart on the clock of the
// rate's area, and within a cell, where they are drawn, uniform. Constant arrivals, another rate, a ramp whose clock is
// not rescaled and gaps of another form are rejected by the same test.
func TestPlannedArrivalsFitTheirDistribution(t *testing.T) {
	t.Parallel()
	const length, seeds = 10 * time.Second, 4
	for _, c := range arrivalCurves() {
		var gaps, within, scaled []float64
		rate := c.Mean(length)
		for seed := range uint64(seeds) {
			s := NewSchedule(planOfCurve(seed, scenarios.ArrivalsPoisson, length, c), 0)
			gaps = append(gaps, rescaledGaps(s, c, length)...)
			last := time.Duration(0)
			for cur := s.Cursor(); !cur.Done(); cur.Next() {
				due := cur.Due()
				if area := c.Area(due, length); area < math.Floor(c.Area(length, length)/cellArrivals)*cellArrivals {
					within = append(within, math.Mod(area, cellArrivals)/cellArrivals)
				}
				scaled = append(scaled, (due-last).Seconds()*rate)
				last = due
			}
		}
		if a := andersonDarling(exponential(gaps)); a > exceededBy1Percent {
			t.Errorf("%+v: A² of %d gaps is %.3f against Exp(1); want %.3f at most", c, len(gaps), a, exceededBy1Percent)
		}
		if a := andersonDarling(within); a > exceededBy1Percent {
			t.Errorf("%+v: A² of %d times within their cells is %.3f; want %.3f at most", c, len(within), a, exceededBy1Percent)
		}
		if a := andersonDarling(exponential(scaled)); c.Kind != scenarios.CurveHold && a < 2*exceededBy1Percent {
			t.Errorf("%+v: A² on a clock that is not rescaled is %.3f: this test would not tell", c, a)
		}
		for name, wrong := range map[string]func(i int, gap float64) float64{
			"5% faster":       func(_ int, g float64) float64 { return g / 1.05 },
			"uniform gaps":    func(_ int, g float64) float64 { return 2 * -math.Expm1(-g) },
			"bursts of ten":   func(i int, g float64) float64 { return g * []float64{5.5, .5}[min(i%10, 1)] },
			"batched by 1 ms": func(_ int, g float64) float64 { return math.Floor(g*2) / 2 },
		} {
			planted := make([]float64, len(gaps))
			for i, g := range gaps {
				planted[i] = wrong(i, g)
			}
			if a := andersonDarling(exponential(planted)); a < exceededBy1Percent {
				t.Errorf("%+v, %s: A² is %.3f: a wrong schedule would pass", c, name, a)
			}
		}
		constant := NewSchedule(planOfCurve(1, scenarios.ArrivalsConstant, length, c), 0)
		if a := andersonDarling(exponential(rescaledGaps(constant, c, length))); a < 100 {
			t.Errorf("%+v: A² of constant arrivals is %.3f against Exp(1): this test would not tell", c, a)
		}
	}
}
