package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// libraryRun is how a scenario of the library is run by the tests, and what must come of it.
type libraryRun struct {
	// small is what makes it small enough for a race build, fuller what makes it shorter and nothing else.
	small, fuller []string
	// excused are the classes of the account that the scenario is made to have.
	excused []string
	// drain is the drain's deadline of the small run; where it is empty the drain ends when all has come.
	drain string
	// shows is what the scenario is there for, each by a figure that is 0 where it did not happen.
	shows map[string]func(*report.Summary) int64
}

// deliveredTo counts a group's first arrivals.
func deliveredTo(group string) func(*report.Summary) int64 {
	return func(s *report.Summary) int64 {
		n := int64(0)
		for _, r := range s.Audit.Rows {
			if r.Group == group {
				n += r.Delivered
			}
		}
		return n
	}
}

func counted(name string) func(*report.Summary) int64 {
	return func(s *report.Summary) int64 { return s.CountersAll[name] }
}

func roundTrips(s *report.Summary) int64       { return s.Latency.RoundTrip.Count }
func acknowledgements(s *report.Summary) int64 { return s.Latency.Ack.Count }
func conflated(s *report.Summary) int64        { return s.Audit.Conflated }

var libraryRuns = map[string]libraryRun{
	"quickstart": {
		small:  []string{"clients.viewers.count=50", "producers.feed.rate=200/s", "phases.measure.0.duration=1s"},
		fuller: []string{"phases.measure.0.duration=4s"},
		shows:  map[string]func(*report.Summary) int64{"viewers": deliveredTo("viewers")},
	},
	"chat": {
		small:  []string{"clients.members.count=50", "clients.members.publish.keys=5", "phases.measure.0.duration=2s"},
		fuller: []string{"phases.measure.0.duration=4s"},
		shows:  map[string]func(*report.Summary) int64{"members": deliveredTo("members"), "round trips": roundTrips},
	},
	"analytics": {
		small: []string{
			"clients.dashboards.count=20", "clients.tickers.count=20", "producers.sensors.rate=100/s",
			"gateway.conflate.gauges=500ms", "phases.measure.0.duration=2s",
		},
		fuller:  []string{"phases.measure.0.duration=4s"},
		excused: []string{"shed"},
		shows: map[string]func(*report.Summary) int64{
			"dashboards": deliveredTo("dashboards"), "tickers": deliveredTo("tickers"), "conflation": conflated,
		},
	},
	"market-data": {
		small: []string{
			"clients.traders.count=30", "producers.exchange.rate=200/s", "producers.exchange.keys.count=200",
			"phases.measure.0.duration=1s", "phases.measure.1.duration=1s",
			"phases.measure.1.rates={exchange: {spike: {base: 200/s, peak: 600/s, at: 300ms, for: 400ms}}}",
		},
		fuller: []string{
			"phases.measure.0.duration=2s", "phases.measure.1.duration=3s",
			"phases.measure.1.rates={exchange: {spike: {base: 1000/s, peak: 3000/s, at: 1s, for: 1s}}}",
		},
		shows: map[string]func(*report.Summary) int64{"traders": deliveredTo("traders")},
	},
	"alerts": {
		small:  []string{"clients.phones.count=100", "producers.control-room.rate=20/s", "phases.measure.0.duration=2s"},
		fuller: []string{"phases.measure.0.duration=5s"},
		shows:  map[string]func(*report.Summary) int64{"phones": deliveredTo("phones")},
	},
	"iot-upstream": {
		small:  []string{"clients.devices.count=100", "clients.devices.publish.keys=100", "phases.measure.0.duration=2s"},
		fuller: []string{"phases.measure.0.duration=4s"},
		shows: map[string]func(*report.Summary) int64{
			"consumers": deliveredTo("consumers"), "acknowledgements": acknowledgements,
		},
	},
	"mixed": {
		small: []string{
			"clients.viewers.count=20", "clients.viewers.churn={session: 1s, away: 200ms}", "clients.laggards.count=2",
			"clients.members.count=20", "clients.members.publish.keys=2", "clients.members.publish.rate=60/m",
			"producers.news.rate=50/s", "phases.measure.0.duration=1s", "phases.measure.1.duration=1s", "phases.measure.2.duration=1s",
			"phases.measure.0.rates={news: {ramp: {from: 20/s, to: 50/s}}}",
			"phases.measure.2.rates={news: {spike: {base: 50/s, peak: 150/s, at: 300ms, for: 400ms}}}",
		},
		fuller: []string{
			"clients.viewers.churn={session: 4s, away: 1s}",
			"phases.measure.0.duration=3s", "phases.measure.1.duration=3s", "phases.measure.2.duration=3s",
			"phases.measure.2.rates={news: {spike: {base: 200/s, peak: 600/s, at: 1s, for: 1s}}}",
		},
		excused: []string{"shed", "undetermined", "early"},
		// What was shed never comes, so that the drain takes its whole time; the laggards are some seconds behind.
		drain: "40s",
		shows: map[string]func(*report.Summary) int64{
			"viewers": deliveredTo("viewers"), "laggards": deliveredTo("laggards"), "members": deliveredTo("members"),
			"round trips": roundTrips, "churn": counted(results.CountLeft),
		},
	},
}

// check requires that what the scenario is there for happened, and that the account has nothing but what it excuses.
func (l libraryRun) check(t *testing.T, s *report.Summary) {
	t.Helper()
	a := s.Audit.Classes
	if a.Expected == 0 || len(s.Audit.Defects) > 0 || !s.Audit.Holds() {
		t.Errorf("audit: got %+v, defects %q; want an account that holds", a, s.Audit.Defects)
	}
	for name, n := range map[string]int64{
		"lost": a.Lost, "unseen": a.Unseen, "shed": a.Shed, "undetermined": a.Undetermined, "duplicate": a.Duplicate,
		"reordered": a.Reordered, "corrupt": a.Corrupt, "stray": a.Stray, "early": a.Early, "foreign": a.Foreign,
	} {
		if n != 0 && !slices.Contains(l.excused, name) {
			t.Errorf("audit: got %d %s; want none: %+v", n, name, a)
		}
	}
	for what, of := range l.shows {
		if of(s) == 0 {
			t.Errorf("the run shows nothing of its %s", what)
		}
	}
}

// loosened are overrides that widen the limits of latencies, and of nothing else: a race build or a machine that carries
// three brokers is slow, and what is delivered must be right all the same.
func loosened(plan *scenarios.Plan) []string {
	var sets []string
	for i, th := range plan.Thresholds {
		if th.Unit == scenarios.UnitNS {
			condition, _, _ := strings.Cut(th.Text, " "+th.Op+" ")
			sets = append(sets, fmt.Sprintf("thresholds.%d=%s %s 60s", i, condition, th.Op))
		}
	}
	return sets
}

// runLibrary runs each scenario of the library with overrides, several at once or one after the other, and requires that it
// passes.
func runLibrary(t *testing.T, atOnce bool, sets func(libraryRun, *scenarios.Plan) []string) {
	for _, name := range scenarios.Library() {
		t.Run(name, func(t *testing.T) {
			if atOnce {
				t.Parallel()
			}
			l, ok := libraryRuns[name]
			if !ok {
				t.Fatalf("nothing says how %s is run: add it to libraryRuns", name)
			}
			plan, err := (&scenarioFlags{}).plan(name)
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"run", name, "--quiet"}
			for _, set := range sets(l, plan) {
				args = append(args, "--set", set)
			}
			runChecked(t, func() *weir {
				dir := filepath.Join(t.TempDir(), "run")
				w := startWeir(t, append(args, "--out", dir)...)
				w.dir = dir
				return w
			}, l.check)
		})
	}
}

// TestLibrary runs each scenario of the library, small, on the embedded Kafka.
func TestLibrary(t *testing.T) {
	t.Parallel()
	runLibrary(t, true, func(l libraryRun, plan *scenarios.Plan) []string {
		common := []string{"phases.warm-up=500ms", "phases.drain.deadline=" + cmp.Or(l.drain, "2m")}
		return slices.Concat(l.small, common, loosened(plan))
	})
}

// TestRealExternalLibrary runs each with its own rates and clients, shorter, on a cluster that is there. The machine may
// carry the cluster too, so that no latency is held to its limit: the library's own is for a machine left alone.
func TestRealExternalLibrary(t *testing.T) {
	seeds := os.Getenv("WEIR_KAFKA_SEEDS")
	if seeds == "" {
		t.Skip("WEIR_KAFKA_SEEDS is not set: the tests on a running cluster are skipped (make test-external requires it)")
	}
	runLibrary(t, false, func(l libraryRun, plan *scenarios.Plan) []string {
		sets := append(slices.Clone(l.fuller), "phases.warm-up=2s", "kafka.provider=external", "kafka.seeds="+seeds)
		for i := range plan.Kafka.Topics {
			sets = append(sets, fmt.Sprintf("kafka.topics.%d.replication=3", i))
		}
		return append(sets, loosened(plan)...)
	})
}
