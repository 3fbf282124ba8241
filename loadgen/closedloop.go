package loadgen

import (
	"container/heap"
	"math"
	"sync"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// closedLoop paces clients that think: a client's next message is due so long after the answer to its last. The sender's
// pacing goroutine owns it, but for what stands under the mutex.
type closedLoop struct {
	think  scenarios.Think
	pauses draw
	first  draw
	phases []LoadPhase
	topo   *topology

	ready   thinkers
	awaited []uint64  // by client, the id of the message whose answer it waits for; 0 for none
	overdue []thought // the same in the order of sending; at is the sending's instant since the load began
	phase   int       // the phase of the latest message

	mu sync.Mutex
	// answers came since the last look: at most one for each message that was published.
	answers []thought
	news    chan struct{}
}

// thought is an answer to a client's message, and when it came: Unix ns.
type thought struct {
	client int
	id     uint64
	at     int64
}

// answerTimeout is how long a closed loop's client waits for an answer before it goes on without. The message stays open:
// its answer counts whenever it comes, and where none does it is unsettled in the end.
const answerTimeout = 10 * time.Second

// refusedPause is the least time after which a client whose message could not be published tries the next.
const refusedPause = 100 * time.Millisecond

func newClosedLoop(topo *topology, sender int) *closedLoop {
	plan := topo.producers[sender].plan
	l := &closedLoop{
		think: *plan.Think, pauses: newDraw(topo.plan.Seed, sender, purposeThink), first: newDraw(topo.plan.Seed, sender, purposeFirstThought),
		phases: topo.phases, topo: topo, awaited: make([]uint64, plan.Clients), news: make(chan struct{}, 1),
	}
	for c := range plan.Clients {
		l.ready = append(l.ready, thinker{time.Duration(l.first.unit(uint64(c)) * float64(plan.Think.Mean)), c})
	}
	heap.Init(&l.ready)
	return l
}

// answer takes the answer to a message. It is safe for concurrent use.
func (l *closedLoop) answer(t thought) {
	l.mu.Lock()
	l.answers = append(l.answers, t)
	l.mu.Unlock()
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// pause is the time that a client thinks after its n-th message.
func (l *closedLoop) pause(client int, n uint64) time.Duration {
	if !l.think.Exponential {
		return l.think.Mean
	}
	unit := l.pauses.unit(n*uint64(len(l.awaited)) + uint64(client))
	return time.Duration(-math.Log1p(-unit) * float64(l.think.Mean))
}

// goOn makes the clients ready that were answered, or that have waited for too long.
func (l *closedLoop) goOn(lanes []*lane, start epoch, now time.Duration) {
	l.mu.Lock()
	answers := l.answers
	l.answers = nil
	l.mu.Unlock()
	for _, t := range answers {
		if l.awaited[t.client] == t.id {
			l.rest(lanes[t.client], time.Duration(t.at-start.unix))
		}
	}
	for len(l.overdue) > 0 {
		t := l.overdue[0]
		if waits := l.awaited[t.client] == t.id; waits && now < time.Duration(t.at)+answerTimeout {
			return
		} else if waits {
			l.rest(lanes[t.client], time.Duration(t.at)+answerTimeout)
		}
		l.overdue = l.overdue[1:]
	}
}

// rest lets a client think from an instant on.
func (l *closedLoop) rest(of *lane, from time.Duration) {
	l.awaited[of.index] = 0
	heap.Push(&l.ready, thinker{from + l.pause(of.index, of.tried), of.index})
}

// due returns when the next message is due, no earlier than the phase of the one before: an answer that is read late must
// not bring a message into a phase that its stream has left.
func (l *closedLoop) due() (client int, due time.Duration, ok bool) {
	if len(l.ready) == 0 {
		return 0, 0, false
	}
	t := l.ready[0]
	return t.client, max(t.due, l.phases[l.phase].Start), true
}

// next returns when there is something to do at the latest.
func (l *closedLoop) next() (at time.Duration) {
	at = l.phases[len(l.phases)-1].End
	if _, due, ok := l.due(); ok {
		at = min(at, due)
	}
	if len(l.overdue) > 0 {
		at = min(at, time.Duration(l.overdue[0].at)+answerTimeout)
	}
	return at
}

// loadClosed is the load of clients that think. Nothing is sent after the load's end.
func (p *producer) loadClosed(s *signals) {
	pace, done := p.ownPacer()
	defer done()
	l := p.up.loop
	end := l.phases[len(l.phases)-1].End
	nextMark := time.Duration(0)
	haste := haste{pace: pace}
	for {
		now := time.Since(s.loadAt.at)
		if stopped(s.stopLoad) || stopped(s.finish) || now >= end {
			return
		}
		if now >= nextMark {
			p.markLoaded(s.loadAt.at.Add(now))
			nextMark = now + markerTurn
		}
		l.goOn(p.up.lanes, s.loadAt, now)
		client, due, ok := l.due()
		if ok {
			haste.look(due, now)
		}
		if !ok || due > now {
			l.wait(pace, s, min(l.next(), nextMark))
			continue
		}
		heap.Pop(&l.ready)
		p.publishThought(client, due, s)
	}
}

// publishThought publishes a client's next message.
func (p *producer) publishThought(client int, due time.Duration, s *signals) {
	l, of := p.up.loop, p.up.lanes[client]
	l.phase = l.topo.phaseAt(int64(due))
	if p.publish(of, of.tried*uint64(len(p.up.lanes))+uint64(client), l.phase, due, s.loadAt.unixAt(due)) {
		l.awaited[client] = of.lastID
		l.overdue = append(l.overdue, thought{client, of.lastID, int64(time.Since(s.loadAt.at))})
		return
	}
	now := time.Since(s.loadAt.at)
	heap.Push(&l.ready, thinker{now + max(l.pause(client, of.tried), refusedPause), client})
}

// pacerReach is how long before an instant the exact wait for it begins: longer than a Go timer is late. A message that
// becomes due meanwhile is late by at most that much.
const pacerReach = 2 * time.Millisecond

// wait waits until an instant since the load's beginning, or until there is something to look at.
func (l *closedLoop) wait(pace *pacer, s *signals, at time.Duration) {
	left := at - time.Since(s.loadAt.at)
	if left <= pacerReach {
		pace.until(s.loadAt.at.Add(at))
		return
	}
	timer := time.NewTimer(left - pacerReach)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.news:
	case <-s.stopLoad:
	case <-s.finish:
	}
}

// thinker is a client and when its next message is due, since the load's beginning.
type thinker struct {
	due    time.Duration
	client int
}

// thinkers is a heap of them, the earliest first.
type thinkers []thinker

func (t thinkers) Len() int           { return len(t) }
func (t thinkers) Less(i, k int) bool { return t[i].due < t[k].due }
func (t thinkers) Swap(i, k int)      { t[i], t[k] = t[k], t[i] }

// Push adds a thinker; it is the heap's.
func (t *thinkers) Push(x any) { *t = append(*t, x.(thinker)) }

// Pop takes the last; it is the heap's.
func (t *thinkers) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}
