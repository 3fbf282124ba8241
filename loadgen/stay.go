package loadgen

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"
)

// group is what the swarm knows of one of the plan's groups beside its streams.
type group struct {
	first  int  // number of its first client: groups of one name number theirs one after the other
	before int  // clients of the groups before it
	varies bool // clients come and go by the plan
	slow   bool // clients read slowly on purpose
	// resumes: clients come back with their positions to a target that gives them what they missed.
	resumes bool

	mu   sync.Mutex
	next time.Time // when the next client that comes during the load may connect
}

// slot returns when a client that comes now may connect, so that the group's connect rate is kept.
func (g *group) slot(rate float64) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := time.Now()
	if g.next.After(at) {
		at = g.next
	}
	g.next = at.Add(time.Duration(float64(time.Second) / rate))
	return at
}

// stint is what a client had of one stream when it left by plan: of the numbers from the tracker's base on, those below
// end were sent by then.
type stint struct {
	tracker
	end uint64
	// back is up to where nothing but the target's throwing the client out explains what is missing at the tail.
	back uint64
}

// errLeft ends a stay as the plan says.
var errLeft = errors.New("the client left as the scenario says")

// live is one client's life: stay after stay as the plan says, until life ends or the worker's poller goes on with it. A
// client that is there before the load has arrived already; one of a group that resumes and is away when the load is over
// comes back for the drain.
func (s *swarm) live(life context.Context, c *client, gate chan struct{}) {
	turns := newPresence(s.topo.plan, s.topo.phases, c.group, c.index)
	for first := true; ; first = false {
		turn, ok := turns.next()
		if !ok {
			s.stayForDrain(life, c, gate)
			return
		}
		if !first || turn.from > 0 {
			if !s.until(life, turn.from) || !s.awaitSlot(life, c) {
				s.stayForDrain(life, c, gate)
				return
			}
			s.arrive(c)
		}
		if turn.to == forever {
			s.stay(life, c, gate, true)
			return
		}
		if !s.stayUntil(life, c, gate, turn.to) {
			return
		}
	}
}

// stayForDrain brings a client of a group that resumes back once the load is over, at the group's connect rate, so that it
// gets what it missed since it left. One that was never there has missed nothing.
func (s *swarm) stayForDrain(life context.Context, c *client, gate chan struct{}) {
	if !s.groups[c.group].resumes {
		return
	}
	select {
	case <-s.over:
	case <-life.Done():
		return
	}
	c.worker.mu.Lock()
	awaited := c.present
	c.worker.mu.Unlock()
	if awaited && pause(life, time.Until(s.groups[c.group].slot(s.topo.groups[c.group].plan.ConnectRate))) {
		s.stay(life, c, gate, true)
	}
}

// stayUntil keeps the client connected until a time since the load's beginning and reports whether it left then, rather
// than because life ended.
func (s *swarm) stayUntil(life context.Context, c *client, gate chan struct{}, at time.Duration) bool {
	stay, leave := context.WithCancelCause(life)
	defer leave(nil)
	s.wg.Go(func() {
		if s.until(stay, at) {
			s.leaving(c)
			leave(errLeft)
		}
	})
	s.stay(stay, c, gate, false)
	<-stay.Done()
	if !errors.Is(context.Cause(stay), errLeft) {
		return false
	}
	s.left(c)
	return true
}

// until waits until a time since the load's beginning and reports false if ctx ended before, or the load.
func (s *swarm) until(ctx context.Context, at time.Duration) bool {
	select {
	case <-s.begun:
	case <-ctx.Done():
		return false
	case <-s.over:
		return false
	}
	return s.wait(ctx, s.loadAt.Add(at))
}

func (s *swarm) awaitSlot(ctx context.Context, c *client) bool {
	return s.wait(ctx, s.groups[c.group].slot(s.topo.groups[c.group].plan.ConnectRate))
}

// wait reports false if ctx ended before the instant, or the load.
func (s *swarm) wait(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.over:
		return false
	case <-timer.C:
		return !stopped(s.over)
	}
}

// loading tells the clients when the load begins.
func (s *swarm) loading(start epoch) {
	s.loadAt = start.at
	s.loadUnix.Store(start.unix)
	close(s.begun)
}

// draining keeps all clients where they are: nobody comes or goes by the plan from now on. Those that resume and are away
// are on their way back: what they missed is waited for. Idempotent.
func (s *swarm) draining() {
	s.overOnce.Do(func() {
		for _, w := range s.workers {
			w.mu.Lock()
			w.bookAllAttendance()
			w.drains = true
			w.mu.Unlock()
		}
		for _, c := range s.clients {
			if s.groups[c.group].resumes {
				c.worker.mu.Lock()
				if !c.present && !c.cameAt.IsZero() {
					s.arriveLocked(c)
				}
				c.worker.mu.Unlock()
			}
		}
		close(s.over)
	})
}

// arrive has the client wait for its streams to come into force.
func (s *swarm) arrive(c *client) {
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	if !c.present { // the drain may have begun meanwhile and wait for it
		s.arriveLocked(c)
	}
}

func (s *swarm) arriveLocked(c *client) {
	resumes := s.groups[c.group].resumes
	c.present, c.thrown, c.cameAt = true, false, time.Now()
	if told := resumes && c.comeback.known(); c.sessions > 0 && !told {
		c.backAt = c.cameAt.UnixNano()
	}
	c.worker.attend(c, true, c.linked)
	if resumes {
		s.awaitStreams(c, 1)
		return
	}
	for stream := range c.trackers {
		if c.trackers[stream].flag&flagExpected == 0 {
			continue
		}
		s.awaitsMarker(c, stream, 1)
		s.waits(c, stream, 1, func(p *producer) *pending { return p.final })
		s.open.Add(1)
		s.unjoined.Add(1)
		c.worker.complete(c, stream) // of a conflated topic all may have been sent
	}
}

// left closes the account of a client that left by plan. Its connection is closed, so that all it was given lies below
// the positions that are read now. That of a client that resumes stays open, and once the load is over it comes back at
// once.
func (s *swarm) left(c *client) {
	w := c.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.linked {
		w.meter.count(s.topo.cell(int(s.phase.Load()), c.group, -1), countLeft, 1)
	}
	c.noteUnjoined(s.topo.plan.Phases.JoinDeadline)
	c.comeback.away(true, time.Now().UnixNano())
	resumes := s.groups[c.group].resumes
	switch {
	case !resumes:
		for stream := range c.trackers {
			if c.trackers[stream].flag&flagExpected != 0 {
				s.leaveStream(c, stream)
			}
		}
	case !w.drains:
		s.awaitStreams(c, -1)
	}
	c.present = resumes && w.drains
	if c.seldom != nil {
		c.seldom.back = nil
	}
	w.attend(c, c.present, false)
	if w.gaps.err != nil {
		s.fail(w.gaps.err)
	}
}

// leaveStream puts what the client had of a stream aside and forgets what it waited for.
func (s *swarm) leaveStream(c *client, stream int) {
	t := &c.trackers[stream]
	if t.flag&flagFinal == 0 {
		s.waits(c, stream, -1, func(p *producer) *pending { return p.final })
	}
	if t.flag&flagJoined == 0 || t.flag&flagRejoin != 0 {
		s.awaitsMarker(c, stream, -1)
	}
	if t.flag&flagSettled == 0 {
		s.open.Add(-1)
	}
	if t.flag&flagJoined == 0 {
		s.unjoined.Add(-1)
	} else {
		e, byKey, id := s.expectation(c, stream)
		end := max(e.leave(byKey, id, !s.groups[c.group].slow), t.next)
		past := stint{tracker: *t, end: end}
		switch {
		case c.thrown:
			past.back = math.MaxUint64
		case c.rarely().back != nil:
			past.back = c.seldom.back[stream]
		}
		c.keep(stream, past)
	}
	*t = tracker{flag: flagExpected}
}

// keep remembers a stint of a stream. Each counts like a gap against the audit's bound.
func (c *client) keep(stream int, past stint) {
	if past.base == past.end {
		return
	}
	gaps := &c.worker.gaps
	if gaps.count >= gaps.limit {
		gaps.err = errGaps
		return
	}
	gaps.count++
	r := c.rare()
	if r.past == nil {
		r.past = make([][]stint, len(c.trackers))
	}
	r.past[stream] = append(r.past[stream], past)
}

// pastEnd is where the client's newest stint of the stream ended: what lies below is accounted for.
func (c *client) pastEnd(stream int) uint64 {
	if c.seldom == nil || c.seldom.past == nil || len(c.seldom.past[stream]) == 0 {
		return 0
	}
	past := c.seldom.past[stream]
	return past[len(past)-1].end
}

// noteUnjoined remembers a client that waited for longer than the deadline. Where markers join, on a conflated topic a client that
// came late waits for the key's next value, and there may be none.
func (c *client) noteUnjoined(deadline time.Duration) {
	if !c.present || c.rarely().neverJoined != "" || time.Since(c.cameAt) < deadline {
		return
	}
	s := c.worker.swarm
	for stream := range c.trackers {
		key, _ := s.topo.groups[c.group].streamID(c.index, stream)
		if c.trackers[stream].flag&(flagExpected|flagJoined) == flagExpected && (s.profile.joined != nil || s.topo.producers[key.producer].conflation == 0) {
			c.rare().neverJoined = s.lacks(c, stream)
			return
		}
	}
}

// unjoinedAtEnd lists at most so many of the clients that came, stayed and never saw a marker on one of their streams, and
// counts all.
func (s *swarm) unjoinedAtEnd(most int) (names []string, count int) {
	for _, c := range s.clients {
		c.worker.mu.Lock()
		c.noteUnjoined(s.topo.plan.Phases.JoinDeadline)
		missing := c.rarely().neverJoined
		c.worker.mu.Unlock()
		if missing == "" {
			continue
		}
		if count++; len(names) < most {
			names = append(names, s.clientName(c)+" ("+missing+")")
		}
	}
	return names, count
}

// expectation returns who counts what is expected of a client's stream, and the stream's name there.
func (s *swarm) expectation(c *client, stream int) (e *expectation, byKey bool, id int) {
	key, _ := s.topo.groups[c.group].streamID(c.index, stream)
	return s.expectations[key.producer], key.byKey, key.id
}
