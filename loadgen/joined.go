package loadgen

import (
	"bytes"
	"fmt"
)

// Where the profile names the answer that acknowledges a subscription (joined), a client's streams are in force from that
// answer on, and what is sent after it is expected; else they are from a join marker on. A stream's base is the number that
// its next message will have when the worker handles the answer: the number is given before the message is handed to Kafka,
// so that all from there on was sent after the answer arrived. What was sent meanwhile is early, as is all from before.
//
// The rule is the same for clients that come late, come back, or resume: on a first connection the answer puts the streams
// in force, and in a session after the target threw the client out it tells repetitions of what came before, which are
// early, from duplicates. Streams of a client that resumes, once in force, stay so. On a conflated topic it takes the place
// of the first arrival: what the target kept of the time before is early. No join markers go to anybody, so that the load
// is the first to use the path through Kafka; final markers close the streams as ever.

// compileJoined makes the answer ready that acknowledges subscriptions. What begins so means nothing beside that.
func (p *profile) compileJoined() error {
	if p.joined = bytesOf(p.wire.Joined); p.joined == nil {
		return nil
	}
	p.control = append(p.control, p.joined)
	for field, begins := range map[string][]byte{"refusal": p.refusal, "notice": p.notices} {
		if begins != nil && bytes.HasPrefix(p.joined, begins) {
			return profileError("joined", "every answer that begins with %q is taken by %s", p.wire.Joined, field)
		}
	}
	if p.wire.Framing == framingSTOMP {
		return profileError("joined", "STOMP has no answer to a subscription that a client could count on (leave it out: clients join by markers)")
	}
	return nil
}

// answersTo is how many answers acknowledge the client's subscription: one for each time that it subscribes.
func (s *swarm) answersTo(c *client) int {
	p, sub := s.profile, &s.topo.groups[c.group].plan.Subscribe
	subscribe := p.subscribe
	if c.comeback != nil {
		subscribe = p.resume.subscribe
	}
	if sub.All || p.wire.Event == "" && !subscribe.has(holeChannel, holeKey) {
		return 1
	}
	return sub.Keys
}

// takeJoined takes an answer to the client's subscription. The worker is locked.
func (w *worker) takeJoined(c *client, arrivedAt int64) {
	s := w.swarm
	if arrivedAt < c.talk.askedAt || s.profile.wire.Framing != framingPlain && !c.talk.introduced {
		return // it answers nothing that this client asked
	}
	w.marked = true
	if c.talk.answers++; int(c.talk.answers) != s.answersTo(c) {
		return
	}
	for stream := range c.trackers {
		t := &c.trackers[stream]
		first := t.flag&flagJoined == 0
		if t.flag&flagExpected == 0 || !first && t.flag&flagRejoin == 0 {
			continue
		}
		e, byKey, id := s.expectation(c, stream)
		t.join(max(e.position(byKey, id), c.pastEnd(stream)))
		s.joined(c, stream, first)
		c.answeredAt = arrivedAt // of a client that resumes, whose streams stay in force, what comes twice is a duplicate
	}
}

// awaitsMarker changes how many wait for a join marker on the client's stream, where subscriptions come into force so.
func (s *swarm) awaitsMarker(c *client, stream int, n int32) {
	if s.profile.joined == nil {
		s.waits(c, stream, n, func(p *producer) *pending { return p.join })
	}
}

// lacks says what the client's stream waits for that is not in force. The worker is locked.
func (s *swarm) lacks(c *client, stream int) string {
	if s.profile.joined == nil {
		return s.streamName(c, stream)
	}
	return fmt.Sprintf("%d of %d answers", c.talk.answers, s.answersTo(c))
}
