package main

import (
	"fmt"
	"testing"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

// runAccounted makes a run of which the account is asked: it must be exact, and the run pass, or be invalid for nothing but
// that this machine did not keep the generator's schedule, or broken for nothing but its slow dials. How late a shared
// machine makes a process is no matter of a test; runMeasured asks for a run that is valid.
func runAccounted(t *testing.T, start func() *weir) *weir {
	t.Helper()
	return runChecked(t, start, checkExact)
}

// runChecked is runAccounted with another requirement of the account.
func runChecked(t *testing.T, start func() *weir, check func(*testing.T, *report.Summary)) *weir {
	t.Helper()
	w := start()
	got := w.wait()
	s := w.summary()
	check(t, s)
	if got == report.ExitInvalid && testkit.LateAlone(s) {
		t.Logf("this machine did not keep the schedule: %s", lateness(s))
	} else if got == report.ExitContractBroken && testkit.AbsentAlone(s) {
		t.Logf("this machine was slow to connect clients: %q", s.Reasons)
	} else if got != report.ExitPassed {
		t.Fatalf("exit code: got %d, verdict %s, reasons %q, error %q; want it to pass", got, s.Verdict, s.Reasons, s.Run.Error)
	}
	return w
}

// measuredAttempts is how often a run is made again that was invalid because of the machine alone, measuredBusy the share
// of the machine's time up to which it can be no excuse.
const (
	measuredAttempts = 3
	measuredBusy     = 0.60
)

// runMeasured makes a run that must pass. One that is invalid because this machine did not keep the generator's schedule,
// and for no other reason, is made again, as the tool itself says, at most twice. In every attempt the account must be
// exact. Where all are invalid the test fails if the machine had time to spare in each, and is skipped otherwise, with the
// figures. start makes a new run each time, in a directory of its own.
func runMeasured(t *testing.T, start func() *weir) *weir {
	t.Helper()
	var late lateRuns
	for !late.spent() {
		w := runAccounted(t, start)
		s := w.summary()
		switch s.Exit {
		case report.ExitPassed:
			return w
		case report.ExitInvalid:
			late.add(s)
		default:
			t.Fatalf("exit code: got %d, reasons %q; want it to pass", s.Exit, s.Reasons)
		}
	}
	late.giveUp(t.Skip, t.Fatal)
	return nil
}

// lateRuns are the attempts of one run that were invalid because this machine did not keep the schedule.
type lateRuns struct {
	told  []string
	spare bool // the machine had time to spare in each of them
}

func (l *lateRuns) add(s *report.Summary) {
	busy := s.Health.Figures.MachineBusy
	l.spare = (l.spare || len(l.told) == 0) && busy != nil && *busy < measuredBusy
	l.told = append(l.told, lateness(s))
}

// spent reports whether there is to be no further attempt.
func (l *lateRuns) spent() bool { return len(l.told) == measuredAttempts }

// giveUp fails where the machine had time to spare in every attempt, and skips otherwise. Neither returns.
func (l *lateRuns) giveUp(skip, fatal func(...any)) {
	if l.spare {
		fatal(fmt.Sprintf("no run of %d was valid: %q", measuredAttempts, l.told))
		return
	}
	skip(fmt.Sprintf("skipped: the machine is busy, and no run of %d was valid: %q", measuredAttempts, l.told))
}

// checkExact requires that what was expected arrived, once and in order, and nothing else.
func checkExact(t *testing.T, s *report.Summary) {
	t.Helper()
	a := s.Audit.Classes
	if a.Expected == 0 || (a != results.Classes{Expected: a.Expected, Delivered: a.Expected}) || len(s.Audit.Defects) > 0 {
		t.Errorf("audit: got %+v, defects %q; want all expected delivered and nothing else", a, s.Audit.Defects)
	}
}

func lateness(s *report.Summary) string {
	busy := "an unknown share"
	if s.Health.Figures.MachineBusy != nil {
		busy = fmt.Sprintf("%.0f%%", 100**s.Health.Figures.MachineBusy)
	}
	return fmt.Sprintf("send lag p99 %.1f ms, limit %.1f ms, machine busy %s", float64(s.Health.Figures.SendLagP99NS)/1e6,
		float64(s.Health.Figures.SendLagLimitNS)/1e6, busy)
}

// TestLateRuns: a machine that was busy in one attempt excuses all of them.
func TestLateRuns(t *testing.T) {
	share := func(busy float64) *report.Summary {
		return &report.Summary{Health: report.HealthReport{Figures: report.HealthFigures{MachineBusy: &busy}}}
	}
	for _, c := range []struct {
		name  string
		runs  []*report.Summary
		spare bool
	}{
		{"idle", []*report.Summary{share(0.3), share(0.59), share(0.1)}, true},
		{"busy once", []*report.Summary{share(0.3), share(0.6), share(0.1)}, false},
		{"unknown", []*report.Summary{share(0.3), {}, share(0.1)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var late lateRuns
			for _, s := range c.runs {
				late.add(s)
			}
			skipped, failed := false, false
			late.giveUp(func(...any) { skipped = true }, func(...any) { failed = true })
			if !late.spent() || failed != c.spare || skipped == c.spare {
				t.Errorf("got skipped %v, failed %v; want failed %v", skipped, failed, c.spare)
			}
		})
	}
}
