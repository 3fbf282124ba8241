package gateway

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/weirbench/weir/internal/settings"
)

// identity is who a client is, as far as it has proved it.
type identity struct {
	subject   string    // the token's "sub"; empty for nobody
	expiresAt time.Time // of the token; zero where there is none
	rights    []right   // nil where nothing is restricted
}

// action is what a permission allows.
type action uint8

const (
	actionSubscribe action = 1 << iota
	actionPublish
	actionPresence
	actionResume
)

// permits reports whether the client may do that with a channel, by the channel's whole name (TOPIC or TOPIC/KEY).
func (i *identity) permits(a action, channel string) bool {
	if i.rights == nil {
		return true
	}
	for _, r := range i.rights {
		if r.actions&a == 0 {
			continue
		}
		for _, p := range r.channels {
			if p.matches(channel) {
				return true
			}
		}
	}
	return false
}

// permitsAll returns the refusal of the first channel that the client may not do that with, or nil.
func (i *identity) permitsAll(a action, channels []string) *requestError {
	for _, name := range channels {
		if !i.permits(a, name) {
			return forbidden(name)
		}
	}
	return nil
}

// permitsEvery reports whether the client may do that with all channels that a pattern of its own stands for. Only
// permissions that end in their one wildcard, which is **, are looked at: TOPIC/** covers every pattern in the topic.
func (i *identity) permitsEvery(a action, pattern string) bool {
	if i.rights == nil {
		return true
	}
	begins, _, _ := strings.Cut(pattern, "*")
	for _, r := range i.rights {
		if r.actions&a == 0 {
			continue
		}
		for _, p := range r.channels {
			if p.coversAll(begins) {
				return true
			}
		}
	}
	return false
}

// coversAll reports whether the pattern matches whatever begins so.
func (p channelPattern) coversAll(begins string) bool {
	for len(p) > 0 && p[0].text != "" {
		rest, ok := strings.CutPrefix(begins, p[0].text)
		if !ok {
			return false
		}
		p, begins = p[1:], rest
	}
	return len(p) == 1 && p[0].slashes
}

// forbids returns why the client may not do what the request asks for, or nil. Leaving channels is always allowed.
func (i *identity) forbids(r *request) *requestError {
	switch r.Type {
	case requestPresence:
		return i.permitsAll(actionPresence, r.Channels)
	case requestSubscribe:
		if err := i.permitsAll(actionSubscribe, r.Channels); err != nil {
			return err
		}
		for _, pattern := range r.Patterns {
			if !i.permitsEvery(actionSubscribe, pattern) {
				return &requestError{ErrorForbidden, fmt.Sprintf("pattern %.80q: no permission allows all that it stands for", pattern)}
			}
		}
		return i.forbidsResuming(r)
	}
	return nil
}

// forbidsResuming returns why the client may not go back in a topic whose positions the request gives, or nil. Who may
// have what comes may not for that have what Kafka has kept.
func (i *identity) forbidsResuming(r *request) *requestError {
	resumes := func(name string) bool {
		topic, _, _ := strings.Cut(name, "/")
		_, ok := r.Resume[topic]
		return ok
	}
	for _, name := range r.Channels {
		if resumes(name) && !i.permits(actionResume, name) {
			return &requestError{ErrorForbidden, fmt.Sprintf("channel %.80q: no permission allows to resume it (subscribe without its topic in resume)", name)}
		}
	}
	for _, name := range r.Patterns {
		if resumes(name) && !i.permitsEvery(actionResume, name) {
			return &requestError{ErrorForbidden, fmt.Sprintf("pattern %.80q: no permission allows to resume all that it stands for (subscribe without its topic in resume)", name)}
		}
	}
	return nil
}

func forbidden(channel string) *requestError {
	return &requestError{ErrorForbidden, fmt.Sprintf("channel %.80q: no permission allows it", channel)}
}

// right is a permission that a client has.
type right struct {
	actions  action
	channels []channelPattern
}

// rightsOf are those of the permissions that the claims give. They are nil only where there are no permissions at all.
func rightsOf(permissions []settings.Permission, subject string, claims map[string]any) []right {
	if len(permissions) == 0 {
		return nil
	}
	rights := make([]right, 0, len(permissions))
	for _, p := range permissions {
		if p.Claim != "" && !claimHas(claims[p.Claim], p.Value) {
			continue
		}
		r := right{actions: actionsOf(p)}
		for _, text := range p.Channels {
			if pattern, ok := newChannelPattern(text, subject); ok {
				r.channels = append(r.channels, pattern)
			}
		}
		rights = append(rights, r)
	}
	return rights
}

func actionsOf(p settings.Permission) (a action) {
	if p.Subscribe {
		a |= actionSubscribe
	}
	if p.Publish {
		a |= actionPublish
	}
	if p.Presence {
		a |= actionPresence
	}
	if p.Resume {
		a |= actionResume
	}
	return a
}

// claimHas reports whether the claim is the value or a list that holds it. Numbers and booleans are compared as JSON
// writes them.
func claimHas(claim any, value string) bool {
	switch c := claim.(type) {
	case string:
		return c == value
	case json.Number:
		return c.String() == value
	case bool:
		return strconv.FormatBool(c) == value
	case []any:
		for _, one := range c {
			if _, nested := one.([]any); !nested && claimHas(one, value) {
				return true
			}
		}
	}
	return false
}

// subjectMark stands for the token's subject in a permission's pattern and in the keys of a channel's records.
const subjectMark = "{subject}"

// channelPattern is a permission's pattern, in parts that follow each other.
type channelPattern []patternPart

// patternPart is a literal text, or a wildcard where the text is empty.
type patternPart struct {
	text string
	// slashes says of a wildcard that it stands for slashes too: ** does, * does not.
	slashes bool
}

// newChannelPattern reads a pattern. The subject is put in as it is: a * in it is no wildcard. Where the pattern needs a
// subject and there is none it matches nothing, and ok is false.
func newChannelPattern(text, subject string) (p channelPattern, ok bool) {
	for text != "" {
		next := len(text)
		if i := strings.IndexByte(text, '*'); i >= 0 {
			next = i
		}
		if i := strings.Index(text, subjectMark); i >= 0 {
			next = min(next, i)
		}
		if next > 0 {
			p = append(p, patternPart{text: text[:next]})
			text = text[next:]
			continue
		}
		if rest, isSubject := strings.CutPrefix(text, subjectMark); isSubject {
			if subject == "" {
				return nil, false
			}
			p = append(p, patternPart{text: subject})
			text = rest
			continue
		}
		rest, slashes := strings.CutPrefix(text, "**")
		if !slashes {
			rest = text[1:]
		}
		p = append(p, patternPart{slashes: slashes})
		text = rest
	}
	return p, true
}

// matches takes time in proportion to the name's length times the pattern's at most, whatever they hold. Patterns that
// are a text with one wildcard behind it, as most are, allocate nothing.
func (p channelPattern) matches(name string) bool {
	for len(p) > 0 && p[0].text != "" {
		rest, ok := strings.CutPrefix(name, p[0].text)
		if !ok {
			return false
		}
		p, name = p[1:], rest
	}
	switch len(p) {
	case 0:
		return name == ""
	case 1:
		return p[0].slashes || !strings.Contains(name, "/")
	}
	return p.matchesAnywhere(name)
}

// matchesAnywhere follows all the ways in which the parts can stand for the name's beginning, part by part.
func (p channelPattern) matchesAnywhere(name string) bool {
	ends, next := make([]bool, len(name)+1), make([]bool, len(name)+1) // where the parts so far can end
	ends[0] = true
	for _, part := range p {
		clear(next)
		within := false // a wildcard that began before
		for at := range ends {
			switch {
			case part.text == "":
				if at > 0 && name[at-1] == '/' && !part.slashes {
					within = false
				}
				within = within || ends[at]
				next[at] = within
			case ends[at] && strings.HasPrefix(name[at:], part.text):
				next[at+len(part.text)] = true
			}
		}
		ends, next = next, ends
	}
	return ends[len(name)]
}
