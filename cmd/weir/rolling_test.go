package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

// behindBalancer is a scenario whose clients reach gateways that are replaced while it runs.
const behindBalancer = `
version: 1
name: rolling
kafka:
  provider: external
  seeds: [%[1]s]
  topics: [{name: %[3]s, partitions: 4, existing: true}]
gateway:
  target: external
  url: ws://%[2]s/ws
  profile: reference
  guarantees: {delivery: at-least-once, resumes: true}
producers:
  - {name: feed, topic: %[3]s, rate: 400/s, size: 256B, keys: {kind: round-robin, count: 20}}
clients:
  - {name: viewers, count: 200, subscribe: {topic: %[3]s, keys: 1}, resume: true}
phases:
  warm-up: 200ms
  measure: [{name: steady, duration: 10m}]
  drain: {deadline: 2m}
thresholds: [audit.lost == 0, audit.unseen == 0, audit.duplicate == 0, audit.reordered == 0]
`

// startedGateway is a gateway of its own beside the run.
type startedGateway struct {
	*weir
	addr string
}

// startGateway starts `weir gateway` and waits until it is ready. Its drain closes clients over a second.
func startGateway(t *testing.T, seeds, topic, name string) startedGateway {
	t.Helper()
	config := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(config, []byte("timeouts: {drain_spread: 1s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := startedGateway{weir: startWeir(t, "gateway", "--config", config, "--listen", "127.0.0.1:0", "--brokers", seeds,
		"--topics", topic, "--instance-id", name)}
	testkit.Eventually(t, "gateway "+name+" is ready", func() bool {
		_, after, ok := strings.Cut(g.stderr.String(), "ready at ws://")
		addr, _, whole := strings.Cut(after, "/ws\n")
		g.addr = addr
		return ok && whole
	})
	return g
}

// replace starts a gateway in the place of old, which then drains.
func (g startedGateway) replace(b *testkit.Balancer, other startedGateway, seeds, topic, name string) startedGateway {
	g.t.Helper()
	next := startGateway(g.t, seeds, topic, name)
	b.Use(other.addr, next.addr)
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
	if got := g.wait(); got != report.ExitPassed {
		g.t.Errorf("the replaced gateway's exit code: got %d; want 0", got)
	}
	return next
}

// rollingReplacement replaces two gateways under load, one after the other. newTopic makes a topic of four partitions.
func rollingReplacement(t *testing.T, seeds string, newTopic func() string) {
	t.Helper()
	topic := newTopic()
	a, b := startGateway(t, seeds, topic, "a-1"), startGateway(t, seeds, topic, "b-1")
	balancer := testkit.StartBalancer(t)
	balancer.Use(a.addr, b.addr)
	w := startRun(t, fmt.Sprintf(behindBalancer, seeds, balancer.Addr, topic))
	w.measuring()
	next := a.replace(balancer, b, seeds, topic, "a-2")
	b.replace(balancer, next, seeds, topic, "b-2")
	w.endWhenBack(200)
	w.checkReturns(200)
}

// endWhenBack ends a load that lasts for as long as the test needs, once the target has gone on with so many clients, and
// requires an exact account of all that was sent.
func (w *weir) endWhenBack(clients int64) {
	w.t.Helper()
	testkit.Eventually(w.t, "the clients are back", func() bool { return w.counted(results.CountResumed) >= clients })
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		w.t.Fatal(err)
	}
	if got, want := w.wait(), report.ExitInterrupted; got != want {
		w.t.Errorf("exit code: got %d; want %d", got, want)
	}
	checkExact(w.t, w.summary())
}

// counted is the sum of a counter so far, in the intervals that are written.
func (w *weir) counted(name string) (n int64) {
	w.t.Helper()
	run, err := results.Open(w.dir)
	if err != nil {
		return 0
	}
	for iv, err := range run.Intervals() {
		if err != nil {
			w.t.Fatal(err)
		}
		for _, c := range iv.Counters {
			if c.Name == name {
				n += c.Value
			}
		}
	}
	return n
}

// checkReturns requires that the target has closed or lost so many connections at least, and has gone on with each client
// that came back.
func (w *weir) checkReturns(least int64) {
	w.t.Helper()
	s := w.summary()
	if got := s.CountersAll[results.CountThrownOut]; got < least {
		w.t.Errorf("connections that the target ended: got %d; want at least %d", got, least)
	}
	// A client may be cut off again before its answer came.
	if r := s.Clients.Returns; r.Returns < least || r.Resumed < least || r.Failed > 0 {
		w.t.Errorf("returns: got %+v; want at least %d, resumed", r, least)
	}
}

// TestRollingReplacement: clients that resume lose nothing and get nothing twice while both of two gateways are replaced.
func TestRollingReplacement(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 4, "prices")
	rollingReplacement(t, strings.Join(kafka.ListenAddrs(), ","), func() string { return "prices" })
}

// TestRealExternalRolling is TestRollingReplacement on a cluster that is there.
func TestRealExternalRolling(t *testing.T) {
	seeds := externalSeeds(t)
	rollingReplacement(t, seeds, func() string { return externalTopic(t, seeds) })
}
