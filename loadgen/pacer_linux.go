package loadgen

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// pacer waits for absolute instants. Go's timers round to about a millisecond; clock_nanosleep with an absolute time on
// a locked thread with 1 µs of timer slack is late by some 30 µs. Where the process may, the thread also gets a realtime
// priority, so that a machine busy with the pipeline does not make the generator late: each send is short, and what it
// takes from the pipeline is the same with and without. A pacer belongs to the goroutine that made it.
type pacer struct {
	base time.Time
	mono int64 // CLOCK_MONOTONIC at base, ns
	kind string

	thread int // the system's id
}

// The priorities of the pacing thread, in the order in which they are tried.
const (
	pacerRealtime = "clock_nanosleep, SCHED_FIFO"
	pacerNice     = "clock_nanosleep, nice"
	pacerPlain    = "clock_nanosleep"
)

// pacerNiceness is the nice value of a pacing thread that may not have a realtime priority.
const pacerNiceness = -15

// newPacer locks the goroutine to its thread until close.
func newPacer() *pacer {
	runtime.LockOSThread()
	p := &pacer{kind: pacerPlain, thread: unix.Gettid()}
	// Slack and priority are the thread's own; close gives it back with the defaults.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(time.Microsecond), 0, 0, 0)
	if attr := realtime(); unix.SchedSetAttr(0, &attr, 0) == nil {
		p.kind = pacerRealtime
	} else if unix.Setpriority(unix.PRIO_PROCESS, p.thread, pacerNiceness) == nil {
		p.kind = pacerNice
	}
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	p.base, p.mono = time.Now(), ts.Nano()
	return p
}

func (p *pacer) close() {
	switch p.kind {
	case pacerRealtime:
		p.relax()
	case pacerNice:
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 0)
	}
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
	runtime.UnlockOSThread()
}

// relax gives a realtime priority back, urge takes it again. A generator that is behind its schedule sends without a
// pause, and must not keep the pipeline, which it may be waiting for, from the processor.
func (p *pacer) relax() {
	if p.kind == pacerRealtime {
		// Clearing RESET_ON_FORK takes a privilege that having set it does not prove.
		_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0)
	}
}

func (p *pacer) urge() {
	if p.kind == pacerRealtime {
		attr := realtime()
		_ = unix.SchedSetAttr(0, &attr, 0)
	}
}

// realtime is the lowest realtime priority: above every ordinary thread.
func realtime() unix.SchedAttr {
	return unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Flags: unix.SCHED_FLAG_RESET_ON_FORK, Priority: 1}
}

// until sleeps until the instant at, which has a monotonic reading, and returns at once if it has passed.
func (p *pacer) until(at time.Time) {
	ts := unix.NsecToTimespec(p.mono + int64(at.Sub(p.base)))
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil) == unix.EINTR {
	}
}
