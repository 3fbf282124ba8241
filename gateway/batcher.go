package gateway

import (
	"context"
	"time"

	"github.com/weirbench/weir/internal/settings"
)

// batcher has a topic's records wait for others, to go to a client together. It
// is guarded by the hub's mutex.
//
// A client gets all its records of the topic by one gathering: by that of its
// channel, which is built once for all who have it, or, where the client has
// more than one channel in the topic, by one of its own. So each record comes
// once, and each partition in order.
//
// Whatever else says something of the topic to a client settles it first: what
// was gathered goes into the queues before a channel is joined or left, before
// positions and notices, a commit and a drain.
type batcher struct {
	interval time.Duration
	bytes    int           // a gathering of so many goes at once
	wake     chan struct{} // capacity 1: something waits again
	filled   []*gathering  // those that have had records since they were settled
	dueAt    time.Duration // when they go, by the hub's clock
	apart    int           // clients with gatherings of their own
}

// gathering is records that wait, for the members of a channel or one client.
type gathering struct {
	channel *channel // nil where it is one client's
	client  *client
	parts   *parts
	bytes   int
	listed  bool // in batcher.filled
}

// parts are the records of a batch.
type parts struct {
	records []*message
	members []*member // by which each came, of one client's own; nil where the entry in the queue says so for all
}

// member is that by which the i-th record came.
func (p *parts) member(i int, ofAll *member) *member {
	if p.members == nil {
		return ofAll
	}
	return p.members[i]
}

// batchTopics sets up what is batched. It is called before anything is published.
func (h *hub) batchTopics(batches []settings.Batch) {
	for _, b := range batches {
		h.topics[b.Topic].batcher = &batcher{interval: b.Interval, bytes: b.Bytes, wake: make(chan struct{}, 1)}
		h.timed = true
	}
}

// gather puts a record to what waits for the channel's members.
func (h *hub) gather(ch *channel, msg *message) {
	b := ch.topic.batcher
	shared := len(ch.members) > 0
	if b.apart > 0 {
		shared = h.gatherApart(ch, msg)
	}
	if !shared {
		return
	}
	if ch.gathering == nil {
		ch.gathering = &gathering{channel: ch}
	}
	h.put(b, ch.gathering, msg, nil)
}

// gatherApart serves the members with gatherings of their own, and reports
// whether there are others.
func (h *hub) gatherApart(ch *channel, msg *message) (others bool) {
	for _, m := range ch.members {
		c := m.client
		at := c.topic(ch.topic)
		if !at.apart {
			others = true
			continue
		}
		if c.lastSeq == h.seq || m.skip != nil && m.skips(msg) {
			continue
		}
		c.lastSeq = h.seq
		if at.own == nil {
			at.own = &gathering{client: c}
		}
		h.put(ch.topic.batcher, at.own, msg, m)
	}
	return others
}

func (h *hub) put(b *batcher, g *gathering, msg *message, m *member) {
	if !g.listed {
		g.listed = true
		if b.filled = append(b.filled, g); len(b.filled) == 1 {
			b.dueAt = h.clock() + b.interval
			select {
			case b.wake <- struct{}{}:
			default:
			}
		}
	}
	if g.parts == nil {
		g.parts = &parts{}
	}
	g.parts.records = append(g.parts.records, msg)
	if m != nil {
		g.parts.members = append(g.parts.members, m)
	}
	g.bytes += len(msg.frame) - sentHeaderLen(msg.frame)
	if g.bytes >= b.bytes {
		h.flush(g)
	}
}

// flush puts what was gathered into the queues.
func (h *hub) flush(g *gathering) {
	p := g.parts
	g.parts, g.bytes = nil, 0
	if p == nil || g.channel != nil && len(g.channel.members) == 0 {
		return
	}
	msg := p.message(time.Now().UnixNano())
	var clients int64
	if g.client != nil {
		clients = h.push(msg, p.member(0, nil))
	} else {
		for _, m := range g.channel.members {
			if !m.client.topic(g.channel.topic).apart {
				clients += h.push(msg, m)
			}
		}
	}
	h.counters.queued.Add(clients * int64(len(p.records)))
	if msg.parts != nil {
		h.counters.batches.Add(clients)
		h.counters.batched.Add(clients * int64(len(p.records)))
	}
}

// settle puts all that was gathered of a topic into the queues.
func (h *hub) settle(t *topic) {
	b := t.batcher
	if b == nil || len(b.filled) == 0 {
		return
	}
	for _, g := range b.filled {
		g.listed = false
		h.flush(g)
	}
	clear(b.filled)
	b.filled = b.filled[:0]
}

// settleNamed settles the topics of a request whose names were checked, so that
// its answer comes where it would without batches.
func (h *hub) settleNamed(req *request) {
	for name := range req.names {
		t, _, _ := h.parse(name)
		h.settle(t)
	}
}

func (h *hub) settleAll() {
	if !h.timed {
		return
	}
	for _, t := range h.topics {
		h.settle(t)
	}
}

// flushGathered settles all topics.
func (h *hub) flushGathered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settleAll()
}

// regroup decides by which gathering a client gets the topic's records. What was
// gathered so far must not concern it: it was settled, or the client has gone.
func (c *client) regroup(t *topic) {
	if t.batcher == nil {
		return
	}
	at := c.topic(t)
	apart := at.members > 1 || at.members == 1 && at.ahead != nil
	if apart == at.apart {
		return
	}
	at.apart = apart
	if apart {
		t.batcher.apart++
	} else {
		t.batcher.apart--
	}
}

// runBatcher settles a topic whenever what waits is due, until ctx ends.
func (h *hub) runBatcher(ctx context.Context, t *topic) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.batcher.wake:
		case <-timer.C:
		}
		if wait, ok := h.settleDue(t); ok {
			timer.Reset(wait)
		}
	}
}

// settleDue does what is due now, and says how long there is nothing to do.
func (h *hub) settleDue(t *topic) (wait time.Duration, ok bool) {
	h.publishing.Lock()
	defer h.publishing.Unlock()
	wait, ok = h.settleIfDue(t)
	if len(h.pacer.pressed) > 0 {
		h.pacer.hold(false)
	}
	return wait, ok
}

func (h *hub) settleIfDue(t *topic) (wait time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b, now := t.batcher, h.clock()
	if b.dueAt <= now {
		h.settle(t)
	}
	h.tellPacer()
	return b.dueAt - now, len(b.filled) > 0
}
