package scenarios

import (
	"math"
	"testing"
	"time"
)

// TestCurveArea sets the closed forms against the sum of the levels.
func TestCurveArea(t *testing.T) {
	const length = 10 * time.Second
	for name, c := range map[string]Curve{
		"zero":             {},
		"hold":             Hold(7),
		"ramp":             {Kind: CurveRamp, From: 1, To: 9},
		"falling ramp":     {Kind: CurveRamp, From: 9, To: 0},
		"steps":            {Kind: CurveSteps, From: 2, To: 8, Steps: 4},
		"spike":            {Kind: CurveSpike, From: 2, To: 20, At: 3 * time.Second, For: 2 * time.Second},
		"spike at the end": {Kind: CurveSpike, From: 2, To: 20, At: 9 * time.Second, For: 5 * time.Second},
		"sine":             {Kind: CurveSine, From: 5, To: 8, Period: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			const step = time.Millisecond
			sum, highest := 0.0, 0.0
			for at := time.Duration(0); at < length; at += step {
				level := c.Level(at+step/2, length)
				sum += level * step.Seconds()
				highest = max(highest, level)
				if got := c.Area(at+step, length); math.Abs(got-sum) > 1e-2 {
					t.Fatalf("area to %v: got %g; want %g", at+step, got, sum)
				}
			}
			if got := c.Peak(length); got < highest-1e-9 {
				t.Errorf("peak: got %g; want at least %g", got, highest)
			}
			if got := c.Mean(length) * length.Seconds(); math.Abs(got-sum) > 1e-2 {
				t.Errorf("mean × length: got %g; want %g", got, sum)
			}
			if got, want := c.Scale(3).Area(length, length), 3*c.Area(length, length); math.Abs(got-want) > 1e-9 {
				t.Errorf("scaled area: got %g; want %g", got, want)
			}
		})
	}
}
