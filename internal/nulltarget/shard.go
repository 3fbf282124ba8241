package nulltarget

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	queuedFetches = 4096                  // that wait for a shard; beyond them the rest waits in Kafka
	flushBytes    = 64 << 10              // that are gathered for one client and one write
	writeTimeout  = 5 * time.Second       // for one write; a client that takes none for so long is left
	deadlineEvery = time.Second           // how often it is set anew: the timeout is this much longer or shorter
	napLength     = 50 * time.Millisecond // the longest wait that the end of the target does not end
)

// client is a connection. The fields below mu's part of it are the shard's goroutine's own.
type client struct {
	conn net.Conn

	seen     int64  // data records due to it
	held     []byte // frame that follows the next one
	out      []byte // frames for one write
	gone     bool
	deadline time.Time
}

// shard serves some of the clients by one goroutine.
type shard struct {
	faults Faults
	queue  chan []record
	next   time.Time // when the bucket has a token again; the goroutine's own

	mu     sync.Mutex
	topics map[string]*audience
}

// audience is who follows a topic: all of it, or a key.
type audience struct {
	all  []*client
	keys map[string][]*client
}

func newShard(f Faults) *shard {
	return &shard{faults: f, queue: make(chan []record, queuedFetches), topics: map[string]*audience{}}
}

// follow books the client for a topic, or a key of one, after answer has been written: no record comes before it, and each
// that the shard takes from its queue afterwards does.
func (s *shard) follow(c *client, channels []channel, answer []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := writeSoon(c.conn, answer); err != nil {
		return err
	}
	for _, ch := range channels {
		a := s.topics[ch.topic]
		if a == nil {
			a = &audience{keys: map[string][]*client{}}
			s.topics[ch.topic] = a
		}
		if ch.keyed {
			a.keys[ch.key] = append(a.keys[ch.key], c)
		} else {
			a.all = append(a.all, c)
		}
	}
	return nil
}

// leave forgets the client.
func (s *shard) leave(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := func(o *client) bool { return o == c }
	for _, a := range s.topics {
		a.all = slices.DeleteFunc(a.all, is)
		for key, clients := range a.keys {
			a.keys[key] = slices.DeleteFunc(clients, is)
		}
	}
}

// followers appends who is to have the record.
func (s *shard) followers(to []*client, r *record) []*client {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.topics[r.topic]
	if a == nil {
		return to
	}
	to = append(to, a.all...)
	if r.keyed {
		to = append(to, a.keys[r.key]...)
	}
	return to
}

// run delivers what is queued until the queue is closed or ctx ends.
func (s *shard) run(ctx context.Context) {
	deliver := s.deliverAtOnce
	if s.faults.timed() {
		p := &paced{shard: s, sleeper: newSleeper()}
		defer p.sleeper.close()
		deliver = p.deliver
	}
	var to []*client
	for records := range s.queue {
		if ctx.Err() != nil {
			return
		}
		to = deliver(ctx, records, to)
	}
}

// deliverAtOnce writes what came in one fetch, all of a client's by one write. to is memory for the call.
func (s *shard) deliverAtOnce(_ context.Context, records []record, to []*client) []*client {
	var dirty []*client
	for i := range records {
		r := &records[i]
		to = s.followers(to[:0], r)
		for _, c := range to {
			if len(c.out) == 0 {
				dirty = append(dirty, c)
			}
			c.add(s.faults, r)
			if len(c.out) >= flushBytes {
				c.flush()
			}
		}
	}
	for _, c := range dirty {
		c.flush()
	}
	return to
}

// paced writes each record at its instant.
type paced struct {
	*shard
	sleeper *sleeper
	firstAt time.Time // of the first data record; zero before it
}

func (p *paced) deliver(ctx context.Context, records []record, to []*client) []*client {
	for i := range records {
		r := &records[i]
		if r.data && p.firstAt.IsZero() {
			p.firstAt = r.readAt
		}
		p.until(ctx, r.readAt.Add(p.faults.Delay))
		to = p.followers(to[:0], r)
		for _, c := range to {
			p.token(ctx, r.readAt.Add(p.faults.Delay))
			p.pass(ctx)
			c.add(p.faults, r)
			c.flush()
		}
		if ctx.Err() != nil {
			break
		}
	}
	return to
}

// token waits for the bucket's next one, for a delivery that may be made from an instant on.
func (p *paced) token(ctx context.Context, from time.Time) {
	if p.faults.Capacity == 0 {
		return
	}
	p.until(ctx, p.slot(from))
}

// slot takes the bucket's next instant. While deliveries wait the instants are a fixed time apart, so that one which comes late
// delays none that follow; what was not used before the delivery was there is not kept.
func (p *paced) slot(from time.Time) time.Time {
	if p.next.Before(from) {
		p.next = from
	}
	at := p.next
	p.next = at.Add(time.Second / time.Duration(p.faults.Capacity))
	return at
}

// pass waits for the end of the stop where it is under way.
func (p *paced) pass(ctx context.Context) {
	if p.faults.StopFor == 0 || p.firstAt.IsZero() {
		return
	}
	from := p.firstAt.Add(p.faults.StopAfter)
	if to, now := from.Add(p.faults.StopFor), time.Now(); !now.Before(from) && now.Before(to) {
		p.until(ctx, to)
	}
}

// until waits for the instant, or for the end of ctx.
func (p *paced) until(ctx context.Context, at time.Time) {
	if far := time.Until(at) - napLength; far > 0 {
		timer := time.NewTimer(far)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
	if time.Until(at) > 0 {
		p.sleeper.until(at)
	}
}

// add takes the record into what is written next, as the faults have it.
func (c *client) add(f Faults, r *record) {
	deed := Pass
	if r.data && f.altering() {
		c.seen++
		deed = f.Of(c.seen)
	}
	switch deed {
	case Drop:
		return
	case Swap:
		c.held = r.frame
		return
	case Duplicate:
		c.out = append(c.out, r.frame...)
	case Pass:
	}
	if !r.data { // a marker says what comes next, so that nothing may be left for behind it
		c.out, c.held = append(c.out, c.held...), nil
	}
	c.out = append(c.out, r.frame...)
	c.out, c.held = append(c.out, c.held...), nil
}

// flush writes what has been added. A client that can't be written to is closed, which ends its reader too.
func (c *client) flush() {
	if len(c.out) == 0 || c.gone {
		c.out = c.out[:0]
		return
	}
	if now := time.Now(); c.deadline.Sub(now) < writeTimeout-deadlineEvery {
		c.deadline = now.Add(writeTimeout)
		_ = c.conn.SetWriteDeadline(c.deadline) // the write says the same
	}
	if _, err := c.conn.Write(c.out); err != nil {
		c.gone = true
		_ = c.conn.Close()
	}
	if c.out = c.out[:0]; cap(c.out) > flushBytes {
		c.out = nil
	}
}

// writeSoon writes an answer. A connection's writes are whole, whoever makes them.
func writeSoon(conn net.Conn, frame []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := conn.Write(frame)
	return err
}
