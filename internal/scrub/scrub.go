// Package scrub takes secrets out of texts that somebody else has a hand in: what a target writes, what a server answers,
// what an error repeats. It finds secrets that it was given; it guesses none.
package scrub

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Hidden stands where a secret stood.
const Hidden = "[secret]"

// recognisable is how much of a secret's beginning, or of its end at a text's beginning, counts as the secret, in bytes: a
// target, or a bound on a text, may cut it.
const recognisable = 8

// Scrubber takes secrets out of texts. The zero value and nil have none. Safe for concurrent use.
type Scrubber struct{ forms []string }

// New returns a scrubber of the secrets in each form in which a text may hold them: plain, as in JSON with and without its
// escapes for HTML, in a quoted string and in a URL; and, since a text may be a line alone, each line of a secret that has
// several. Empty ones are none.
func New(secrets ...string) *Scrubber {
	s := &Scrubber{}
	for _, secret := range secrets {
		s.add(secret)
		if lines := strings.FieldsFunc(secret, func(r rune) bool { return r == '\n' || r == '\r' }); len(lines) > 1 {
			for _, line := range lines {
				if len(line) >= recognisable { // a shorter one, such as a bracket, would be found everywhere
					s.add(line)
				}
			}
		}
	}
	return s
}

func (s *Scrubber) add(secret string) {
	inJSON, _ := json.Marshal(secret) // a string can't fail
	var plainJSON bytes.Buffer
	e := json.NewEncoder(&plainJSON)
	e.SetEscapeHTML(false)
	_ = e.Encode(secret) // nor here
	quoted := strconv.Quote(secret)
	for _, form := range []string{
		secret, unquoted(string(inJSON)), unquoted(strings.TrimSuffix(plainJSON.String(), "\n")), unquoted(quoted),
		url.QueryEscape(secret), url.PathEscape(secret),
	} {
		if form != "" && !slices.Contains(s.forms, form) {
			s.forms = append(s.forms, form)
		}
	}
}

func unquoted(text string) string { return text[1 : len(text)-1] }

// Any reports whether there is a secret to be hidden.
func (s *Scrubber) Any() bool { return s != nil && len(s.forms) > 0 }

// Text returns the text without the secrets and without what is left of one that was cut. Where some overlap all that
// they cover is hidden.
func (s *Scrubber) Text(text string) string {
	if !s.Any() {
		return text
	}
	var out strings.Builder
	kept, from, to := 0, 0, 0 // text[from:to] is to be hidden, text[kept:from] stands before it
	for at := range len(text) {
		n := s.secretAt(text, at)
		if n == 0 {
			continue
		}
		if at >= to && to > 0 {
			out.WriteString(text[kept:from] + Hidden)
			kept = to
		}
		if at >= to {
			from = at
		}
		to = max(to, at+n)
	}
	if to == 0 {
		return text
	}
	out.WriteString(text[kept:from] + Hidden + text[to:])
	return out.String()
}

// secretAt is the length of the secret, or of the part of one, that begins at the place; 0 for none.
func (s *Scrubber) secretAt(text string, at int) int {
	longest := 0
	for _, form := range s.forms {
		n := 0
		for n < len(form) && at+n < len(text) && text[at+n] == form[n] {
			n++
		}
		if n >= min(recognisable, len(form)) {
			longest = max(longest, n)
		}
		if at == 0 {
			longest = max(longest, endOf(form, text))
		}
	}
	return longest
}

// endOf is the length of the longest end of the secret that the text begins with, if that can be recognised.
func endOf(form, text string) int {
	for from := 1; from <= len(form)-recognisable; from++ {
		if strings.HasPrefix(text, form[from:]) {
			return len(form) - from
		}
	}
	return 0
}
