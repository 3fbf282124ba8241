package main

import (
	"fmt"
	"testing"

	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

// measuredAttempts is how often a run is made again that was invalid because of the machine alone.
const measuredAttempts = 3

// busyByItself is the share of the machine's time from which on it, and not weir, made the generator late.
const busyByItself = 0.90

// runMeasured makes a run that must end with the exit code want, and returns it. A run that is invalid because this
// machine did not keep the generator's schedule, and for no other reason, is made again, as the tool itself says, at most
// twice. In every attempt the account must be exact. Where all are invalid the test fails, unless the machine was busy in
// each: then it is skipped, with the figures. start makes a new run each time, in a directory of its own.
func runMeasured(t *testing.T, want int, start func() *weir) *weir {
	t.Helper()
	return runChecked(t, want, start, checkExact)
}

// runChecked is runMeasured with another requirement of every attempt.
func runChecked(t *testing.T, want int, start func() *weir, check func(*testing.T, *report.Summary)) *weir {
	t.Helper()
	var late lateRuns
	for {
		w := start()
		got := w.wait()
		s := w.summary()
		check(t, s)
		if got == want {
			return w
		}
		if t.Failed() || got != report.ExitInvalid || !onlySendLag(s) {
			t.Fatalf("exit code: got %d, verdict %s, reasons %q, error %q; want exit code %d", got, s.Verdict, s.Reasons, s.Run.Error, want)
		}
		late.add(s)
		t.Logf("this machine did not keep the schedule: %s", late.last())
		if late.spent() {
			late.giveUp(t.Skip, t.Fatal)
		}
	}
}

// runAccounted makes a run of which the account alone is asked: it must be exact, and the run pass but for the machine's not
// keeping the generator's schedule. It is for what the machine can hardly carry in order under the race detector.
func runAccounted(t *testing.T, start func() *weir) *weir {
	t.Helper()
	w := start()
	got := w.wait()
	s := w.summary()
	checkExact(t, s)
	if got != report.ExitPassed && (got != report.ExitInvalid || !onlySendLag(s)) {
		t.Fatalf("exit code: got %d, verdict %s, reasons %q, error %q; want it to pass", got, s.Verdict, s.Reasons, s.Run.Error)
	}
	return w
}

// lateRuns are the attempts of one run that were invalid because this machine did not keep the schedule.
type lateRuns struct {
	told []string
	idle bool // the machine had time to spare in one of them
}

func (l *lateRuns) add(s *report.Summary) {
	busy := s.Health.Figures.MachineBusy
	l.idle = l.idle || busy == nil || *busy < busyByItself
	l.told = append(l.told, lateness(s))
}

func (l *lateRuns) last() string { return l.told[len(l.told)-1] }

// spent reports whether there is to be no further attempt.
func (l *lateRuns) spent() bool { return len(l.told) == measuredAttempts }

// giveUp skips where the machine was busy by itself in every attempt, and fails otherwise. Neither returns.
func (l *lateRuns) giveUp(skip, fatal func(...any)) {
	if l.idle {
		fatal(fmt.Sprintf("no run of %d was valid: %q", measuredAttempts, l.told))
		return
	}
	skip(fmt.Sprintf("skipped: the machine is busy with something else, and no run of %d was valid: %q", measuredAttempts, l.told))
}

// checkExact requires that what was expected arrived, once and in order, and nothing else.
func checkExact(t *testing.T, s *report.Summary) {
	t.Helper()
	a := s.Audit.Classes
	if a.Expected == 0 || (a != results.Classes{Expected: a.Expected, Delivered: a.Expected}) || len(s.Audit.Defects) > 0 {
		t.Errorf("audit: got %+v, defects %q; want all expected delivered and nothing else", a, s.Audit.Defects)
	}
}

// onlySendLag reports whether the generator's lateness is all that makes a run invalid.
func onlySendLag(s *report.Summary) bool {
	only := false
	for _, r := range s.Health.Reasons {
		if r.State == report.HealthInvalid {
			if r.Code != "send_lag" {
				return false
			}
			only = true
		}
	}
	return only
}

func lateness(s *report.Summary) string {
	busy := "an unknown share"
	if s.Health.Figures.MachineBusy != nil {
		busy = fmt.Sprintf("%.0f%%", 100**s.Health.Figures.MachineBusy)
	}
	return fmt.Sprintf("send lag p99 %.1f ms, limit %.1f ms, machine busy %s", float64(s.Health.Figures.SendLagP99NS)/1e6,
		float64(s.Health.Figures.SendLagLimitNS)/1e6, busy)
}

// TestGivingUp: a skip takes a machine that was busy in every attempt.
func TestGivingUp(t *testing.T) {
	share := func(busy float64) *report.Summary {
		return &report.Summary{Health: report.HealthReport{Figures: report.HealthFigures{MachineBusy: &busy}}}
	}
	for _, c := range []struct {
		name string
		runs []*report.Summary
		skip bool
	}{
		{"busy", []*report.Summary{share(0.9), share(0.97), share(1)}, true},
		{"idle once", []*report.Summary{share(0.9), share(0.89), share(1)}, false},
		{"unknown", []*report.Summary{share(0.9), {}, share(1)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var late lateRuns
			for i, s := range c.runs {
				if late.spent() {
					t.Errorf("after %d attempts there is none left; want %d", i, measuredAttempts)
				}
				late.add(s)
			}
			skipped, failed := false, false
			late.giveUp(func(...any) { skipped = true }, func(...any) { failed = true })
			if !late.spent() || skipped != c.skip || failed == c.skip {
				t.Errorf("got skipped %v, failed %v; want skipped %v", skipped, failed, c.skip)
			}
		})
	}
}

// TestOnlySendLag: nothing else that makes a run invalid may be repeated away.
func TestOnlySendLag(t *testing.T) {
	reason := func(state report.HealthState, code string) report.HealthReason {
		return report.HealthReason{Remark: report.Remark{Code: code}, State: state}
	}
	for _, c := range []struct {
		name    string
		reasons []report.HealthReason
		want    bool
	}{
		{"none", nil, false},
		{"send lag", []report.HealthReason{reason(report.HealthInvalid, "send_lag")}, true},
		{"and doubts", []report.HealthReason{reason(report.HealthInvalid, "send_lag"), reason(report.HealthDoubtful, "machine_busy")}, true},
		{"and a defect", []report.HealthReason{reason(report.HealthInvalid, "send_lag"), reason(report.HealthInvalid, "audit_defect")}, false},
		{"a clock step", []report.HealthReason{reason(report.HealthInvalid, "clock_step")}, false},
		{"doubts alone", []report.HealthReason{reason(report.HealthDoubtful, "send_lag")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := onlySendLag(&report.Summary{Health: report.HealthReport{Reasons: c.reasons}}); got != c.want {
				t.Errorf("got %v; want %v", got, c.want)
			}
		})
	}
}
