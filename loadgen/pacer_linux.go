package loadgen

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// PacerKind names how this system waits for due times.
const PacerKind = "clock_nanosleep"

// pacer waits for absolute instants. Go's timers round to about a millisecond; clock_nanosleep with an absolute time on
// a locked thread with 1 µs of timer slack is late by some 30 µs. It belongs to the goroutine that made it.
type pacer struct {
	base time.Time
	mono int64 // CLOCK_MONOTONIC at base, ns
}

// newPacer locks the goroutine to its thread until close.
func newPacer() *pacer {
	runtime.LockOSThread()
	// The slack is the thread's own; close gives the thread back with the default.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(time.Microsecond), 0, 0, 0)
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return &pacer{base: time.Now(), mono: ts.Nano()}
}

func (p *pacer) close() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
	runtime.UnlockOSThread()
}

// until sleeps until the instant at, which has a monotonic reading, and returns at once if it has passed.
func (p *pacer) until(at time.Time) {
	ts := unix.NsecToTimespec(p.mono + int64(at.Sub(p.base)))
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil) == unix.EINTR {
	}
}
