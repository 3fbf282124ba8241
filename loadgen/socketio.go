package loadgen

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// socketIO is Socket.IO 5 on Engine.IO 4 (socket.io/docs/v4/socket-io-protocol), over WebSocket alone and in the main
// namespace.
type socketIO struct{}

// The packets of Engine.IO, and those of Socket.IO in its messages.
const (
	engineOpen    = '0'
	engineClose   = '1'
	enginePing    = '2'
	enginePong    = '3'
	engineMessage = '4'
	engineNoop    = '6'

	socketConnect     = '0'
	socketDisconnect  = '1'
	socketEvent       = '2'
	socketAck         = '3'
	socketError       = '4'
	socketBinaryEvent = '5'
	socketBinaryAck   = '6'
)

// maxAttachments bounds the binary messages that one event may announce.
const maxAttachments = 1 << 10

// greeting is empty: the target speaks first.
func (socketIO) greeting(*swarm, *client) []byte { return nil }

func (so socketIO) take(w *worker, c *client, f frame, arrivedAt int64, last bool) {
	switch p := f.payload; {
	case f.opcode == opBinary && c.talk.attachments > 0:
		c.talk.attachments--
		w.takeValues(c, p, formPlain, arrivedAt, last)
	case f.opcode == opBinary || len(p) == 0:
		w.takeControl(c, p, arrivedAt)
	case p[0] == engineOpen:
		with, _ := w.swarm.termsOf(c)
		connect := []byte("40")
		for _, g := range w.swarm.profile.greet {
			connect = append(connect, g.message(&with)...)
		}
		w.answer(connect)
	case p[0] == enginePing:
		w.text = append(append(w.text[:0], enginePong), p[1:]...)
		w.answer(w.text)
	case p[0] == engineClose:
		w.remarks.add("the target closed the Engine.IO session")
	case p[0] == engineMessage && len(p) > 1:
		so.takePacket(w, c, p, arrivedAt, last)
	case p[0] != engineNoop:
		w.takeControl(c, p, arrivedAt)
	}
}

// takePacket takes a packet of Socket.IO's, in the message that it came in.
func (so socketIO) takePacket(w *worker, c *client, message []byte, arrivedAt int64, last bool) {
	packet, ok := parseSocketIO(message[1:])
	if !ok {
		w.takeControl(c, message, arrivedAt)
		return
	}
	switch packet.kind {
	case socketConnect:
		if !c.talk.introduced {
			so.subscribe(w, c)
			w.introduced(c)
		}
	case socketDisconnect:
		w.remarks.add("the target disconnected a client's Socket.IO namespace")
	case socketError:
		w.remarks.add("the target refused a request: " + w.quote(message))
	case socketEvent, socketBinaryEvent:
		c.talk.attachments = int16(packet.attachments)
		if ack := w.swarm.profile.wire.Acknowledge; ack != "" && len(packet.id) > 0 {
			w.text = append(append(append(w.text[:0], "43"...), packet.id...), ack...)
			w.answer(w.text)
		}
		if packet.attachments == 0 || bytes.Contains(message, startMarkBytes) {
			w.takeMessage(c, message, arrivedAt, last)
		}
	case socketAck, socketBinaryAck:
		c.talk.attachments = int16(packet.attachments)
		so.takeAck(w, c, packet, arrivedAt)
	default:
		w.takeControl(c, message, arrivedAt)
	}
}

// subscribe emits the profile's event for each of the client's channels.
func (socketIO) subscribe(w *worker, c *client) {
	event := w.swarm.profile.wire.Event
	if event == "" {
		return
	}
	with, _ := w.swarm.termsOf(c)
	for _, channel := range with.channels {
		arguments, _ := json.Marshal([]string{event, channel}) // strings can't fail
		w.answer(append([]byte("42"), arguments...))
	}
}

// takeAck books the answer to what the client published under the packet's number.
func (socketIO) takeAck(w *worker, c *client, p socketPacket, arrivedAt int64) {
	id, err := strconv.ParseUint(string(p.id), 10, 64)
	if err != nil || c.lane == nil {
		return
	}
	outcome := c.lane.up.frame.outcomeOf(p.data)
	if outcome != sendAcked {
		w.remarks.add("the target answered a publish: " + w.quote(p.data))
	}
	c.lane.answered(id, outcome, arrivedAt)
}

// lane is an event with a number, which the target acknowledges. The profile's text is the array of its arguments.
func (socketIO) lane(f *publishFrame, with *terms) laneFrame {
	return append(laneFrame{{literal: "42"}, {hole: holeID}}, f.text.lane(with)...)
}

// socketPacket is a packet of Socket.IO's.
type socketPacket struct {
	kind        byte
	attachments int
	id, data    []byte
}

// parseSocketIO reads a packet: its kind, the number of its attachments, its namespace, its number and its data, of which
// all but the first may be missing. ok is false where it is none.
func parseSocketIO(text []byte) (p socketPacket, ok bool) {
	if len(text) == 0 {
		return p, false
	}
	p.kind = text[0]
	rest := text[1:]
	if p.kind == socketBinaryEvent || p.kind == socketBinaryAck {
		digits := leadingDigits(rest)
		n, err := strconv.Atoi(string(digits))
		if err != nil || n > maxAttachments || len(rest) == len(digits) || rest[len(digits)] != '-' {
			return p, false
		}
		p.attachments, rest = n, rest[len(digits)+1:]
	}
	if len(rest) > 0 && rest[0] == '/' {
		_, rest, _ = bytes.Cut(rest, []byte(","))
	}
	p.id = leadingDigits(rest)
	p.data = rest[len(p.id):]
	return p, true
}

func leadingDigits(text []byte) []byte {
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	return text[:end]
}
