package loadgen

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// placeholder is what stands in a text for what differs from message to message.
type placeholder uint8

const (
	literal placeholder = iota
	stampHere
	seqHere
	keyHere
	dueHere
	padHere
)

// The placeholders as a scenario writes them.
var (
	valuePlaceholders = map[string]placeholder{
		"{stamp}": stampHere, "{seq}": seqHere, "{key}": keyHere, "{due_ms}": dueHere, "{pad}": padHere,
	}
	headerPlaceholders = map[string]placeholder{"{seq}": seqHere, "{key}": keyHere}
)

// textPart is a piece of a text with placeholders.
type textPart struct {
	kind placeholder
	text string // of a literal
}

// parseText cuts a text at the known placeholders.
func parseText(text string, known map[string]placeholder) (parts []textPart) {
	isKnown := func(hole string) bool { return known[hole] != literal }
	cutText(text, isKnown, func(text, hole string) { parts = append(parts, textPart{known[hole], text}) })
	return parts
}

func count(parts []textPart, kind placeholder) (n int) {
	for _, part := range parts {
		if part.kind == kind {
			n++
		}
	}
	return n
}

// maxDigits is the longest that a message's number or its due time can be in digits.
const maxDigits = 20

// template makes values from a text with placeholders. {due_ms} is counted from the load's beginning: with the same seed
// a message's text is the same in each run.
type valueTemplate struct {
	parts            []textPart
	fixed            int // bytes of the literals and the stamp
	seqs, keys, dues int // how often each stands in it
	padded           bool
}

func newTemplate(from scenarios.Producer) (*valueTemplate, error) {
	t := &valueTemplate{parts: parseText(strings.ReplaceAll(from.Payload.Template, "{producer}", from.Name), valuePlaceholders)}
	t.seqs, t.keys, t.dues = count(t.parts, seqHere), count(t.parts, keyHere), count(t.parts, dueHere)
	t.padded = count(t.parts, padHere) > 0
	t.fixed = StampSize
	for _, part := range t.parts {
		t.fixed += len(part.text)
	}
	if n := count(t.parts, stampHere); n != 1 {
		return nil, fmt.Errorf("the template has {stamp} %d times (write it once)", n)
	}
	if n := count(t.parts, padHere); n > 1 {
		return nil, fmt.Errorf("the template has {pad} %d times (write it once at most)", n)
	}
	return t, t.checkMarks()
}

// checkMarks refuses a text in which a start mark could stand that is not the stamp's: nobody would find the stamp.
func (t *valueTemplate) checkMarks() error {
	for i, part := range t.parts {
		if strings.Contains(part.text, startMark) {
			return fmt.Errorf("the template has %s, with which stamps begin (write another text)", startMark)
		}
		// The placeholder may stand for nothing, or for what makes a mark of this.
		open := strings.HasSuffix(part.text, startMark[:1]) || strings.HasSuffix(part.text, startMark[:2])
		if open && i+1 < len(t.parts) && t.parts[i+1].kind != stampHere {
			return errors.New(`a placeholder stands right behind a "~" or "~W", ` +
				`which could make it the beginning of a stamp (put another character between)`)
		}
	}
	return nil
}

// furthest returns the furthest that the stamp stands, and the longest that a value is.
func (t *valueTemplate) furthest(from scenarios.Producer) (stampAt, size int) {
	key := 0
	if from.Keys.Kind != scenarios.KeysNone {
		key = len(scenarios.KeyName(from.Keys.Count))
	}
	pad := 0
	if t.padded {
		pad = max(0, from.Size.Max-t.fixed)
	}
	for _, part := range t.parts {
		switch part.kind {
		case literal:
			size += len(part.text)
		case stampHere:
			stampAt = size
			size += StampSize
		case seqHere, dueHere:
			size += maxDigits
		case keyHere:
			size += key
		case padHere:
			size += pad
		}
	}
	return stampAt, size
}

// compose writes the value; see [values.compose].
func (t *valueTemplate) compose(buf []byte, c *content, random *randomText) (value []byte, stampAt int) {
	var seqDigits, dueDigits [maxDigits]byte
	seq := strconv.AppendUint(seqDigits[:0], c.seq, 10)
	due := strconv.AppendInt(dueDigits[:0], int64(c.due/time.Millisecond), 10)
	size := t.fixed + t.seqs*len(seq) + t.keys*len(c.key) + t.dues*len(due)
	pad := 0
	if t.padded {
		pad = max(0, c.size-size)
	}
	value = sized(buf, size+pad)
	at := 0
	for _, part := range t.parts {
		switch part.kind {
		case literal:
			at += copy(value[at:], part.text)
		case stampHere:
			stampAt = at
			at += StampSize
		case seqHere:
			at += copy(value[at:], seq)
		case keyHere:
			at += copy(value[at:], c.key)
		case dueHere:
			at += copy(value[at:], due)
		case padHere:
			random.fill(value[at:at+pad], c.seq)
			at += pad
		}
	}
	return value, stampAt
}
