package scenarios

import (
	"math"
	"time"
)

// CurveKind names how a level goes over a stretch of time.
type CurveKind string

// The kinds of curves.
const (
	CurveHold  CurveKind = "hold"  // From throughout
	CurveRamp  CurveKind = "ramp"  // straight from From to To
	CurveSteps CurveKind = "steps" // Steps equal holds, the first at From and the last at To
	CurveSpike CurveKind = "spike" // From, but To from At on for For
	CurveSine  CurveKind = "sine"  // around the mean From up to the peak To, upwards first, with Period
)

// Curve is how a rate, in messages a second, or a number of clients goes over a phase. It is arithmetic on the time
// since the phase's beginning. The zero value is the level 0 throughout.
type Curve struct {
	Kind   CurveKind     `json:"kind"`
	From   float64       `json:"from"`
	To     float64       `json:"to,omitempty"`
	Steps  int           `json:"steps,omitempty"` // steps only, at least 2
	At     time.Duration `json:"at_ns,omitempty"`
	For    time.Duration `json:"for_ns,omitempty"`
	Period time.Duration `json:"period_ns,omitempty"`
}

// Hold is the curve of one level.
func Hold(level float64) Curve { return Curve{Kind: CurveHold, From: level} }

// Level is the curve's value at a time within a phase of the given length.
func (c Curve) Level(at, length time.Duration) float64 {
	switch c.Kind {
	case CurveRamp:
		return c.From + (c.To-c.From)*share(at, length)
	case CurveSteps:
		step := min(int(share(at, length)*float64(c.Steps)), c.Steps-1)
		return c.step(step)
	case CurveSpike:
		if at >= c.At && at < c.At+c.For {
			return c.To
		}
	case CurveSine:
		return c.From + (c.To-c.From)*math.Sin(c.angle(at))
	}
	return c.From
}

// Area is the integral of the level from the phase's beginning to at, in level × seconds: of a rate, the number of
// messages due by then. It never falls as at grows.
func (c Curve) Area(at, length time.Duration) float64 {
	at = max(at, 0)
	seconds := at.Seconds()
	switch c.Kind {
	case CurveRamp:
		return seconds * (c.From + (c.To-c.From)*share(at, length)/2)
	case CurveSteps:
		return c.stepsArea(at, length)
	case CurveSpike:
		spike := min(max(at-c.At, 0), c.For)
		return seconds*c.From + spike.Seconds()*(c.To-c.From)
	case CurveSine:
		if c.Period <= 0 {
			return seconds * c.From
		}
		swing := (c.To - c.From) * c.Period.Seconds() / (2 * math.Pi)
		return seconds*c.From + swing*(1-math.Cos(c.angle(at)))
	}
	return seconds * c.From
}

// Peak is the highest level of a phase of the given length, or a bound of it.
func (c Curve) Peak(length time.Duration) float64 {
	if c.Kind == CurveHold || c.Kind == "" || c.Kind == CurveSpike && c.At >= length {
		return c.From
	}
	return max(c.From, c.To)
}

// Mean is the average level over a phase of the given length.
func (c Curve) Mean(length time.Duration) float64 {
	if length <= 0 {
		return c.Level(0, length)
	}
	return c.Area(length, length) / length.Seconds()
}

// Scale returns the curve with every level multiplied.
func (c Curve) Scale(factor float64) Curve {
	c.From *= factor
	c.To *= factor
	return c
}

func (c Curve) step(i int) float64 {
	if c.Steps < 2 {
		return c.From
	}
	return c.From + (c.To-c.From)*float64(i)/float64(c.Steps-1)
}

func (c Curve) stepsArea(at, length time.Duration) float64 {
	if c.Steps < 2 || length <= 0 {
		return at.Seconds() * c.From
	}
	width := length.Seconds() / float64(c.Steps)
	area, left := 0.0, at.Seconds()
	for i := 0; i < c.Steps && left > 0; i++ {
		part := left
		if i < c.Steps-1 {
			part = min(left, width)
		}
		area += part * c.step(i)
		left -= part
	}
	return area
}

func (c Curve) angle(at time.Duration) float64 {
	if c.Period <= 0 {
		return 0
	}
	return 2 * math.Pi * at.Seconds() / c.Period.Seconds()
}

func share(at, length time.Duration) float64 {
	if length <= 0 {
		return 0
	}
	return min(max(at.Seconds()/length.Seconds(), 0), 1)
}
