package main

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirbench/weir/internal/benchtable"
	"github.com/weirbench/weir/report"
)

// TestOutcomes: a run that is invalid is named, and one that failed is counted.
func TestOutcomes(t *testing.T) {
	var came outcomes
	came.ran("round 1, with", report.HealthValid)
	came.ran("round 2, with", report.HealthInvalid)
	came.failed("round 3, without", errors.New("it fell"))
	came.ran("round 4, with", report.HealthDoubtful)
	came.ran("round 5, without", report.HealthInvalid)
	table := &benchtable.Table{}
	came.note(table, "5 runs")
	want := "5 runs; health of the runs: 1 doubtful, 2 invalid, 1 none, 1 valid. " +
		"Invalid, and in the cells all the same: round 2, with; round 5, without.|round 3, without: it fell"
	if got := strings.Join(table.Notes, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	table, came = &benchtable.Table{}, outcomes{}
	came.ran("round 1", report.HealthValid)
	came.note(table, "1 run")
	if got, want := strings.Join(table.Notes, "|"), "1 run; health of the runs: 1 valid."; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestPacedRun: what was not sent has no lag, not one of 0 ms.
func TestPacedRun(t *testing.T) {
	s := &report.Summary{}
	if r := pacedRunOf(s); !math.IsNaN(r.p50) || !math.IsNaN(r.p99) || !math.IsNaN(r.p999) || r.rate != 0 {
		t.Errorf("got %+v of nothing; want no lag and a rate of 0", r)
	}
	s.Latency.SendLag = report.Latency{Count: 1, P50NS: 1e6, P99NS: 2e6, P999NS: 3e6}
	if r := pacedRunOf(s); r.p50 != 1 || r.p99 != 2 || r.p999 != 3 {
		t.Errorf("got %+v; want 1, 2 and 3 ms", r)
	}
}

// TestRunsThatFail: of runs that come to nothing the tables say how many, of which side, and no figure.
func TestRunsThatFail(t *testing.T) {
	weir := filepath.Join(t.TempDir(), "weir")
	if err := os.WriteFile(weir, []byte("#!/bin/sh\nexit 2\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	b := &bench{settings: settings{weir: weir, rounds: 1, aa: 1, out: t.TempDir()}}
	var table strings.Builder
	if err := errors.Join(b.comparePacing(t.Context(), &table), b.compareStalled(t.Context(), &table), b.compareRepeats(t.Context(), &table)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"1 runs; health of the runs: 1 none.\n\nround 1: ", "1 rounds; health of the runs: 2 none.\n\nround 1, without: ", "\n\nround 1, with: ",
		"2 runs; health of the runs: 2 none.\n\npair 1, a: ", "\n\npair 1, b: ",
		"| – | – | – | – | – |", "| p50 | – | – | – |", "| e2e p99, ms | – | – | – | – | – | – |",
	} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the tables lack %q", want)
		}
	}
	if strings.Contains(table.String(), "NaN") || t.Failed() {
		t.Error(table.String())
	}
}

// TestStepOfNothing: a step in which nothing was delivered has no cost a delivery, and its row is without figures.
func TestStepOfNothing(t *testing.T) {
	used := 1.5
	s := &report.Summary{}
	s.Resources.Generator.CPUMean = &used
	s.Health.State = report.HealthInvalid
	f := stepFiguresOf(s)
	if got, want := strings.Join(stepRow(step{x: 10}, f), "|"), "10|0|–|–|–|–|–|–|–|invalid"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	s.Rates.Delivered = 1e6
	if got := stepFiguresOf(s).generatorCPU; got != 1.5 {
		t.Errorf("got %v µs a delivery; want 1.5", got)
	}
}
