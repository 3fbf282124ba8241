package runner

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

const (
	testTopic      = "prices"
	testPartitions = 4
	testKeys       = 40
	testRate       = 300
	testMeasure    = time.Second
	testSize       = 160
	// followers is how many clients follow each message: one its key, and all of the group that follows everything.
	followers = 1 + wholeClients
	// keyedClients follow two keys each.
	keyedClients = testKeys / 2
	wholeClients = 4
	// patience is for waits that end as soon as what they wait for is there, also on a machine that is far too busy.
	patience = time.Minute
	// missingDrain is the drain of a run in which something may be missing on purpose: then it lasts to the deadline.
	missingDrain = 5 * time.Second
)

// pipeline is an in-process Kafka with a defective gateway over it, and the plan of a run against them.
type pipeline struct {
	kafka   *kfake.Cluster
	gateway *testkit.Gateway
	plan    *scenarios.Plan
}

// newPipeline starts Kafka and gateway. Each test has its own, and may change the plan before it runs.
func newPipeline(t *testing.T, o testkit.Options) *pipeline {
	t.Helper()
	kafka := testkit.Kafka(t, testPartitions, testTopic)
	o.Seeds, o.Topics, o.Partitions = kafka.ListenAddrs(), []string{testTopic}, testPartitions
	gateway := testkit.StartGateway(t, o)
	return &pipeline{kafka, gateway, smallPlan(kafka.ListenAddrs(), gateway.URL())}
}

// smallPlan has 24 clients of two kinds, one producer, no warm-up.
func smallPlan(seeds []string, url string) *scenarios.Plan {
	return &scenarios.Plan{
		Name: "anomaly", Seed: 7,
		Kafka: scenarios.KafkaPlan{
			Provider: scenarios.ProviderExternal, Seeds: seeds, FinalRead: true,
			Topics: []scenarios.Topic{{Name: testTopic, Partitions: testPartitions, Existing: true}},
		},
		Gateway: scenarios.GatewayPlan{
			Target: scenarios.TargetExternal, URL: url, Profile: scenarios.ReferenceProfile(), ReadyIn: patience,
			Guarantees: scenarios.Guarantees{Delivery: "at-most-once", Ordered: true},
		},
		Producers: []scenarios.Producer{{
			Name: "feed", Topic: testTopic, Rate: scenarios.Hold(testRate), Arrivals: scenarios.ArrivalsConstant,
			Size: scenarios.Size{Kind: scenarios.SizeFixed, Min: testSize, Max: testSize},
			Keys: scenarios.Keys{Kind: scenarios.KeysRoundRobin, Count: testKeys},
			Acks: "all", Compression: "none", Stall: 10 * time.Second,
		}},
		Clients: []scenarios.ClientGroup{
			{Name: "keyed", Count: keyedClients, ConnectRate: 1000, Subscribe: scenarios.Subscribe{Topic: testTopic, Keys: 2}, Reconnect: true},
			{Name: "whole", Count: wholeClients, ConnectRate: 1000, Subscribe: scenarios.Subscribe{Topic: testTopic, All: true}, Reconnect: true},
		},
		Phases: scenarios.Phases{
			ConnectDeadline: patience, JoinDeadline: patience, DrainDeadline: missingDrain,
			Measure: []scenarios.MeasurePhase{{Name: "steady", Duration: testMeasure}},
		},
		Thresholds: []scenarios.Threshold{},
		Audit:      scenarios.AuditLimits{MemoryBytes: 64 << 20, Gaps: 100_000},
		IntervalNS: time.Second, Objective: 100 * time.Millisecond,
	}
}

// run makes the run and returns the summary as the written summary.json has it.
func (p *pipeline) run(t *testing.T) *report.Summary {
	t.Helper()
	return runPlan(t, p.plan)
}

func runPlan(t *testing.T, plan *scenarios.Plan) *report.Summary {
	t.Helper()
	said, dir, err := Run(t.Context(), Options{Plan: plan, Dir: filepath.Join(t.TempDir(), "run")})
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	written := readSummary(t, dir)
	if got, want := written.Audit.Classes, said.Audit.Classes; got != want {
		t.Errorf("summary.json has the classes %+v; Run returned %+v", got, want)
	}
	return written
}

// sent is the number of messages that the small plan sends.
const sent = testRate * int64(testMeasure) / int64(time.Second)

// wantClasses checks the whole account. Expected and delivered are filled in from the others where want leaves them 0:
// whatever is missing was not delivered. What is foreign belongs to the phase in which it came, on a slow machine to the
// drain, so it is summed over all phases.
func wantClasses(t *testing.T, s *report.Summary, want results.Classes) {
	t.Helper()
	if want.Expected == 0 {
		want.Expected = sent * followers
	}
	if want.Delivered == 0 {
		want.Delivered = want.Expected - want.Missing()
	}
	got := s.Audit.Classes
	got.Foreign = 0
	for _, r := range s.Audit.Rows {
		got.Foreign += r.Foreign
	}
	if got != want {
		t.Errorf("got the account  %+v\nwant             %+v", got, want)
	}
	if !s.Audit.Holds() {
		t.Errorf("the identity does not hold: %+v", s.Audit.Classes)
	}
	if len(s.Audit.Defects) > 0 {
		t.Errorf("got defects %q; want none", s.Audit.Defects)
	}
	if s.Status != results.StatusComplete {
		t.Errorf("got status %s (%s); want %s", s.Status, s.Run.Error, results.StatusComplete)
	}
}

// wantExit checks the exit code. On a machine too busy to keep the schedule a run is rightly invalid, whatever the
// gateway did: then that must be what the code says.
func wantExit(t *testing.T, s *report.Summary, want int) {
	t.Helper()
	if s.Exit == want {
		return
	}
	if s.Exit == report.ExitInvalid && testkit.LateAlone(s) {
		t.Logf("this machine did not keep the schedule: exit code %d in place of %d: %q", s.Exit, want, s.Reasons)
		return
	}
	t.Errorf("got exit code %d, verdict %s, reasons %q; want exit code %d", s.Exit, s.Verdict, s.Reasons, want)
}
