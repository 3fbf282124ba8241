package loadgen

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/weirbench/weir/scenarios"
)

// The placeholders that only a profile's way to publish has.
const (
	holeID    = "{id}"
	holeValue = "{value}"
)

// What only framings put into their texts: the value as it is, and STOMP's header with its length where it needs one.
const (
	holeRaw         = "{raw}"
	holeStompLength = "{content-length}"
)

// publishFrame is a wire profile's way to publish.
type publishFrame struct {
	profile *scenarios.PublishProfile
	id      mark // what stands before an answer's number
	text    template
}

func newPublishFrame(p *scenarios.PublishProfile) publishFrame {
	return publishFrame{profile: p, id: newMark(p.ID), text: parseTemplate(p.Frame, holeID, holeValue)}
}

// laneFrame is the text of one client's messages, all filled in but their numbers and values.
type laneFrame template

// lane fills in what the messages of one client have in common.
func (t template) lane(with *terms) (filled laneFrame) {
	for _, part := range t {
		if part.hole != "" && part.hole != holeID && part.hole != holeValue {
			part = templatePart{literal: insideJSON(with.of(part.hole))}
		}
		filled = append(filled, part)
	}
	return filled
}

// append writes the message that carries a value.
func (f laneFrame) append(dst []byte, id uint64, value []byte) []byte {
	for _, part := range f {
		switch part.hole {
		case holeID:
			dst = strconv.AppendUint(dst, id, 10)
		case holeValue:
			dst = appendJSONText(dst, value)
		case holeRaw:
			dst = append(dst, value...)
		case holeStompLength:
			if bytes.IndexByte(value, 0) >= 0 { // a frame without it ends at the first
				dst = append(strconv.AppendInt(append(dst, "content-length:"...), int64(len(value)), 10), '\n')
			}
		default:
			dst = append(dst, part.literal...)
		}
	}
	return dst
}

// appendJSONText appends text as it stands inside a JSON string (RFC 8259, section 7).
func appendJSONText(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	plain := 0 // where what is not appended yet begins
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[plain:i]...)
		plain = i + 1
		if c < ' ' {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, '\\', c)
		}
	}
	return append(dst, text[plain:]...)
}

// answer reads a message of the target's. ok is false where it answers no publish.
func (f *publishFrame) answer(payload []byte) (outcome outcome, id uint64, ok bool) {
	begins := func(with string) bool { return with != "" && bytes.HasPrefix(payload, []byte(with)) }
	switch {
	case begins(f.profile.Acked):
		outcome = sendAcked
	case begins(f.profile.Refused):
		outcome = sendRefused
	case begins(f.profile.Failed):
		outcome = sendUnsettled
	default:
		return 0, 0, false
	}
	return outcome, uint64(gatewayStamp(payload, &f.id)), true
}

// outcomeOf reads the data of an answer that is known to answer a publish: without a text that says otherwise it was acked.
func (f *publishFrame) outcomeOf(data []byte) outcome {
	begins := func(with string) bool { return with != "" && bytes.HasPrefix(data, []byte(with)) }
	switch {
	case begins(f.profile.Refused):
		return sendRefused
	case begins(f.profile.Failed), f.profile.Acked != "" && !begins(f.profile.Acked):
		return sendUnsettled
	}
	return sendAcked
}

// withoutID is an answer without its number, so that the same answer to many messages is one remark.
func (f *publishFrame) withoutID(payload []byte) []byte {
	before, after, found := bytes.Cut(payload, f.id.text)
	if !found {
		return before
	}
	return slices.Concat(before, f.id.text, []byte("…"), bytes.TrimLeft(after, "0123456789"))
}
