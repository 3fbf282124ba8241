package loadgen

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// resumePlan has a group of five clients that resume, on a topic of three partitions. Clients name themselves, so that the
// gateway's own account goes on across their sessions too.
func resumePlan(seeds []string) *scenarios.Plan {
	plan := enginePlan("", seeds)
	plan.Kafka.Topics[0].Partitions = 3
	plan.Gateway.Guarantees = scenarios.Guarantees{Delivery: "at-least-once", Ordered: true, Resumes: true}
	for _, text := range []*string{&plan.Gateway.Profile.Subscribe, &plan.Gateway.Profile.Resume.Subscribe} {
		*text = strings.Replace(*text, `"id":1`, `"id":1,"client":"{client}"`, 1)
	}
	plan.Producers[0].Keys = scenarios.Keys{Kind: scenarios.KeysRoundRobin, Count: 10}
	plan.Clients[0].Count, plan.Clients[0].Resume = 5, true
	plan.Phases.Measure = []scenarios.MeasurePhase{{Name: "m", Duration: 800 * time.Millisecond}}
	return plan
}

func startResuming(t *testing.T, seeds []string, resume testkit.Resume, fault testkit.Fault) *testkit.Gateway {
	return testkit.StartGateway(t, testkit.Options{
		Seeds: seeds, Topics: []string{"t"}, Partitions: 3, Resume: &resume, Fault: fault,
	})
}

// resumedRun is what a run told.
type resumedRun struct {
	classes  results.Classes
	replayed int64 // of the audit's rows
	counts   map[string]int64
	stages   map[results.Stage]int64
	audit    *results.Audit
	events   string
	absences []absence // by plan, of all clients
	loadEnd  int64     // when the last message was due, Unix ns
}

func runResuming(t *testing.T, plan *scenarios.Plan, gateway *testkit.Gateway) resumedRun {
	t.Helper()
	plan.Gateway.URL = gateway.URL()
	var engine *Engine
	audit, intervals, events := runThrough(t, plan, func(e *Engine) { engine = e })
	r := resumedRun{counts: map[string]int64{}, stages: map[results.Stage]int64{}, audit: audit, events: fmt.Sprint(events)}
	for _, c := range engine.swarm.clients {
		r.absences = append(r.absences, c.comeback.absences...)
	}
	phases := engine.swarm.topo.phases
	r.loadEnd = engine.swarm.loadAt.Add(phases[len(phases)-1].End).UnixNano()
	for _, row := range audit.Rows {
		r.classes.Add(row.Classes)
		r.replayed += row.Replayed
	}
	for _, iv := range intervals {
		for _, c := range iv.Counters {
			r.counts[c.Name] += c.Value
		}
		for _, s := range iv.Series {
			r.stages[s.Stage] += s.Count()
		}
	}
	return r
}

// check compares a run with what the gateway says that it did, and with itself.
func (r resumedRun) check(t *testing.T, gateway *testkit.Gateway) {
	t.Helper()
	n := gateway.Counts()
	if r.classes.Delivered != n.Delivered || r.classes.Duplicate != n.Duplicate || r.classes.Reordered != n.Reordered {
		t.Errorf("got %+v; the gateway did %+v", r.classes, n)
	}
	r.checkItself(t)
}

func (r resumedRun) checkItself(t *testing.T) {
	t.Helper()
	if r.counts[results.CountExpected] != r.classes.Expected {
		t.Errorf("while the run went %d were expected, in the end %d", r.counts[results.CountExpected], r.classes.Expected)
	}
	if r.replayed != r.counts[results.CountReplayedLeave] || r.stages[results.StageReplay] != r.counts[results.CountReplayed] ||
		r.stages[results.StageE2E] != r.classes.Delivered-r.replayed {
		t.Errorf("of %d delivered, %d were replayed after an absence by plan; got %v, %v", r.classes.Delivered, r.replayed, r.stages, r.counts)
	}
	if len(r.audit.Defects) > 0 {
		t.Errorf("got the defects %q", r.audit.Defects)
	}
}

// missedByPlan reports whether something was due in an absence by plan for sure. A program that was kept from running for
// as long as its clients were to be away lets them leave and come back at once, behind the plan.
func (r resumedRun) missedByPlan() bool {
	return slices.ContainsFunc(r.absences, func(a absence) bool {
		return min(a.until, r.loadEnd)-a.from > int64(100*time.Millisecond)
	})
}

// throwOutEach closes each client's connection in place of its n-th message, once.
func throwOutEach(n int) testkit.Fault {
	thrown := map[int]bool{}
	return func(d testkit.Delivery) (a testkit.Action) {
		if d.Data && d.Nth == n && !thrown[d.Client] {
			thrown[d.Client], a.Do, a.Code = true, testkit.Close, 4000
		}
		return a
	}
}

// TestResumingClientsMissNothing: whatever takes them away, and whether they are back when the load ends or not. Absence
// excuses nothing, and there is nothing to excuse.
func TestResumingClientsMissNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		change  func(*scenarios.Plan)
		planned bool // all absences are
		fault   func() testkit.Fault
	}{
		{"all leave and come back at once", func(p *scenarios.Plan) {
			p.Phases.Measure[0].Duration = 1600 * time.Millisecond
			p.Phases.Measure[0].Clients = map[string]scenarios.Curve{"g": {Kind: scenarios.CurveSpike, From: 5, To: 0, At: 300 * time.Millisecond, For: time.Second}}
		}, true, nil},
		{"steps down to none and up again", func(p *scenarios.Plan) {
			p.Phases.Measure = []scenarios.MeasurePhase{
				{Name: "down", Duration: 1200 * time.Millisecond, Clients: map[string]scenarios.Curve{"g": {Kind: scenarios.CurveSteps, From: 5, To: 0, Steps: 3}}},
				{Name: "up", Duration: 1200 * time.Millisecond, Clients: map[string]scenarios.Curve{"g": {Kind: scenarios.CurveSteps, From: 0, To: 5, Steps: 3}}},
			}
		}, true, nil},
		{"churn", func(p *scenarios.Plan) {
			p.Clients[0].Churn = &scenarios.Churn{Session: 200 * time.Millisecond, Away: 100 * time.Millisecond}
		}, true, nil},
		{"away when the load ends", func(p *scenarios.Plan) {
			p.Phases.Measure[0].Clients = map[string]scenarios.Curve{"g": {Kind: scenarios.CurveRamp, From: 5, To: 0}}
		}, true, nil},
		{"clients of keys", func(p *scenarios.Plan) {
			p.Clients[0].Subscribe = scenarios.Subscribe{Topic: "t", Keys: 2}
			p.Clients[0].Churn = &scenarios.Churn{Session: 200 * time.Millisecond, Away: 100 * time.Millisecond}
		}, true, nil},
		{"all are thrown out", func(*scenarios.Plan) {}, false, func() testkit.Fault { return throwOutEach(30) }},
		{"thrown out in the middle of a replay", func(p *scenarios.Plan) {
			p.Phases.Measure[0].Duration = 1600 * time.Millisecond
			p.Phases.Measure[0].Clients = map[string]scenarios.Curve{"g": {Kind: scenarios.CurveSpike, From: 5, To: 0, At: 300 * time.Millisecond, For: time.Second}}
		}, false, func() testkit.Fault {
			var thrown [5]bool
			replayed := [5]int{}
			return func(d testkit.Delivery) (a testkit.Action) {
				if d.Data && d.Replayed {
					if replayed[d.Client]++; replayed[d.Client] == 4 && !thrown[d.Client] {
						thrown[d.Client], a.Do, a.Code = true, testkit.Close, 4001
					}
				}
				return a
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			kafka := testkit.Kafka(t, 3, "t")
			plan := resumePlan(kafka.ListenAddrs())
			c.change(plan)
			var fault testkit.Fault
			if c.fault != nil {
				fault = c.fault()
			}
			gateway := startResuming(t, kafka.ListenAddrs(), testkit.Resume{PositionsEvery: 7}, fault)
			r := runResuming(t, plan, gateway)
			r.check(t, gateway)
			if want := (results.Classes{Expected: r.classes.Expected, Delivered: r.classes.Expected}); r.classes != want || r.classes.Expected == 0 {
				t.Errorf("got %+v; want all delivered; %s", r.classes, r.events)
			}
			returns := r.counts[results.CountReturns]
			if returns == 0 || r.counts[results.CountResumed] != returns || r.counts[results.CountResumeFailed] != 0 || r.counts[results.CountReplayed] == 0 {
				t.Errorf("got %v; want clients that return and are resumed, each; %s", r.counts, r.events)
			}
			if thrown := r.counts[results.CountThrownOut]; (thrown == 0) != c.planned {
				t.Errorf("%d were thrown out", thrown)
			}
			if c.planned && (r.replayed == 0 && r.missedByPlan() || r.replayed > r.counts[results.CountReplayed] || int64(len(r.absences)) != returns) {
				t.Errorf("%d returns, %d replayed, %d of them after the absences by plan %v", returns, r.counts[results.CountReplayed], r.replayed, r.absences)
			}
			if got := r.stages[results.StageCaughtUp]; got > returns || got < returns-r.counts[results.CountThrownOut] || got == 0 {
				t.Errorf("%d returns, and %d of them have caught up", returns, got)
			}
		})
	}
}

// TestSeamFaultsAreCounted: what is wrong with a replay is found to the message.
func TestSeamFaultsAreCounted(t *testing.T) {
	t.Parallel()
	// onceEach does the deed with each client's n-th replayed message, where it has so many, and the gateway counts it.
	onceEach := func(n int, deed testkit.Deed) testkit.Fault {
		replayed := map[int]int{}
		return func(d testkit.Delivery) (a testkit.Action) {
			if d.Data && d.Replayed {
				if replayed[d.Client]++; replayed[d.Client] == n {
					a.Do = deed
				}
			}
			return a
		}
	}
	for _, c := range []struct {
		name   string
		resume testkit.Resume
		fault  testkit.Fault
		want   func(n testkit.Counts) results.Classes // what is wrong
		failed int64
	}{
		{"one lost", testkit.Resume{}, onceEach(3, testkit.Drop), func(n testkit.Counts) results.Classes { return results.Classes{Lost: n.Dropped} }, 0},
		{"one duplicated", testkit.Resume{}, onceEach(3, testkit.Duplicate), func(n testkit.Counts) results.Classes { return results.Classes{Duplicate: n.Duplicate} }, 0},
		{"one reordered", testkit.Resume{}, onceEach(3, testkit.Delay), func(n testkit.Counts) results.Classes { return results.Classes{Reordered: n.Reordered} }, 0},
		// Each is thrown out in place of a message of its own, so that there is one before that and one to be missed, whatever
		// the machine's pace.
		{"begins one too late", testkit.Resume{Shift: 1}, throwOutEach(10), func(testkit.Counts) results.Classes { return results.Classes{Lost: 5} }, 0},
		{"begins one too early", testkit.Resume{Shift: -1}, throwOutEach(10), func(testkit.Counts) results.Classes { return results.Classes{Duplicate: 5} }, 0},
		{"says that it resumed and skips", testkit.Resume{Skip: true}, nil, func(n testkit.Counts) results.Classes { return results.Classes{Lost: n.Missed} }, 0},
		{"says that it can't", testkit.Resume{Forget: true}, nil, func(n testkit.Counts) results.Classes { return results.Classes{Lost: n.Missed} }, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each waits out the drain deadline
			kafka := testkit.Kafka(t, 3, "t")
			plan := resumePlan(kafka.ListenAddrs())
			// Long enough for something to be missed, however late the machine is.
			plan.Phases.Measure[0].Duration = 3 * time.Second
			if c.resume.Shift == 0 {
				plan.Phases.Measure[0].Clients = map[string]scenarios.Curve{"g": {Kind: scenarios.CurveSpike, From: 5, To: 0, At: 300 * time.Millisecond, For: 2 * time.Second}}
			}
			plan.Phases.DrainDeadline = missingDrain // a stream with a loss never settles
			gateway := startResuming(t, kafka.ListenAddrs(), c.resume, c.fault)
			r := runResuming(t, plan, gateway)
			r.check(t, gateway)
			n := gateway.Counts()
			want := c.want(n)
			want.Expected, want.Delivered = n.Due, n.Due-want.Lost
			if r.classes != want || want == (results.Classes{Expected: n.Due, Delivered: n.Due}) {
				t.Errorf("got %+v; want %+v; the gateway did %+v; %s", r.classes, want, n, r.events)
			}
			if got := [3]int64{r.counts[results.CountReturns], r.counts[results.CountResumed], r.counts[results.CountResumeFailed]}; got != [3]int64{5, 5 - c.failed, c.failed} {
				t.Errorf("got %v returns, resumed and failed; want 5, %d, %d", got, 5-c.failed, c.failed)
			}
			if told := strings.Contains(r.events, "could not give a client that came back all"); told != (c.failed > 0) {
				t.Errorf("it is told that it could not resume: %v; %s", told, r.events)
			}
		})
	}
}

// TestReconnectStorm: all clients of a crowd drop at once, by the scenario's order or the target's, and come back as fast as
// they can while the load goes on.
func TestReconnectStorm(t *testing.T) {
	t.Parallel()
	const (
		crowd   = 200
		seconds = 3 // long enough for all to leave and to be back before the load is over: after that nobody leaves any more
	)
	for _, planned := range []bool{true, false} {
		t.Run(fmt.Sprintf("planned %v", planned), func(t *testing.T) {
			kafka := testkit.Kafka(t, 3, "t")
			plan := resumePlan(kafka.ListenAddrs())
			plan.Producers[0].Rate, plan.Producers[0].Keys.Count = scenarios.Hold(500), 50
			plan.Phases.Measure[0].Duration = seconds * time.Second
			plan.Clients[0].Count, plan.Clients[0].ConnectRate = crowd, 5000
			plan.Clients[0].Subscribe = scenarios.Subscribe{Topic: "t", Keys: 1}
			fault := throwOutEach(4)
			if planned {
				fault = nil
				plan.Phases.Measure[0].Clients = map[string]scenarios.Curve{"g": {Kind: scenarios.CurveSpike, From: crowd, To: 0, At: 200 * time.Millisecond, For: 300 * time.Millisecond}}
			}
			gateway := startResuming(t, kafka.ListenAddrs(), testkit.Resume{PositionsEvery: 50}, fault)
			r := runResuming(t, plan, gateway)
			// What a busy gateway writes to clients that have left, for longer than they wait for its close frame, it writes again.
			if planned {
				r.checkItself(t)
			} else {
				r.check(t, gateway)
			}
			want := results.Classes{Expected: 4 * 500 * seconds, Delivered: 4 * 500 * seconds} // four clients follow each key
			if r.classes != want {
				t.Errorf("got %+v; want %+v; %s", r.classes, want, r.events)
			}
			got := [3]int64{r.counts[results.CountReturns], r.counts[results.CountResumed], r.stages[results.StageCaughtUp]}
			if got != [3]int64{crowd, crowd, crowd} {
				t.Errorf("got %v returns, resumed and caught up; want %d each", got, crowd)
			}
		})
	}
}
