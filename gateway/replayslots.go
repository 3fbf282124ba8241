package gateway

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// slotPatience is how long a replay that waits, for its client or for Kafka,
	// keeps others from running.
	slotPatience = 50 * time.Millisecond
	// slotTurn is after how long a replay lets others run that wait.
	slotTurn = 100 * time.Millisecond
)

// slots bound how many replays run at a time. Who waits for one comes in order;
// who has had one for a turn, or has nothing to do, gives it to others.
type slots struct {
	places         chan struct{}
	patience, turn time.Duration
	counters       *counters
	queueing       atomic.Int64 // replays that wait for a place, and nothing else
}

func newSlots(n int, c *counters) *slots {
	return &slots{places: make(chan struct{}, n), patience: slotPatience, turn: slotTurn, counters: c}
}

// slot is a replay's place among those that run.
type slot struct {
	*slots
	since time.Time
}

// enter waits for a place, unless ctx ends first.
func (s *slots) enter(ctx context.Context) (*slot, bool) {
	got := &slot{slots: s}
	return got, got.take(ctx)
}

func (s *slot) take(ctx context.Context) bool {
	s.counters.replaysWaiting.Add(1)
	defer s.counters.replaysWaiting.Add(-1)
	s.queueing.Add(1)
	defer s.queueing.Add(-1)
	select {
	case s.places <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	s.since = time.Now()
	s.counters.replaysRunning.Add(1)
	return true
}

func (s *slot) leave() {
	<-s.places
	s.counters.replaysRunning.Add(-1)
}

// pass lets others run, if there are any and the replay has had its turn. It
// reports false, and the place is left, when ctx ends.
func (s *slot) pass(ctx context.Context) bool {
	if ctx.Err() != nil {
		s.leave()
		return false
	}
	if s.queueing.Load() == 0 || time.Since(s.since) < s.turn {
		return true
	}
	s.leave()
	return s.take(ctx)
}

// away waits, and lets others run when that takes long: then it reports left, and
// back is to be called before the replay goes on.
func (s *slot) away(wait func()) (left bool) {
	gone := make(chan struct{})
	timer := time.AfterFunc(s.patience, func() {
		s.leave()
		s.counters.replaysWaiting.Add(1)
		close(gone)
	})
	wait()
	if timer.Stop() {
		return false
	}
	<-gone
	return true
}

// back takes the place again that was left, if it was. It reports false, and the
// place is left, when ctx ends.
func (s *slot) back(ctx context.Context, left bool) bool {
	if !left {
		return true
	}
	s.counters.replaysWaiting.Add(-1)
	return s.take(ctx)
}

const (
	// replayRest is how much of its work's time a replay rests before the next
	// one works, so that what is live finds the hub free and a processor.
	replayRest = 1
	// replayPace is how many bytes a second are queued for all replays together,
	// for each worker: writing them is work too, of which the workers don't know.
	replayPace = 64 << 20
	// replayDebt is what rest is put together to.
	replayDebt = 200 * time.Microsecond
)

// pace lets few replays work at once and has them rest, since live delivery needs
// the same lock and the same processors. All that a replay does but waiting is
// its work.
type pace struct {
	workers chan struct{} // FIFO, other than a mutex
	debt    atomic.Int64  // ns that nobody has rested yet
}

func newPace() *pace {
	return &pace{workers: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/4))}
}

// work does f, which returns how many bytes it has queued, when it is the
// replay's turn, and reports whether it did: not when ctx ends first.
func (p *pace) work(ctx context.Context, f func() (queued int)) (done bool) {
	if ctx.Err() != nil {
		return false
	}
	select {
	case p.workers <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-p.workers }()
	startedAt := time.Now()
	queued := f()
	rest := replayRest*time.Since(startedAt) + time.Duration(queued)*time.Second/replayPace
	if debt := p.debt.Add(int64(rest)); debt >= int64(replayDebt) {
		p.debt.Add(-debt)
		sleep(ctx, time.Duration(debt))
	}
	return true
}
