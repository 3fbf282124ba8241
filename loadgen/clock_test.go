package loadgen

import (
	"testing"
	"time"
)

// TestClocksReadApart: a thread that loses its processor between the two clocks reads them again, and where it always does
// the reading says how unsure it is, so that no step is told.
func TestClocksReadApart(t *testing.T) {
	const start = int64(5e18)
	for _, c := range []struct {
		name   string
		pauses []time.Duration // before the realtime clock is read, in turn; the last goes on
		unsure time.Duration   // at most
		wants  int             // readings of the realtime clock
	}{
		{"at once", []time.Duration{0}, surely, 1},
		{"the second time", []time.Duration{30 * time.Millisecond, 0}, surely, 2},
		{"never", []time.Duration{40 * time.Millisecond}, 20 * time.Millisecond, clockAttempts},
	} {
		t.Run(c.name, func(t *testing.T) {
			now, reads := time.Duration(0), 0
			read := func() clockReading {
				return readClocks(func() time.Duration { return now }, func() int64 {
					now += c.pauses[min(reads, len(c.pauses)-1)]
					reads++
					return start + int64(now)
				})
			}
			sure := clockReading{wall: start}
			got := read()
			if reads != c.wants || got.unsure > c.unsure {
				t.Errorf("got %d readings, unsure by %v; want %d and %v at most", reads, got.unsure, c.wants, c.unsure)
			}
			var m clockMonitor
			if step := m.observe(sure, got); step != "" {
				t.Errorf("got %q; want no step", step)
			}
			got.wall += int64(got.unsure) * 2
			got.wall += int64(5 * time.Millisecond)
			if step := m.observe(sure, got); step == "" {
				t.Error("a step of more than it is unsure by was not told")
			}
		})
	}
}

// TestUnsureIsNoSlew: what a reading is unsure by is not the clock's.
func TestUnsureIsNoSlew(t *testing.T) {
	var m clockMonitor
	first := clockReading{wall: 5e18, unsure: time.Millisecond}
	late := clockReading{wall: 5e18 + int64(2*time.Second+2*time.Millisecond), mono: 2 * time.Second, unsure: time.Millisecond}
	m.observe(first, late)
	m.slewed(first, late)
	if _, ppm, _ := m.state(); ppm != 0 {
		t.Errorf("got %v ppm; want none that is sure", ppm)
	}
	next := clockReading{wall: late.wall + int64(2*time.Second), mono: 4 * time.Second}
	m.observe(late, next)
	m.slewed(first, next)
	if _, ppm, _ := m.state(); ppm != 250 { // 1 of the 2 ms in 4 s
		t.Errorf("got %v ppm; want 250", ppm)
	}
}
