package loadgen

import (
	"bytes"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// stomp is STOMP 1.2 (stomp.github.io/stomp-specification-1.2.html), its frames in messages of WebSocket's. A message may
// hold several frames, and a frame lies whole in one.
type stomp struct{}

// stompConnect offers to be sent a heart-beat at least every ten seconds and promises none: each of the target's is
// answered by one.
const stompConnect = "CONNECT\naccept-version:1.2\nheart-beat:0,10000\n"

func (stomp) greeting(s *swarm, c *client) []byte {
	with, _ := s.termsOf(c)
	var b strings.Builder
	b.WriteString(stompConnect)
	named := false
	for _, g := range s.profile.greet {
		line := g.plain(&with)
		named = named || strings.HasPrefix(line, "host:")
		b.WriteString(line + "\n")
	}
	if u, err := url.Parse(s.instanceOf(c).url); err == nil && !named {
		b.WriteString("host:" + u.Hostname() + "\n")
	}
	b.WriteString("\n\x00")
	return appendClientFrame(nil, s.profile.opcode, []byte(b.String()))
}

// stompEscaper escapes the text of a header, in all frames but CONNECT.
var stompEscaper = strings.NewReplacer("\\", `\\`, "\r", `\r`, "\n", `\n`, ":", `\c`)

// subscribe asks for the client's channels, numbered from 0 on.
func (stomp) subscribe(w *worker, c *client) {
	ack := w.swarm.profile.wire.Acknowledge
	if ack == "" {
		ack = "auto"
	}
	with, _ := w.swarm.termsOf(c)
	for i, channel := range with.channels {
		w.answer(fmt.Appendf(nil, "SUBSCRIBE\nid:%d\ndestination:%s\nack:%s\n\n\x00", i, stompEscaper.Replace(channel), ack))
	}
}

func (st stomp) take(w *worker, c *client, f frame, arrivedAt int64, last bool) {
	rest := bytes.TrimLeft(f.payload, "\r\n")
	if len(rest) == 0 {
		c.fed = true
		w.answer([]byte("\n"))
		return
	}
	for len(rest) > 0 {
		one, ok := parseStomp(rest)
		if !ok {
			w.takeControl(c, rest, arrivedAt)
			return
		}
		st.takeFrame(w, c, one, arrivedAt, last)
		rest = bytes.TrimLeft(rest[one.size:], "\r\n")
	}
}

func (st stomp) takeFrame(w *worker, c *client, f stompFrame, arrivedAt int64, last bool) {
	switch string(f.command) {
	case "MESSAGE":
		if ack := f.header("ack"); ack != nil && w.swarm.profile.wire.Acknowledge != "" {
			w.text = append(append(append(w.text[:0], "ACK\nid:"...), ack...), "\n\n\x00"...)
			w.answer(w.text)
		}
		w.takeMessage(c, f.text, arrivedAt, last)
	case "CONNECTED":
		if version := f.header("version"); string(version) != "1.2" {
			w.remarks.add(fmt.Sprintf("the target speaks STOMP %.20q and not 1.2", version))
		}
		if !c.talk.introduced {
			st.subscribe(w, c)
			w.introduced(c)
		}
	case "RECEIPT":
		st.takeReceipt(c, f, sendAcked, arrivedAt)
	case "ERROR":
		w.remarks.add("the target refused a request: " + w.quote(f.text))
		st.takeReceipt(c, f, sendUnsettled, arrivedAt)
	default:
		w.takeControl(c, f.text, arrivedAt)
	}
}

// takeReceipt books the answer to what the client published under the receipt's number.
func (stomp) takeReceipt(c *client, f stompFrame, outcome outcome, arrivedAt int64) {
	if id, err := strconv.ParseUint(string(f.header("receipt-id")), 10, 64); err == nil && c.lane != nil {
		c.lane.answered(id, outcome, arrivedAt)
	}
}

// lane is a SEND whose receipt is asked for. Its body is the profile's text, or the value as it is.
func (stomp) lane(f *publishFrame, with *terms) laneFrame {
	head := "SEND\ndestination:" + stompEscaper.Replace(with.channel) + "\nreceipt:"
	filled := laneFrame{{literal: head}, {hole: holeID}, {literal: "\n"}}
	body := f.text.lane(with)
	if len(body) == 0 {
		filled = append(filled, templatePart{hole: holeStompLength})
		body = laneFrame{{hole: holeRaw}}
	}
	return append(append(append(filled, templatePart{literal: "\n"}), body...), templatePart{literal: "\x00"})
}

// stompFrame is a frame of the target's.
type stompFrame struct {
	command, headers []byte
	text             []byte // all but what ends it
	size             int    // bytes with what ends it
}

// parseStomp reads the frame at the beginning of text; ok is false where none is there to its end.
func parseStomp(text []byte) (f stompFrame, ok bool) {
	command, rest, found := bytes.Cut(text, []byte("\n"))
	if !found {
		return f, false
	}
	f.command, f.headers = bytes.TrimSuffix(command, []byte("\r")), rest
	for {
		line, behind, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			return f, false
		}
		if rest = behind; len(bytes.TrimSuffix(line, []byte("\r"))) == 0 {
			break
		}
	}
	f.headers = f.headers[:len(f.headers)-len(rest)]
	end := bytes.IndexByte(rest, 0)
	if length := f.header("content-length"); length != nil {
		n, err := strconv.Atoi(string(length))
		if err != nil || n < 0 || n >= len(rest) || rest[n] != 0 {
			return f, false
		}
		end = n
	}
	if end < 0 {
		return f, false
	}
	body := len(text) - len(rest)
	f.text, f.size = text[:body+end], body+end+1
	return f, true
}

// header returns the text of a header, escaped as it stands there; nil where there is none. Of several of one name the
// first counts.
func (f *stompFrame) header(name string) []byte {
	for line := range bytes.Lines(f.headers) {
		if len(line) > len(name) && line[len(name)] == ':' && string(line[:len(name)]) == name {
			return bytes.TrimRight(line[len(name)+1:], "\r\n")
		}
	}
	return nil
}
