package loadgen

import (
	"math"
	"sync/atomic"
	"time"
)

// markerEvery is how often markers are repeated, at the most, while anybody waits for them.
const markerEvery = 250 * time.Millisecond

// markerCost is what a marker may take for each client that is connected, while there is no load: of many clients, to each of
// which a marker may go, those that wait are not to burden those that still connect.
const markerCost = 100 * time.Microsecond

// markerRounds is how many rounds of join markers there are within the join deadline, at the least, as far as the pipeline
// carries them: whoever waits for one has more than one chance.
const markerRounds = 10

const (
	// markerTurn is how often it is looked at whether markers may go.
	markerTurn = 20 * time.Millisecond
	// markersAfoot is how many deliveries of a sender's markers may be under way: what a small machine delivers in a tenth of
	// a second. It is enough to keep a fast pipeline busy, and what a slow one is behind with when the load begins.
	markersAfoot = 20_000
	// markersLoaded is how many deliveries a second a sender's join markers may cause beside the load. It is more, up to
	// markersLoadedMost, where a round would take longer than a second otherwise: what comes before its marker is expected of
	// nobody. It is more than that where fewer than markerChances rounds would fit into the join deadline.
	markersLoaded     = 20_000
	markersLoadedMost = 100_000
	markerChances     = 4
	// markerShareLeast is the least share of its deliveries that a marker is taken to cause.
	markerShareLeast = 0.25
	// markerLook is how many streams one turn looks at, so that the schedule is not held up by many of which few wait.
	markerLook = 10_000
)

// joinPause is how long to wait, before the load, until the join markers are repeated.
func (p *producer) joinPause() time.Duration {
	if p.linked == nil {
		return markerEvery
	}
	return max(markerEvery, min(time.Duration(p.linked())*markerCost, p.joinDeadline/markerRounds))
}

// markerPause is how long to wait once the load has begun: those who wait then are few, or wait for what closes their stream.
func markerPause() time.Duration { return markerEvery }

// marking is where one sender's markers stand. A round goes over all streams and sends one marker to each that somebody
// waits for. A marker goes to all who follow its stream, whoever of them waits: of many keys with many followers a round
// is far more than a pipeline can deliver until the next is due, so that a round goes on as its markers arrive. It belongs to
// the pacing goroutine.
type marking struct {
	began   time.Time // of the round
	place   int       // in the round: the keys, then the partitions
	sent    float64   // deliveries that markers cause, of those that the echo counts
	echoed  int64     // all the echo had had at the last turn
	counted int64     // of these, those that count
	heardAt time.Time // when that had changed last, or the first of them was sent
	// share is how much of a marker's deliveries come: followers may be gone, and a target may drop what it likes.
	share float64
	// patience is how long to wait for the next delivery until the rest is given up.
	patience time.Duration
	// reach is what this round has caused of deliveries, and past what the last has.
	reach, past int64
	// spare is how many deliveries markers may still cause, infinite where there is no load; earnedAt is when it was counted.
	spare    float64
	earnedAt time.Time
	echo     markerEcho
}

// markerEcho counts the deliveries of a sender's markers to the clients, for those that were sent from an instant on. It is
// safe for concurrent use; one that comes while the instant changes may count or not.
type markerEcho struct {
	since  atomic.Int64 // Unix ns
	all    atomic.Int64 // whenever they were sent
	heard  atomic.Int64
	passed atomic.Bool // one that was sent markerEvery behind since, or later, has come
}

// take counts a delivery of a marker that was sent at an instant, Unix ns.
func (e *markerEcho) take(sentAt int64) {
	e.all.Add(1)
	since := e.since.Load()
	if sentAt < since {
		return
	}
	e.heard.Add(1)
	if sentAt-since >= int64(markerEvery) && !e.passed.Load() {
		e.passed.Store(true)
	}
}

// from counts anew, what is sent from an instant on.
func (e *markerEcho) from(sentAt int64) {
	e.since.Store(sentAt)
	e.heard.Store(0)
	e.passed.Store(false)
}

// restart forgets all rounds: the next begins at once.
func (m *marking) restart() {
	m.began, m.place = time.Time{}, math.MaxInt
	m.sent, m.share, m.patience = 0, 1, markerEvery
}

// listen gives up on markers that will not arrive: nobody is connected yet, the target is not ready or drops them, followers
// are gone. That is so once none has arrived for as long as the patience is. What part of them had come until then is what is
// counted on afterwards; where that was nothing the patience doubles, up to most, so that a target that stands still is not
// filled. Of a pipeline that delivers, what it has left out is told by those sent so much later: where one has arrived the
// count begins anew, at the price of what is under way at that time.
func (m *marking) listen(most time.Duration, now time.Time) {
	if all := m.echo.all.Load(); all != m.echoed { // one from long ago tells that the target goes on, and no more
		m.echoed, m.patience = all, markerEvery
	}
	if m.sent == 0 {
		return
	}
	if counted := m.echo.heard.Load(); counted != m.counted {
		m.counted, m.heardAt = counted, now
	}
	heard := float64(m.counted)
	silent := now.Sub(m.heardAt) >= m.patience
	switch {
	case heard > m.sent || silent && heard > 0:
		m.share = min(1, max(markerShareLeast, m.share*heard/m.sent))
	case m.echo.passed.Load():
	case silent:
		m.patience = max(markerEvery, min(2*m.patience, most))
	default:
		return
	}
	m.sent = 0
}

// afoot is how many deliveries markers are still to cause.
func (m *marking) afoot() float64 {
	if m.sent == 0 {
		return 0
	}
	return max(0, m.sent-float64(m.echo.heard.Load()))
}

// begin reports whether a round is under way, and begins the next where it is time.
func (m *marking) begin(places int, pause time.Duration, now time.Time) bool {
	if m.place < places {
		return true
	}
	if now.Sub(m.began) < pause {
		return false
	}
	m.began, m.place = now, 0
	m.reach, m.past = 0, m.reach
	return true
}

// about prepares for a marker that is about to be sent.
func (m *marking) about(now time.Time) {
	if m.sent == 0 {
		m.counted, m.heardAt = 0, now
		m.echo.from(time.Now().UnixNano())
	}
}

// spend books a marker that goes to so many followers.
func (m *marking) spend(reach int64) {
	m.sent += float64(reach) * m.share
	m.reach += reach
	m.spare -= float64(reach)
}

// earn adds what markers may cause beside the load since the last time: at most that of two turns at once.
func (m *marking) earn(deadline time.Duration, now time.Time) {
	reach := float64(max(m.reach, m.past))
	rate := max(markersLoaded, min(reach, markersLoadedMost))
	if deadline > 0 {
		rate = max(rate, reach*markerChances/deadline.Seconds())
	}
	m.spare = min(m.spare+rate*min(now.Sub(m.earnedAt), time.Hour).Seconds(), rate*2*markerTurn.Seconds())
	m.earnedAt = now
}

// markUntil sends markers to those who wait, with at least a pause from one round to the next, until next is closed, and
// reports true if finish was closed first.
func (p *producer) markUntil(next, finish <-chan struct{}, kind Kind, waiting *pending, pause func() time.Duration) (finished bool) {
	p.marking.restart()
	p.marking.spare = math.Inf(1)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-finish:
			return true
		case <-next:
			return false
		case now := <-timer.C:
			p.mark(kind, waiting, pause(), now)
			timer.Reset(markerTurn)
		}
	}
}

// markLoaded sends join markers beside the load to those who wait.
func (p *producer) markLoaded(now time.Time) {
	p.marking.earn(p.joinDeadline, now)
	p.mark(KindJoin, p.join, markerPause(), now)
}

// mark goes on with a round of markers, or begins one, as far as it may at this turn.
func (p *producer) mark(kind Kind, waiting *pending, pause time.Duration, now time.Time) {
	m := &p.marking
	m.listen(p.joinDeadline/markerRounds, now)
	if waiting.total.Load() <= 0 || p.quiet {
		return
	}
	places := len(waiting.byKey) + len(waiting.byPart)
	if !m.begin(places, pause, now) {
		return
	}
	for last := min(places, m.place+markerLook); m.place < last && m.afoot() < markersAfoot && m.spare > 0; m.place++ {
		key, partition, wanted := p.markPlace(waiting, m.place)
		if !wanted {
			continue
		}
		m.about(now)
		if p.sendMarker(kind, key, partition) {
			m.spend(p.reach(key, partition))
		}
	}
}

// markPlace returns the stream at a place of a round, and whether anybody waits for a marker there.
func (p *producer) markPlace(waiting *pending, place int) (key, partition uint32, wanted bool) {
	if place < len(waiting.byKey) {
		if waiting.byKey[place].Load() <= 0 {
			return 0, 0, false
		}
		return uint32(place), p.shape.choose.keyPartition[place], true
	}
	place -= len(waiting.byKey)
	return p.shape.repKey[place], uint32(place), waiting.byPart[place].Load() > 0
}

// reach is how many deliveries a marker causes: one to each who follows its key or its partition.
func (p *producer) reach(key, partition uint32) int64 {
	n := p.followers.byPart[partition].Load()
	if p.up == nil && key != NoKey {
		n += p.followers.byKey[key].Load()
	}
	return max(1, int64(n))
}

// sendMarker sends one marker and reports whether it could. Its number is that of the message that it stands before, so that a
// target finds in its value and its headers what it finds in a message's.
func (p *producer) sendMarker(kind Kind, key, partition uint32) bool {
	if p.up != nil {
		return p.publishMarker(kind, p.up.lanes[partition])
	}
	m := p.pool.Get().(*message)
	m.phase, m.send = -1, p.ledger.at(key, partition)
	c := &content{seq: uint64(p.ledger.sent), key: p.shape.choose.keyName(key)}
	value, stampAt := p.values.composeMarker(m.record.Value, c)
	p.address(m, value, c)
	m.sentAt = time.Now().UnixNano()
	p.stamp(m, stampAt, kind, m.sentAt)
	p.unanswered.Add(1)
	p.client.TryProduce(m, &m.record, onAnswer) // m is its answer's from here on
	return true
}
