package loadgen

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// upstream is how a publishing group's sender reaches its topic: through its clients' connections, a lane each. The
// sender's pacing goroutine decides what is published and when; the clients' goroutines book the answers.
type upstream struct {
	sender *producer
	frame  publishFrame
	lanes  []*lane
	loop   *closedLoop // nil for an open loop
	// gathered is set once all clients have been connected: a marker for each publisher whenever another client comes would
	// be more than the run's own load.
	gathered atomic.Bool
	// choice says which client publishes a message; without it they take turns.
	choice *draw
	// What the pacing goroutine makes values and frames in.
	value, text, wire []byte
	opcode            byte
}

// lane is what one client publishes: a stream of its own, which goes on over the client's sessions.
type lane struct {
	up    *upstream
	index int
	key   uint32
	frame laneFrame
	// most is how many messages may be without an answer, and limit how many bytes may wait for the kernel.
	most, limit int
	// The pacing goroutine's: how many messages were due, and the number of what was sent last, markers included.
	tried, lastID uint64

	mu   sync.Mutex
	out  *outlet  // nil while the client is not connected
	open []flight // published and not answered, in the order of their ids
	// mark is the number of the last marker while it is not answered, 0 otherwise; markedAt is when it was sent.
	mark     uint64
	markedAt time.Time
}

// markerPatience is how long a client's marker goes without an answer before it is repeated.
const markerPatience = 2 * time.Second

// flight is a message on its way to its answer.
type flight struct {
	id     uint64
	send   send
	phase  int
	sentAt int64
}

// firstPublishID keeps the numbers of what is published apart from those of a profile's other requests.
const firstPublishID = 1000

// upstreamStall is the longest stall of the pipeline, at the planned rate, that a publishing client outlasts without
// refusing messages; it has room for leastFlights and leastWaiting in any case.
const (
	upstreamStall = 30 * time.Second
	leastFlights  = 64
	leastWaiting  = 64 << 10
)

// errNoPublishing means that the plan has clients that publish and its wire profile no way to.
var errNoPublishing = errors.New("the gateway's wire profile does not say how to publish")

// newPublisher makes the sender of a group that publishes.
func newPublisher(topo *topology, index int, pool *recorderPool) (*producer, error) {
	p, err := newSender(topo, index, pool)
	if err != nil {
		return nil, err
	}
	plan := p.shape.plan
	profile := topo.wire
	if profile.wire.Publish == nil {
		return nil, fmt.Errorf("make the publishers of %s: %w (profile %s)", plan.Name, errNoPublishing, profile.wire.Name)
	}
	up := &upstream{sender: p, frame: newPublishFrame(profile.wire.Publish), opcode: profile.opcode}
	if plan.Arrivals == scenarios.ArrivalsPoisson {
		d := newDraw(topo.plan.Seed, index, purposePublisher)
		up.choice = &d
	}
	if plan.Think != nil {
		up.loop = newClosedLoop(topo, index)
	}
	perClient := topo.rate(index) / float64(plan.Clients) * upstreamStall.Seconds()
	group := topo.plan.Clients[plan.Group].Name
	for i := range plan.Clients {
		l := &lane{up: up, index: i, key: p.shape.clientKey(uint32(i)), lastID: firstPublishID}
		l.most = int(perClient) + leastFlights
		l.limit = int(perClient*float64(p.values.largest)) + leastWaiting
		with := terms{topic: p.shape.topic, client: fmt.Sprintf("%s-%d", group, i)}
		if l.key == NoKey {
			with.channel = profile.channel.plain(&with)
		} else {
			with.key = scenarios.KeyName(int(l.key))
			with.channel = profile.keyChannel.plain(&with)
		}
		l.frame = profile.framing.lane(&up.frame, &with)
		up.lanes = append(up.lanes, l)
	}
	p.up = up
	return p, nil
}

// laneOf says which client publishes message i.
func (u *upstream) laneOf(i uint64) *lane {
	n := uint64(len(u.lanes))
	if u.choice != nil {
		return u.lanes[u.choice.below(i, n)]
	}
	return u.lanes[i%n]
}

// publish hands message i to the client's connection and reports whether it did. A message that can't be published,
// since the client is not connected or too much of it is unanswered, is refused before it has a number: nothing of it
// went out, so that no stream may show a gap for it.
func (p *producer) publish(l *lane, i uint64, phase int, due time.Duration, dueAt int64) bool {
	p.ledger.enter(phase)
	up := p.up
	value, stampAt := p.values.compose(up.value, &content{seq: i, size: p.shape.choose.sizeOf(i), key: p.shape.choose.keyName(l.key), due: due})
	up.value = value
	l.tried++
	l.mu.Lock()
	defer l.mu.Unlock()
	overflow := l.out != nil && (len(l.open) >= l.most || l.out.full())
	if l.out == nil || overflow {
		p.countSent(phase, dueAt, time.Now().UnixNano())
		p.ledger.unnumbered++
		p.booked(phase, sendRefused, 0, overflow)
		return false
	}
	s := p.ledger.take(NoKey, uint32(l.index))
	sentAt := time.Now().UnixNano()
	p.seal(value, stampAt, KindData, s, l.key, dueAt, sentAt)
	p.countSent(phase, dueAt, sentAt)
	l.lastID++
	l.open = append(l.open, flight{l.lastID, s, phase, sentAt})
	l.write(value)
	return true
}

// publishMarker sends a marker where the client is connected and the gateway has answered the one before, and reports whether
// it did.
func (p *producer) publishMarker(kind Kind, l *lane) bool {
	if !p.up.gathered.Load() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out == nil || l.out.full() || l.mark != 0 && time.Since(l.markedAt) < markerPatience {
		return false
	}
	value, stampAt := p.values.composeMarker(p.up.value, &content{seq: uint64(p.ledger.sent), key: p.shape.choose.keyName(l.key)})
	p.up.value = value
	now := time.Now().UnixNano()
	p.seal(value, stampAt, kind, p.ledger.at(NoKey, uint32(l.index)), l.key, now, now)
	l.lastID++
	l.mark, l.markedAt = l.lastID, time.Now()
	l.write(value)
	return true
}

// write puts a value into its frame and sends it. A connection that breaks ends its session, which settles what is open.
func (l *lane) write(value []byte) {
	up := l.up
	up.text = l.frame.append(up.text[:0], l.lastID, value)
	up.wire = appendClientFrame(up.wire[:0], up.opcode, up.text)
	_, _ = l.out.Write(up.wire)
}

// connect makes the client's connection the one that it publishes on.
func (l *lane) connect(o *outlet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out, l.mark = o, 0
}

// disconnect ends the client's connection. What was not answered on it never will be.
func (l *lane) disconnect(o *outlet) {
	l.mu.Lock()
	l.out = nil
	open := l.open
	l.open = nil
	l.mu.Unlock()
	o.end()
	l.unsettle(open)
}

// giveUp settles what is unanswered: the run waits no longer.
func (l *lane) giveUp() {
	l.mu.Lock()
	if l.out != nil {
		l.out.cut()
	}
	l.out = nil
	open := l.open
	l.open = nil
	l.mu.Unlock()
	l.unsettle(open)
}

// awaitAnswers waits for the answers to all that was published, or until ctx ends.
func (p *producer) awaitAnswers(ctx context.Context) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for p.unanswered.Load() > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

func (u *upstream) giveUp() {
	for _, l := range u.lanes {
		l.giveUp()
	}
}

func (l *lane) unsettle(open []flight) {
	now := time.Now().UnixNano()
	for _, f := range open {
		l.settle(f, sendUnsettled, now)
	}
}

// answered books an answer. An answer to nothing that is open is a marker's, or one too many, and
// settles nothing.
func (l *lane) answered(id uint64, outcome outcome, at int64) {
	l.mu.Lock()
	if id == l.mark {
		l.mark = 0
	}
	i := 0
	for i < len(l.open) && l.open[i].id < id {
		i++ // answers come about in order, so that this is short
	}
	if i == len(l.open) || l.open[i].id != id {
		l.mu.Unlock()
		return
	}
	f := l.open[i]
	copy(l.open[i:], l.open[i+1:])
	l.open = l.open[:len(l.open)-1]
	l.mu.Unlock()
	l.settle(f, outcome, at)
}

// settle books what became of a message and lets a closed loop go on.
func (l *lane) settle(f flight, outcome outcome, at int64) {
	p := l.up.sender
	p.ledger.answer(f.send, outcome)
	p.booked(f.phase, outcome, at-f.sentAt, false)
	if l.up.loop != nil {
		l.up.loop.answer(thought{l.index, f.id, at})
	}
}

// booked counts an answer, after which nobody waits for it any more.
func (p *producer) booked(phase int, outcome outcome, took int64, overflow bool) {
	p.inFlight.Add(-1)
	p.countAnswer(phase, outcome, took, overflow)
	p.unanswered.Add(-1)
}

// takeAnswer takes a message of the target's if it answers a publish. The worker is locked.
func (w *worker) takeAnswer(l *lane, payload []byte, arrivedAt int64) bool {
	outcome, id, ok := l.up.frame.answer(payload)
	if !ok {
		return false
	}
	if outcome != sendAcked {
		w.remarks.add("the target answered a publish: " + w.quote(l.up.frame.withoutID(payload)))
	}
	l.answered(id, outcome, arrivedAt)
	return true
}
