package runner

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/loadgen"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

// every does the deed to each n-th data message due to each client, its first and its last ones apart.
func every(n int, a testkit.Action) testkit.Fault {
	return func(d testkit.Delivery) testkit.Action {
		if d.Data && d.Nth%n == n/2 {
			return a
		}
		return testkit.Action{}
	}
}

// midway does the deed to some data messages of each client, none of them near the end of the load: a message that is
// to be overtaken needs another behind it, and what carries no stamp belongs to the phase in which it arrives.
func midway(a testkit.Action) testkit.Fault {
	return func(d testkit.Delivery) testkit.Action {
		if d.Data && d.Nth%20 == 5 && d.Nth < testRate*3/4 {
			return a
		}
		return testkit.Action{}
	}
}

// once does the deed to the nth data message due to the client.
func once(client, nth int, a testkit.Action) testkit.Fault {
	return func(d testkit.Delivery) testkit.Action {
		if d.Data && d.Client == client && d.Nth == nth {
			return a
		}
		return testkit.Action{}
	}
}

// otherRun is a well-formed message of another run.
func otherRun() []byte {
	value := bytes.Repeat([]byte("x"), testSize)
	s := loadgen.Stamp{Kind: loadgen.KindData, Run: 12345, ValueSize: testSize}
	s.Put(value)
	return value
}

// TestPlantedAnomalyIsNamed plants one defect a run. The account must name exactly that class with exactly the count
// that the gateway counted itself, and nothing else.
func TestPlantedAnomalyIsNamed(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault testkit.Fault
		// want is the account that the gateway's own counts amount to.
		want func(n testkit.Counts) results.Classes
		exit int
	}{
		{"none", nil, func(testkit.Counts) results.Classes { return results.Classes{} }, report.ExitPassed},
		{"lost", every(10, testkit.Action{Do: testkit.Drop}), func(n testkit.Counts) results.Classes {
			return results.Classes{Lost: n.Dropped}
		}, report.ExitContractBroken},
		{"duplicate", every(10, testkit.Action{Do: testkit.Duplicate}), func(n testkit.Counts) results.Classes {
			return results.Classes{Duplicate: n.Duplicate}
		}, report.ExitContractBroken},
		{"reordered", midway(testkit.Action{Do: testkit.Delay}), func(n testkit.Counts) results.Classes {
			return results.Classes{Reordered: n.Reordered}
		}, report.ExitContractBroken},
		{"corrupt", every(10, testkit.Action{Do: testkit.Corrupt}), func(n testkit.Counts) results.Classes {
			return results.Classes{Corrupt: n.Corrupt}
		}, report.ExitContractBroken},
		{"stray", every(10, testkit.Action{Do: testkit.Stray}), func(n testkit.Counts) results.Classes {
			return results.Classes{Stray: n.Stray}
		}, report.ExitContractBroken},
		{"broken stamp", midway(testkit.Action{Do: testkit.BreakStamp}), func(n testkit.Counts) results.Classes {
			return results.Classes{Lost: n.Broken, Foreign: n.Broken}
		}, report.ExitContractBroken},
		{"no stamp", midway(testkit.Action{Do: testkit.Foreign, Payload: []byte(`{"weather":"fair"}`)}), func(n testkit.Counts) results.Classes {
			return results.Classes{Foreign: n.Foreign}
		}, report.ExitPassed},
		{"another run's stamp", midway(testkit.Action{Do: testkit.Foreign, Payload: otherRun()}), func(n testkit.Counts) results.Classes {
			return results.Classes{Foreign: n.Foreign}
		}, report.ExitPassed},
		{"unseen", func(d testkit.Delivery) testkit.Action {
			if d.Client == 3 && d.Nth >= 9 {
				return testkit.Action{Do: testkit.Drop}
			}
			return testkit.Action{}
		}, func(n testkit.Counts) results.Classes {
			return results.Classes{Unseen: n.Dropped}
		}, report.ExitContractBroken},
		{"reported without a policy", every(10, testkit.Action{Do: testkit.Drop, Notice: 1}), func(n testkit.Counts) results.Classes {
			return results.Classes{Shed: n.Dropped}
		}, report.ExitContractBroken},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPipeline(t, testkit.Options{Fault: c.fault})
			if planted := c.want(testkit.Counts{Dropped: 1, Broken: 1}); planted.Missing() == 0 {
				p.plan.Phases.DrainDeadline = patience
			}
			s := p.run(t)
			n := p.gateway.Counts()
			want := c.want(n)
			wantClasses(t, s, want)
			wantExit(t, s, c.exit)
			if c.fault != nil && want == (results.Classes{}) {
				t.Errorf("the gateway planted nothing: %+v", n)
			}
			if got, want := n.Due, sent*followers; got != want {
				t.Errorf("%d deliveries were due by the gateway's count; want %d", got, want)
			}
			if got, want := n.Delivered, s.Audit.Delivered; got != want {
				t.Errorf("the gateway wrote %d messages; the account has %d delivered", got, want)
			}
		})
	}
}

// TestDuplicatesAreAllowedAtLeastOnce: the same defect, another contract.
func TestDuplicatesAreAllowedAtLeastOnce(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{Fault: every(10, testkit.Action{Do: testkit.Duplicate})})
	p.plan.Gateway.Guarantees.Delivery = "at-least-once"
	s := p.run(t)
	wantClasses(t, s, results.Classes{Duplicate: p.gateway.Counts().Duplicate})
	wantExit(t, s, report.ExitPassed)
}

// TestReorderingIsAllowedWithoutAPromise likewise.
func TestReorderingIsAllowedWithoutAPromise(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{Fault: midway(testkit.Action{Do: testkit.Delay})})
	p.plan.Gateway.Guarantees.Ordered = false
	s := p.run(t)
	wantClasses(t, s, results.Classes{Reordered: p.gateway.Counts().Reordered})
	wantExit(t, s, report.ExitPassed)
}

// after returns a channel that is closed d after the first call of begin.
func after(d time.Duration) (c <-chan struct{}, begin func()) {
	over := make(chan struct{})
	var once sync.Once
	return over, func() { once.Do(func() { time.AfterFunc(d, func() { close(over) }) }) }
}

// TestLateArrivalIsDeliveredAndTimed: a client's stream stands still for half a second in the midst of the load, and
// nothing is lost by it.
func TestLateArrivalIsDeliveredAndTimed(t *testing.T) {
	t.Parallel()
	const late = 500 * time.Millisecond
	until, begin := after(late)
	p := newPipeline(t, testkit.Options{Fault: func(d testkit.Delivery) testkit.Action {
		if d.Data && d.Client == 2 && d.Nth == 4 {
			begin()
			return testkit.Action{Do: testkit.Stall, Until: until}
		}
		return testkit.Action{}
	}})
	p.plan.Phases.DrainDeadline = patience
	s := p.run(t)
	wantClasses(t, s, results.Classes{})
	wantExit(t, s, report.ExitPassed)
	for name, l := range map[string]report.Latency{"e2e": s.Latency.E2E, "uncorrected": s.Latency.E2EUncorrected} {
		if got := time.Duration(l.MaxNS); got < late {
			t.Errorf("max of %s: got %v; want at least %v", name, got, late)
		}
	}
	// The observer may read the message later than the gateway did.
	if got := time.Duration(s.Latency.Gateway.MaxNS); got < late/2 {
		t.Errorf("max of gateway: got %v; want about %v or more", got, late)
	}
}

// TestHeldMessageIsReorderedAndTimed: one message is held while the others of its stream pass. It is let go only some time
// after the next one of its stream was due: were it held for a time alone, a machine that stands still meanwhile would let
// it go first.
func TestHeldMessageIsReorderedAndTimed(t *testing.T) {
	t.Parallel()
	const late = 300 * time.Millisecond
	until, begin := after(late)
	key := ""
	p := newPipeline(t, testkit.Options{Fault: func(d testkit.Delivery) testkit.Action {
		switch {
		case !d.Data || d.Client != 2:
		case d.Nth == 4:
			key = d.Key
			return testkit.Action{Do: testkit.Hold, Until: until}
		case d.Nth > 4 && d.Key == key:
			begin()
		}
		return testkit.Action{}
	}})
	p.plan.Phases.DrainDeadline = patience
	s := p.run(t)
	wantClasses(t, s, results.Classes{Reordered: 1})
	if got := p.gateway.Counts().Reordered; got != 1 {
		t.Errorf("the gateway reordered %d; want 1", got)
	}
	if got := time.Duration(s.Latency.E2E.MaxNS); got < late {
		t.Errorf("max of e2e: got %v; want at least %v", got, late)
	}
	wantExit(t, s, report.ExitContractBroken)
}

// TestWhatAThrownOutClientMissesIsLost: the scenario did not order the absence, so it excuses nothing.
func TestWhatAThrownOutClientMissesIsLost(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{Fault: func(d testkit.Delivery) testkit.Action {
		if d.Data && (d.Client == 1 && d.Nth == 3 || d.Client == 21 && (d.Nth == 40 || d.Nth == 200)) {
			return testkit.Action{Do: testkit.Close, Code: 4001}
		}
		return testkit.Action{}
	}})
	s := p.run(t)
	n := p.gateway.Counts()
	if n.ThrownOut == 0 || n.Missed < n.ThrownOut {
		t.Fatalf("the gateway planted nothing: %+v", n)
	}
	wantClasses(t, s, results.Classes{Lost: n.Missed})
	wantExit(t, s, report.ExitContractBroken)
	if got := s.CountersAll[results.CountThrownOut]; got != n.ThrownOut {
		t.Errorf("got %d thrown out; want %d", got, n.ThrownOut)
	}
}

// TestWhatAClientThatStaysAwayMissesIsLost: without reconnect all the rest is lost, and the drain waits for none of it.
func TestWhatAClientThatStaysAwayMissesIsLost(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{Fault: once(1, 3, testkit.Action{Do: testkit.Close, Code: 1001})})
	p.plan.Clients[0].Reconnect = false
	p.plan.Clients[1].Reconnect = false
	s := p.run(t)
	wantClasses(t, s, results.Classes{Lost: p.gateway.Counts().Missed})
	wantExit(t, s, report.ExitContractBroken)
}

// TestReplayToAReturnedClientIsEarly: copies of messages from before the new subscription was in force.
func TestReplayToAReturnedClientIsEarly(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{Replay: 2, Fault: once(1, 4, testkit.Action{Do: testkit.Close, Code: 4001})})
	s := p.run(t)
	n := p.gateway.Counts()
	if n.Replayed == 0 {
		t.Fatalf("the gateway planted nothing: %+v", n)
	}
	wantClasses(t, s, results.Classes{Lost: n.Missed, Early: n.Replayed})
	wantExit(t, s, report.ExitContractBroken)
}

// TestShedAsReported: the policy is declared and the target says what it drops.
func TestShedAsReported(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{Fault: every(10, testkit.Action{Do: testkit.Drop, Notice: 1})})
	p.plan.Gateway.Guarantees.Sheds = true
	s := p.run(t)
	n := p.gateway.Counts()
	wantClasses(t, s, results.Classes{Shed: n.Dropped})
	wantExit(t, s, report.ExitPassed)
	if n.Reported != n.Dropped {
		t.Errorf("the gateway reported %d of %d", n.Reported, n.Dropped)
	}
}

// TestShedBeyondTheReportIsLost: client by client, what exceeds the notices is lost. Reports to one client do not cover
// what another misses, and reports of nothing cover nothing.
func TestShedBeyondTheReportIsLost(t *testing.T) {
	t.Parallel()
	var reported, silent int64
	p := newPipeline(t, testkit.Options{Fault: func(d testkit.Delivery) testkit.Action {
		if !d.Data {
			return testkit.Action{}
		}
		switch {
		case d.Client%2 == 0 && d.Nth%5 == 2:
			reported++
			return testkit.Action{Do: testkit.Drop, Notice: 1}
		case d.Client == 3 && d.Nth == 5:
			return testkit.Action{Notice: 7} // it dropped nothing
		case d.Client%5 == 0 && d.Nth%5 == 3:
			silent++
			return testkit.Action{Do: testkit.Drop}
		}
		return testkit.Action{}
	}})
	p.plan.Gateway.Guarantees.Sheds = true
	s := p.run(t)
	wantClasses(t, s, results.Classes{Shed: reported, Lost: silent})
	wantExit(t, s, report.ExitContractBroken)
	if got, want := p.gateway.Counts().Dropped, reported+silent; got != want {
		t.Errorf("the gateway dropped %d; want %d", got, want)
	}
}

// TestNegativeNoticeIsNoReport: a notice of less than nothing must not turn delivered messages into lost ones.
func TestNegativeNoticeIsNoReport(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{Fault: func(d testkit.Delivery) testkit.Action {
		switch {
		case d.Data && d.Client == 3 && d.Nth == 4:
			return testkit.Action{Notice: -5}
		case d.Data && d.Client == 3 && d.Nth == 6:
			return testkit.Action{Do: testkit.Drop}
		}
		return testkit.Action{}
	}})
	p.plan.Gateway.Guarantees.Sheds = true
	s := p.run(t)
	wantClasses(t, s, results.Classes{Lost: 1})
}
