package loadgen

import (
	"slices"
	"sort"
	"sync/atomic"
)

// Of a conflated topic a client gets the newest value of each key at an interval. Its streams are (producer, key),
// whatever it subscribes to. No markers go there once the load has begun, since a marker would be passed on in a value's
// place: a stream is complete when the last number sent has arrived, and a subscription that comes late is in force from
// its first arrival on.

// streamEnds are the numbers, by key, that a conflated topic's streams end below, once they are known.
type streamEnds struct{ known atomic.Pointer[[]uint64] }

func (e *streamEnds) of(key int) (end uint64, known bool) {
	ends := e.known.Load()
	if ends == nil {
		return 0, false
	}
	return (*ends)[key], true
}

// endStreams makes the ends of a conflated topic's streams known. The pacing goroutine has sent the last message.
func (p *producer) endStreams() {
	if p.shape.conflation <= 0 {
		return
	}
	ends := slices.Clone(p.ledger.keySeq)
	p.ends.known.Store(&ends)
	if p.ended != nil {
		p.ended()
	}
}

// closeConflated completes the streams of a conflated topic that have all they are to get. Those that wait for more are
// completed as it arrives, and those of clients that are away as they come back.
func (s *swarm) closeConflated(producer int) {
	for _, c := range s.clients {
		group := &s.topo.groups[c.group]
		local := group.local[producer]
		if local < 0 {
			continue
		}
		b := &group.blocks[local]
		c.worker.mu.Lock()
		for stream := b.first; c.present && stream < b.first+b.count; stream++ {
			c.worker.complete(c, stream)
		}
		c.worker.mu.Unlock()
	}
}

// complete closes a conflated stream once nothing more can come of it. What was skipped in it is not waited for. The
// worker is locked.
func (w *worker) complete(c *client, stream int) {
	t := &c.trackers[stream]
	key, _ := w.swarm.topo.groups[c.group].streamID(c.index, stream)
	if t.flag&(flagExpected|flagFinal) != flagExpected {
		return
	}
	end, known := w.swarm.producers[key.producer].ends.of(key.id)
	if !known || t.flag&flagJoined != 0 && t.next < end {
		return
	}
	t.flag |= flagFinal
	w.swarm.sawFinal(c, stream)
	if t.flag&flagSettled == 0 {
		t.flag |= flagSettled
		w.swarm.open.Add(-1)
	}
}

// conflatedFrom returns where in a skipped span those messages begin that the target was free to skip, since it had a
// newer value of the key within the interval. It can't be known when the target had either of the two; but where it had
// message m k(m) after m was sent, it had the newer n within the interval of m only if
// sent(n) − sent(m) ≤ interval + k(m) − k(n). k is at least 0 and at most about the longest that the observer waited for a
// message of this producer or, where that is more, the longest that the target itself took to have one, as its received
// stamps tell: a target that is held up is late without Kafka being so. Where a target does not say when it received a
// value, the longest that a client waited for one bounds it, with what conflation held it back for. The target's timer may
// be late by a tenth of the interval. What was sent longer before n than all of that was held back for longer than declared.
func (a *auditor) conflatedFrom(key streamKey, skipped span, newer uint64) uint64 {
	sentAt := a.producers[key.producer].ledger.sentAt[key.id]
	interval := int64(a.topo.producers[key.producer].conflation)
	earliest := sentAt[newer] - interval - interval/10 - a.slowest[key.producer]
	return skipped.from + uint64(sort.Search(int(skipped.size()), func(i int) bool {
		return sentAt[skipped.from+uint64(i)] >= earliest
	}))
}

// onWayFrom returns from which number on what a client did not have when it left may have been on its way: what was sent
// since the target took it back, and of a conflated topic what that allowed the target to skip.
func (a *auditor) onWayFrom(stay *stint, key streamKey) uint64 {
	if a.topo.producers[key.producer].conflation == 0 || stay.back <= stay.next || stay.back >= stay.end {
		return stay.back
	}
	newer := stay.back
	for _, x := range between(a.excluded[key], span{newer, stay.end}) {
		if x.seq == newer {
			newer++
		}
	}
	if newer == stay.end {
		return stay.back
	}
	return a.conflatedFrom(key, span{stay.next, stay.back}, newer)
}
