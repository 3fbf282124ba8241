package loadgen

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// hidden stands where a secret stood.
const hidden = "[secret]"

// scrubber takes secrets out of texts that a target has a hand in. The zero value and nil have none.
type scrubber struct{ secrets []string }

// recognisable is how much of a secret's beginning counts as the secret: a target, or a bound on a text, may cut it.
const recognisable = 8

// newScrubber returns a scrubber of the secrets in each form in which a text may hold them: plain, as in JSON, in a quoted
// string and in a URL.
func newScrubber(secrets []string) *scrubber {
	s := &scrubber{}
	for _, secret := range secrets {
		inJSON, _ := json.Marshal(secret) // a string can't fail
		quoted := strconv.Quote(secret)
		for _, form := range []string{secret, string(inJSON[1 : len(inJSON)-1]), quoted[1 : len(quoted)-1], url.QueryEscape(secret), url.PathEscape(secret)} {
			if form != "" && !slices.Contains(s.secrets, form) {
				s.secrets = append(s.secrets, form)
			}
		}
	}
	// The longest first, so that no secret hides a part of another.
	slices.SortStableFunc(s.secrets, func(a, b string) int { return len(b) - len(a) })
	return s
}

// scrub returns the text without the secrets and without what is left of one that was cut.
func (s *scrubber) scrub(text string) string {
	if s == nil {
		return text
	}
	for _, secret := range s.secrets {
		begin := secret[:min(recognisable, len(secret))]
		from := 0
		for {
			at := strings.Index(text[from:], begin)
			if at < 0 {
				break
			}
			at += from
			end := at
			for end < len(text) && end-at < len(secret) && text[end] == secret[end-at] {
				end++
			}
			text = text[:at] + hidden + text[end:]
			from = at + len(hidden)
		}
	}
	return text
}
