//go:build !linux

package nulltarget

import "time"

// sleeper waits by Go's timers, which may be late by a millisecond.
type sleeper struct{}

func newSleeper() *sleeper { return &sleeper{} }

func (s *sleeper) close() {}

// until sleeps until the instant, never less.
func (s *sleeper) until(at time.Time) { time.Sleep(time.Until(at)) }
