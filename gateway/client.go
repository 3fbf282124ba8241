package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// client is one WebSocket connection. Where polls can't serve it, its reader is the goroutine of run, and its writer the one
// that run starts and waits for.
type client struct {
	conn   net.Conn // nil once polls has it
	cfg    *Config
	hub    *hub
	queue  queue
	frames *frameReader
	who    *identity
	leave  func() // gives the connection's place in the admission back

	deflateMax int     // longest payload that may be sent compressed; 0 where compression was not negotiated
	subscribes *bucket // for subscribe, unsubscribe and presence, a channel a token

	// Guarded by the hub's mutex.
	members  map[string]*member // by name of channel, or of pattern behind patternMark
	patterns int                // of the members
	lastSeq  uint64             // number of the last record queued
	topics   []clientTopic      // of the members
	told     positionsTold

	resumptions int // that have not come to their end

	replaying chan struct{} // capacity 1: held by the replay that runs; nil until the first
}

func newClient(conn net.Conn, cfg *Config, h *hub) *client {
	c := newMuteClient(conn, cfg, h)
	c.queue.pushReply(helloMessage(cfg.InstanceID))
	return c
}

// newMuteClient is a client that has not been told hello.
func newMuteClient(conn net.Conn, cfg *Config, h *hub) *client {
	c := &client{
		conn:       conn,
		cfg:        cfg,
		hub:        h,
		frames:     newFrameReader(conn, cfg.Limits.MessageBytes),
		who:        &identity{},
		leave:      func() {},
		subscribes: newBucket(cfg.Limits.SubscribesPerSecond),
		members:    make(map[string]*member),
	}
	c.frames.rate = newBucket(cfg.Limits.FramesPerSecond)
	c.queue.init(cfg.QueueBytes, cfg.SlowPolicy, h.counters, h.pacer.relief)
	return c
}

// run serves the client until the connection has ended. What it sends is given to handle, which says whether to go on
// reading.
func (c *client) run(handle func(opcode, []byte) bool) {
	defer c.leave()
	if !c.who.expiresAt.IsZero() {
		expiry := time.AfterFunc(time.Until(c.who.expiresAt), func() { c.close(CloseTokenExpired) })
		defer expiry.Stop()
	}
	var writer sync.WaitGroup
	writer.Go(c.write)
	if c.read(handle) {
		// The writer still has a close frame to send, and bounds the time it
		// takes by itself.
		writer.Wait()
	}
	// An error here is no news: the client is done with either way.
	_ = c.conn.Close()
	writer.Wait()
}

// sever drops the connection under both goroutines, without the farewell of TLS, which could take its time.
func (c *client) sever() {
	if c.queue.carriage != nil {
		c.queue.carriage.sever()
		return
	}
	_ = rawConn(c.conn).Close()
}

// read reads until there is no more to be expected of the client, and reports
// whether the connection still stands.
//
// The read deadline is the ping timer: when nothing has come for an interval
// the client is pinged, and after two pings without any sign it gets a last
// quarter. A timer that fires says only that time has passed. The extra look at
// the socket matters when the gateway itself was stopped: the pongs came
// meanwhile and wait in the kernel.
func (c *client) read(handle func(opcode, []byte) bool) (standing bool) {
	silent := 0 // intervals without a sign of life
	c.setReadDeadline(c.cfg.Timeouts.Ping)
	for {
		op, payload, err := c.frames.next()
		switch breach, isBreach := errors.AsType[*frameError](err); {
		case err == nil:
			silent = 0
			if !handle(op, payload) {
				return true
			}
		case isBreach:
			c.close(breach.code)
			c.discard()
			return true
		case !errors.Is(err, os.ErrDeadlineExceeded):
			c.queue.close(CloseAbnormal, nil, false)
			return false
		case c.closing():
			return true
		default:
			if silent++; !c.probe(silent, c.setReadDeadline) {
				c.close(CloseNoPong)
				return true
			}
		}
	}
}

// probe asks a client that has been silent for so many intervals for a sign of
// life, and sets when to look again. It reports false when the client is given up.
func (c *client) probe(silent int, lookIn func(time.Duration)) bool {
	switch {
	case silent <= 2:
		c.queue.pushPing()
		lookIn(c.cfg.Timeouts.Ping)
	case silent == 3:
		lookIn(c.cfg.Timeouts.Ping / 4)
	default:
		return false
	}
	return true
}

// handle acts on a message and reports whether to go on reading.
func (c *client) handle(op opcode, payload []byte) bool {
	if op == opClose {
		code, err := closePayload(payload)
		if breach, ok := errors.AsType[*frameError](err); ok {
			c.close(breach.code)
			return false
		}
		c.queue.close(CloseNormal, closeReply(code, payload), false)
		return false
	}
	if c.closing() {
		return true // only the client's close frame is of interest now
	}
	switch op {
	case opPing:
		c.queue.pushPong(payload)
	case opBinary:
		c.close(CloseUnsupportedData)
	case opText:
		c.request(payload)
	}
	return true
}

// closeReply repeats the client's code, or has none where it gave none.
func closeReply(code CloseCode, payload []byte) []byte {
	if len(payload) == 0 {
		return appendFrame(nil, opClose, nil)
	}
	return appendFrame(nil, opClose, []byte{byte(code >> 8), byte(code)})
}

func (c *client) request(text []byte) {
	if fields, ok := scanPublish(text); ok {
		c.publish(fields, nil)
		return
	}
	req, err := decodeRequest(text)
	refused, isRefused := errors.AsType[*requestError](err)
	switch {
	case req.Type == requestPublish:
		c.publish(req.publishFields(), refused)
		return
	case isRefused:
	case err != nil:
		c.close(CloseBadMessage)
		return
	default:
		refused = c.carryOut(&req)
	}
	if refused != nil {
		c.refuseRequest(&req, refused)
	}
}

func (c *client) refuseRequest(req *request, refused *requestError) {
	c.hub.counters.errorsSent.Add(1)
	c.queue.pushReply(errorMessage(req.ID, refused))
}

// carryOut does what a request asks for, other than to publish.
func (c *client) carryOut(req *request) *requestError {
	if !c.subscribes.take(len(req.Channels) + len(req.Patterns)) {
		return &requestError{ErrorTooManyRequests, "more channels a second than a client may name"}
	}
	if refused := c.who.forbids(req); refused != nil {
		return refused
	}
	switch req.Type {
	case requestSubscribe:
		return c.hub.subscribe(c, req)
	case requestUnsubscribe:
		return c.hub.unsubscribe(c, req)
	default:
		return c.hub.presence(c, req)
	}
}

// publish hands a publish message on, unless it is refused already.
func (c *client) publish(fields publishFields, refused *requestError) {
	var req publishRequest
	if refused == nil {
		req, refused = fields.request()
	}
	if refused == nil && !c.who.permits(actionPublish, req.channel) {
		refused = forbidden(req.channel)
	}
	if refused != nil {
		c.hub.publisher.refuse(c, fields.id, refused)
		return
	}
	c.hub.publisher.publish(c, req)
}

// close makes the writer send a close frame with the code and end.
func (c *client) close(code CloseCode) {
	c.queue.close(code, closeFrame(code), false)
}

func (c *client) closing() bool {
	_, _, closing := c.queue.closed()
	return closing
}

// discard reads what can no longer be understood until the client closes or
// Timeouts.Close has passed. Closing a socket with unread data would reset the
// connection, and the client would lose the close frame.
func (c *client) discard() {
	c.setReadDeadline(c.cfg.Timeouts.Close)
	// Every error ends it, and none is news.
	_, _ = io.Copy(io.Discard, c.conn)
}

// setReadDeadline sets the deadline d from now, or Timeouts.Close from now once
// the client is being closed. The writer sets the deadline after closing was
// set, so that whichever of the two comes last, it is the short one.
func (c *client) setReadDeadline(d time.Duration) {
	_ = c.conn.SetReadDeadline(time.Now().Add(d)) // fails only if the connection is closed: so will the read
	if c.closing() {
		_ = c.conn.SetReadDeadline(time.Now().Add(c.cfg.Timeouts.Close))
	}
}

// write writes out the queue until it is closed, then the close frame.
func (c *client) write() {
	done := 0
	for c.queue.wait(done) {
		n, err := c.writeBurst()
		if err != nil {
			c.writeFailed(err)
			return
		}
		done = n
	}
	code, frame, _ := c.queue.closed()
	if frame == nil || !code.onWire() {
		return
	}
	if err := c.writeFrames(frame); err != nil {
		c.writeFailed(err)
		return
	}
	c.setReadDeadline(c.cfg.Timeouts.Close)
	// A client that waits for the server to end the connection (RFC 6455, section 7.1.1) sees its end, and what it
	// has yet sent resets nothing: after a breach its close frame can't be told from the rest.
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // fails where the client has gone
	}
}

// writeBurst writes what waits and returns how many bytes of the queue it was.
func (c *client) writeBurst() (int, error) {
	b := c.hub.bursts.Get().(*burst)
	defer func() {
		b.reset()
		c.hub.bursts.Put(b)
	}()
	c.queue.take(b)
	b.build(c.hub.deflaters)
	if err := c.writeFrames(b.join()); err != nil {
		c.hub.counters.abandoned.Add(int64(b.records))
		return 0, err
	}
	c.burstWritten(b)
	return b.bytes, nil
}

func (c *client) burstWritten(b *burst) {
	c.hub.counters.deliveries.Add(int64(b.records))
	c.hub.counters.replayedDeliveries.Add(int64(b.replayed))
	b.written(&c.hub.counters.writeLatency)
}

func (c *client) writeFrames(frames []byte) error {
	if len(frames) == 0 {
		return nil
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.cfg.Timeouts.Write)); err != nil {
		return err
	}
	n, err := c.conn.Write(frames)
	c.hub.counters.bytesWritten.Add(int64(n))
	c.hub.counters.writes.Add(1)
	return err
}

// writeFailed ends a connection whose stream may be cut inside a frame.
func (c *client) writeFailed(err error) {
	c.queue.close(failureCode(err), nil, false)
	c.sever()
}

// failureCode is what a write that failed closes the client with.
func failureCode(err error) CloseCode {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return CloseWriteTimeout
	}
	return CloseAbnormal
}
