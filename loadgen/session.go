package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// live is one client's goroutine: session after session until life ends.
func (s *swarm) live(life context.Context, c *client, gate chan struct{}) {
	backoff := newDraw(s.topo.plan.Seed, c.group<<24|c.index, purposeBackoff)
	failures := uint64(0)
	for attempt := uint64(0); ; attempt++ {
		conn, early, err := s.dialOne(life, c, gate)
		if err == nil {
			failures = 0
			err = s.session(life, c, conn, early)
			if life.Err() != nil {
				return
			}
			s.thrownOut(c, err)
			if !s.topo.groups[c.group].plan.Reconnect {
				return
			}
		} else {
			failures++
		}
		if !pause(life, backoffFor(failures, backoff.unit(attempt))) {
			return
		}
	}
}

// backoffFor grows from 100 ms to 2 s, jittered by half so that clients thrown out together don't come back together.
func backoffFor(failures uint64, unit float64) time.Duration {
	full := min(100*time.Millisecond<<min(failures, 8), 2*time.Second)
	return full/2 + time.Duration(unit*float64(full/2))
}

func (s *swarm) dialOne(life context.Context, c *client, gate chan struct{}) (net.Conn, []byte, error) {
	select {
	case gate <- struct{}{}:
	case <-life.Done():
		return nil, nil, life.Err()
	}
	defer func() { <-gate }()
	begin := time.Now()
	conn, early, err := s.dialer.dial(life, s.url)
	cell := s.topo.cell(int(s.phase.Load()), c.group, -1)
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	if err != nil && life.Err() != nil {
		return nil, nil, life.Err() // the run ended, the dial did not fail
	}
	if err != nil {
		c.worker.meter.count(cell, countConnectFail, 1)
		s.dialMu.Lock()
		s.dialErrs.add(plainError(err).Error())
		s.dialMu.Unlock()
		return nil, nil, err
	}
	c.worker.meter.count(cell, countConnected, 1)
	c.worker.meter.record(cell, stageConnect, int64(time.Since(begin)))
	return conn, early, nil
}

// session subscribes and reads until the connection or life ends. It returns why it ended.
func (s *swarm) session(life context.Context, c *client, conn net.Conn, early []byte) error {
	defer conn.Close()
	s.begin(c)
	defer s.linked.Add(-1)
	// A read does not see life end; a closed connection ends it.
	out := c.openLane(conn)
	defer c.closeLane(out)
	defer context.AfterFunc(life, func() {
		if out != nil {
			out.farewell(appendClientFrame(nil, opClose, []byte{0x03, 0xe8}))
			return
		}
		_ = conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = conn.Write(appendClientFrame(nil, opClose, []byte{0x03, 0xe8}))
		_ = conn.Close()
	})()
	greeting, err := s.profile.greeting(s.channels(c.group, c.index))
	if err != nil {
		return err
	}
	if greeting != nil {
		if _, err := conn.Write(appendClientFrame(nil, opText, greeting)); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
	}
	w := c.worker
	handle := func(p []byte, kernelAt, readAt int64, reply io.Writer) error {
		if s.closing.Load() {
			return net.ErrClosed
		}
		if out != nil {
			reply = out // what is published may be under way
		}
		return w.takeRead(c, p, kernelAt, readAt, reply)
	}
	if out != nil {
		c.lane.connect(out)
	}
	if len(early) > 0 {
		w.mu.Lock()
		err := handle(early, 0, time.Now().UnixNano(), conn)
		w.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return receive(conn, &w.mu, &w.space, handle)
}

// begin books a new session. Streams that were joined wait for a marker again: their account goes on, since the target
// ended the session and not the scenario.
func (s *swarm) begin(c *client) {
	s.linked.Add(1)
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	c.sessions++
	c.thrown = false
	c.frames = frameReader{}
	if c.sessions == 1 {
		s.everUp.Add(1)
		return
	}
	for i := range c.trackers {
		t := &c.trackers[i]
		if t.flag&(flagExpected|flagJoined|flagRejoin) == flagExpected|flagJoined {
			t.flag |= flagRejoin
			s.waits(c, i, 1, func(p *producer) *pending { return p.join })
		}
	}
}

// thrownOut books that the target ended a session. A client that does not come back waits for nothing any more.
func (s *swarm) thrownOut(c *client, why error) {
	w := c.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	c.thrown = true
	w.meter.count(s.topo.cell(int(s.phase.Load()), c.group, -1), countThrownOut, 1)
	if errors.Is(why, io.EOF) {
		why = fmt.Errorf("%w without a close frame", errClosed)
	}
	w.remarks.add(fmt.Sprintf("client thrown out: %v", plainError(why)))
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
