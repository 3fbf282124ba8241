package loadgen

// framing is what a target wraps its messages in, and how a client introduces itself there.
type framing interface {
	// greeting is what a client sends once it is connected, as frames; empty for nothing.
	greeting(s *swarm, c *client) []byte
	// take takes one whole message of WebSocket's. The worker is locked.
	take(w *worker, c *client, f frame, arrivedAt int64, last bool)
	// lane is the text of the messages that one client publishes, all filled in but their numbers and values.
	lane(f *publishFrame, with *terms) laneFrame
}

// The framings as a profile names them.
const (
	framingPlain    = ""
	framingSTOMP    = "stomp"
	framingSocketIO = "socket.io"
)

// newFraming returns the framing that the profile names, nil where there is none of that name.
func newFraming(name string) framing {
	switch name {
	case framingPlain:
		return plain{}
	case framingSTOMP:
		return stomp{}
	case framingSocketIO:
		return socketIO{}
	}
	return nil
}

// talk is where a client's conversation with a target stands that has a framing of its own.
type talk struct {
	// askedAt is when the client subscribed, Unix ns: what arrived before answers something else.
	askedAt     int64
	answers     int32 // to the client's subscription
	attachments int16 // binary messages that follow a Socket.IO event
	introduced  bool  // the target has taken the client's introduction
}

// plain is no framing: what the profile says is sent, and messages are as they come.
type plain struct{}

func (plain) greeting(s *swarm, c *client) (frames []byte) {
	p, subscribe := s.profile, s.profile.subscribe
	with, keys := s.termsOf(c)
	if b := c.comeback; b != nil {
		subscribe, with.positions = p.resume.subscribe, "{}"
		if b.asked {
			with.positions = b.object(with.topic)
		}
	}
	for _, g := range p.greet {
		frames = appendClientFrame(frames, p.opcode, []byte(g.message(&with)))
	}
	switch {
	case len(subscribe) == 0 || len(with.channels) == 0:
	case subscribe.has(holeChannel, holeKey):
		with.each(keys, func(one *terms) {
			frames = appendClientFrame(frames, p.opcode, []byte(subscribe.message(one)))
		})
	default:
		frames = appendClientFrame(frames, p.opcode, []byte(subscribe.message(&with)))
	}
	return frames
}

func (plain) take(w *worker, c *client, f frame, arrivedAt int64, last bool) {
	w.takeMessage(c, f.payload, arrivedAt, last)
}

func (plain) lane(f *publishFrame, with *terms) laneFrame { return f.text.lane(with) }

// introduced is called, with the worker locked, when the target has taken the client's introduction: what comes with that
// is sent at the end of the read, and the client may publish.
func (w *worker) introduced(c *client) {
	c.talk.introduced = true
	if link := c.rarely().link; c.lane != nil && link != nil {
		c.lane.connect(link)
	}
}

// answer sends a message at the end of the read that is being taken apart.
func (w *worker) answer(message []byte) {
	w.answers = appendClientFrame(w.answers, w.swarm.profile.opcode, message)
}
