package gateway

import (
	"context"
	"time"
)

// Conflation says that of a topic's records clients get the newest of each key
// alone, at most once in Interval.
type Conflation struct {
	Topic    string
	Interval time.Duration
}

// conflateTick is the least time between two looks at what has become due, so
// that many keys cost few wake-ups.
const conflateTick = time.Millisecond

// conflator keeps a topic's records to the newest of each key at an interval: a
// key's first record passes, later ones within the interval replace each other,
// and the last of them is sent when the interval ends, which begins the next. A
// key that was quiet for an interval is forgotten.
//
// It knows no clock: now is any time that does not go back. It is not for
// concurrent use, but for wake.
type conflator struct {
	interval time.Duration
	send     func(*record)
	wake     chan struct{} // capacity 1: there is something to wait for again

	keys map[string]*conflatedKey
	// The keys in the order in which their intervals end. It is that of their
	// last sending, since the interval is one for all.
	first, last *conflatedKey
}

// conflatedKey is a key of which a record was sent within the interval.
type conflatedKey struct {
	key   string
	endAt time.Duration // of the interval
	next  *conflatedKey
	held  bool
	// record is the newest, while one is held: a copy, since what was read from
	// Kafka together would be kept by it.
	record record
}

func newConflator(interval time.Duration, send func(*record)) *conflator {
	return &conflator{
		interval: interval,
		send:     send,
		wake:     make(chan struct{}, 1),
		keys:     make(map[string]*conflatedKey),
	}
}

// offer sends the record, which has a key, or holds it until its key's interval
// ends. It reports whether it took the place of another.
func (c *conflator) offer(now time.Duration, r *record) (replaced bool) {
	c.advance(now)
	k, ok := c.keys[string(r.key)]
	if !ok {
		k = &conflatedKey{key: string(r.key)}
		c.keys[k.key] = k
		c.begin(k, now)
		c.send(r)
		return false
	}
	replaced = k.held
	k.held = true
	held := *r
	if held.key = k.record.key; held.key == nil {
		held.key = []byte(k.key) // not nil, though it may be empty
	}
	value := k.record.value[:0]
	value = append(value, r.value...)
	held.value = value
	k.record = held
	return replaced
}

// advance ends the intervals that are over at now.
func (c *conflator) advance(now time.Duration) {
	for c.first != nil && c.first.endAt <= now {
		k := c.first
		c.first = k.next
		if !k.held {
			delete(c.keys, k.key)
			continue
		}
		k.held = false
		c.begin(k, now)
		c.send(&k.record)
	}
}

// begin begins an interval of the key.
func (c *conflator) begin(k *conflatedKey, now time.Duration) {
	k.endAt, k.next = now+c.interval, nil
	if c.first != nil {
		c.last.next = k
		c.last = k
		return
	}
	c.first, c.last = k, k
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// nextEnd is when advance has something to do next.
func (c *conflator) nextEnd() (at time.Duration, ok bool) {
	if c.first == nil {
		return 0, false
	}
	return c.first.endAt, true
}

// flush sends what is held and forgets all keys.
func (c *conflator) flush() {
	for k := c.first; k != nil; k = k.next {
		if k.held {
			c.send(&k.record)
		}
	}
	c.first, c.last = nil, nil
	clear(c.keys)
}

// truncate lets go of what is held of a partition from an offset on: Kafka has it
// no more.
func (c *conflator) truncate(partition int32, from int64) {
	for k := c.first; k != nil; k = k.next {
		if k.record.partition == partition && k.record.offset >= from {
			k.held = false
		}
	}
}

// conflate sends what a topic's conflator holds as it becomes due, until ctx
// ends.
func (h *hub) conflate(ctx context.Context, c *conflator) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-timer.C:
		}
		if wait, ok := h.advance(c); ok {
			timer.Reset(max(wait, conflateTick))
		}
	}
}

// advance does what is due now, and says how long there is nothing to do.
func (h *hub) advance(c *conflator) (wait time.Duration, ok bool) {
	h.publishing.Lock()
	defer h.publishing.Unlock()
	now := h.clock()
	c.advance(now)
	next, ok := c.nextEnd()
	return next - now, ok
}

// flushConflated sends what the conflators hold.
func (h *hub) flushConflated() {
	h.publishing.Lock()
	defer h.publishing.Unlock()
	for _, t := range h.topics {
		if t.conflator != nil {
			t.conflator.flush()
		}
	}
}
