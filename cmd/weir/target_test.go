package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/scenarios"
)

// strange is a scenario whose target is not on this machine: an address of the documentation's (RFC 5737).
const strange = `version: 1
name: strange
kafka: {topics: [{name: prices}]}
gateway: {target: external, url: "ws://192.0.2.1:8080/ws"}
producers:
  - {name: feed, topic: prices, rate: 1/h}
clients:
  - {name: viewers, count: 1, subscribe: {topic: prices}}
phases:
  measure:
    - {name: steady, duration: 20s}
thresholds: []
`

// TestForeignTargetIsRefusedFirst: nothing is made before the target's host is known to be allowed.
func TestForeignTargetIsRefusedFirst(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("strange.yaml", []byte(strange), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, allowed := range []string{"", "--allow-target=192.0.2.2", "--allow-target=gateway.example.org"} {
		args := []string{"run", "strange.yaml"}
		if allowed != "" {
			args = append(args, allowed)
		}
		var stdout, stderr bytes.Buffer
		code := execute(args, nil, &stdout, &stderr)
		const want = "weir: the target 192.0.2.1 is not on this machine: load goes to loopback addresses alone, unless the host is allowed by name (--allow-target 192.0.2.1)\n"
		if code != report.ExitUsage || stderr.String() != want {
			t.Errorf("%s: got exit %d and %q; want 2 and %q", allowed, code, stderr.String(), want)
		}
	}
	if made, _ := filepath.Glob("*"); len(made) != 1 {
		t.Errorf("got %s; want the scenario alone", made)
	}
}

// TestAllowedTargets: what is loopback or allowed is not refused.
func TestAllowedTargets(t *testing.T) {
	scenario, err := scenarios.Parse("strange.yaml", []byte(strange), scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := scenario.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		url     string
		allowed []string
		refused bool
	}{
		{"ws://192.0.2.1:8080/ws", nil, true},
		{"ws://192.0.2.1:8080/ws", []string{"192.0.2.1"}, false},
		{"ws://192.0.2.1/ws", []string{"::ffff:192.0.2.1"}, false},
		{"ws://[2001:db8::1]:80/ws", []string{"2001:db8:0::1"}, false},
		{"ws://[2001:db8::1]:80/ws", nil, true},
		{"ws://127.9.9.9:1/ws", nil, false},
		{"ws://[::1]:1/ws", nil, false},
		{"ws://localhost:1/ws", nil, false},
		{"ws://gateway.invalid/ws", []string{"gateway.invalid"}, false},
	} {
		plan.Gateway.URL = c.url
		if err := checkTarget(t.Context(), plan, c.allowed); (err != nil) != c.refused {
			t.Errorf("%s with %q allowed: got %v; want refused %v", c.url, c.allowed, err, c.refused)
		}
	}
}

// TestValidateTellsOfWhatARunNeeds: a target elsewhere is a note, and what comes to less than one is said so.
func TestValidateTellsOfWhatARunNeeds(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("strange.yaml", []byte(strange), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := execute([]string{"validate", "strange.yaml"}, nil, &stdout, &stderr); code != report.ExitPassed {
		t.Errorf("got exit %d, %s; want 0", code, stderr.String())
	}
	for _, want := range []string{
		"note: the target 192.0.2.1 is no loopback address: to run it, allow it (--allow-target 192.0.2.1)\n",
		"messages     less than one, 2 B\n", "deliveries   less than one, 2 B; less than one/s at the peak\n",
	} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("got %s; want %q in it", stderr.String(), want)
		}
	}
}

// TestWrongFlagValues: what would silently mean something else is refused with the right form.
func TestWrongFlagValues(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "quickstart", "--out", ""}, "--out is empty (write --out DIR, or leave it out)"},
		{[]string{"doctor", "--out", ""}, "--out is empty (write --out DIR, or leave it out)"},
		{[]string{"init", "x", "--out", ""}, "--out is empty (write --out FILE, or leave it out)"},
		{[]string{"run", "quickstart", "--allow-target", ""}, `--allow-target "" is not a host (write --allow-target gateway.example.org, or an IP address)`},
		{[]string{"doctor", "--allow-target", "ws://gw.example.org:80/ws"},
			`--allow-target "ws://gw.example.org:80/ws" is not a host alone (write --allow-target gw.example.org)`},
		{[]string{"run", "quickstart", "--allow-target", "10.0.0.1:80"}, `--allow-target "10.0.0.1:80" is not a host alone (write --allow-target 10.0.0.1)`},
		{[]string{"run", "quickstart", "--allow-target", "[2001:db8::1]:80"},
			`--allow-target "[2001:db8::1]:80" is not a host alone (write --allow-target 2001:db8::1)`},
		{[]string{"run", "quickstart", "--allow-target", "[2001:db8::1]"}, `--allow-target "[2001:db8::1]" is not a host alone (write --allow-target 2001:db8::1)`},
		{[]string{"run", "quickstart", "--allow-target", "gw.example.org/ws"}, `--allow-target "gw.example.org/ws" is not a host alone (write --allow-target gw.example.org)`},
		{[]string{"init", ".."}, `".." is a directory (write ../NAME.yaml)`},
		{[]string{"init", "load/"}, `"load/" is a directory (write load/NAME.yaml)`},
	} {
		var stdout, stderr bytes.Buffer
		if code := execute(c.args, nil, &stdout, &stderr); code != report.ExitUsage || stderr.String() != "weir: "+c.want+"\n" {
			t.Errorf("%q: got exit %d and %q; want 2 and %q", c.args, code, stderr.String(), c.want)
		}
	}
	if made, _ := filepath.Glob("*"); len(made) != 0 {
		t.Errorf("got %s; want nothing made", made)
	}
}

// TestInitAddsTheEnding: a path without one gets it, like a name.
func TestInitAddsTheEnding(t *testing.T) {
	for arg, want := range map[string][2]string{
		"": {"scenario", "scenario.yaml"}, "prices": {"prices", "prices.yaml"}, "../x": {"x", "../x.yaml"}, "a/b.yml": {"b", "a/b.yml"},
		"c.yaml": {"c", "c.yaml"}, "a.d/My prices": {"my-prices", "a.d/My prices.yaml"},
	} {
		if name, file := starterNames(arg); [2]string{name, file} != want {
			t.Errorf("%q: got %s in %s; want %s", arg, name, file, want)
		}
	}
}
