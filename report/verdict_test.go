package report

import (
	"strings"
	"testing"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// The ways in which a run can go wrong, to be combined.
func lagging(f *fixture) {
	for _, in := range f.intervals {
		if in.Phase == "steady" {
			in.Series = append(in.Series, seriesOf(results.StageSendLag, results.Label{Phase: "steady", Producer: "feed"}, manyOf(500, 80*ms)...))
		}
	}
}

func manyOf(n int, v int64) []int64 {
	values := make([]int64, n)
	for i := range values {
		values[i] = v
	}
	return values
}

func lossy(f *fixture)       { f.lose(40, lostClass) }
func slow(f *fixture)        { f.plan.Thresholds[0].Value = 1e6 }
func interrupted(f *fixture) { f.end.Status, f.end.Interrupted = results.StatusPartial, true }
func erring(f *fixture) {
	f.end.Status, f.end.Error = results.StatusPartial, "the gateway died (exit status 2): see its log"
}
func killed(f *fixture) { f.end, f.health, f.audit = nil, nil, nil }
func aborted(f *fixture) {
	f.end.Status, f.end.Reason = results.StatusAborted, "e2e.p99 can no longer be < 1 ms"
}

func TestVerdictPrecedence(t *testing.T) {
	t.Parallel()
	all := func(changes ...func(*fixture)) []func(*fixture) { return changes }
	for _, test := range []struct {
		name    string
		changes []func(*fixture)
		verdict Verdict
		exit    int
		reason  string // contained in the first
	}{
		{"well", nil, VerdictPassed, ExitPassed, "all 24,000 expected deliveries arrived and all 3 thresholds held"},
		{"slow", all(slow), VerdictFailed, ExitThresholdFailed, "threshold e2e.p99 < 50ms failed: e2e.p99 was 5.59 ms, not < 1 ms"},
		{"lossy", all(lossy), VerdictBroken, ExitContractBroken, "40 of 24,000 expected deliveries (0.167%) were lost"},
		{"lagging", all(lagging), VerdictInvalid, ExitInvalid, "the generator sent late: send lag p99 was 80.0 ms"},
		{"broken before failed", all(slow, lossy), VerdictBroken, ExitContractBroken, "lost"},
		{"invalid before broken", all(slow, lossy, lagging), VerdictInvalid, ExitInvalid, "the generator sent late"},
		{"interrupted", all(interrupted), VerdictNone, ExitInterrupted, "the run was interrupted"},
		{"interrupted before invalid", all(interrupted, slow, lossy, lagging), VerdictNone, ExitInterrupted, "the run was interrupted"},
		{"error", all(erring), VerdictNone, ExitError, "the run ended with an error: the gateway died"},
		{"error before interrupted", all(interrupted, erring), VerdictNone, ExitError, "interrupted"},
		{"error, and broken", all(erring, lossy), VerdictBroken, ExitError, "the run ended with an error"},
		{"error, and invalid", all(erring, lagging), VerdictInvalid, ExitError, "the run ended with an error"},
		{"killed", all(killed), VerdictNone, ExitError, "the run did not end"},
		{"killed when invalid", all(killed, lagging), VerdictInvalid, ExitInvalid, "the run did not end: it was killed"},
		{"aborted", all(slow, aborted), VerdictFailed, ExitThresholdFailed, "threshold e2e.p99 < 50ms failed"},
		{"aborted by what the report does not see", all(aborted), VerdictFailed, ExitThresholdFailed, "the run was aborted by a threshold"},
		{"no audit", all(func(f *fixture) { f.audit, f.plan.Thresholds = nil, nil }), VerdictNone, ExitError, "the run has no audit"},
		{"no health", all(func(f *fixture) { f.health = nil }), VerdictNone, ExitError, "the run has no health record"},
		{"no thresholds", all(func(f *fixture) { f.plan.Thresholds = nil }), VerdictPassed, ExitPassed, "the scenario has no threshold"},
		{"nothing expected", all(func(f *fixture) { f.audit.Rows = nil }), VerdictInvalid, ExitInvalid, "nothing was expected"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := passing()
			for _, change := range test.changes {
				change(f)
			}
			s := f.summarise(t)
			if s.Verdict != test.verdict || s.ExitCode() != test.exit || s.Exit != test.exit {
				t.Errorf("got %s, exit code %d (%d); want %s, %d", s.Verdict, s.ExitCode(), s.Exit, test.verdict, test.exit)
			}
			if !strings.Contains(s.Reasons[0], test.reason) {
				t.Errorf("the first reason is %q; want %q in it", s.Reasons[0], test.reason)
			}
		})
	}
}

// Each class breaks the contracts that forbid it, and only these.
func TestContract(t *testing.T) {
	atMost := scenarios.Guarantees{Delivery: "at-most-once"}
	atLeast := scenarios.Guarantees{Delivery: "at-least-once"}
	ordered := scenarios.Guarantees{Delivery: "at-least-once", Ordered: true}
	sheds := scenarios.Guarantees{Delivery: "at-most-once", Sheds: true}
	base := results.Classes{Expected: 100, Delivered: 99}
	with := func(set func(*results.Classes)) results.Classes {
		c := base
		set(&c)
		return c
	}
	for _, test := range []struct {
		name       string
		guarantees scenarios.Guarantees
		classes    results.Classes
		want       string // contained in the reason; empty is not broken
	}{
		{"lost, at most once", atMost, with(func(c *results.Classes) { c.Lost = 1 }), "1 of 100 expected deliveries (1%) was lost; at-most-once"},
		{"lost, at least once", atLeast, with(func(c *results.Classes) { c.Lost = 1 }), "at-least-once forbids it"},
		{"lost, may shed", sheds, with(func(c *results.Classes) { c.Lost = 1 }), "lost"},
		{"unseen", atMost, with(func(c *results.Classes) { c.Unseen = 1 }), "drain deadline"},
		{"shed", atMost, with(func(c *results.Classes) { c.Shed = 1 }), "shed"},
		{"shed, may shed", sheds, with(func(c *results.Classes) { c.Shed = 1 }), ""},
		{"undetermined", atMost, with(func(c *results.Classes) { c.Undetermined = 1 }), ""},
		{"duplicate, at most once", atMost, with(func(c *results.Classes) { c.Duplicate = 1 }), "delivered again"},
		{"duplicate, at least once", atLeast, with(func(c *results.Classes) { c.Duplicate = 1 }), ""},
		{"reordered, ordered", ordered, with(func(c *results.Classes) { c.Reordered = 1 }), "out of order"},
		{"reordered, not ordered", atLeast, with(func(c *results.Classes) { c.Reordered = 1 }), ""},
		{"corrupt", atLeast, with(func(c *results.Classes) { c.Corrupt = 1 }), "corrupt"},
		{"stray", atLeast, with(func(c *results.Classes) { c.Stray = 1 }), "had not subscribed"},
		{"early", atMost, with(func(c *results.Classes) { c.Early = 1 }), ""},
		{"foreign", atMost, with(func(c *results.Classes) { c.Foreign = 1 }), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := brokenReasons(verdictInput{status: results.StatusComplete, guarantees: test.guarantees, classes: test.classes})
			if test.want == "" && len(got) > 0 || test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)) {
				t.Errorf("got %q; want %q", got, test.want)
			}
		})
	}
}

// What the topic shows as wrong already is charged to Kafka or the producer, in words; it is broken all the same.
func TestReferenceIsCharged(t *testing.T) {
	f := passing()
	f.lose(7, lostClass)
	f.audit.Reference[0].AckedGone = 7
	s := f.summarise(t)
	if s.Verdict != VerdictBroken || len(s.Reasons) != 2 || !strings.Contains(s.Reasons[1], "7 acknowledged messages were lost by Kafka or producer feed, not by the gateway") {
		t.Errorf("got %s, %q", s.Verdict, s.Reasons)
	}
}

func TestUnseenOfARunCutOffIsNoBreach(t *testing.T) {
	f := passing()
	f.lose(5, unseenClass)
	erring(f)
	if s := f.summarise(t); s.Verdict != VerdictNone {
		t.Errorf("got %s, %q; want none: the drain deadline was never waited for", s.Verdict, s.Reasons)
	}
}

func TestOnlyMeasurePhasesAreJudged(t *testing.T) {
	f := passing()
	f.audit.Rows[0].Lost, f.audit.Rows[0].Delivered = 3, f.audit.Rows[0].Delivered-3 // warm-up
	s := f.summarise(t)
	if s.Verdict != VerdictPassed || s.Audit.Expected != 24000 || s.Audit.Lost != 0 || len(s.Audit.Rows) != 6 {
		t.Errorf("got %s with %d expected, %d lost, %d rows; want passed, 24000, 0, 6", s.Verdict, s.Audit.Expected, s.Audit.Lost, len(s.Audit.Rows))
	}
}

func TestClientsThatNeverJoinedBreakTheContract(t *testing.T) {
	f := passing()
	f.audit.NeverJoined, f.audit.NeverJoinedCount = []string{"viewers/3"}, 1
	if s := f.summarise(t); s.Verdict != VerdictBroken || !strings.Contains(s.Reasons[0], "1 client never received") {
		t.Errorf("got %s, %q", s.Verdict, s.Reasons)
	}
}
