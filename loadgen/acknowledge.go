package loadgen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

const holeAcknowledged = "{id}"

// acknowledgement is how a client acknowledges each message that arrives. It is immutable.
type acknowledgement struct {
	before, behind []byte // what is sent, around the message's id
	numbered       bool   // there is an id in it
	id             []byte // what stands in front of a message's id
}

// newAcknowledgement returns that of a profile, nil where nothing is acknowledged.
func newAcknowledgement(text, id string) *acknowledgement {
	if text == "" {
		return nil
	}
	before, behind, numbered := strings.Cut(text, holeAcknowledged)
	return &acknowledgement{[]byte(before), []byte(behind), numbered, []byte(id)}
}

// find returns the id that stands in text: the digits behind the mark, or the inside of the JSON string that the mark
// ends in or stands in front of; and where what was read of the text ends. id is empty where there is none.
func (a *acknowledgement) find(text []byte) (id []byte, end int) {
	at := bytes.Index(text, a.id)
	if at < 0 {
		return nil, 0
	}
	at += len(a.id)
	quoted := at > 0 && text[at-1] == '"' && !bytes.HasSuffix(a.id, []byte(`":`))
	for !quoted && at < len(text) && text[at] == ' ' {
		at++
	}
	if !quoted && at < len(text) && text[at] == '"' {
		quoted = true
		at++
	}
	for end = at; end < len(text); end++ {
		switch c := text[end]; {
		case quoted && c == '"':
			return text[at:end], end
		case quoted && c == '\\':
			end++
		case !quoted && (c < '0' || c > '9'):
			return text[at:end], end
		}
	}
	if quoted {
		return nil, 0
	}
	return text[at:], end
}

// acknowledge answers the message whose value stands in payload as v says. Its id stands in front of the value, from head
// on, or behind it. It returns where the id ends, since it is no other message's.
func (w *worker) acknowledge(payload []byte, head int, v extent) (end int) {
	a := w.swarm.profile.acknowledge
	var id []byte
	if a.numbered {
		begin := max(v.begin, 0)
		from := min(head, begin)
		if id, end = a.find(payload[from:begin]); len(id) == 0 {
			from = v.end
			id, end = a.find(payload[v.end:])
		}
		if len(id) == 0 {
			w.remarks.add(fmt.Sprintf("a message has nothing behind %q that could be acknowledged", a.id))
			return 0
		}
		end += from
	}
	w.text = append(append(append(w.text[:0], a.before...), id...), a.behind...)
	w.answer(w.text)
	return end
}

// sendAnswers sends what answers the messages of one read.
func (w *worker) sendAnswers(reply io.Writer) error {
	_, err := reply.Write(w.answers)
	w.answers = w.answers[:0]
	if err == nil {
		return nil
	}
	w.remarks.add(fmt.Sprintf("the target's messages could not be answered: %v", err)) // a broken connection shows at the next read
	if errors.Is(err, io.ErrShortWrite) {
		return err // nothing can follow half a frame
	}
	return nil
}
