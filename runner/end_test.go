package runner

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// TestInterruptDrainsAndReports: the user's first interrupt in the midst of the load. What was sent is accounted for.
func TestInterruptDrainsAndReports(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancelCause(t.Context())
	defer interrupt(nil)
	p := newPipeline(t, testkit.Options{Fault: duringLoad(func() { interrupt(ErrInterrupted) })})
	p.plan.Phases.Measure[0].Duration = time.Minute
	_, dir, err := Run(ctx, Options{Plan: p.plan, Dir: filepath.Join(t.TempDir(), "run")})
	if err != nil {
		t.Fatal(err)
	}
	s := readSummary(t, dir)
	if s.Exit != report.ExitInterrupted || s.Status != results.StatusPartial || s.Verdict != report.VerdictNone {
		t.Errorf("got exit code %d, status %s, verdict %s; want %d, %s, %s", s.Exit, s.Status, s.Verdict,
			report.ExitInterrupted, results.StatusPartial, report.VerdictNone)
	}
	r := reference(t, s)
	if r.Sent == 0 || r.Sent != r.InTopic || r.Sent >= testRate*60 {
		t.Errorf("got the reference %+v; want a part of the load, all of it in the topic", r)
	}
	if want := (results.Classes{Expected: r.Sent * followers, Delivered: r.Sent * followers}); s.Audit.Classes != want {
		t.Errorf("got the account %+v; want %+v", s.Audit.Classes, want)
	}
}

// TestInterruptBeforeTheLoad: while clients wait for a target that delivers nothing.
func TestInterruptBeforeTheLoad(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, testPartitions, testTopic)
	plan := smallPlan(kafka.ListenAddrs(), testkit.SilentTarget(t))
	plan.Phases.JoinDeadline = time.Minute
	ctx, interrupt := context.WithCancelCause(t.Context())
	defer interrupt(nil)
	time.AfterFunc(300*time.Millisecond, func() { interrupt(ErrInterrupted) })
	_, dir, err := Run(ctx, Options{Plan: plan, Dir: filepath.Join(t.TempDir(), "run")})
	if err != nil {
		t.Fatal(err)
	}
	if s := readSummary(t, dir); s.Exit != report.ExitInterrupted || s.Status != results.StatusPartial {
		t.Errorf("got exit code %d, status %s, %q; want %d, %s", s.Exit, s.Status, s.Reasons, report.ExitInterrupted, results.StatusPartial)
	}
}

func readSummary(t *testing.T, dir string) *report.Summary {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, report.SummaryName))
	if err != nil {
		t.Fatal(err)
	}
	var s report.Summary
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatalf("read %s: %v", report.SummaryName, err)
	}
	return &s
}

// TestAbortThresholdEndsTheRun: it can no longer hold after the first delivery, so the rest of the minute is spared.
func TestAbortThresholdEndsTheRun(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{})
	p.plan.Phases.Measure[0].Duration = time.Minute
	p.plan.Thresholds = []scenarios.Threshold{{Text: "e2e.max < 1us", Metric: "e2e.max", Op: "<", Value: 1e3, Unit: scenarios.UnitNS, Abort: true}}
	s := p.run(t)
	if s.Status != results.StatusAborted {
		t.Errorf("got status %s; want %s", s.Status, results.StatusAborted)
	}
	wantExit(t, s, report.ExitThresholdFailed)
	if got := s.Audit.Classes; got.Expected == 0 || got.Expected != got.Delivered || got.Expected >= testRate*60*followers {
		t.Errorf("got the account %+v; want a part of the load, all of it delivered", got)
	}
}

// TestGapsBeyondTheBoundFailOpenly: the account can't be kept, and the run says so instead of giving figures.
func TestGapsBeyondTheBoundFailOpenly(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{Fault: every(3, testkit.Action{Do: testkit.Drop})})
	p.plan.Audit.Gaps = 8
	p.plan.Phases.Measure[0].Duration = time.Minute
	s := p.run(t)
	wantEarlyEnd(t, s, time.Minute, "more gaps in the streams than the audit may remember")
	if len(s.Audit.Defects) == 0 || !strings.Contains(strings.Join(s.Audit.Defects, "; "), "can't be closed") {
		t.Errorf("got defects %q; want one that says that the account can't be closed", s.Audit.Defects)
	}
}
