package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// churning makes the desks come and go by plan.
func churning(f *fixture) {
	f.plan.Clients[1].Churn = &scenarios.Churn{Session: time.Second, Away: time.Second}
}

// away makes the desks absent in steady for so long of 10,000 ms that they were to be there.
func away(f *fixture, absent int64) {
	in := f.intervals[4]
	in.Counters = append(in.Counters, counter(results.CountPlanned, "steady", "desks", "", 10_000), counter(results.CountAbsent, "steady", "desks", "", absent))
}

// A gateway that takes no client back has nothing to deliver to those that come and go: that is no pass.
func TestAbsenceBreaksTheContract(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		change  func(*fixture)
		verdict Verdict
		text    string // the reason where broken, else the warning; empty is neither
	}{
		{"at the limit of notice", func(f *fixture) { churning(f); away(f, 100) }, VerdictPassed, ""},
		{"above it", func(f *fixture) { churning(f); away(f, 101) }, VerdictPassed,
			"clients of desks were not connected for 1.01% of the time that the scenario has them there"},
		{"at the limit", func(f *fixture) { churning(f); away(f, 500) }, VerdictPassed,
			"clients of desks were not connected for 5% of the time that the scenario has them there"},
		{"beyond, and dials that failed", func(f *fixture) {
			churning(f)
			away(f, 3500)
			f.intervals[4].Counters = append(f.intervals[4].Counters, counter(results.CountConnectFail, "steady", "desks", "", 20))
		}, VerdictBroken, "clients of desks were not connected for 35% of the time that the scenario has them there: the target did not take them (20 dials failed)"},
		{"just beyond", func(f *fixture) { churning(f); away(f, 510) }, VerdictBroken,
			"clients of desks were not connected for 5.1% of the time that the scenario has them there: the target did not take them"},
		{"a moving count", func(f *fixture) {
			f.plan.Phases.Measure[0].Clients = map[string]scenarios.Curve{"desks": scenarios.Hold(1)}
			away(f, 10_000)
		}, VerdictBroken, "clients of desks were not connected for 100% of the time that the scenario has them there: the target did not take them"},
		{"clients that stay", func(f *fixture) { away(f, 3500) }, VerdictPassed, ""},
		{"no counters", churning, VerdictPassed, ""},
		{"in the warm-up alone", func(f *fixture) {
			churning(f)
			f.intervals[1].Counters = append(f.intervals[1].Counters, counter(results.CountPlanned, scenarios.PhaseWarmUp, "desks", "", 10),
				counter(results.CountAbsent, scenarios.PhaseWarmUp, "desks", "", 10))
		}, VerdictPassed, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := passing()
			test.change(f)
			s := f.summarise(t)
			var texts []string
			for _, w := range s.Warnings {
				if w.Code == "absent" {
					texts = append(texts, w.Text)
				}
			}
			if s.Verdict == VerdictBroken {
				texts = append(texts, s.Reasons...)
			}
			if s.Verdict != test.verdict || test.text == "" && texts != nil || test.text != "" && !slices.Equal(texts, []string{test.text}) {
				t.Errorf("got %s, %q; want %s, %q", s.Verdict, texts, test.verdict, test.text)
			}
		})
	}
}

// What was on its way to clients that leave is no doubt, until it is so much that an outage would hide in it.
func TestLeavesThatHideAnOutage(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{800: "", 801: "801 of 16,000 deliveries to desks were on their way to clients that left by plan: an outage would look the same"} {
		f := passing()
		churning(f)
		f.loseOf("desks", n, openClass)
		got := ""
		for _, r := range f.summarise(t).Health.Reasons {
			if r.Code == "undetermined_leaves" && r.State == HealthDoubtful {
				got += r.Text
			}
		}
		if got != want {
			t.Errorf("%d undetermined: got %q; want %q", n, got, want)
		}
	}
}

// The ratio is of what was to happen.
func TestDeliveryRatio(t *testing.T) {
	t.Parallel()
	tellConflated := func(f *fixture, n int64) {
		for i := range f.audit.Rows {
			if row := &f.audit.Rows[i]; row.Phase == "steady" && row.Group == "viewers" {
				row.Conflated = n
			}
		}
	}
	for _, test := range []struct {
		name    string
		change  func(*fixture)
		want    float64
		verdict Verdict
	}{
		{"all", func(*fixture) {}, 1, VerdictPassed},
		{"conflated, by an account that does not tell", func(f *fixture) { conflated(f); f.lose(400, shedClass) }, 1, VerdictPassed},
		{"conflated, by one that does", func(f *fixture) { conflated(f); f.lose(400, shedClass); tellConflated(f, 400) }, 1, VerdictPassed},
		{"shed beyond it", func(f *fixture) { conflated(f); f.lose(640, shedClass); tellConflated(f, 400) }, 23360.0 / 23600, VerdictBroken},
		{"shed beyond it, as declared", func(f *fixture) {
			conflated(f)
			f.plan.Gateway.Guarantees.Sheds = true
			f.lose(640, shedClass)
			tellConflated(f, 400)
		}, 23360.0 / 23600, VerdictFailed},
		{"on their way to clients that left", func(f *fixture) { churning(f); f.loseOf("desks", 400, openClass) }, 1, VerdictPassed},
		{"never settled", func(f *fixture) { f.loseOf("desks", 400, openClass) }, 23600.0 / 24000, VerdictPassed},
		{"lost", func(f *fixture) { f.lose(40, lostClass) }, 23960.0 / 24000, VerdictBroken},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := passing()
			f.plan.Thresholds = []scenarios.Threshold{threshold("e2e.p99", "<", 50e6, scenarios.UnitNS, nil)}
			test.change(f)
			s := f.summarise(t)
			observed := f.judge(t).observe(threshold("delivery.ratio", ">=", 1, scenarios.UnitRatio, nil), f.audit, f.end.Status)
			if s.Audit.DeliveryRatio == nil || *s.Audit.DeliveryRatio != test.want || observed.value != test.want || s.Verdict != test.verdict {
				t.Errorf("got %v in the summary, %v for a threshold, %s %q; want %v, %s", s.Audit.DeliveryRatio, observed.value, s.Verdict, s.Reasons, test.want, test.verdict)
			}
		})
	}
}

// The figure on top of the page has the ratio's numbers, and names what is shed.
func TestHeadlineOfDelivered(t *testing.T) {
	t.Parallel()
	f := passing()
	conflated(f)
	f.lose(640, shedClass)
	f.audit.Rows[2].Conflated = 400
	for _, figure := range headline(f.summarise(t)) {
		if want := "23,360 of 23,600; 240 shed"; figure.Name == "delivered" && (figure.Value != "98.98%" || figure.Beside != want) {
			t.Errorf("got %s, %s; want 98.98%%, %s", figure.Value, figure.Beside, want)
		}
	}
}

// What is conflated as declared is no fault in the page's account; what is shed beyond it is.
func TestPageOfConflation(t *testing.T) {
	t.Parallel()
	for told, want := range map[int64]string{640: "", 400: "bad"} {
		f := passing()
		conflated(f)
		f.lose(640, shedClass)
		f.audit.Rows[2].Conflated = told
		var p page
		p.fillAudit(f.summarise(t))
		i := slices.IndexFunc(p.Classes, func(r classRow) bool { return r.Name == "shed" })
		if got := p.Classes[i].Class; got != want {
			t.Errorf("%d of 640 conflated: the row's class is %q; want %q", told, got, want)
		}
	}
}

// A pass says what became of the rest.
func TestPassSaysWhatTheRestWas(t *testing.T) {
	t.Parallel()
	f := passing()
	churning(f)
	conflated(f)
	f.plan.Gateway.Guarantees.Sheds = true
	f.plan.Thresholds = nil
	f.lose(3000, shedClass)
	for i := range f.audit.Rows {
		if row := &f.audit.Rows[i]; row.Shed > 0 {
			row.Conflated = 1000
		}
	}
	f.loseOf("desks", 7, openClass)
	f.loseOf("viewers", 1, openClass)
	want := "20,992 of 24,000 expected deliveries arrived; 1,000 were conflated as declared, 7 were on their way to clients that left, " +
		"2,000 were shed as the target's policy declares, 1 was undetermined, since their sends were never settled; the scenario has no threshold"
	if s := f.summarise(t); s.Verdict != VerdictPassed || s.Reasons[0] != want {
		t.Errorf("got %s, %q\nwant passed, %q", s.Verdict, s.Reasons, want)
	}
}

// publishOnly is a run in which viewers send 600 messages and nobody reads.
func publishOnly() *fixture {
	f := passing()
	f.plan.Thresholds, f.audit.Rows, f.audit.ClientsTotal, f.audit.ClientsWithin = nil, nil, 0, 0
	for _, in := range f.intervals {
		in.Series, in.Counters = nil, nil
	}
	talk(f)
	f.plan.Producers = nil
	f.audit.Reference = f.audit.Reference[1:]
	for i := range f.plan.Clients {
		f.plan.Clients[i].Subscribe = scenarios.Subscribe{}
	}
	f.health.PlannedMessages, f.health.SentMessages = 600, 600
	f.countOf("steady", results.CountObserved, "talk", 600)
	f.intervals[4].Series = []results.Series{
		seriesOf(results.StageSendLag, results.Label{Phase: "steady", Producer: "talk"}, manyOf(600, 2*ms)...),
		seriesOf(results.StageAck, results.Label{Phase: "steady", Producer: "talk"}, manyOf(600, 20*ms)...)}
	return f
}

func TestPublishingAlone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		change  func(*fixture)
		verdict Verdict
		reason  string
	}{
		{"well", func(*fixture) {}, VerdictPassed, "all 600 acknowledged publications stand in the topic; the scenario has no threshold"},
		{"acknowledged and gone", func(f *fixture) { f.audit.Reference[0].AckedGone, f.audit.Reference[0].InTopic = 3, 597 }, VerdictBroken,
			"3 acknowledged messages were lost by the gateway or Kafka"},
		{"none taken", func(f *fixture) {
			r := &f.audit.Reference[0]
			r.Acked, r.Refused, r.InTopic = 0, 600, 0
			f.countOf("steady", results.CountRefused, "talk", 600)
			f.countOf("steady", results.CountObserved, "talk", -600)
		}, VerdictBroken, "the gateway did not take 600 of 600 messages of talk"},
		{"not read back", func(f *fixture) { f.audit.Reference[0].Incomplete = "the brokers are gone" }, VerdictInvalid, "nothing was expected"},
		{"not read", func(f *fixture) { f.audit.Reference[0].Source = "none" }, VerdictInvalid, "nothing was expected"},
		{"nobody published", func(f *fixture) { f.countOf("steady", results.CountSent, "talk", -600) }, VerdictInvalid, "nothing was expected"},
		{"somebody was to read", func(f *fixture) { f.plan.Clients[1].Subscribe = scenarios.Subscribe{Topic: "rooms", All: true} },
			VerdictInvalid, "nothing was expected"},
		{"a late generator", func(f *fixture) {
			f.intervals[4].Series[0] = seriesOf(results.StageSendLag, results.Label{Phase: "steady", Producer: "talk"}, manyOf(600, 5*ms)...)
		}, VerdictInvalid, "is the most that an ack p99 of 20.0 ms bears"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := publishOnly()
			test.change(f)
			if s := f.summarise(t); s.Verdict != test.verdict || !strings.Contains(s.Reasons[0], test.reason) {
				t.Errorf("got %s, %q; want %s, %q", s.Verdict, s.Reasons, test.verdict, test.reason)
			}
		})
	}
}

// Without any end-to-end latency send lag is held against the nearest to it.
func TestSendLagWithoutEndToEnd(t *testing.T) {
	base := func(set func(*healthInput)) healthInput {
		in := healthy()
		in.sendLag, in.e2e, in.classes = lagOf(2*ms), results.Series{}, results.Classes{}
		in.published = true
		set(&in)
		return in
	}
	slow := e2eAt(10 * ms)
	for name, in := range map[string]healthInput{
		"e2e_slow": base(func(in *healthInput) {
			in.slowE2E, in.slow, in.ack = slow, slow.Count(), e2eAt(ms)
			in.classes = results.Classes{Expected: slow.Count(), Delivered: slow.Count()}
		}),
		"round_trip": base(func(in *healthInput) { in.roundTrip, in.ack = e2eAt(10*ms), e2eAt(ms) }),
		"ack":        base(func(in *healthInput) { in.ack = e2eAt(10 * ms) }),
	} {
		if got := judgeHealth(in); got.State != HealthValid {
			t.Errorf("%s: at a fifth of it %s, %v; want valid", name, got.State, got.Reasons)
		}
		in.sendLag = lagOf(3 * ms)
		if got := judgeHealth(in); got.State != HealthInvalid || !strings.Contains(got.Reasons[0].Text, name+" p99 of 10.0 ms") {
			t.Errorf("%s: beyond it %s, %v; want invalid", name, got.State, got.Reasons)
		}
	}
	if got := judgeHealth(base(func(*healthInput) {})); got.State != HealthInvalid {
		t.Errorf("nothing recorded: %s; want invalid beyond the floor", got.State)
	}
}
