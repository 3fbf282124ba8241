package report

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// replaying has the desks come and go, to a target that gives them what they missed: 200 of what they were to get in phase
// steady was replayed. Two of 40 returns came to nothing.
func replaying(f *fixture) {
	f.plan.Gateway.Guarantees.Resumes = true
	f.plan.Clients[1].Resume, f.plan.Clients[1].Churn = true, &scenarios.Churn{Session: time.Second, Away: time.Second}
	f.audit.Rows[3].Replayed = 200
	label := results.Label{Phase: "steady", Group: "desks", Producer: "feed"}
	in := f.intervals[2]
	for i := range in.Series {
		if s := &in.Series[i]; s.Group == "desks" && s.Stage == results.StageE2E {
			*s = seriesOf(s.Stage, s.Label, manyOf(int(s.Count())-200, 2*ms)...)
		}
	}
	in.Series = append(in.Series, seriesOf(results.StageReplay, label, manyOf(200, 700*ms)...))
	drain := f.intervals[len(f.intervals)-1]
	drain.Series = append(drain.Series, seriesOf(results.StageCaughtUp, results.Label{Phase: drain.Phase, Group: "desks"}, manyOf(38, 90*ms)...))
	in.Counters = append(in.Counters, counter(results.CountReplayed, "steady", "desks", "feed", 200), counter(results.CountReplayedLeave, "steady", "desks", "feed", 200),
		counter(results.CountReturns, "steady", "desks", "", 40), counter(results.CountResumed, "steady", "desks", "", 38), counter(results.CountResumeFailed, "steady", "desks", "", 1))
}

// TestReplaysHaveAStageOfTheirOwn: they are neither in e2e nor missing there, and what was lost is.
func TestReplaysHaveAStageOfTheirOwn(t *testing.T) {
	t.Parallel()
	const second = float64(time.Second)
	for _, test := range []struct {
		name      string
		threshold scenarios.Threshold
		change    func(*fixture)
		want      Outcome
		reason    string
	}{
		{"not in e2e", threshold("e2e.max", "<", second/2, scenarios.UnitNS, nil), nil, OutcomePass, ""},
		{"in replay", threshold("replay.p99", "<", second/2, scenarios.UnitNS, nil), nil, OutcomeFail, "replay.p99 was 700 ms"},
		{"caught up in the drain", threshold("caught_up.max", "<", second/10, scenarios.UnitNS, map[string]string{"group": "desks"}), nil, OutcomePass, "max was 90.0 ms"},
		{"lost from a replay", threshold("e2e.max", "<", second, scenarios.UnitNS, nil), func(f *fixture) { f.loseOf("desks", 20, lostClass) }, OutcomeFail, "the 20 of 23,800 expected deliveries"},
		{"nothing was replayed", threshold("replay.p99", "<", second, scenarios.UnitNS, nil), func(f *fixture) { *f = *passing() }, OutcomeFail, "no data"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := passing()
			replaying(f)
			if test.change != nil {
				test.change(f)
			}
			if test.name == "lost from a replay" {
				in := f.intervals[3]
				for i := range in.Series {
					if s := &in.Series[i]; s.Group == "desks" && s.Stage == results.StageE2E {
						*s = seriesOf(s.Stage, s.Label, manyOf(int(s.Count())-20, 2*ms)...)
					}
				}
			}
			f.plan.Thresholds = []scenarios.Threshold{test.threshold}
			got := f.judge(t).Final(f.audit, f.end.Status)[0]
			if got.Result != test.want || !strings.Contains(got.Reason, test.reason) {
				t.Errorf("got %s, %q; want %s, %q", got.Result, got.Reason, test.want, test.reason)
			}
		})
	}
}

// TestAbsenceExcusesNothingOfThoseWhoResume: what is undetermined or early of theirs is said, as of clients that stay.
func TestAbsenceExcusesNothingOfThoseWhoResume(t *testing.T) {
	t.Parallel()
	for _, resumes := range []bool{true, false} {
		f := passing()
		replaying(f)
		f.plan.Gateway.Guarantees.Resumes = resumes
		f.loseOf("desks", 30, openClass)
		f.audit.Rows[3].Early = 4
		s := f.summarise(t)
		left, warned := int64(30), false
		if resumes {
			left, warned = 0, true
		}
		early := strings.Contains(strings.Join(remarkTexts(s.Warnings), "\n"), "4 deliveries were sent before the subscription was known")
		if s.Audit.Left != left || early != warned {
			t.Errorf("resumes %v: got %d left, early warned of %v; want %d, %v", resumes, s.Audit.Left, early, left, warned)
		}
	}
}

// TestReturnsAreTold: on the terminal, in Markdown and on the page, where there are any; and no figure is doubted for it.
func TestReturnsAreTold(t *testing.T) {
	t.Parallel()
	const line = "40 returns, 38 resumed, 1 told that it was not possible, 1 unanswered or without a position; caught up p50 90.0 ms, p99 –, max 90.0 ms; 200 replayed"
	f := passing()
	replaying(f)
	s := f.summarise(t)
	if s.Clients.Returns != (Returns{40, 38, 1, 200, true}) || s.Health.State != HealthValid {
		t.Errorf("got %+v, health %+v", s.Clients.Returns, s.Health.Reasons)
	}
	for _, c := range []struct {
		name string
		s    *Summary
		want bool
	}{{"with", s, true}, {"without", passing().summarise(t), false}} {
		var markdown, terminal bytes.Buffer
		if err := errors.Join(Markdown(&markdown, c.s), Terminal(&terminal, c.s, TerminalOptions{})); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(markdown.String(), line) != c.want || strings.Contains(terminal.String(), "40 returns, 38 resumed") != c.want {
			t.Errorf("%s returns: got the Markdown %s, the terminal's %s", c.name, markdown.String(), terminal.String())
		}
	}
	if page := renderHTML(t, f); !strings.Contains(page, `<p class="returns">`+line) {
		t.Error("the page does not tell of the returns")
	}
	for _, c := range []struct {
		returns Returns
		caught  Latency
		want    string
	}{
		{Returns{}, Latency{}, ""},
		{Returns{Returns: 1, Resumed: 1, Replayed: 0, TellsCaughtUp: true}, Latency{}, "1 return, all resumed; 0 replayed"},
		{Returns{Returns: 1, Resumed: 1, Replayed: 7}, Latency{}, "1 return, all resumed; when they had caught up is not known, since the target does not say it; 7 replayed"},
		{Returns{Returns: 5000, Resumed: 5000, Replayed: 20_000, TellsCaughtUp: true}, latencyOf(seriesOf(results.StageCaughtUp, results.Label{}, manyOf(4999, 5*ms)...)),
			"5,000 returns, all resumed; caught up p50 5.00 ms, p99 5.00 ms, max 5.00 ms (1 never); 20,000 replayed"},
	} {
		if got := returnsLine(c.returns, c.caught); got != c.want {
			t.Errorf("got %q; want %q", got, c.want)
		}
	}
}
