package testbed

import (
	"strings"
	"testing"

	"github.com/weirbench/weir/scenarios"
)

// TestTargetEnvHides: what a target writes has its secrets in other forms than it was given them.
func TestTargetEnvHides(t *testing.T) {
	t.Setenv("WEIR_TEST_TOKEN", `canary/0123"456789`)
	env, err := newTargetEnv([]scenarios.EnvVar{{Name: "TOKEN", Secret: &scenarios.Secret{Env: "WEIR_TEST_TOKEN"}}}, placing{})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`GET /?t=canary%2F0123%22456789 HTTP`: "GET /?t=[secret] HTTP",
		`panic: canary/0123`:                  "panic: [secret]",
		`{"token":"canary/0123\"456789"}`:     `{"token":"[secret]"}`,
	} {
		if got := env.hide(text); got != want {
			t.Errorf("%q: got %q; want %q", text, got, want)
		}
	}
	long := strings.Repeat("x", maxLineBytes-10) + `canary/0123"456789` // the line is cut in the secret
	sink := &lineSink{hide: env.hide}
	w := &lineWriter{line: sink.add}
	if _, err := w.Write([]byte(long + "\n")); err != nil {
		t.Fatal(err)
	}
	if got := sink.tail(); strings.Contains(got, "canary") || strings.Contains(got, "456789") {
		t.Errorf("got the secret's parts in %q", got[maxLineBytes-100:])
	}
	if env, err := newTargetEnv(nil, placing{}); err != nil || env.hide != nil {
		t.Errorf("got %v; want nothing to hide", err)
	}
}
