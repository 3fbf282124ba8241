package loadgen

import (
	"math"
	"sort"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// inverse tells when the area of a curve over a phase exceeds a number: message k is due at the instant from which on
// the area is above k. So as many messages are due before t as there are whole numbers below the area at t, and none
// where the level is 0.
type inverse struct {
	pieces []piece // those with any area, in order
	sine   *sineInverse
}

// piece is a stretch on which the level is a straight line: its area is a quadratic.
type piece struct {
	startS float64 // seconds since the phase's beginning
	endS   float64
	level  float64 // at its beginning, a second
	slope  float64 // a second²
	from   float64 // area before it
	to     float64 // area at its end
}

func newInverse(c scenarios.Curve, length time.Duration) *inverse {
	v := &inverse{}
	lengthS := length.Seconds()
	switch {
	case c.Kind == scenarios.CurveRamp:
		v.add(lengthS, c.From, c.To)
	case c.Kind == scenarios.CurveSteps && c.Steps >= 2:
		for i := range c.Steps {
			level := c.From + (c.To-c.From)*float64(i)/float64(c.Steps-1)
			v.add(lengthS*float64(i+1)/float64(c.Steps), level, level)
		}
	case c.Kind == scenarios.CurveSpike:
		v.add(min(c.At, length).Seconds(), c.From, c.From)
		v.add(min(c.At+c.For, length).Seconds(), c.To, c.To)
		v.add(lengthS, c.From, c.From)
	case c.Kind == scenarios.CurveSine && c.Period > 0 && c.From > 0:
		v.sine = newSineInverse(c)
	default:
		v.add(lengthS, c.From, c.From)
	}
	return v.compact()
}

// add appends the piece that ends at endS.
func (v *inverse) add(endS, level, endLevel float64) {
	p := piece{level: level}
	if n := len(v.pieces); n > 0 {
		last := v.pieces[n-1]
		p.startS, p.from = last.endS, last.to
	}
	p.endS = endS
	width := endS - p.startS
	if width <= 0 {
		return
	}
	p.slope = (endLevel - level) / width
	p.to = p.from + (level+endLevel)/2*width
	v.pieces = append(v.pieces, p)
}

// compact drops the pieces without area.
func (v *inverse) compact() *inverse {
	kept := v.pieces[:0]
	for _, p := range v.pieces {
		if p.to > p.from {
			kept = append(kept, p)
		}
	}
	v.pieces = kept
	return v
}

// at returns the seconds after which the area exceeds x, for x below the phase's area.
func (v *inverse) at(x float64) float64 {
	switch {
	case v.sine != nil:
		return v.sine.at(x)
	case len(v.pieces) == 1:
		return v.pieces[0].at(x)
	}
	i := sort.Search(len(v.pieces)-1, func(i int) bool { return v.pieces[i].to > x })
	return v.pieces[i].at(x)
}

func (p *piece) at(x float64) float64 {
	y := x - p.from
	if p.slope == 0 {
		return p.startS + y/p.level
	}
	if y <= 0 {
		return p.startS
	}
	// The quadratic's root without the cancellation (Press et al., Numerical Recipes, section 5.6); at the foot of a
	// falling ramp rounding may take the discriminant below 0.
	return p.startS + 2*y/(p.level+math.Sqrt(max(p.level*p.level+2*p.slope*y, 0)))
}

// sineInverse is the inverse of mean·t + swing·(1 − cos(2πt/period)).
type sineInverse struct {
	mean, amplitude   float64 // a second
	periodS, omega    float64
	swing, periodArea float64
}

func newSineInverse(c scenarios.Curve) *sineInverse {
	s := &sineInverse{mean: c.From, amplitude: c.To - c.From, periodS: c.Period.Seconds()}
	s.omega = 2 * math.Pi / s.periodS
	s.swing = s.amplitude / s.omega
	s.periodArea = s.mean * s.periodS
	return s
}

// at is Newton's method, kept within a bracket by bisection (Press et al., Numerical Recipes, section 9.4: rtsafe), to a
// tenth of a nanosecond. It depends on x alone.
func (s *sineInverse) at(x float64) float64 {
	const tolerance, rounds = 1e-10, 100
	periods := math.Floor(x / s.periodArea)
	y := x - periods*s.periodArea
	low, high := 0.0, s.periodS
	t := y / s.mean
	for range rounds {
		sin, cos := math.Sincos(s.omega * t)
		above := s.mean*t + s.swing*(1-cos) - y
		if above > 0 {
			high = t
		} else {
			low = t
		}
		next := t - above/(s.mean+s.amplitude*sin)
		// Where the level is 0 the step is no number or endless.
		if !(next >= low && next <= high) {
			next = (low + high) / 2
		}
		done := math.Abs(next-t) < tolerance
		if t = next; done {
			break
		}
	}
	return periods*s.periodS + t
}
