package loadgen

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/weirbench/weir/scenarios"
)

// publishFrame is a wire profile's way to publish, ready to be filled in without looking for placeholders.
type publishFrame struct {
	profile *scenarios.PublishProfile
	parts   []framePart
}

// framePart is a piece of text and what stands behind it.
type framePart struct {
	text string
	then placeholder
}

type placeholder int

const (
	thenNothing placeholder = iota
	thenID
	thenValue
	thenChannel
	thenTopic
	thenKey
	thenClient
)

var placeholders = map[string]placeholder{
	"{id}": thenID, "{value}": thenValue, "{channel}": thenChannel, "{topic}": thenTopic, "{key}": thenKey, "{client}": thenClient,
}

// framePlace is what of a publish is the same for all messages of one client, escaped as inside a JSON string.
type framePlace struct{ channel, topic, key, client string }

func newPublishFrame(p *scenarios.WireProfile) publishFrame {
	f := publishFrame{profile: p.Publish}
	rest := p.Publish.Frame
	for from := 0; ; {
		at := strings.IndexByte(rest[from:], '{')
		if at < 0 {
			f.parts = append(f.parts, framePart{rest, thenNothing})
			return f
		}
		at += from
		end := strings.IndexByte(rest[at:], '}') + at + 1
		then, ok := placeholders[rest[at:max(at, end)]]
		if !ok {
			from = at + 1
			continue
		}
		f.parts = append(f.parts, framePart{rest[:at], then})
		rest, from = rest[end:], 0
	}
}

// newFramePlace fills in what a client's messages have in common. topic is its name in Kafka.
func newFramePlace(p *scenarios.WireProfile, topic string, key uint32, client string) framePlace {
	place := framePlace{topic: jsonText(topic), client: jsonText(client)}
	channel := p.Channel
	if key != NoKey {
		place.key, channel = scenarios.KeyName(int(key)), p.KeyChannel
	}
	place.channel = jsonText(strings.NewReplacer("{topic}", topic, "{key}", place.key).Replace(channel))
	return place
}

func jsonText(s string) string { return string(appendJSONText(nil, []byte(s))) }

// append writes the frame of a value.
func (f *publishFrame) append(dst []byte, place *framePlace, id uint64, value []byte) []byte {
	for _, part := range f.parts {
		dst = append(dst, part.text...)
		switch part.then {
		case thenID:
			dst = strconv.AppendUint(dst, id, 10)
		case thenValue:
			dst = appendJSONText(dst, value)
		case thenChannel:
			dst = append(dst, place.channel...)
		case thenTopic:
			dst = append(dst, place.topic...)
		case thenKey:
			dst = append(dst, place.key...)
		case thenClient:
			dst = append(dst, place.client...)
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
	return outcome, uint64(gatewayStamp(payload, f.profile.ID)), true
}

// withoutID is an answer without its number, so that the same answer to many messages is one remark.
func (f *publishFrame) withoutID(payload []byte) string {
	before, after, found := strings.Cut(string(payload), f.profile.ID)
	if !found {
		return before
	}
	return before + f.profile.ID + "…" + strings.TrimLeft(after, "0123456789")
}
