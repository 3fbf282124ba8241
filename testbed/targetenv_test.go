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

// TestPlaceOfListening: what weir starts is reached from this machine alone. On this machine's network, as a program is and a
// container may be, that takes loopback; a network of its own is published there.
func TestPlaceOfListening(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		box  scenarios.ContainerTarget
		o    Options
		seed string
		want string
	}{
		{scenarios.ContainerTarget{HostNetwork: true}, Options{}, "192.0.2.1:9092", "127.0.0.1"},
		{scenarios.ContainerTarget{}, Options{}, "127.0.0.1:9092", "127.0.0.1"},
		{scenarios.ContainerTarget{}, Options{}, "192.0.2.1:9092", "0.0.0.0"},
		{scenarios.ContainerTarget{}, Options{Network: "n", NetworkSeeds: []string{"kafka-1:9094"}}, "127.0.0.1:9092", "0.0.0.0"},
	} {
		b, err := newBox(&c.box, "image", nil, []string{c.seed}, nil, c.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.place.fill("{host}"); got != c.want {
			t.Errorf("%+v with brokers at %s: got %s; want %s", c.box, c.seed, got, c.want)
		}
	}
	if got := (placing{}).fill("{host}"); got != "127.0.0.1" {
		t.Errorf("got %s for a program", got)
	}
}
