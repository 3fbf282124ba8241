package loadgen

import (
	"bytes"
	"errors"

	"github.com/weirbench/weir/scenarios"
)

// A client that resumes keeps how far it is in its topic and tells it when it comes back; the target then gives it what it
// missed, and after that what is live. Where the target declares that it resumes, the client's account goes on across
// sessions: what is sent while it is away, by plan or not, is expected; the second arrival of anything is a duplicate; and
// one that is away when the load ends comes back for the drain. Only what was sent before its first subscription was in
// force can be early.
//
// Of a conflated topic nobody can ask for what was skipped: clients that follow one subscribe anew.

// resumeProfile is a profile's ResumeProfile made ready.
type resumeProfile struct {
	subscribe         template
	partition, offset mark
	positions         []byte // begins the messages that tell positions; nil for none
	field             []byte // with its quotes
	failed, caughtUp  []byte
}

const holePositions = "{positions}"

// compileResume makes the way to resume ready: nil where no group of the plan does.
func (p *profile) compileResume(plan *scenarios.Plan) error {
	r := p.wire.Resume
	if r == nil {
		for i := range plan.Clients {
			if plan.Clients[i].Resume {
				return profileError("resume", "clients of group %s resume, and nothing says how", plan.Clients[i].Name)
			}
		}
		return nil
	}
	p.resume = &resumeProfile{
		subscribe: parseTemplate(r.Subscribe, holePositions), partition: newMark(r.Partition), offset: newMark(r.Offset),
		positions: bytesOf(r.Positions), field: bytesOf(`"` + r.Field + `"`), failed: bytesOf(r.Failed), caughtUp: bytesOf(r.CaughtUp),
	}
	// Nobody is told of them alone who asked for it.
	for _, begins := range [][]byte{p.resume.positions, p.resume.caughtUp} {
		if begins != nil {
			p.control = append(p.control, begins)
		}
	}
	var errs []error
	if !p.resume.subscribe.has(holePositions) {
		errs = append(errs, profileError("resume.subscribe", "it does not hold {positions}, so that it would not tell the target where the client was"))
	}
	for _, must := range []struct{ field, text, is string }{
		{"partition", r.Partition, "partition"}, {"offset", r.Offset, "offset"},
	} {
		if must.text == "" {
			errs = append(errs, profileError("resume."+must.field, "nothing says where a message's %s stands (write what comes before its digits)", must.is))
		}
	}
	if r.Field == "" {
		errs = append(errs, profileError("resume.field", "nothing says where the target's messages hold positions (write the field's name)"))
	}
	return errors.Join(errs...)
}

// comeback is what a client that resumes keeps across its sessions: 8 bytes for each partition of its topic and a few dozen
// more. Its worker's mutex guards it.
type comeback struct {
	positions
	asked    bool // the newest session began with positions
	awaiting bool // and has no answer yet
	resumed  bool // and the target said that it goes on from there
	// dialAt is when the first dial of the return began, Unix ns; 0 once it has caught up.
	dialAt int64
	// backAt is since when the client is back, Unix ns: that the target answered its subscription, or until then that it is
	// connected. What was due before is replayed.
	backAt int64
	leaves
	spared int64 // replayed deliveries of the measure phases that are in no e2e, since it was away by plan
}

// returning begins a session after the first. The worker is locked.
func (w *worker) returning(c *client, now int64) {
	b := c.comeback
	if b == nil || c.sessions < 2 {
		return
	}
	w.meter.count(w.here(c), countReturns, 1)
	b.asked, b.resumed = b.known(), false
	b.awaiting = b.asked
	if !b.asked {
		b.dialAt = 0 // it subscribes anew, and has nothing to catch up with
	}
	b.backAt = max(b.backAt, now)
}

// away ends a session, by plan or because the target did. The time until it has caught up goes on counting where the target
// threw it out before it had.
func (b *comeback) away(planned bool, at int64) {
	if b == nil {
		return
	}
	b.awaiting, b.resumed = false, false
	if planned {
		b.dialAt = 0
		b.leave(at)
	} else {
		b.faultAt = at
	}
}

// dialling notes that a dial began.
func (c *client) dialling(at int64) {
	b := c.comeback
	if b == nil || c.sessions == 0 {
		return
	}
	if b.dialAt == 0 {
		b.dialAt = at
	}
	if gaps := &c.worker.gaps; c.worker.swarm.groups[c.group].resumes && b.comes(at) {
		if gaps.count++; gaps.count >= gaps.limit { // an absence counts like a gap against the audit's bound
			gaps.err = errGaps
		}
	}
}

// here is the cell of what belongs to the client's group and the phase that the run is in.
func (w *worker) here(c *client) int {
	return w.swarm.topo.cell(int(w.swarm.phase.Load()), c.group, -1)
}

// notePosition takes the position that stands before a value.
func (w *worker) notePosition(c *client, s *Stamp, head []byte) {
	topo, r := w.swarm.topo, w.swarm.profile.resume
	if topo.producers[s.Producer].plan.Topic != topo.groups[c.group].plan.Subscribe.Topic {
		return
	}
	partition, ok := numberBehind(head, &r.partition)
	if !ok {
		return
	}
	if offset, ok := numberBehind(head, &r.offset); ok {
		c.comeback.advance(partition, offset)
	}
}

// noteControl takes what a message of the target's says of positions, and the answer to a subscription that told them.
func (w *worker) noteControl(c *client, payload []byte, means meaning, arrivedAt int64) {
	r, b := w.swarm.profile.resume, c.comeback
	if means == meansRefusal && b.awaiting {
		b.awaiting = false
		w.resumeFailed(c)
		return
	}
	if means != meansControl {
		return
	}
	t, tells := findPositions(payload, r.field, w.swarm.topicName(w.swarm.topo.groups[c.group].plan.Subscribe.Topic))
	switch failed := len(r.failed) > 0 && bytes.Contains(payload, r.failed); {
	case r.caughtUp != nil && bytes.HasPrefix(payload, r.caughtUp):
		w.caughtUp(c, arrivedAt)
	case r.positions != nil && bytes.HasPrefix(payload, r.positions):
		if tells {
			b.take(t, false, w.intern)
		}
	case tells || failed:
		if b.awaiting {
			b.awaiting = false
			b.backAt = max(b.backAt, arrivedAt)
			if failed {
				w.resumeFailed(c)
			} else {
				b.resumed = true
				w.meter.count(w.here(c), countResumed, 1)
			}
		}
		if tells {
			b.take(t, b.asked, w.intern)
		}
	}
}

// resumeFailed books that a client that came back can't have all that it missed. What that was the account tells.
func (w *worker) resumeFailed(c *client) {
	c.comeback.dialAt = 0
	w.meter.count(w.here(c), countResumeFailed, 1)
	w.remarks.add("the target could not give a client that came back all that it missed")
}

// caughtUp books that a client that came back has all that it missed.
func (w *worker) caughtUp(c *client, arrivedAt int64) {
	b := c.comeback
	if b.resumed && b.dialAt != 0 {
		w.meter.record(w.here(c), stageCaughtUp, arrivedAt-b.dialAt)
		b.dialAt = 0
	}
}

// intern returns the one copy of an epoch that the worker's clients share. The worker is locked.
func (w *worker) intern(epoch []byte) string {
	if known, ok := w.epochs[string(epoch)]; ok {
		return known
	}
	text := string(epoch)
	if w.epochs == nil {
		w.epochs = map[string]string{}
	}
	if len(w.epochs) < maxEpochs {
		w.epochs[text] = text
	}
	return text
}

// maxEpochs bounds what a worker remembers for a target that tells another epoch each time.
const maxEpochs = 64

// replay says whether a delivery is of what a client missed while it was away.
type replay uint8

const (
	live          replay = iota
	replayedFault        // the target could have given it before: it was there then, or away since the target threw it out
	replayedLeave        // it was away by plan when it was due
)

// replayOf says what the delivery of a message that was due then is to the client.
func (c *client) replayOf(dueAt int64) replay {
	b := c.comeback
	switch {
	case b == nil || !c.worker.swarm.groups[c.group].resumes:
		return live
	case b.excuses(dueAt):
		return replayedLeave
	case dueAt < b.backAt:
		return replayedFault
	}
	return live
}

// measureReplay records what is told of the replays of a client that keeps its positions and reports whether the delivery
// belongs to nothing else.
func (w *worker) measureReplay(c *client, cell, phase int, dueAt, arrivedAt int64) (apart bool) {
	how := c.replayOf(dueAt)
	if how == live {
		return false
	}
	w.meter.count(cell, countReplayed, 1)
	if w.swarm.groups[c.group].slow { // on purpose: what it measures is told of no other group
		return false
	}
	w.meter.record(cell, stageReplay, arrivedAt-dueAt)
	if how == replayedFault {
		return false
	}
	w.meter.count(cell, countReplayedLeave, 1)
	if phase >= 0 && w.swarm.topo.phases[phase].Measured {
		c.comeback.spared++
	}
	return true
}

// awaitStreams changes how many wait for what the client of a group that resumes is still to get: it comes, or goes.
func (s *swarm) awaitStreams(c *client, n int32) {
	for stream := range c.trackers {
		t := &c.trackers[stream]
		if t.flag&flagExpected == 0 {
			continue
		}
		if n > 0 && (t.flag&flagFinal == 0 || t.gaps != 0) {
			t.flag &^= flagSettled // the target had thrown it out for good, and the plan has it back
		}
		if t.flag&flagJoined == 0 {
			s.awaitsMarker(c, stream, n)
			s.unjoined.Add(int64(n))
		}
		if t.flag&flagFinal == 0 {
			s.waits(c, stream, n, func(p *producer) *pending { return p.final })
		}
		if t.flag&flagSettled == 0 {
			s.open.Add(int64(n))
		}
	}
}
