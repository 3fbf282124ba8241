package loadgen

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// replyRoom is how many bytes of replies may wait for a target that takes none.
const replyRoom = 64 << 10

// openLink returns the outlet of a new connection whose client sends more than a pong, or whose connection can't be
// written to without waiting; nil of another.
func (s *swarm) openLink(c *client, conn net.Conn) *outlet {
	if c.lane != nil {
		return newOutlet(conn, c.lane.limit)
	}
	if _, direct := conn.(syscall.Conn); direct && !answers(s.profile.wire) {
		return nil
	}
	return newOutlet(conn, replyRoom)
}

// closeLink ends a connection that openLink was called for, and waits for what it started.
func (c *client) closeLink(out *outlet) {
	switch {
	case out == nil:
	case c.lane != nil:
		c.lane.disconnect(out)
	default:
		out.end()
	}
}

// opened is called once the greeting has been sent, with the worker unlocked.
func (s *swarm) opened(c *client, out *outlet) {
	c.worker.mu.Lock()
	s.openedLocked(c, out)
	c.worker.mu.Unlock()
	if c.lane != nil && s.profile.wire.Framing == framingPlain {
		c.lane.connect(out)
	}
}

func (s *swarm) openedLocked(c *client, out *outlet) {
	if out != nil || c.seldom != nil {
		c.rare().link = out
	}
	if s.profile.wire.Deflate && !c.deflate.agreed {
		s.plain.Do(func() {
			c.worker.remarks.add("the target did not agree to permessage-deflate: its messages are not compressed")
		})
	}
}

// replies writes replies to an outlet as long as it is not full, so that a target that asks and does not read can't fill
// the generator's memory.
type replies outlet

var errNotTaken = errors.New("the target does not read what is sent to it")

func (r *replies) Write(frame []byte) (int, error) {
	o := (*outlet)(r)
	if o.full() {
		return 0, errNotTaken
	}
	return o.Write(frame)
}

// goodbye sends a last frame and leaves the connection open for the target's own, for a while.
func (o *outlet) goodbye(frame []byte) {
	_, _ = o.Write(frame)
	_ = o.conn.SetWriteDeadline(time.Now().Add(closeGrace))
	_ = o.conn.SetReadDeadline(time.Now().Add(closeGrace))
}

// pong answers a ping.
func (w *worker) pong(reply io.Writer, frame []byte) error {
	if _, err := reply.Write(frame); err != nil {
		w.remarks.add(fmt.Sprintf("a ping could not be answered: %v", err)) // a broken connection shows at the next read
		if errors.Is(err, io.ErrShortWrite) {
			return err // nothing can follow half a frame
		}
	}
	return nil
}

// answerPings answers the messages of the last frame that are the profile's ping.
func (w *worker) answerPings(reply io.Writer) error {
	if w.pings == 0 {
		return nil
	}
	w.out = w.out[:0]
	for range min(w.pings, maxPongs) {
		w.out = append(w.out, w.swarm.profile.pong...)
	}
	w.pings = 0
	return w.pong(reply, w.out)
}
