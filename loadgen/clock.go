package loadgen

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// epoch ties the run's two clocks together: stamps are of the realtime clock, waiting is by the monotonic one.
type epoch struct {
	at   time.Time // with a monotonic reading
	unix int64     // the same instant on the realtime clock, ns
}

func newEpoch() epoch {
	now := time.Now()
	return epoch{now, now.UnixNano()}
}

// unixAt is the realtime instant that is d after the epoch by the monotonic clock.
func (e epoch) unixAt(d time.Duration) int64 { return e.unix + int64(d) }

// clockMonitor watches realtime − monotonic. A change that slewing can't explain is a step, and makes the run invalid:
// no latency across it can be believed.
type clockMonitor struct {
	mu      sync.Mutex
	steps   int
	slewPPM float64
	drift   time.Duration
}

const (
	clockTick = 100 * time.Millisecond
	// clockSlew is the largest slewing of the kernel (500 ppm), and stepSlack what two clocks may disagree by besides.
	clockSlew = 500e-6
	stepSlack = time.Millisecond
	// A reading that took longer than surely is made again, so often at most.
	surely        = 50 * time.Microsecond
	clockAttempts = 10
)

// clockReading is one look at both clocks: the realtime one was read at mono, give or take unsure. A thread that is taken
// off its processor between the two must not look like a step.
type clockReading struct {
	wall         int64
	mono, unsure time.Duration
}

// readClocks looks at the clocks: wall between two looks at mono, and again while these lie far apart.
func readClocks(mono func() time.Duration, wall func() int64) (best clockReading) {
	for attempt := range clockAttempts {
		before := mono()
		at := wall()
		half := (mono() - before) / 2
		if attempt == 0 || half < best.unsure {
			best = clockReading{at, before + half, half}
		}
		if best.unsure < surely {
			break
		}
	}
	return best
}

// observe takes one reading against the last and returns a description if the clock stepped in between.
func (m *clockMonitor) observe(last, now clockReading) string {
	elapsed := now.mono - last.mono
	change := time.Duration(now.wall-last.wall) - elapsed
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drift += change
	if change.Abs() > stepSlack+last.unsure+now.unsure+time.Duration(clockSlew*float64(elapsed)) {
		m.steps++
		return fmt.Sprintf("the realtime clock stepped by %v against the monotonic clock within %v", change, elapsed)
	}
	return ""
}

// run samples until ctx ends. Slew is measured over the whole run, since a single tick's is mostly reading noise.
func (m *clockMonitor) run(ctx context.Context, onStep func(string)) {
	start := time.Now()
	read := func() clockReading {
		return readClocks(func() time.Duration { return time.Since(start) }, func() int64 { return time.Now().UnixNano() })
	}
	ticker := time.NewTicker(clockTick)
	defer ticker.Stop()
	first := read()
	last := first
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := read()
		if step := m.observe(last, now); step != "" {
			onStep(step)
		}
		last = now
		m.slewed(first, now)
	}
}

// slewed takes how far the clocks have moved apart since the first reading, as far as it is sure.
func (m *clockMonitor) slewed(first, now clockReading) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if sure := m.drift.Abs() - first.unsure - now.unsure; m.steps == 0 && now.mono > time.Second && sure > 0 {
		m.slewPPM = math.Max(m.slewPPM, float64(sure)/float64(now.mono)*1e6)
	}
}

func (m *clockMonitor) state() (steps int, slewPPM float64, drift time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.steps, m.slewPPM, m.drift
}
