package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/scenarios"
)

// wrongScenario has a mistake in the file, one whose line is long, and one of a flag.
const wrongScenario = `version: 1
name: base
kafka: {topics: [{name: prices}]}
producers:
  - name: feed
    topic: prices
    rats: 1000/s
    rate: 1000/s
clients:
  - {name: viewers, count: 100, subscribe: {topic: prices}, source_addresses: [127.0.0.2, 127.0.0.3, 127.0.0.4, x]}
phases:
  measure:
    - {name: steady, duration: 20s}
`

// TestMistakesAreShownInTheirLines: each with its line and a mark under the column; what comes from a flag is told alone.
func TestMistakesAreShownInTheirLines(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("wrong.yaml", []byte(wrongScenario), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = `weir: wrong.yaml:7:5: producers.feed: unknown key "rats" (did you mean rate?)
     7 | rats: 1000/s
       | ^
wrong.yaml:10:113: clients.viewers.source_addresses.3: "x" is not an IP address (write 127.0.0.2)
    10 | …: 100, subscribe: {topic: prices}, source_addresses: [127.0.0.2, 127.0.0.3, 127.0.0.4, x]}
       |                                                                                         ^
--set seed=x: seed: "x" is not a whole number (write 3)
`
	for _, command := range [][]string{{"validate", "wrong.yaml"}, {"run", "wrong.yaml"}, {"doctor", "wrong.yaml"}} {
		var stdout, stderr bytes.Buffer
		code := execute(append(command, "--set", "seed=x"), nil, &stdout, &stderr)
		if code != report.ExitUsage || stdout.String() != "" || stderr.String() != want {
			t.Errorf("%s: got exit %d, %q and\n%s\nwant exit 2 and\n%s", command, code, stdout.String(), stderr.String(), want)
		}
	}
	for line := range strings.Lines(want) {
		if strings.Contains(line, " | ") && len([]rune(line)) > 101 {
			t.Errorf("%q is wider than 100 columns", line)
		}
	}
}

// TestMistakesAsJSON: each is an object on standard output.
func TestMistakesAsJSON(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("wrong.yaml", []byte(wrongScenario), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := execute([]string{"validate", "wrong.yaml", "--json"}, nil, &stdout, &stderr)
	var got invalid
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || code != report.ExitUsage || stderr.Len() > 0 {
		t.Fatalf("got exit %d, %v, stdout %s, stderr %s; want exit 2 and JSON", code, err, stdout.String(), stderr.String())
	}
	want := scenarios.Problem{File: "wrong.yaml", Line: 7, Column: 5, Path: "producers.feed",
		Message: `unknown key "rats" (did you mean rate?)`, Excerpt: "rats: 1000/s"}
	if got.Scenario != "wrong.yaml" || len(got.Problems) != 2 || got.Problems[0] != want {
		t.Errorf("got %+v; want two problems, the first %+v", got, want)
	}
}
