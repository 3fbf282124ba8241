package nulltarget

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper waits for absolute instants on a thread of its own, late by some tens of microseconds where Go's timers are by up
// to a millisecond. It belongs to the goroutine that made it.
type sleeper struct {
	base time.Time
	mono int64 // CLOCK_MONOTONIC at base, ns
}

// newSleeper locks the goroutine to its thread until close.
func newSleeper() *sleeper {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(time.Microsecond), 0, 0, 0) // else the default of 50 µs
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // never fails
	return &sleeper{base: time.Now(), mono: ts.Nano()}
}

func (s *sleeper) close() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
	runtime.UnlockOSThread()
}

// until sleeps until the instant, never less.
func (s *sleeper) until(at time.Time) {
	ts := unix.NsecToTimespec(s.mono + int64(at.Sub(s.base)))
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil) == unix.EINTR {
	}
}
