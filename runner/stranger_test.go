package runner

import (
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// wantEarlyEnd checks that the run ended long before its load would have, as an error that says each of the texts.
func wantEarlyEnd(t *testing.T, s *report.Summary, load time.Duration, texts ...string) {
	t.Helper()
	if s.Exit != report.ExitError || s.Status != results.StatusPartial || s.Verdict == report.VerdictPassed {
		t.Errorf("got exit code %d, status %s, verdict %s; want %d, %s and no pass", s.Exit, s.Status, s.Verdict, report.ExitError, results.StatusPartial)
	}
	if got := time.Duration(s.Run.DurationNS); got > load {
		t.Errorf("the run took %v, longer than its load", got)
	}
	for _, text := range texts {
		if !strings.Contains(s.Run.Error, text) {
			t.Errorf("got the error %q; want it to say %q", s.Run.Error, text)
		}
	}
}

// briefJoin is a join deadline that passes, and before which markers have come through.
const briefJoin = 3 * time.Second

// TestStrangerOnThePort: what listens there is no gateway.
func TestStrangerOnThePort(t *testing.T) {
	for _, c := range []struct {
		name  string
		url   func(t *testing.T) string
		texts []string
		final bool // trying again is in vain: the run does not wait for its deadline
	}{
		{"HTTP without WebSocket", func(t *testing.T) string { return testkit.Stranger(t, 200) }, []string{"HTTP 200", "is /ws the WebSocket endpoint?"}, true},
		{"HTTP not found", func(t *testing.T) string { return testkit.Stranger(t, 404) }, []string{"HTTP 404", "is /ws the WebSocket endpoint?"}, true},
		{"HTTP never ready", func(t *testing.T) string { return testkit.Stranger(t, 503) }, []string{"HTTP 503", "not ready"}, false},
		{"accepts and says nothing", func(t *testing.T) string { return testkit.StrangerTCP(t, "") }, []string{"no answer to the WebSocket handshake"}, false},
		{"speaks something else", func(t *testing.T) string { return testkit.StrangerTCP(t, "220 mail.example ESMTP\r\n") }, []string{"speaks no HTTP"}, true},
		{"nothing", func(*testing.T) string { return "ws://127.0.0.1:1/ws" }, []string{"nothing listens at 127.0.0.1:1"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			kafka := testkit.Kafka(t, testPartitions, testTopic)
			plan := smallPlan(kafka.ListenAddrs(), c.url(t))
			if !c.final {
				plan.Gateway.ReadyIn = 3 * time.Second // one attempt at least must come to its answer
			}
			plan.Phases.Measure[0].Duration = time.Minute
			wantEarlyEnd(t, runPlan(t, plan), time.Minute, append(c.texts, plan.Gateway.URL[len("ws://"):])...)
		})
	}
}

// TestTargetThatDeliversNothing: connected and receiving nothing is a failure, not a quiet run.
func TestTargetThatDeliversNothing(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, testPartitions, testTopic)
	plan := smallPlan(kafka.ListenAddrs(), testkit.SilentTarget(t))
	plan.Phases.JoinDeadline = briefJoin
	plan.Phases.Measure[0].Duration = time.Minute
	s := runPlan(t, plan)
	wantEarlyEnd(t, s, time.Minute, "24 of 24 clients never saw a marker", "keyed/0", "accepted the connections and delivered nothing")
	if got := s.Clients.NeverJoined; got != plan.ClientCount() {
		t.Errorf("got %d clients that never joined; want %d", got, plan.ClientCount())
	}
	if got := s.Counters[results.CountSent]; got != 0 {
		t.Errorf("%d messages were sent before all had joined", got)
	}
}

// TestTargetThatForgetsAPartition: some streams never join, and the error names one.
func TestTargetThatForgetsAPartition(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{Fault: func(d testkit.Delivery) testkit.Action {
		if d.Partition == 2 {
			return testkit.Action{Do: testkit.Drop}
		}
		return testkit.Action{}
	}})
	p.plan.Phases.JoinDeadline = briefJoin
	p.plan.Phases.Measure[0].Duration = time.Minute
	s := p.run(t)
	wantEarlyEnd(t, s, time.Minute, "never saw a marker on every stream", "producer feed", "does the gateway read every partition?")
	if got := s.Clients.NeverJoined; got < wholeClients || got > p.plan.ClientCount() {
		t.Errorf("got %d clients that never joined; want the %d that follow everything at least", got, wholeClients)
	}
}

// TestTargetThatChangesValues: what comes has no stamp that holds.
func TestTargetThatChangesValues(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{Fault: func(testkit.Delivery) testkit.Action {
		return testkit.Action{Do: testkit.BreakStamp}
	}})
	p.plan.Phases.JoinDeadline = briefJoin
	p.plan.Phases.Measure[0].Duration = time.Minute
	wantEarlyEnd(t, p.run(t), time.Minute, "24 of 24 clients never saw a marker", "frames came without a stamp", "does the gateway pass values on unchanged")
}

// TestTargetThatThrowsEveryoneOut: the error names the reason that the target gave.
func TestTargetThatThrowsEveryoneOut(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{Fault: func(testkit.Delivery) testkit.Action {
		return testkit.Action{Do: testkit.Close, Code: 4123}
	}})
	p.plan.Phases.JoinDeadline = briefJoin
	p.plan.Phases.Measure[0].Duration = time.Minute
	wantEarlyEnd(t, p.run(t), time.Minute, "never saw a marker", "client thrown out", "4123")
}

// TestBareTarget: every value to everyone, as it is.
func TestBareTarget(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{Bare: true, Fault: every(10, testkit.Action{Do: testkit.Duplicate})})
	p.plan.Gateway.Profile = scenarios.BareProfile()
	p.plan.Clients = p.plan.Clients[1:]
	s := p.run(t)
	n := p.gateway.Counts()
	wantClasses(t, s, results.Classes{Expected: sent * wholeClients, Duplicate: n.Duplicate})
	if n.Duplicate == 0 {
		t.Errorf("the gateway planted nothing: %+v", n)
	}
}
