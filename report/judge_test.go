package report

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

func parse(t testing.TB, text string, abort bool) scenarios.Threshold {
	t.Helper()
	threshold, err := scenarios.ParseThreshold(text)
	if err != nil {
		t.Fatal(err)
	}
	threshold.Abort = abort
	return threshold
}

func TestThresholds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		text   string
		change func(*fixture)
		want   Outcome
		reason string // contained
	}{
		{"percentile holds", "e2e.p99 < 50ms", nil, OutcomePass, "e2e.p99 was 5.59 ms"},
		{"percentile fails", "e2e.p99 < 5ms", nil, OutcomeFail, "e2e.p99 was 5.59 ms, not < 5 ms"},
		{"percentile among the missing", "e2e.p99 < 50ms", func(f *fixture) { f.lose(250, lostClass) }, OutcomeFail,
			"falls among the 250 of 24,000 expected deliveries that are missing"},
		{"missing below the percentile", "e2e.p99 < 50ms", func(f *fixture) { f.lose(240, lostClass) }, OutcomePass, ""},
		{"unseen count as missing", "e2e.p99 < 50ms", func(f *fixture) { f.lose(250, unseenClass) }, OutcomeFail, "missing"},
		{"shed count as missing", "e2e.p99 < 50ms", func(f *fixture) { f.lose(250, shedClass) }, OutcomeFail, "missing"},
		{"undetermined are left out", "e2e.p99 < 50ms", func(f *fixture) { f.lose(250, openClass) }, OutcomePass, ""},
		{"missing only in another group", "e2e{group=desks}.p99 < 50ms", func(f *fixture) { f.lose(250, lostClass) }, OutcomePass, ""},
		{"missing only in another phase", "e2e{phase=burst}.max < 50ms", func(f *fixture) { f.lose(1, lostClass) }, OutcomePass, ""},
		{"one missing exceeds the maximum", "e2e.max < 10s", func(f *fixture) { f.lose(1, lostClass) }, OutcomeFail, "the 1 of 24,000"},
		{"one missing leaves no mean", "e2e.mean < 10s", func(f *fixture) { f.lose(1, lostClass) }, OutcomeFail, "missing"},
		{"the least is that of what arrived", "e2e.min > 10us", func(f *fixture) { f.lose(1, lostClass) }, OutcomePass, ""},
		{"mean holds", "e2e.mean < 3ms", nil, OutcomePass, ""},
		{"by producer", "e2e{producer=feed}.p50 < 3ms", nil, OutcomePass, ""},
		{"no such producer recorded", "e2e{producer=other}.p50 < 3ms", nil, OutcomeFail, "no data"},
		{"no audit", "e2e.p99 < 50ms", func(f *fixture) { f.audit = nil }, OutcomeFail, "no data: the run has no audit"},
		{"other stage", "kafka.p99 < 2ms", nil, OutcomePass, ""},
		{"stage without data", "gateway_in.p99 < 1h", nil, OutcomeFail, "no data: nothing was recorded of gateway_in"},
		{"stage not split by group", "kafka.max < 1h", func(f *fixture) { f.plan.Thresholds[0].Filters = map[string]string{"group": "viewers"} }, OutcomeFail, "no data"},
		{"connect is of the whole run", "connect.max < 1s", nil, OutcomePass, ""},
		{"warm-up does not count", "e2e.max < 100ms", func(f *fixture) {
			warm := f.intervals[1]
			warm.Series = append(warm.Series, seriesOf(results.StageE2E, results.Label{Phase: scenarios.PhaseWarmUp, Group: "viewers"}, 700*ms))
		}, OutcomePass, ""},
		{"audit class holds", "audit.lost == 0", nil, OutcomePass, "audit.lost was 0"},
		{"audit class fails", "audit.lost <= 3", func(f *fixture) { f.lose(4, lostClass) }, OutcomeFail, "audit.lost was 4, not <= 3"},
		{"corruption not checked", "audit.corrupt == 0", func(f *fixture) { f.audit.CorruptionChecked = false }, OutcomeFail, "not checked"},
		{"foreign has no producer", "audit.foreign == 0", nil, OutcomePass, ""},
		{"ratio holds", "delivery.ratio >= 99.9%", nil, OutcomePass, ""},
		{"ratio fails", "delivery.ratio >= 99.9%", func(f *fixture) { f.lose(25, lostClass) }, OutcomeFail, "delivery.ratio was 99.896%, not >= 99.9%"},
		{"ratio of nothing", "delivery.ratio >= 99.9%", func(f *fixture) { f.audit.Rows = nil }, OutcomeFail, "no data"},
		{"clients within", "clients.within >= 99%", nil, OutcomePass, ""},
		{"no clients judged", "clients.within >= 0%", func(f *fixture) { f.audit.ClientsTotal = 0 }, OutcomeFail, "no data"},
		{"delivered", "throughput.delivered >= 2k/s", nil, OutcomePass, "2,000/s"},
		{"delivered by phase", "throughput{phase=burst}.delivered >= 3k/s", nil, OutcomePass, "3,000/s"},
		{"sent", "throughput.sent > 667/s", nil, OutcomeFail, "666.666667/s, not > 667/s"},
		{"acked", "throughput.acked > 600/s", nil, OutcomePass, ""},
		{"no interval", "throughput.sent >= 0/s", func(f *fixture) { f.intervals = nil }, OutcomeFail, "no data"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := passing()
			f.plan.Thresholds = []scenarios.Threshold{parse(t, test.text, false)}
			if test.change != nil {
				test.change(f)
			}
			got := f.judge(t).Final(f.audit, f.end.Status)[0]
			if got.Result != test.want || !strings.Contains(got.Reason, test.reason) {
				t.Errorf("got %s, %q; want %s, %q", got.Result, got.Reason, test.want, test.reason)
			}
		})
	}
}

func TestThresholdsOfRunsThatDidNotEnd(t *testing.T) {
	f := passing()
	f.plan.Thresholds = []scenarios.Threshold{parse(t, "e2e.p99 < 5ms", false), parse(t, "e2e.max < 3ms", false), parse(t, "audit.lost == 0", false)}
	f.end, f.audit = nil, nil
	f.intervals = f.intervals[:4]
	s := f.summarise(t)
	// More than 3 ms was seen, and no rest of the run takes that back; the percentile might still have come out right.
	want := []Outcome{OutcomeNotJudged, OutcomeFail, OutcomeNotJudged}
	for i, f := range s.Thresholds {
		if f.Result != want[i] {
			t.Errorf("%s: got %s (%s); want %s", f.Text, f.Result, f.Reason, want[i])
		}
	}
}

func TestPercentileOfTooFewHasNote(t *testing.T) {
	f := passing()
	f.plan.Thresholds = []scenarios.Threshold{parse(t, "connect.p99 < 1s", false), parse(t, "connect.p50 < 1s", false)}
	s := f.summarise(t)
	if s.Thresholds[0].Note == "" || s.Thresholds[1].Note != "" {
		t.Errorf("notes are %q and %q; want one for p99 of 52 values and none for p50", s.Thresholds[0].Note, s.Thresholds[1].Note)
	}
	if !slices.ContainsFunc(s.Warnings, func(r Remark) bool { return r.Code == "threshold_support" }) {
		t.Errorf("no warning threshold_support in %v", s.Warnings)
	}
}

// tick is interval i of a run of one-second intervals, all in phase m.
func tick(i int, counters []results.Counter, series ...results.Series) *results.Interval {
	return &results.Interval{Index: i, StartAt: int64(i) * int64(time.Second), EndAt: int64(i+1) * int64(time.Second), Phase: "m",
		Counters: counters, Series: series}
}

// smallPlan has one producer of rate/s for seconds, and clients that each follow the whole topic.
func smallPlan(rate float64, seconds, clients int, thresholds ...scenarios.Threshold) *scenarios.Plan {
	return &scenarios.Plan{
		Name: "small", IntervalNS: time.Second,
		Producers:  []scenarios.Producer{{Name: "p", Topic: "t", Rate: scenarios.Hold(rate)}},
		Clients:    []scenarios.ClientGroup{{Name: "g", Count: clients, Subscribe: scenarios.Subscribe{Topic: "t", All: true}}},
		Phases:     scenarios.Phases{Measure: []scenarios.MeasurePhase{{Name: "m", Duration: time.Duration(seconds) * time.Second}}},
		Thresholds: thresholds,
	}
}

func sentCounters(sent, acked, expected int64) []results.Counter {
	return []results.Counter{counter(results.CountSent, "m", "", "p", sent), counter(results.CountAcked, "m", "", "p", acked),
		counter(results.CountExpected, "m", "", "p", expected)}
}

// breachedAt feeds intervals to a judge and returns the index of the first after which a threshold is breached, or −1.
func breachedAt(t *testing.T, p *scenarios.Plan, intervals []*results.Interval) int {
	t.Helper()
	j := NewJudge(p)
	for i, in := range intervals {
		if err := j.Add(in); err != nil {
			t.Fatal(err)
		}
		if len(j.Breached()) > 0 {
			return i
		}
	}
	return -1
}

func TestBreached(t *testing.T) {
	t.Parallel()
	label := results.Label{Phase: "m", Group: "g", Producer: "p"}
	values := func(n int, ns int64) results.Series {
		return seriesOf(results.StageE2E, label, slices.Repeat([]int64{ns}, n)...)
	}
	steady := func(ns int64) (list []*results.Interval) {
		for i := range 10 {
			list = append(list, tick(i, sentCounters(100, 100, 100), values(100, ns)))
		}
		return list
	}
	hang := func(acked int64) (list []*results.Interval) { // sent, and nothing arrives
		for i := range 10 {
			list = append(list, tick(i, sentCounters(100, acked, 100)))
		}
		return list
	}
	for _, test := range []struct {
		name, text string
		abort      bool
		intervals  []*results.Interval
		want       int
	}{
		{"fast", "e2e.p99 < 50ms", true, steady(ms), -1},
		{"without abort", "e2e.p99 < 50ms", false, steady(60 * ms), -1},
		// 1,001 values at most; p99 leaves 10 of them above the limit.
		{"slow", "e2e.p99 < 50ms", true, steady(60 * ms), 0},
		{"median needs half of the run", "e2e.p50 < 50ms", true, steady(60 * ms), 5},
		{"maximum", "e2e.max < 50ms", true, steady(60 * ms), 0},
		{"maximum at the limit", "e2e.max <= 60ms", true, steady(60 * ms), -1},
		{"mean", "e2e.mean < 50ms", true, steady(200 * ms), 2},
		{"minimum", "e2e.min > 50ms", true, steady(ms), 0},
		// What was sent in the first two seconds is overdue when the fifth begins: after the limit and one interval of
		// slack. As many as are sent in a second are taken as not acknowledged yet.
		{"hanging", "e2e.p99 < 500ms", true, hang(100), 4},
		{"hanging, maximum", "e2e.max < 500ms", true, hang(100), 4},
		{"hanging and not acknowledged", "e2e.p99 < 500ms", true, hang(0), -1},
		{"hanging within the limit", "e2e.p99 < 1m", true, hang(100), -1},
		{"stray", "audit.stray == 0", true, []*results.Interval{tick(0, nil), tick(1, []results.Counter{counter(results.CountStray, "m", "g", "", 1)})}, 1},
		{"stray within", "audit.stray <= 1", true, []*results.Interval{tick(0, []results.Counter{counter(results.CountStray, "m", "g", "", 1)})}, -1},
		{"stray in the warm-up", "audit.stray == 0", true, []*results.Interval{tick(0, []results.Counter{counter(results.CountStray, "warm-up", "g", "", 1)})}, -1},
		{"lost is told by the closed audit alone", "audit.lost == 0", true, hang(100), -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := smallPlan(100, 10, 1, parse(t, test.text, test.abort))
			if got := breachedAt(t, p, test.intervals); got != test.want {
				t.Errorf("breached after interval %d; want %d", got, test.want)
			}
		})
	}
}

// simulated is a run of single messages, some late, some never answered, some lost.
type simulated struct {
	plan      *scenarios.Plan
	intervals []*results.Interval
	audit     *results.Audit
}

func simulate(t *rapid.T) simulated {
	seconds := rapid.IntRange(1, 5).Draw(t, "seconds")
	rate := rapid.IntRange(1, 12).Draw(t, "rate")
	clients := rapid.IntRange(1, 3).Draw(t, "clients")
	const ticks = 12
	recorders := make([]*results.Recorder, ticks)
	counts := make([][4]int64, ticks) // sent, acked, expected, delivered
	for i := range recorders {
		recorders[i] = new(results.Recorder)
	}
	var classes results.Classes
	slowest := rapid.Int64Range(1, 5000).Draw(t, "slowest")
	for i := range rate * seconds {
		due := int64(i) * int64(time.Second) / int64(rate)
		second := due / int64(time.Second)
		counts[second][0]++
		counts[second][2] += int64(clients)
		if !rapid.Bool().Draw(t, "acked") {
			continue // refused in the end: no delivery was to come of it
		}
		counts[(due+rapid.Int64Range(0, 900).Draw(t, "ack")*ms)/int64(time.Second)][1]++
		classes.Expected += int64(clients)
		for range clients {
			if rapid.IntRange(0, 5).Draw(t, "lost") == 0 {
				classes.Lost++
				continue
			}
			latency := rapid.Int64Range(0, slowest*ms).Draw(t, "latency")
			classes.Delivered++
			recorders[(due+latency)/int64(time.Second)].Record(latency)
			counts[(due+latency)/int64(time.Second)][3]++
		}
	}
	s := simulated{audit: &results.Audit{Rows: []results.AuditRow{{Phase: "m", Group: "g", Producer: "p", Classes: classes}}}}
	for i, n := range counts {
		in := tick(i, append(sentCounters(n[0], n[1], n[2]), counter(results.CountDelivered, "m", "g", "p", n[3])))
		if !recorders[i].Empty() {
			in.Series = append(in.Series, recorders[i].Series(results.StageE2E, results.Label{Phase: "m", Group: "g", Producer: "p"}))
		}
		s.intervals = append(s.intervals, in)
	}
	s.plan = smallPlan(float64(rate), seconds, clients, drawThresholds(t)...)
	return s
}

func drawThresholds(t *rapid.T) []scenarios.Threshold {
	var list []scenarios.Threshold
	for range rapid.IntRange(1, 4).Draw(t, "thresholds") {
		text := fmt.Sprintf("%s.%s %s %dms", "e2e", rapid.SampledFrom([]string{"p50", "p90", "p99", "p999", "max", "min", "mean"}).Draw(t, "stat"),
			rapid.SampledFrom([]string{"<", "<=", ">", ">=", "==", "!="}).Draw(t, "op"), rapid.Int64Range(1, 4000).Draw(t, "limit"))
		threshold, err := scenarios.ParseThreshold(text)
		if err != nil {
			t.Fatal(err)
		}
		threshold.Abort = rapid.Bool().Draw(t, "abort")
		list = append(list, threshold)
	}
	return list
}

// The runner's judge, asked after every interval, and the report's, asked once, say the same; and what was breached on
// the way fails at the end by the final rule alone, so that no run is aborted that could have passed.
func TestJudgeIncrementalIsFinal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		run := simulate(t)
		asked, once := NewJudge(run.plan), NewJudge(run.plan)
		var before []Finding
		for _, in := range run.intervals {
			if err := asked.Add(in); err != nil {
				t.Fatal(err)
			}
			now := asked.Breached()
			for _, f := range before {
				if !slices.ContainsFunc(now, func(g Finding) bool { return reflect.DeepEqual(f.Threshold, g.Threshold) }) {
					t.Fatalf("%s was breached (%s) and is no longer", f.Text, f.Reason)
				}
			}
			before = now
			if err := once.Add(in); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range before {
			if final := finding(f.Threshold, once.observe(f.Threshold, run.audit, results.StatusComplete)); final.Result != OutcomeFail {
				t.Fatalf("%s was breached (%s), and in the end: %s", f.Text, f.Reason, final.Reason)
			}
		}
		got, want := asked.Final(run.audit, results.StatusComplete), once.Final(run.audit, results.StatusComplete)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("asked on the way: %+v; asked once: %+v", got, want)
		}
	})
}

// What the runner's judge says of the intervals it was handed is what Summarise says of those read back.
func TestSummariseJudgesAsTheRunnerDid(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*fixture{"passing": passing(), "broken": broken()} {
		j := NewJudge(f.plan)
		for _, in := range f.intervals {
			if err := j.Add(in); err != nil {
				t.Fatal(err)
			}
			j.Breached()
		}
		s, err := Summarise(f.write(t))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := s.Thresholds, j.Final(f.audit, f.end.Status); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: Summarise says %+v; the judge %+v", name, got, want)
		}
	}
}
