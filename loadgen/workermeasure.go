package loadgen

// awaited is a delivery that waits for the observer's read of the same message.
type awaited struct {
	producer, partition uint32
	seq                 uint64
	readAt              int64
	cell                int
	rounds              int
}

// sample is the first and last delivery of one sampled message as one worker saw them.
type sample struct {
	producer, partition, key uint32
	seq                      uint64
	first, last              int64
	clients                  int64
	phase                    int
	rounds                   int // intervals that it has waited
}

// noteSlowest remembers how long after its sending the target had a value at most, as it says; where it does not, when a
// client that reads as soon as it can had it.
func (w *worker) noteSlowest(c *client, s *Stamp, head []byte, arrivedAt int64) {
	at := int64(0)
	switch receivedAt := &w.swarm.profile.receivedAt; {
	case len(receivedAt.text) > 0:
		at = gatewayStamp(head, receivedAt)
	case !w.swarm.groups[c.group].slow:
		at = arrivedAt
	}
	if at != 0 {
		w.slowest[s.Producer] = max(w.slowest[s.Producer], min(at, arrivedAt)-s.SentAt)
	}
}

// measure records the latencies of a first arrival, without the time that the client was away by plan.
func (w *worker) measure(c *client, s *Stamp, head []byte, cell, phase int, arrivedAt int64) {
	if c.comeback != nil && w.measureReplay(c, cell, phase, s.DueAt, arrivedAt) {
		return
	}
	away := c.awayFor(s.DueAt, arrivedAt)
	corrected := arrivedAt - s.DueAt - away
	if phase >= 0 && w.swarm.topo.phases[phase].Measured {
		c.stats.add(corrected, int64(w.swarm.topo.plan.Objective))
	}
	if w.swarm.groups[c.group].slow { // on purpose: what it measures is told of no other group
		w.meter.record(cell, stageSlow, corrected)
		return
	}
	w.meter.record(cell, stageE2E, corrected)
	w.meter.record(cell, stageUncorrected, arrivedAt-s.SentAt-c.awayFor(s.SentAt, arrivedAt))
	if w.swarm.topo.producers[s.Producer].plan.Group == c.group && int(s.Partition) == c.index {
		w.meter.record(cell, stageRoundTrip, corrected)
	}
	if at := gatewayStamp(head, &w.swarm.profile.receivedAt); at != 0 {
		w.meter.record(cell, stageGatewayIn, at-s.SentAt)
	}
	if at := gatewayStamp(head, &w.swarm.profile.queuedAt); at != 0 {
		w.meter.record(cell, stageGatewayOut, arrivedAt-at)
	}
	if seen, ok := w.swarm.seen[s.Producer][s.Partition].get(s.PartSeq); ok {
		w.meter.record(cell, stageGateway, arrivedAt-seen-c.awayFor(seen, arrivedAt))
	} else {
		w.await(awaited{s.Producer, s.Partition, s.PartSeq, arrivedAt, cell, 0})
	}
	if away == 0 { // else its coming last says nothing of the fan-out
		w.sample(s, phase, arrivedAt)
	}
}

// maxAwaited bounds the deliveries that wait for the observer.
const maxAwaited = 1 << 20

func (w *worker) await(a awaited) {
	if len(w.waiting) >= maxAwaited {
		w.unseen++
		return
	}
	w.waiting = append(w.waiting, a)
}

// sample books one delivery of a message if it is one of those sampled for the fan-out spread. Consecutive deliveries
// of one message meet in the newest entries, so that a short look back finds it.
func (w *worker) sample(s *Stamp, phase int, arrivedAt int64) {
	if w.swarm.topo.producers[s.Producer].conflation > 0 {
		return // few of the followers get the same message
	}
	// The mix keeps keys that go round with the sequence numbers from being sampled always or never.
	if mix(s.PartSeq^uint64(s.Partition)<<42)&w.swarm.sampleMask[s.Producer] != 0 {
		return
	}
	const lookBack = 32
	for i := len(w.spread) - 1; i >= max(0, len(w.spread)-lookBack); i-- {
		e := &w.spread[i]
		if e.seq == s.PartSeq && e.partition == s.Partition && e.producer == s.Producer {
			e.first, e.last = min(e.first, arrivedAt), max(e.last, arrivedAt)
			e.clients++
			return
		}
	}
	w.spread = append(w.spread, sample{s.Producer, s.Partition, s.Key, s.PartSeq, arrivedAt, arrivedAt, 1, phase, 0})
}
