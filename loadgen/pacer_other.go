//go:build !linux

package loadgen

import "time"

// pacer waits for absolute instants by Go's timers, which may be late by a millisecond; send lag shows by how much.
type pacer struct {
	kind   string
	thread int // 0: not known
}

func newPacer() *pacer { return &pacer{kind: "timer"} }

func (p *pacer) close() {}

func (p *pacer) relax() {}

func (p *pacer) urge() {}

// until sleeps until the instant at, which has a monotonic reading, and returns at once if it has passed.
func (p *pacer) until(at time.Time) { time.Sleep(time.Until(at)) }
