package loadgen

import (
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
	p.Phases.DrainDeadline = 10 * time.Second
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
			want := passed.account(e.producers[0].ledger.sentAt, int64(c.declared)+e.observer.slowest[0])
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
	topo, err := newTopology(plan, 1, func(s string) string { return s }, map[string]int{"t": 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := topo.producers[0].promised(1); got != 0 {
		t.Errorf("got %d deliveries expected of one message; want none, since a newer one may come", got)
	}
	c := newCollector(&Engine{topo: topo, swarm: &swarm{}}, newRecorderPool())
	c.totals[countKey{results.CountExpected, results.Label{Phase: "m", Producer: "q"}}] = 5
	c.totals[countKey{results.CountDelivered, results.Label{Phase: "m", Group: "g", Producer: "q"}}] = 2
	c.totals[countKey{results.CountDelivered, results.Label{Phase: "m", Group: "g", Producer: "p"}}] = 10
	iv := &results.Interval{Gauges: map[string]float64{}}
	c.gauges(iv)
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
	p := newSender(topo, 0, pool)
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
