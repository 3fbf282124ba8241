package loadgen

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// conflatedPlan has one producer of four keys, a client that follows all and two that follow two keys each.
func conflatedPlan(url string, seeds []string) *scenarios.Plan {
	p := enginePlan(url, seeds)
	p.Producers[0].Keys = scenarios.Keys{Kind: scenarios.KeysRoundRobin, Count: 4}
	p.Producers[0].Rate = scenarios.Hold(40)
	p.Phases.Measure = []scenarios.MeasurePhase{{Name: "m", Duration: time.Second}, {Name: "n", Duration: 500 * time.Millisecond}}
	p.Clients = append(p.Clients, p.Clients[0])
	p.Clients[0].Count = 1
	p.Clients[1].Name, p.Clients[1].Subscribe = "some", scenarios.Subscribe{Topic: "t", Keys: 2}
	return p
}

// passedOn is what the gateway gave to each of its clients, by key.
type passedOn struct {
	mu   sync.Mutex
	seqs map[passedKey]map[uint64]bool
}

type passedKey struct {
	client int
	key    uint32
}

// fault keeps what is passed on, and drops data that drop says.
func (p *passedOn) fault(drop func(client int, s *Stamp) bool) testkit.Fault {
	return func(d testkit.Delivery) testkit.Action {
		var s Stamp
		if at, err := s.FindStamp(d.Value, 0); at < 0 || err != nil {
			return testkit.Action{}
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		key := passedKey{d.Client, s.Key}
		if p.seqs[key] == nil {
			p.seqs[key] = map[uint64]bool{}
		}
		if !d.Data {
			return testkit.Action{}
		}
		if drop != nil && drop(d.Client, &s) {
			return testkit.Action{Do: testkit.Drop}
		}
		p.seqs[key][s.KeySeq] = true
		return testkit.Action{}
	}
}

// account says what is delivered, shed, lost and unseen, message by message.
func (p *passedOn) account(sentAt [][]int64, within int64) (c results.Classes) {
	for key, got := range p.seqs {
		for m := range sentAt[key.key] {
			c.Expected++
			newer, superseded := false, false
			for n := range got {
				if n > uint64(m) {
					newer = true
					superseded = superseded || sentAt[key.key][n]-sentAt[key.key][m] <= within
				}
			}
			switch {
			case got[uint64(m)]:
				c.Delivered++
			case superseded:
				c.Shed++
			case newer:
				c.Lost++
			default:
				c.Unseen++
			}
		}
	}
	return c
}

// TestConflationIsAccountedFor: a gateway that passes on the newest value of each key at an interval sheds what it says
// it does, and what it skips beyond that is lost: where it conflates for longer than declared, skips a value that no
// newer one followed in time, or does not pass on the last.
func TestConflationIsAccountedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		declared time.Duration
		drop     func(client int, s *Stamp) bool
		want     func(results.Classes) bool
	}{
		{"as declared", time.Hour, nil, func(c results.Classes) bool { return c.Shed > 0 && c.Lost == 0 && c.Unseen == 0 }},
		{"longer than declared", time.Nanosecond, nil, func(c results.Classes) bool { return c.Shed+c.Lost > 0 && c.Unseen == 0 }},
		{"skips values", time.Nanosecond, func(client int, s *Stamp) bool { return client == 0 && s.Key == 2 && s.KeySeq < 11 },
			func(c results.Classes) bool { return c.Shed+c.Lost > 0 && c.Unseen == 0 }},
		{"the last values", time.Hour, func(client int, s *Stamp) bool { return client == 0 && s.KeySeq == 14 },
			func(c results.Classes) bool { return c.Unseen > 0 && c.Lost == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			kafka := testkit.Kafka(t, 1, "t")
			passed := &passedOn{seqs: map[passedKey]map[uint64]bool{}}
			gateway := testkit.StartGateway(t, testkit.Options{
				Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1, Conflate: 250 * time.Millisecond, Fault: passed.fault(c.drop),
			})
			plan := conflatedPlan(gateway.URL(), kafka.ListenAddrs())
			plan.Gateway.Conflate = []scenarios.Conflation{{Topic: "t", Interval: c.declared}}
			if c.drop != nil {
				plan.Phases.DrainDeadline = 4 * time.Second
			}
			e := newTestEngine(t, plan)
			for _, verb := range []func() error{
				func() error { return e.Connect(t.Context()) }, func() error { return e.Join(t.Context()) },
				func() error { return e.Load(t.Context()) }, func() error { e.Drain(t.Context()); return nil },
			} {
				if err := verb(); err != nil {
					t.Fatal(err)
				}
			}
			if open := e.swarm.open.Load(); c.drop == nil && open != 0 {
				t.Errorf("%d streams wait for something when all of them have their last value", open)
			}
			audit, _, err := e.Finish(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			gateway.Close()
			got := classes(audit)
			want := passed.account(e.producers[0].ledger.sentAt, int64(c.declared)+int64(c.declared)/10+e.slowest(0))
			if got != want || !c.want(got) || len(audit.Defects) > 0 {
				t.Errorf("got  %+v, defects %q\nwant %+v", got, audit.Defects, want)
			}
			if c.drop == nil && got.Shed+got.Lost != gateway.Counts().Conflated {
				t.Errorf("got %d skipped; want the gateway's %d", got.Shed+got.Lost, gateway.Counts().Conflated)
			}
		})
	}
}

// TestNothingConflatedIsMissingWhileTheRunGoesOn: what a conflated message should cause is not known before the end.
func TestNothingConflatedIsMissingWhileTheRunGoesOn(t *testing.T) {
	plan := conflatedPlan("ws://h/", nil)
	plan.Gateway.Conflate = []scenarios.Conflation{{Topic: "t", Interval: time.Second}}
	swarm := profiledSwarm(t, plan)
	c, l := swarm.clients[0], swarm.producers[0].ledger
	l.enter(0)
	c.worker.takeMessage(c, stamped(Stamp{Kind: KindJoin, Run: 1, Key: 3}, 90, 0), 1, true)
	l.take(3, 0)
	swarm.expected(func(name string, label results.Label, n int64) {
		t.Errorf("got %d %s of %v; want none of what was sent, since a newer one may come", n, name, label)
	})
	collector := newCollector(&Engine{topo: swarm.topo, swarm: swarm}, newRecorderPool())
	collector.totals[countKey{results.CountExpected, results.Label{Phase: "m", Producer: "q"}}] = 5
	collector.totals[countKey{results.CountDelivered, results.Label{Phase: "m", Group: "g", Producer: "q"}}] = 2
	collector.totals[countKey{results.CountDelivered, results.Label{Phase: "m", Group: "g", Producer: "p"}}] = 10
	iv := &results.Interval{Gauges: map[string]float64{}}
	collector.gauges(iv)
	if got := iv.Gauges[results.GaugeMissingSoFar]; got != 3 {
		t.Errorf("got %v missing; want the 3 of the other topic", got)
	}
}

// TestReturningClientJoinsByItsFirstArrival: no marker follows on a conflated topic once the load has begun.
func TestReturningClientJoinsByItsFirstArrival(t *testing.T) {
	plan := conflatedPlan("ws://h/", nil)
	plan.Gateway.Conflate = []scenarios.Conflation{{Topic: "t", Interval: time.Second}}
	same := func(s string) string { return s }
	topo, err := newTopology(plan, 1, same, map[string]int{"t": 1})
	if err != nil {
		t.Fatal(err)
	}
	pool := newRecorderPool()
	p, err := newSender(topo, 0, pool)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSwarm(topo, Options{Plan: plan, TopicName: same, Workers: 1}, []*producer{p}, [][]*sightings{{newSightings(16)}}, pool)
	if err != nil {
		t.Fatal(err)
	}
	s.loadUnix.Store(0)
	c := s.clients[0]
	s.begin(c)
	give := func(kind Kind, seq uint64) {
		c.worker.takeMessage(c, stamped(Stamp{Kind: kind, Run: 1, Key: 3, KeySeq: seq, PartSeq: seq}, 90, 0), 1, true)
	}
	counts := func() (got [3]int64) {
		for i, n := range c.worker.meter.counts {
			switch i % len(clientCounters) {
			case countDelivered:
				got[0] += n
			case countDuplicate:
				got[1] += n
			case countEarly:
				got[2] += n
			}
		}
		return got
	}
	give(KindData, 5)
	if tr := c.trackers[3]; tr.base != 5 || tr.next != 6 || counts() != [3]int64{1, 0, 0} {
		t.Errorf("got %+v, %v; want the subscription in force from 5", tr, counts())
	}
	s.begin(c)        // thrown out and back
	give(KindData, 5) // the value as it stands
	give(KindData, 5)
	give(KindData, 9)
	if tr := c.trackers[3]; tr.base != 5 || tr.next != 10 || counts() != [3]int64{2, 1, 1} {
		t.Errorf("got %+v, %v; want one early since the client is new, one duplicate, and 9", tr, counts())
	}
	if waits := p.join.byKey[3].Load(); waits != 1 {
		t.Errorf("%d wait for a marker of the key; want the other one", waits)
	}
}

// conflatedClient is the first client of a run on a conflated topic whose clients come and go, and its key 3 as sent.
type conflatedClient struct {
	*client
	swarm *swarm
	p     *producer
}

func newConflatedClient(t *testing.T) *conflatedClient {
	t.Helper()
	plan := conflatedPlan("ws://h/", nil)
	plan.Clients = plan.Clients[:1]
	plan.Gateway.Conflate = []scenarios.Conflation{{Topic: "t", Interval: time.Second}}
	plan.Clients[0].Churn = &scenarios.Churn{Session: time.Hour, Away: time.Hour}
	plan.Clients[0].Reconnect = true
	s := profiledSwarm(t, plan)
	p := s.producers[0]
	p.ledger = newLedgerOf(p.shape)
	s.expectations[0] = newExpectation(p.shape, p.ledger, len(s.topo.phases))
	p.acks = true
	s.loadUnix.Store(0)
	s.phase.Store(0)
	c := &conflatedClient{s.clients[0], s, p}
	s.begin(c.client)
	for key := range uint32(4) {
		c.give(KindJoin, key, 0)
	}
	p.ledger.enter(0)
	return c
}

func (c *conflatedClient) give(kind Kind, key uint32, seq uint64) {
	c.worker.takeMessage(c.client, stamped(Stamp{Kind: kind, Run: 1, Key: key, KeySeq: seq, PartSeq: seq}, 90, 0), 1, true)
}

// send sends the key's next message at a time.
func (c *conflatedClient) send(key uint32, at time.Duration) send {
	s := c.p.ledger.take(key, 0)
	c.p.ledger.sent++
	c.p.ledger.note(s, int64(at))
	return s
}

// classes closes the account.
func (c *conflatedClient) classes() results.Classes { return classes(c.audit()) }

// audit closes the account. Every send that was not refused was acknowledged.
func (c *conflatedClient) audit() *results.Audit {
	view := newTopicView(c.swarm.topo, 100)
	totals := map[countKey]int64{}
	r := c.worker.handOver()
	for i, n := range r.counts {
		totals[countKey{r.layout.counters[i%len(r.layout.counters)], r.layout.cells[i/len(r.layout.counters)]}] += n
	}
	return closeAudit(&auditor{
		topo: c.swarm.topo, swarm: c.swarm, producers: c.swarm.producers, totals: totals, slowest: make([]int64, 1),
		reference: reference{view: view, source: sourceFinalRead, complete: true},
	})
}

// TestValueSentAgainPutsNothingInForce: a gateway that gives a client that is back what it gave it before need not make up
// for what was sent while the client was away.
func TestValueSentAgainPutsNothingInForce(t *testing.T) {
	c := newConflatedClient(t)
	c.send(3, 0)
	c.give(KindData, 3, 0)
	c.swarm.left(c.client)
	c.send(3, 10*time.Second)
	c.swarm.arrive(c.client)
	c.swarm.begin(c.client)
	c.give(KindData, 3, 0)
	c.send(3, 20*time.Second)
	c.give(KindData, 3, 2)
	if got, want := c.classes(), (results.Classes{Expected: 2, Delivered: 2, Early: 1}); got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
}

// TestWhatWasToBeSkippedIsNotLostAtTheLeave: the target had thrown the client out and taken it back. The values within the
// interval of one that was on its way when the client left need never come; those before are lost, and all are where the
// one was refused.
func TestWhatWasToBeSkippedIsNotLostAtTheLeave(t *testing.T) {
	for refused, want := range map[bool]results.Classes{
		false: {Expected: 4, Delivered: 1, Lost: 1, Undetermined: 2},
		true:  {Expected: 3, Delivered: 1, Lost: 2},
	} {
		c := newConflatedClient(t)
		c.send(3, 0)
		c.give(KindData, 3, 0)
		c.swarm.thrownOut(c.client, errClosed)
		c.send(3, 10*time.Second)
		c.send(3, 20*time.Second)
		c.swarm.begin(c.client)
		last := c.send(3, 20*time.Second+500*time.Millisecond)
		if refused {
			c.p.ledger.answer(last, sendRefused)
		}
		c.swarm.left(c.client)
		if got := c.classes(); got != want {
			t.Errorf("refused %v: got %+v; want %+v", refused, got, want)
		}
	}
}

// TestComingBackAfterTheLastValue: nothing more is waited for, neither by a client that was away when the streams' ends
// became known nor by one that comes later, and nobody is counted twice.
func TestComingBackAfterTheLastValue(t *testing.T) {
	c := newConflatedClient(t)
	check := func(when string, open int64) {
		t.Helper()
		if got, finals := c.swarm.open.Load(), c.p.final.total.Load(); got != open || finals != open {
			t.Errorf("%s: %d streams are open, %d wait for their end; want %d", when, got, finals, open)
		}
	}
	check("at first", 4)
	c.swarm.left(c.client)
	c.p.endStreams()
	c.swarm.closeConflated(0)
	check("away", 0)
	for range 2 {
		c.swarm.arrive(c.client)
		c.swarm.begin(c.client)
		check("back", 0)
		c.swarm.left(c.client)
		check("away again", 0)
	}
}

// TestQuietKeysAreNoMissingMarkers: on a conflated topic a client that came late waits for its keys' next values.
func TestQuietKeysAreNoMissingMarkers(t *testing.T) {
	c := newConflatedClient(t)
	c.swarm.left(c.client)
	c.swarm.arrive(c.client)
	c.cameAt = time.Now().Add(-time.Hour)
	if names, _ := c.swarm.unjoinedAtEnd(1); len(names) > 0 {
		t.Errorf("got %q; want nobody named, since nothing was sent", names)
	}
}

// slowest is what of the observer's and the target's lateness counts for a producer.
func (e *Engine) slowest(producer int) int64 {
	ns := e.observer.slowest[producer]
	for _, w := range e.swarm.workers {
		ns = max(ns, w.slowest[producer])
	}
	return ns
}

// TestLateTargetIsFreeToSkip: a value that the target says it received late shows that it may have had others late too. It
// counts no later than the client had it, and not where it put the subscription in force, since it may have been kept.
func TestLateTargetIsFreeToSkip(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name           string
		late, after    time.Duration
		arrived        time.Duration
		back           bool
		lost, conflate int64
	}{
		{"as late as that", 200 * ms, 1300 * ms, time.Hour, false, 0, 1},
		{"not so late", 199 * ms, 1300 * ms, time.Hour, false, 1, 0},
		{"says what can't be", time.Hour, 1300 * ms, 199 * ms, false, 1, 0},
		{"kept", 200 * ms, 1300 * ms, time.Hour, true, 1, 0},
	} {
		cl := newConflatedClient(t)
		give := func(seq uint64, late, arrived time.Duration) {
			head := fmt.Appendf(nil, `{"type":"message","received_at_ns":%d,"queued_at_ns":13}`+"\n", int64(late))
			value := stamped(Stamp{Kind: KindData, Run: 1, Key: 3, KeySeq: seq, PartSeq: seq}, 90, 0)
			cl.worker.takeMessage(cl.client, append(head, value...), int64(arrived), true)
		}
		cl.send(3, 0)
		give(0, 0, 1)
		cl.send(3, time.Minute)
		if c.back {
			cl.swarm.thrownOut(cl.client, errClosed)
			cl.swarm.begin(cl.client)
		}
		cl.send(3, time.Minute+c.after)
		give(2, c.late, c.arrived)
		row := cl.audit().Rows[0]
		if row.Lost != c.lost || row.Shed != c.conflate || row.Conflated != c.conflate {
			t.Errorf("%s: got %+v; want %d lost, %d conflated", c.name, row, c.lost, c.conflate)
		}
	}
}

// TestReportedDropsAreNotConflated: what the target says it dropped is shed and stays told apart from what it skipped.
func TestReportedDropsAreNotConflated(t *testing.T) {
	c := newConflatedClient(t)
	for _, at := range []time.Duration{0, 10 * time.Second, 20 * time.Second, 20*time.Second + 500*time.Millisecond} {
		c.send(3, at)
	}
	c.worker.takeMessage(c.client, []byte(`{"type":"notice","kind":"dropped","channel":"t","partition":0,"count":1}`), 1, true)
	c.give(KindData, 3, 3)
	row := c.audit().Rows[0]
	if want := (results.Classes{Expected: 4, Delivered: 1, Lost: 1, Shed: 2}); row.Classes != want || row.Conflated != 1 {
		t.Errorf("got %+v; want %+v, one of the shed conflated", row, want)
	}
}

// TestWhatWasOnItsWayIsHeldAgainstNobody: a client that left by plan is judged by what it could have had.
func TestWhatWasOnItsWayIsHeldAgainstNobody(t *testing.T) {
	c := newConflatedClient(t)
	c.swarm.topo.plan.Objective = time.Second
	c.send(3, 0)
	c.give(KindData, 3, 0)
	for range 9 {
		c.send(3, time.Minute)
	}
	c.swarm.left(c.client)
	audit := c.audit()
	if got, want := classes(audit), (results.Classes{Expected: 10, Delivered: 1, Undetermined: 9}); got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
	worst := audit.Worst[0]
	if worst.Expected != 1 || worst.Missing != 0 || worst.WithinShare != 1 || audit.ClientsWithin != 1 {
		t.Errorf("got %+v, %d clients within; want the one that arrived, in time", worst, audit.ClientsWithin)
	}
}
