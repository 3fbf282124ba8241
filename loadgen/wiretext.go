package loadgen

import (
	"encoding/json"
	"slices"
	"strings"
)

// The placeholders of a wire profile's texts.
const (
	holeClient   = "{client}"
	holeTopic    = "{topic}"
	holeKey      = "{key}"
	holeChannel  = "{channel}"
	holeChannels = "{channels}"
)

var holes = []string{holeClient, holeTopic, holeKey, holeChannel, holeChannels}

// terms is what the placeholders stand for.
type terms struct {
	client, topic, key, channel string
	channels                    []string
	positions                   string // a JSON object, put in as it is
}

func (t *terms) of(hole string) string {
	switch hole {
	case holeClient:
		return t.client
	case holeTopic:
		return t.topic
	case holeKey:
		return t.key
	case holeChannel:
		return t.channel
	}
	return ""
}

// template is a text with placeholders, cut at them. Braces around anything else are text.
type template []templatePart

// templatePart is a literal, or a hole.
type templatePart struct{ literal, hole string }

// parseTemplate cuts a text at the placeholders that every text may have, and at those given.
func parseTemplate(text string, more ...string) (t template) {
	isKnown := func(hole string) bool { return slices.Contains(holes, hole) || slices.Contains(more, hole) }
	cutText(text, isKnown, func(literal, hole string) { t = append(t, templatePart{literal, hole}) })
	return t
}

// has reports whether the template has one of the placeholders.
func (t template) has(holes ...string) bool {
	for _, p := range t {
		for _, h := range holes {
			if p.hole == h {
				return true
			}
		}
	}
	return false
}

// expand fills in the terms, each as escape returns it; the array of {channels} too where escapeArray is set.
func (t template) expand(with *terms, escape func(string) string, escapeArray bool) string {
	var b strings.Builder
	for _, p := range t {
		switch {
		case p.hole == "":
			b.WriteString(p.literal)
		case p.hole == holePositions:
			b.WriteString(with.positions)
		case p.hole != holeChannels:
			b.WriteString(escape(with.of(p.hole)))
		case escapeArray:
			b.WriteString(escape(jsonArray(with.channels)))
		default:
			b.WriteString(jsonArray(with.channels))
		}
	}
	return b.String()
}

// message is the text as a message to the target.
func (t template) message(with *terms) string { return t.expand(with, insideJSON, false) }

// plain is the text with the terms as they are.
func (t template) plain(with *terms) string {
	return t.expand(with, func(s string) string { return s }, false)
}

// insideJSON escapes a text as inside a JSON string, without the quotes.
func insideJSON(s string) string {
	quoted, _ := json.Marshal(s) // a string can't fail
	return string(quoted[1 : len(quoted)-1])
}

func jsonArray(names []string) string {
	if names == nil {
		return "[]"
	}
	array, _ := json.Marshal(names) // strings can't fail
	return string(array)
}
