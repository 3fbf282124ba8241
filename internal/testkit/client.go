package testkit

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kgo"
)

// client is one WebSocket client. The gateway's mutex guards it.
type client struct {
	conn     *websocket.Conn // nil while it is thrown out
	number   int             // −1 until a record was due to it
	names    string          // its channels, joined: by them it is known when it comes back
	channels map[string]bool
	due      int
	streams  map[string]*stream
	waiting  []outgoing // while stalled
	stalled  bool
	newest   map[string]*record // by key, where the topic is conflated
	last     []outgoing         // data messages delivered, the newest last, for the replay
}

// record is a record on its way to clients by one channel.
type record struct {
	*kgo.Record
	channel    string
	receivedAt int64
	data       bool
}

// stream is what was written of one stream to one client.
type stream struct {
	written map[int64]bool
	highest int64
	delayed []outgoing
}

// outgoing is a frame to be written. Its stream is nil where it has no part in the account.
type outgoing struct {
	frame  []byte
	stream *stream
	offset int64
}

// follows returns the channel by which the client follows the record, or "".
func (c *client) follows(r *kgo.Record) string {
	if len(c.channels) == 0 || c.channels[r.Topic] {
		return r.Topic
	}
	if ch := r.Topic + "/" + string(r.Key); r.Key != nil && c.channels[ch] {
		return ch
	}
	return ""
}

// stream returns the record's stream to the client: its key where that is subscribed to, else its partition.
func (c *client) stream(r *record) *stream {
	name := r.channel
	if r.channel == r.Topic {
		name = fmt.Sprintf("%s#%d", r.Topic, r.Partition)
	}
	s := c.streams[name]
	if s == nil {
		s = &stream{written: map[int64]bool{}, highest: -1}
		c.streams[name] = s
	}
	return s
}

// offer does with a record what the Fault says.
func (g *Gateway) offer(c *client, r *record) {
	if c.number < 0 {
		c.number = g.numbers
		g.numbers++
	}
	nth := c.due
	if r.data {
		c.due++
		g.counts.Due++
	}
	if c.conn == nil {
		g.countData(r, &g.counts.Missed)
		return
	}
	var a Action
	if g.options.Fault != nil {
		a = g.options.Fault(Delivery{
			Client: c.number, Nth: nth, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
			Key: string(r.Key), Value: r.Value, Data: r.data, Replayed: g.replayed,
		})
	}
	g.do(c, r, a)
	if a.Notice != 0 {
		g.counts.Reported += a.Notice
		g.send(c, outgoing{frame: notice(r, a.Notice)})
	}
}

func (g *Gateway) countData(r *record, n *int64) {
	if r.data {
		*n++
	}
}

func (g *Gateway) do(c *client, r *record, a Action) {
	s := c.stream(r)
	out := outgoing{frame: g.frame(r, r.Value), offset: r.Offset}
	if r.data {
		out.stream = s
	}
	switch a.Do {
	case Drop:
		g.countData(r, &g.counts.Dropped)
	case Duplicate:
		g.send(c, out)
		g.send(c, out)
	case Delay:
		s.delayed = append(s.delayed, out)
		return // it must not follow itself
	case Hold:
		g.later(a.Until, func() { g.send(c, out) })
	case Stall:
		g.stall(c, a.Until)
		g.send(c, out)
	case Corrupt:
		out.frame = changed(out.frame, len(out.frame)-len(r.Value)+outsideStamp(r.Value))
		g.countData(r, &g.counts.Corrupt)
		g.send(c, out)
	case BreakStamp:
		out.frame = changed(out.frame, len(out.frame)-len(r.Value)+max(stampAt(r.Value), 0)+stampSize/2)
		out.stream = nil
		g.countData(r, &g.counts.Broken)
		g.send(c, out)
	case Foreign:
		g.send(c, out)
		g.counts.Foreign++
		g.send(c, outgoing{frame: a.Payload})
	case Stray:
		g.send(c, out)
		g.stray(c, r)
	case Close:
		if g.resume == nil {
			g.countData(r, &g.counts.Missed)
		} else if r.data {
			g.counts.Due-- // it is due again when the client is back
		}
		g.throwOut(c, a.Code)
	default:
		g.send(c, out)
	}
	if r.data && a.Do != Drop && a.Do != Close && len(s.delayed) > 0 {
		delayed := s.delayed
		s.delayed = nil
		for _, d := range delayed {
			g.send(c, d)
		}
	}
}

// changed is a copy of the frame with one byte replaced by another printable one.
func changed(frame []byte, at int) []byte {
	frame = bytes.Clone(frame)
	if frame[at]++; frame[at] > 'z' {
		frame[at] = 'A'
	}
	return frame
}

// send writes a frame to the client, or queues it while the client is stalled.
func (g *Gateway) send(c *client, out outgoing) {
	switch {
	case c.stalled:
		c.waiting = append(c.waiting, out)
		return
	case c.conn == nil || write(c.conn, out.frame) != nil:
		if out.stream != nil {
			g.counts.Missed++
		}
		return
	}
	s := out.stream
	switch {
	case s == nil:
		return
	case s.written[out.offset]:
		g.counts.Duplicate++
		return
	case out.offset < s.highest:
		g.counts.Reordered++
	}
	g.counts.Delivered++
	s.written[out.offset] = true
	s.highest = max(s.highest, out.offset)
	if n := g.options.Replay; n > 0 {
		c.last = append(c.last, out)
		c.last = c.last[max(0, len(c.last)-n):]
	}
}

// later calls f with the gateway locked when until is closed, unless the gateway ends before.
func (g *Gateway) later(until <-chan struct{}, f func()) {
	g.wg.Go(func() {
		select {
		case <-g.life.Done():
			return
		case <-until:
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		f()
	})
}

func (g *Gateway) stall(c *client, until <-chan struct{}) {
	c.stalled = true
	g.later(until, func() {
		c.stalled = false
		waiting := c.waiting
		c.waiting = nil
		for _, out := range waiting {
			g.send(c, out)
		}
	})
}

// stray sends the record to the first client after c that is connected and does not follow it.
func (g *Gateway) stray(c *client, r *record) {
	at := slices.Index(g.clients, c)
	for i := range g.clients {
		other := g.clients[(at+i)%len(g.clients)]
		if other.conn != nil && other.follows(r.Record) == "" {
			g.countData(r, &g.counts.Stray)
			g.send(other, outgoing{frame: g.frame(r, r.Value)})
			return
		}
	}
}

// throwOut closes the client's connection. What was written before reaches the client: its own end of the connection is
// closed when the client has answered.
func (g *Gateway) throwOut(c *client, code int) {
	g.counts.ThrownOut++
	deadline := time.Now().Add(writeTimeout)
	_ = c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, "thrown out"), deadline)
	_ = c.conn.SetReadDeadline(deadline)
	c.conn = nil
}

// replay sends a client that came back its last data messages again.
func (g *Gateway) replay(c *client) {
	for _, out := range c.last {
		if write(c.conn, out.frame) == nil {
			g.counts.Replayed++
		}
	}
}
