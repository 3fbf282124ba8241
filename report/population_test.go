package report

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// slowDesks makes the desks read slowly on purpose: what they read is e2e_slow, ten times as late.
func slowDesks(f *fixture) {
	f.plan.Clients[1].Slow = &scenarios.SlowReading{ReceiveBuffer: 4096, Every: time.Second, Bytes: 1024}
	for _, in := range f.intervals {
		for i := range in.Series {
			if s := &in.Series[i]; s.Group == "desks" && s.Stage == results.StageE2E {
				*s = recorded(s.Count(), rand.New(rand.NewPCG(5, 6)), 20e6, 0.2).Series(results.StageE2ESlow, s.Label)
			}
		}
	}
}

// loseOf moves n deliveries of phase steady to the group from delivered to another class; their latencies stay out of it.
func (f *fixture) loseOf(group string, n int64, class func(*results.Classes) *int64) {
	for i := range f.audit.Rows {
		if row := &f.audit.Rows[i]; row.Phase == "steady" && row.Group == group {
			row.Delivered -= n
			*class(&row.Classes) += n
			return
		}
	}
}

// conflated declares that the topic is conflated.
func conflated(f *fixture) {
	f.plan.Gateway.Conflate = []scenarios.Conflation{{Topic: "prices", Interval: time.Second}}
}

func threshold(metric, op string, value float64, unit string, filters map[string]string) scenarios.Threshold {
	return scenarios.Threshold{Text: metric + " " + op, Metric: metric, Op: op, Value: value, Unit: unit, Filters: filters}
}

func TestPopulations(t *testing.T) {
	t.Parallel()
	const second = float64(time.Second)
	for _, test := range []struct {
		name      string
		threshold scenarios.Threshold
		change    func(*fixture)
		want      Outcome
		reason    string
	}{
		{"the slow are not in e2e", threshold("e2e.max", "<", 18e6, scenarios.UnitNS, nil), slowDesks, OutcomePass, "e2e.max was"},
		{"the slow are in e2e_slow", threshold("e2e_slow.p50", "<", 18e6, scenarios.UnitNS, nil), slowDesks, OutcomeFail, "e2e_slow.p50 was 19.8 ms"},
		{"what the slow miss is not e2e's", threshold("e2e.max", "<", second, scenarios.UnitNS, nil), func(f *fixture) {
			slowDesks(f)
			f.loseOf("desks", 500, lostClass)
		}, OutcomePass, ""},
		{"what the slow miss is e2e_slow's", threshold("e2e_slow.p99", "<", 10*second, scenarios.UnitNS, nil), func(f *fixture) {
			slowDesks(f)
			f.loseOf("desks", 500, lostClass)
			for _, in := range f.intervals { // 500 fewer arrived
				for i := range in.Series {
					if s := &in.Series[i]; s.Stage == results.StageE2ESlow && s.Phase == "steady" {
						*s = recorded(s.Count()-500, rand.New(rand.NewPCG(5, 6)), 20e6, 0.2).Series(s.Stage, s.Label)
						return
					}
				}
			}
		}, OutcomeFail, "falls among the 500 of 16,000 expected deliveries that are missing"},
		{"what the others miss is not e2e_slow's", threshold("e2e_slow.max", "<", second, scenarios.UnitNS, nil), func(f *fixture) {
			slowDesks(f)
			f.lose(50, lostClass)
		}, OutcomePass, ""},
		{"what the others miss is e2e's", threshold("e2e.max", "<", second, scenarios.UnitNS, nil), func(f *fixture) {
			slowDesks(f)
			f.lose(50, lostClass)
		}, OutcomeFail, "the 50 of 8,000"},
		{"no slow group, no e2e_slow", threshold("e2e_slow.max", "<", second, scenarios.UnitNS, nil), nil, OutcomeFail, "no data"},
		{"conflated away is not missing", threshold("e2e.max", "<", second, scenarios.UnitNS, nil), func(f *fixture) {
			conflated(f)
			f.lose(50, shedClass)
		}, OutcomePass, ""},
		{"lost on a conflated topic is missing", threshold("e2e.max", "<", second, scenarios.UnitNS, nil), func(f *fixture) {
			conflated(f)
			f.lose(50, lostClass)
		}, OutcomeFail, "the 50 of 24,000"},
		{"shed without conflation is missing", threshold("e2e.max", "<", second, scenarios.UnitNS, nil), func(f *fixture) {
			f.lose(50, shedClass)
		}, OutcomeFail, "the 50 of 24,000"},
		{"round trips are judged over what arrived", threshold("round_trip.p99", "<", 50e6, scenarios.UnitNS, nil), func(f *fixture) {
			in := f.intervals[4]
			in.Series = append(in.Series, seriesOf(results.StageRoundTrip, results.Label{Phase: "steady", Group: "viewers", Producer: "feed"}, manyOf(2000, 3*ms)...))
		}, OutcomePass, "round_trip.p99 was 3.00 ms"},
		{"no round trips", threshold("round_trip.p99", "<", 50e6, scenarios.UnitNS, nil), nil, OutcomeFail, "no data: nothing was recorded of round_trip"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := passing()
			f.plan.Thresholds = []scenarios.Threshold{test.threshold}
			if test.change != nil {
				test.change(f)
			}
			got := f.judge(t).Final(f.audit, f.end.Status)[0]
			if got.Result != test.want || !strings.Contains(got.Reason, test.reason) {
				t.Errorf("got %s, %q; want %s, %q", got.Result, got.Reason, test.want, test.reason)
			}
			if subject, _ := test.threshold.Subject(); subject == "round_trip" && got.Result == OutcomePass && got.Note != roundTripNote {
				t.Errorf("the note is %q; want %q", got.Note, roundTripNote)
			}
		})
	}
}

// What the declared conflation covers breaks no contract; what the target sheds otherwise does.
func TestConflationIsNoBreach(t *testing.T) {
	t.Parallel()
	f := passing()
	f.lose(50, shedClass)
	if got := f.summarise(t).Verdict; got != VerdictBroken {
		t.Errorf("shed without conflation: %s; want broken", got)
	}
	conflated(f)
	if s := f.summarise(t); s.Verdict != VerdictPassed || s.Latency.E2E.ExpectedCount == nil || *s.Latency.E2E.ExpectedCount != 23950 {
		t.Errorf("shed by conflation: %s (%s), over %v; want passed, over 23,950", s.Verdict, s.Reasons, s.Latency.E2E.ExpectedCount)
	}
}

// A group that reads slowly is counted, and its figures are in no other's.
// TestComingAndGoingIsNoDoubt: what clients that leave and come back by plan cause raises no doubt, what is left of it does.
func TestComingAndGoingIsNoDoubt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		change   func(*fixture)
		doubtful bool
		early    bool
	}{
		{"churn", func(f *fixture) { f.plan.Clients[1].Churn = &scenarios.Churn{Session: time.Second, Away: time.Second} }, false, false},
		{"a count that moves", func(f *fixture) {
			f.plan.Phases.Measure[0].Clients = map[string]scenarios.Curve{"desks": scenarios.Hold(1)}
		}, false, false},
		{"clients that stay", func(*fixture) {}, true, true},
		{"churn, and a send that was never settled", func(f *fixture) {
			f.plan.Clients[1].Churn = &scenarios.Churn{Session: time.Second, Away: time.Second}
			f.audit.Reference[0].Unsettled = 1
		}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := passing()
			test.change(f)
			f.loseOf("desks", 3, func(c *results.Classes) *int64 { return &c.Undetermined })
			f.loseOf("desks", 0, func(c *results.Classes) *int64 { c.Early += 2; return &c.Undetermined })
			s := f.summarise(t)
			doubts := slices.ContainsFunc(s.Health.Reasons, func(r HealthReason) bool { return r.Code == "undetermined" })
			early := slices.ContainsFunc(s.Warnings, func(r Remark) bool { return r.Code == "early" })
			if doubts != test.doubtful || early != test.early {
				t.Errorf("doubtful %t, warned of early %t; want %t, %t", doubts, early, test.doubtful, test.early)
			}
		})
	}
}

func TestSummaryOfASlowGroup(t *testing.T) {
	f := passing()
	slowDesks(f)
	s := f.summarise(t)
	if s.Latency.E2E.Count != 8000 || s.Latency.E2ESlow.Count != 16000 || s.Health.State != HealthValid {
		t.Errorf("e2e has %d, e2e_slow %d, health is %s %v; want 8,000 and 16,000, valid", s.Latency.E2E.Count, s.Latency.E2ESlow.Count,
			s.Health.State, s.Health.Reasons)
	}
	if desks := s.Breakdown.ByGroup[1]; !desks.Slow || desks.E2E.Count != 16000 || desks.E2E.P50NS < 15*ms {
		t.Errorf("the desks' part is %+v; want that of e2e_slow", desks)
	}
	if feed := s.Breakdown.ByProducer[0]; feed.Slow || feed.E2E.Count != 8000 || *feed.E2E.ExpectedCount != 8000 {
		t.Errorf("the feed's part has %d of %d; want the 8,000 of e2e", feed.E2E.Count, *feed.E2E.ExpectedCount)
	}
}

// Groups with weighted subscriptions are several of one name, and one in every table.
func TestGroupsThatShareAName(t *testing.T) {
	f := passing()
	f.plan.Clients[0].Count = 20
	more := f.plan.Clients[0]
	more.Count = 30
	f.plan.Clients = append(f.plan.Clients, more)
	s := f.summarise(t)
	var names []string
	for _, part := range s.Breakdown.ByGroup {
		names = append(names, part.Name)
	}
	if !slices.Equal(names, []string{"viewers", "desks"}) || s.Clients.Planned != 52 || s.Breakdown.ByGroup[0].Expected != 8000 {
		t.Errorf("groups %v, %d clients planned, %d expected; want viewers and desks, 52, 8,000", names, s.Clients.Planned, s.Breakdown.ByGroup[0].Expected)
	}
}

// publishing makes the viewers send, by an open loop or a closed one.
func publishing(p *scenarios.Plan, think *scenarios.Think) {
	p.Clients[0].Publish = &scenarios.Publish{Name: "viewers", Topic: p.Producers[0].Topic, Rate: scenarios.Hold(1), Think: think}
	if think != nil {
		p.Clients[0].Publish.Rate = scenarios.Curve{}
	}
}

func TestClosedLoop(t *testing.T) {
	f := passing()
	publishing(f.plan, nil)
	has := func(s *Summary) bool {
		return slices.ContainsFunc(s.Warnings, func(r Remark) bool { return r.Code == "closed_loop" })
	}
	s := f.summarise(t)
	if has(s) {
		t.Error("an open loop has the warning closed_loop")
	}
	if n := len(s.Breakdown.ByProducer); n != 2 || s.Breakdown.ByProducer[1].Name != "viewers" {
		t.Errorf("%d producers in the breakdown; want feed and viewers", n)
	}
	publishing(f.plan, &scenarios.Think{Mean: time.Second})
	if s := f.summarise(t); !has(s) || s.Verdict != VerdictPassed {
		t.Errorf("a closed loop has verdict %s and warnings %v; want passed and closed_loop", s.Verdict, s.Warnings)
	}
}

// What a closed loop sends is not in the plan, so that no share of it can be used up; a maximum still can.
func TestClosedLoopHasNoBound(t *testing.T) {
	label := results.Label{Phase: "m", Group: "g", Producer: "p"}
	var late []*results.Interval
	for i := range 10 {
		late = append(late, tick(i, sentCounters(100, 100, 100), seriesOf(results.StageE2E, label, manyOf(100, 60*ms)...)))
	}
	for _, test := range []struct {
		text  string
		think *scenarios.Think
		want  int
	}{
		{"e2e.p99 < 50ms", nil, 0},
		{"e2e.p99 < 50ms", &scenarios.Think{Mean: time.Second}, -1},
		{"e2e.max < 50ms", &scenarios.Think{Mean: time.Second}, 0},
	} {
		p := smallPlan(100, 10, 1, parse(t, test.text, true))
		publishing(p, test.think)
		if got := breachedAt(t, p, late); got != test.want {
			t.Errorf("%s, think %v: breached after interval %d; want %d", test.text, test.think, got, test.want)
		}
	}
}

// Each of a thousand clients may send a message more than its share.
func TestPlannedBoundsPublishingClients(t *testing.T) {
	p := smallPlan(0, 10, 1000)
	publishing(p, nil)
	p.Producers = nil
	p.Clients[0].Publish.Rate = scenarios.Hold(0.05) // half a message each
	if n, bounded := measureScope(p, nil).plannedMessages(p); !bounded || n < 1000 {
		t.Errorf("%d messages planned at most, bounded %v; each of the 1,000 clients may send one", n, bounded)
	}
}

// What the counters expect of slow, coming and going, or conflated readers is no measure of what e2e is to hold, so
// nothing of it is ever overdue.
func TestUnsteadyReadersAreNeverOverdue(t *testing.T) {
	var hang []*results.Interval
	for i := range 10 {
		hang = append(hang, tick(i, sentCounters(100, 100, 100)))
	}
	for name, test := range map[string]struct {
		change func(*scenarios.Plan)
		want   int
	}{
		"steady": {func(*scenarios.Plan) {}, 4},
		"slow":   {func(p *scenarios.Plan) { p.Clients[0].Slow = &scenarios.SlowReading{} }, -1},
		"churn":  {func(p *scenarios.Plan) { p.Clients[0].Churn = &scenarios.Churn{} }, -1},
		"curve": {func(p *scenarios.Plan) {
			p.Phases.Measure[0].Clients = map[string]scenarios.Curve{"g": scenarios.Hold(0)}
		}, -1},
		"conflated": {func(p *scenarios.Plan) {
			p.Gateway.Conflate = []scenarios.Conflation{{Topic: "t", Interval: time.Second}}
		}, -1},
	} {
		p := smallPlan(100, 10, 1, parse(t, "e2e.p99 < 500ms", true))
		test.change(p)
		if got := breachedAt(t, p, hang); got != test.want {
			t.Errorf("%s: breached after interval %d; want %d", name, got, test.want)
		}
	}
}
