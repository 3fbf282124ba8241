package scrub

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestText(t *testing.T) {
	t.Parallel()
	s := New("", `hush"hush-0123456789`, "hush", "<a&b>", "-----BEGIN KEY-----\nMIIEvQIBADANBg\r\n}\n-----END KEY-----\n")
	for text, want := range map[string]string{
		"nothing": "nothing", "": "", "}": "}",
		`a hush"hush-0123456789 b`:     "a [secret] b",
		`a hush\"hush-0123456789 b`:    "a [secret] b",
		"x=hush%22hush-0123456789":     "x=[secret]",
		`cut: hush"hush-01`:            "cut: [secret]",
		"hushhush":                     "[secret][secret]",
		`cut short: hu`:                "cut short: hu",
		`-0123456789 is its end`:       "[secret] is its end", // the piece before it was another text
		`sh-0123456789`:                "[secret]",
		`3456789`:                      "3456789", // too little to be known
		`{"a":"<a&b>"}`:                `{"a":"[secret]"}`,
		`{"a":"\u003ca\u0026b\u003e"}`: `{"a":"[secret]"}`,
		"  MIIEvQIBADANBg":             "  [secret]",
		`-----BEGIN KEY-----\nMIIEvQIBADANBg\r\n}\n--`: "[secret]",
	} {
		if got := s.Text(text); got != want {
			t.Errorf("%q: got %q; want %q", text, got, want)
		}
	}
	if got := (*Scrubber)(nil).Text("a"); got != "a" || New("").Any() || (*Scrubber)(nil).Any() {
		t.Errorf("got %q of nothing to hide", got)
	}
}

// TestCanary: whatever the secret and whatever stands around it, it is not to be found afterwards.
func TestCanary(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := "canary" + rapid.String().Draw(t, "secret")
		inJSON, _ := json.Marshal(secret)
		form := rapid.SampledFrom([]string{secret, string(inJSON), strconv.Quote(secret), url.QueryEscape(secret), url.PathEscape(secret)}).Draw(t, "form")
		around := rapid.StringMatching(`[ -~]*`)
		before, after := around.Draw(t, "before"), around.Draw(t, "after")
		got := New(secret, "another").Text(before + form + after)
		for _, canary := range []string{secret, strings.Trim(form, `"`)} {
			if strings.Contains(got, canary) {
				t.Fatalf("got %q of %q; want %q hidden", got, before+form+after, canary)
			}
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add("secret-secret", "a secret-sec")
	f.Fuzz(func(t *testing.T, secret, text string) {
		if got := New(secret).Text(text); secret != "" && !strings.Contains(Hidden, secret) && strings.Contains(strings.ReplaceAll(got, Hidden, "\x00"), secret) &&
			!strings.Contains(secret, "\x00") {
			t.Errorf("got %q of %q; want %q hidden", got, text, secret)
		}
	})
}
