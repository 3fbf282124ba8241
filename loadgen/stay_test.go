package loadgen

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// TestWhoNeverJoinsIsNamed: a client that came while the load went and saw no marker for longer than the join deadline is
// named, whether it has left since or not; one that has just come, or that joined, is not.
func TestWhoNeverJoinsIsNamed(t *testing.T) {
	plan := enginePlan("ws://127.0.0.1:1/", nil)
	plan.Clients[0].Count = 4
	s := profiledSwarm(t, plan)
	for _, c := range s.clients {
		s.begin(c)
	}
	long := time.Now().Add(-time.Hour)
	for _, c := range s.clients[1:] {
		c.cameAt = long
	}
	s.left(s.clients[2])
	joined := s.clients[3]
	joined.worker.takeMessage(joined, stamped(Stamp{Kind: KindJoin, Run: 1, Key: NoKey}, 90, 0), 1, true)
	names, count := s.unjoinedAtEnd(1)
	if count != 2 || len(names) != 1 || names[0] != "g/1 (producer p, partition 0)" {
		t.Errorf("got %d clients, %q; want 2, the first of them g/1", count, names)
	}
}

// TestStintsAreBounded: what is remembered of clients that left counts against the audit's bound, and the run fails where
// it does not suffice.
func TestStintsAreBounded(t *testing.T) {
	plan := enginePlan("ws://127.0.0.1:1/", nil)
	plan.Audit.Gaps = 2
	s := profiledSwarm(t, plan)
	c, p := s.clients[0], s.producers[0]
	for i := range uint64(3) {
		if stopped(s.failed) {
			t.Fatalf("the run failed after %d stints: %v", i, s.err)
		}
		if i > 0 {
			s.arrive(c)
		}
		s.begin(c)
		c.worker.takeMessage(c, stamped(Stamp{Kind: KindJoin, Run: 1, Key: NoKey, PartSeq: i, SentAt: math.MaxInt64}, 90, 0), 1, true)
		p.ledger.take(NoKey, 0)
		s.left(c)
	}
	if !stopped(s.failed) || !errors.Is(s.err, errGaps) {
		t.Errorf("got %v; want %v", s.err, errGaps)
	}
}

// TestPublishersAreNotWaitedFor: clients that follow nothing are joined at once, and are not what the error counts.
func TestPublishersAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 1, "t")
	plan := enginePlan(testkit.SilentTarget(t), kafka.ListenAddrs())
	plan.Clients = append(plan.Clients, scenarios.ClientGroup{Name: "publishers", Count: 3, ConnectRate: 1000})
	plan.Phases.JoinDeadline = 100 * time.Millisecond
	e := newTestEngine(t, plan)
	if err := e.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := e.Join(t.Context())
	if err == nil || !strings.Contains(err.Error(), "2 of 2 clients never saw") || !strings.Contains(err.Error(), "delivered nothing") {
		t.Errorf("got %v; want the two that follow something, and that nothing came", err)
	}
	plan.Clients = plan.Clients[1:]
	e = newTestEngine(t, plan)
	if err := e.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.Join(t.Context()); err != nil {
		t.Errorf("publishers alone: %v", err)
	}
}

// TestSlowReadersAreToldApart: their latencies are in a stage of their own and in no other, the account has their
// deliveries like anybody's, and the spread is that of the others.
func TestSlowReadersAreToldApart(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 1, "t")
	gateway := testkit.StartGateway(t, testkit.Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1})
	plan := enginePlan(gateway.URL(), kafka.ListenAddrs())
	slow := plan.Clients[0]
	slow.Name, slow.Count, slow.Slow = "slow", 1, &scenarios.SlowReading{ReceiveBuffer: 4 << 10, Every: 20 * time.Millisecond, Bytes: 4 << 10}
	plan.Clients = append(plan.Clients, slow)
	audit, intervals, _ := runThrough(t, plan, nil)
	if len(audit.Rows) != 2 || audit.Rows[1].Group != "slow" || audit.Rows[1].Classes != (results.Classes{Expected: 30, Delivered: 30}) {
		t.Errorf("got the rows %+v; want the slow client's 30 deliveries", audit.Rows)
	}
	if audit.ClientsTotal != 2 {
		t.Errorf("%d clients are judged by the objective; want the two that read as fast as they can", audit.ClientsTotal)
	}
	got := map[string]map[results.Stage]int64{"slow": {}, "g": {}, "": {}}
	for _, iv := range intervals {
		for _, s := range iv.Series {
			got[s.Group][s.Stage] += s.Count()
		}
	}
	delete(got["slow"], results.StageConnect)
	if len(got["slow"]) != 1 || got["slow"][results.StageE2ESlow] != 30 {
		t.Errorf("got %v of the slow client; want 30 of its own stage alone", got["slow"])
	}
	if got["g"][results.StageE2ESlow] != 0 || got["g"][results.StageE2E] != 60 {
		t.Errorf("got %v of the others; want 60 in e2e", got["g"])
	}
	if got[""][results.StageSpread] != 30 {
		t.Errorf("got %d spreads; want one of each message, of the two other clients", got[""][results.StageSpread])
	}
}

// TestSlowReadersCatchUpInTheDrain: what is on its way to them when the load ends is read as fast as by anybody: slowly it
// would take a minute more than the drain has.
func TestSlowReadersCatchUpInTheDrain(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 1, "t")
	gateway := testkit.StartGateway(t, testkit.Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1})
	plan := enginePlan(gateway.URL(), kafka.ListenAddrs())
	plan.Producers[0].Size = scenarios.Size{Kind: scenarios.SizeFixed, Min: 2000, Max: 2000}
	plan.Clients[0].Slow = &scenarios.SlowReading{ReceiveBuffer: 4 << 10, Every: 100 * time.Millisecond, Bytes: 70}
	plan.Clients[0].Count = 1
	audit, _, _ := runThrough(t, plan, nil)
	if got, want := classes(audit), (results.Classes{Expected: 30, Delivered: 30}); got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
}
