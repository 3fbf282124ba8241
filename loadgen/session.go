package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"
)

// stay keeps a client connected, session after session, until ctx ends. It returns before where the target has thrown out
// a client that does not come back, and, if nothing follows the stay, where the worker's poller has taken the connection over.
func (s *swarm) stay(ctx context.Context, c *client, gate chan struct{}, last bool) {
	if last && s.parks(c.group) {
		s.dialParked(ctx, c, gate, 0)
		return
	}
	for failures := uint64(0); ; {
		conn, early, err := s.dialOne(ctx, c, gate)
		switch {
		case err != nil:
			failures++
		default:
			failures = 0
			if err = s.session(ctx, c, conn, early); !s.comesBack(ctx, c, err) {
				return
			}
		}
		if !s.backOff(ctx, c, failures) {
			return
		}
	}
}

// comesBack books the end of a session and reports whether another is to follow.
func (s *swarm) comesBack(ctx context.Context, c *client, why error) bool {
	if ctx.Err() != nil {
		return false
	}
	s.thrownOut(c, why)
	return s.topo.groups[c.group].plan.Reconnect
}

// backOff waits before a client's next dial and reports false if ctx ended.
func (s *swarm) backOff(ctx context.Context, c *client, failures uint64) bool {
	jitter := newDraw(s.topo.plan.Seed, c.group<<24|c.index, purposeBackoff)
	c.dials++
	return pause(ctx, backoffFor(failures, jitter.unit(uint64(c.dials))))
}

// backoffFor grows from 100 ms to 2 s, jittered by half so that clients thrown out together don't come back together.
func backoffFor(failures uint64, unit float64) time.Duration {
	full := min(100*time.Millisecond<<min(failures, 8), 2*time.Second)
	return full/2 + time.Duration(unit*float64(full/2))
}

func (s *swarm) dialOne(ctx context.Context, c *client, gate chan struct{}) (net.Conn, []byte, error) {
	select {
	case gate <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	defer func() { <-gate }()
	begin := time.Now()
	conn, early, err := s.dialer.dial(ctx, s.callOf(c))
	if err != nil && ctx.Err() != nil {
		return nil, nil, ctx.Err() // the stay ended, the dial did not fail
	}
	if err != nil {
		s.dialFailed(c, begin, err)
		return nil, nil, err
	}
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	c.worker.connected(c, begin)
	return conn, early, nil
}

// connected books a dial that began at a time and ended well. The worker is locked.
func (w *worker) connected(c *client, began time.Time) {
	c.dialling(began.UnixNano())
	w.meter.count(w.here(c), countConnected, 1)
	w.meter.record(w.here(c), stageConnect, int64(time.Since(began)))
}

// dialFailed books a dial that failed.
func (s *swarm) dialFailed(c *client, began time.Time, why error) {
	c.worker.mu.Lock()
	c.dialling(began.UnixNano())
	c.comeback.away(false, time.Now().UnixNano())
	c.worker.meter.count(c.worker.here(c), countConnectFail, 1)
	c.worker.mu.Unlock()
	s.dialMu.Lock()
	defer s.dialMu.Unlock()
	s.dialErrs.add(plainError(why).Error())
}

// closeGrace is how long a client that leaves by plan waits for the target's close frame.
const closeGrace = time.Second

// closeFrame says that the client goes in order: 1000.
var closeFrame = appendClientFrame(nil, opClose, []byte{0x03, 0xe8})

// hangUp sends a close frame, if the socket takes it at once, and closes the connection.
func hangUp(conn net.Conn) {
	_ = conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	_, _ = conn.Write(closeFrame)
	_ = conn.Close()
}

// sayGoodbye sends a close frame and leaves the connection open for the target's own.
func sayGoodbye(conn net.Conn) {
	_ = conn.SetWriteDeadline(time.Now().Add(closeGrace))
	_, _ = conn.Write(closeFrame)
	_ = conn.SetReadDeadline(time.Now().Add(closeGrace))
}

// session subscribes and reads until the connection or ctx ends. It returns why it ended.
func (s *swarm) session(ctx context.Context, c *client, conn net.Conn, early []byte) error {
	defer conn.Close()
	s.begin(c)
	defer s.linked.Add(-1)
	out := s.openLink(c, conn)
	defer c.closeLink(out)
	// A read does not see ctx end; a closed connection ends it.
	said := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(said)
		switch {
		case out != nil && c.lane == nil && errors.Is(context.Cause(ctx), errLeft):
			out.goodbye(closeFrame)
		case out != nil:
			out.farewell(closeFrame)
		case errors.Is(context.Cause(ctx), errLeft):
			sayGoodbye(conn)
		default:
			hangUp(conn)
		}
	})
	slow := s.topo.groups[c.group].plan.Slow
	defer func() {
		if stop() {
			return
		}
		<-said
		if slow != nil { // closing a connection with unread bytes resets it, and the target would not see the close frame
			_, _ = io.Copy(io.Discard, conn)
		}
	}()
	w := c.worker
	handle := func(p []byte, kernelAt, readAt int64, reply io.Writer) error {
		if ctx.Err() != nil {
			if !errors.Is(context.Cause(ctx), errLeft) {
				return net.ErrClosed // a read that goes on for ever ends too
			}
			reply = io.Discard // nothing follows a close frame
		}
		if out != nil {
			reply = (*replies)(out) // what is published may be under way
		}
		return w.takeRead(c, p, kernelAt, readAt, reply)
	}
	if err := s.enter(c, conn, out, early, handle); err != nil {
		return err
	}
	if slow != nil {
		if err := receiveSlowly(ctx, conn, slow, s.over, &w.mu, handle); err != nil {
			return err
		}
		asRead := handle
		handle = func(p []byte, _, readAt int64, reply io.Writer) error { return asRead(p, 0, readAt, reply) }
	}
	return receive(conn, &w.mu, &w.space, handle)
}

// enter subscribes and takes what came with the answer to the handshake.
func (s *swarm) enter(c *client, conn net.Conn, out *outlet, early []byte, handle receiver) error {
	askedAt := time.Now().UnixNano()
	if greeting := s.greeting(c); len(greeting) > 0 {
		if _, err := conn.Write(greeting); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
	}
	s.opened(c, out)
	return s.takeEarly(c, askedAt, early, func(p []byte) error { return handle(p, 0, time.Now().UnixNano(), conn) })
}

// takeEarly takes what came with the answer to the handshake, before the client asked for anything.
func (s *swarm) takeEarly(c *client, askedAt int64, early []byte, take func(p []byte) error) error {
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	return s.takeEarlyLocked(c, askedAt, early, take)
}

func (s *swarm) takeEarlyLocked(c *client, askedAt int64, early []byte, take func(p []byte) error) error {
	asks := len(s.profile.subscribe) > 0
	if len(early) > 0 {
		if asks {
			c.talk.askedAt = math.MaxInt64
		}
		if err := take(early); err != nil {
			return err
		}
	}
	if asks {
		c.talk.askedAt = askedAt
	}
	return nil
}

// begin books a new session. Streams that were joined wait for a marker, or the answer, again: their account goes on, since the target
// ended the session and not the scenario. Those of a client that resumes are in force already.
func (s *swarm) begin(c *client) {
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	s.beginLocked(c)
}

func (s *swarm) beginLocked(c *client) {
	s.linked.Add(1)
	c.sessions++
	c.thrown = false
	c.worker.attend(c, c.due, true)
	c.frames, c.talk = frameReader{deflate: c.deflate.agreed}, talk{}
	if c.seldom != nil {
		c.seldom.window = nil
	}
	if c.sessions == 1 {
		s.everUp.Add(1)
		return
	}
	c.worker.returning(c, time.Now().UnixNano())
	if s.groups[c.group].resumes {
		return
	}
	for i := range c.trackers {
		t := &c.trackers[i]
		if t.flag&(flagExpected|flagJoined) != flagExpected|flagJoined {
			continue
		}
		if s.groups[c.group].varies {
			s.noteBack(c, i)
		}
		if t.flag&flagRejoin == 0 {
			t.flag |= flagRejoin
			s.awaitsMarker(c, i, 1)
		}
	}
}

// noteBack remembers how far a stream was sent while the target had the client thrown out.
func (s *swarm) noteBack(c *client, stream int) {
	r := c.rare()
	if r.back == nil {
		r.back = make([]uint64, len(c.trackers))
	}
	e, byKey, id := s.expectation(c, stream)
	r.back[stream] = e.position(byKey, id)
}

// thrownOut books that the target ended a session. A client that does not come back waits for nothing any more.
func (s *swarm) thrownOut(c *client, why error) {
	w := c.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	c.thrown = true
	c.comeback.away(false, time.Now().UnixNano())
	w.attend(c, c.due, false)
	w.meter.count(s.topo.cell(int(s.phase.Load()), c.group, -1), countThrownOut, 1)
	if errors.Is(why, io.EOF) {
		why = fmt.Errorf("%w without a close frame", errClosed)
	}
	w.closings.add(fmt.Sprintf("client thrown out: %v", plainError(why)))
	if s.topo.groups[c.group].plan.Reconnect {
		return
	}
	for i := range c.trackers {
		t := &c.trackers[i]
		if t.flag&(flagExpected|flagSettled) == flagExpected {
			t.flag |= flagSettled
			s.open.Add(-1)
		}
	}
}

// plainError strips the connection's own address, so that the same reason of many clients counts as one.
func plainError(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	if op.Addr == nil {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return fmt.Errorf("%s %s: %w", op.Op, op.Addr, op.Err)
}
