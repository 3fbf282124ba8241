package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// record writes a run of a target, to its end with this error, or without an end where ended is false.
func record(t *testing.T, target, trouble string, ended bool) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), target)
	s, err := scenarios.Load("quickstart", scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := s.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Plan(plan); err != nil {
		t.Fatal(err)
	}
	if err := w.Environment(&results.Environment{Gateway: target}); err != nil {
		t.Fatal(err)
	}
	if ended {
		err = w.End(&results.End{Status: results.StatusComplete, Error: trouble})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestFailedRunsAreTold: what did not come to its end is named, and its figures are not in the table.
func TestFailedRunsAreTold(t *testing.T) {
	whole, broken, killed := record(t, "whole", "", true), record(t, "broken", "no such luck", true), record(t, "killed", "", false)
	missing := filepath.Join(t.TempDir(), "missing")
	var b strings.Builder
	failed, err := write(&b, []string{whole, broken, killed, missing})
	if err != nil || failed != 3 {
		t.Errorf("got %d failed, %v; want 3", failed, err)
	}
	table, footer, _ := strings.Cut(b.String(), "\n\n")
	if !strings.Contains(table, "| whole |") || strings.Contains(table, "broken") || strings.Contains(table, "killed") {
		t.Errorf("got the table %s; want the whole run alone", table)
	}
	for _, want := range []string{
		"3 of 4 runs failed and are not in the table:\n", "- " + broken + ": broken: no such luck\n", "- " + killed + ": killed: the run is partial\n",
		"- " + missing + ": open",
	} {
		if !strings.Contains(footer, want) {
			t.Errorf("got %s; want %q in it", footer, want)
		}
	}
	b.Reset()
	if failed, err := write(&b, []string{whole}); err != nil || failed != 0 || strings.Contains(b.String(), "failed") {
		t.Errorf("got %d failed, %v, %s; want the table alone", failed, err, b.String())
	}
}
