package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// recording is a run of a target in which one of ten deliveries may be lost, and the clock stepped.
type recording struct {
	target     string
	trouble    string // how it ended, where it did not end well
	unended    bool
	lost       int64
	clockSteps int
}

func (r recording) write(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), r.target)
	s, err := scenarios.Load("quickstart", scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := s.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	plan.Thresholds = nil
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.Plan(plan))
	must(w.Environment(&results.Environment{Gateway: r.target}))
	if !r.unended {
		must(w.Audit(&results.Audit{CorruptionChecked: true, Rows: []results.AuditRow{{
			Phase: plan.Phases.Measure[0].Name, Group: plan.Clients[0].Name, Producer: plan.Producers[0].Name,
			Classes: results.Classes{Expected: 10, Delivered: 10 - r.lost, Lost: r.lost},
		}}}))
		must(w.Health(&results.Health{ClockSteps: r.clockSteps}))
		must(w.End(&results.End{Status: results.StatusComplete, Error: r.trouble}))
	}
	must(w.Close())
	return dir
}

// TestNoRunIsSilent: each run that has no pass is named, and told is whether its figures are in the table.
func TestNoRunIsSilent(t *testing.T) {
	whole := recording{target: "whole"}.write(t)
	erring, killed := recording{target: "erring", trouble: "no such luck"}.write(t), recording{target: "killed", unended: true}.write(t)
	invalid, losing := recording{target: "invalid", clockSteps: 1}.write(t), recording{target: "losing", lost: 1}.write(t)
	missing := filepath.Join(t.TempDir(), "missing")
	var b strings.Builder
	failed, err := write(&b, []string{whole, erring, killed, invalid, losing, missing})
	if err != nil || failed != 4 {
		t.Errorf("got %d failed, %v; want 4", failed, err)
	}
	parts := strings.Split(b.String(), "\n\n")
	if len(parts) != 5 {
		t.Fatalf("got %s; want a table and two lists", b.String())
	}
	for _, row := range []string{
		"| quickstart | whole | 1 | – | – | – | 10 | 10 |", "| quickstart | losing | 1 | – | – | – | 10 | 9 |", "| quickstart | invalid | 0 of 1 | – | – | – | – | – |",
	} {
		if !strings.Contains(parts[0], row) {
			t.Errorf("got the table %s; want %s in it", parts[0], row)
		}
	}
	if strings.Contains(parts[0], "erring") || strings.Contains(parts[0], "killed") {
		t.Errorf("got the table %s; want those out of it that did not end well", parts[0])
	}
	for at, wants := range map[int][]string{
		1: {"4 of 6 runs failed or are invalid, and their figures are not in the table:"},
		2: {"- " + erring + ": erring: no such luck", "- " + killed + ": killed: the run is partial", "- " + missing + ": open",
			"- " + invalid + ": invalid: invalid: the realtime clock"},
		3: {"1 of 6 runs has no pass, and its figures are in the table:"},
		4: {"- " + losing + ": losing: broken: 1 of 10 expected deliveries (10%) was lost"},
	} {
		for _, want := range wants {
			if !strings.Contains(parts[at], want) {
				t.Errorf("got %s; want %q in it", parts[at], want)
			}
		}
		if lines := strings.Count(strings.TrimSpace(parts[at]), "\n") + 1; lines != len(wants) {
			t.Errorf("got %s; want %d lines", parts[at], len(wants))
		}
	}
	b.Reset()
	if failed, err := write(&b, []string{whole}); err != nil || failed != 0 || strings.Contains(b.String(), "\n\n") {
		t.Errorf("got %d failed, %v, %s; want the table alone", failed, err, b.String())
	}
}
