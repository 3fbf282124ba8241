package gateway

import "time"

// The fan-out is far faster than sockets are. After a stall, of Kafka or of the
// gateway itself, seconds of records come at once, and would fill the queue of a
// client that reads as fast as it can before its writer had run at all. So the
// fan-out holds when a queue is half full, until its writer has caught up.
//
// It does not hold for a client whose writer gets nothing done: that is stuck,
// and fills the other half of its queue without anybody waiting. And it holds no
// longer, for all clients together, than an account allows, since clients that
// are merely slow must not brake the others. There are two accounts. While the
// gateway is behind Kafka everybody's records are late already, and the account
// is large. When it is not, it covers a burst and the time until a writer gets a
// processor, and so little that holding can't itself put the gateway behind.
const (
	// behindRecords is how many records later than the one in hand a partition
	// must have for the gateway to be behind.
	behindRecords = 1000

	// A blocked write to a socket goes on only when about a third of its send
	// buffer, which may be megabytes, has been read.
	stuckWhenBehind = 250 * time.Millisecond
	holdWhenBehind  = 2 * time.Second
	shareWhenBehind = 10 // one part in so many of the time
	// behindLasts is how long the gateway counts as behind after it was: the
	// last records of a backlog find the queues as full as those before them.
	behindLasts = time.Second

	stuckWhenLive = 2 * time.Millisecond
	holdWhenLive  = 20 * time.Millisecond
	shareWhenLive = 100
)

// pacer is the publishing goroutine's means of holding.
type pacer struct {
	relief  chan struct{} // capacity 1: a queue is no longer half full
	pressed []*queue      // became half full by the record just published
	behind  holdAccount
	live    holdAccount

	behindAt time.Time // when the gateway last held behind Kafka
}

// holdAccount is time that may be spent on holding. It fills up by a share of
// the time that passes.
type holdAccount struct {
	left, most time.Duration
	share      time.Duration
	stuckAfter time.Duration // a write that takes longer is stuck
	filledAt   time.Time
}

func newPacer() pacer {
	now := time.Now()
	return pacer{
		relief: make(chan struct{}, 1),
		behind: holdAccount{holdWhenBehind, holdWhenBehind, shareWhenBehind, stuckWhenBehind, now},
		live:   holdAccount{holdWhenLive, holdWhenLive, shareWhenLive, stuckWhenLive, now},
	}
}

// hold waits for the writers of the queues that are pressed.
func (p *pacer) hold(behind bool) {
	startedAt := time.Now()
	if behind {
		p.behindAt = startedAt
	}
	a := &p.live
	if startedAt.Sub(p.behindAt) < behindLasts {
		a = &p.behind
	}
	a.left = min(a.most, a.left+startedAt.Sub(a.filledAt)/a.share)
	over := time.NewTimer(max(0, a.left))
	defer over.Stop()
	for i, q := range p.pressed {
		if a.left <= 0 || !p.await(q, a.stuckAfter, over.C) {
			giveUp(p.pressed[i:])
			break
		}
	}
	clear(p.pressed)
	p.pressed = p.pressed[:0]
	a.filledAt = time.Now()
	a.left -= a.filledAt.Sub(startedAt)
}

func giveUp(queues []*queue) {
	for _, q := range queues {
		q.giveUp()
	}
}

// await returns when the queue has got room or is found to be stuck, and false
// when the account is used up.
func (p *pacer) await(q *queue, stuckAfter time.Duration, over <-chan time.Time) bool {
	pressed, writes := q.progress()
	if !pressed {
		return true
	}
	tick := time.NewTicker(stuckAfter)
	defer tick.Stop()
	for pressed {
		select {
		case <-p.relief:
			pressed, _ = q.progress()
		case <-tick.C:
			before := writes
			if pressed, writes = q.progress(); writes == before {
				q.giveUp()
				return true
			}
		case <-over:
			return false
		}
	}
	return true
}
