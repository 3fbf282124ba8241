package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
)

// stormCrowd is how many clients the small storms have.
const stormCrowd = 150

// startStorm starts the library's storm with a smaller crowd.
func startStorm(t *testing.T, args ...string) *weir {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "scenarios", "endurance", "reconnect-storm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return startRun(t, string(text), append([]string{
		"--set", fmt.Sprintf("clients.viewers.count=%d", stormCrowd), "--set", "producers.feed.rate=200/s",
		"--set", "producers.feed.keys.count=50", "--set", "phases.warm-up=200ms", "--set", "phases.measure.0.duration=1s",
		"--set", "phases.measure.2.duration=3s", "--set", "phases.drain.deadline=2m",
	}, args...)...)
}

// storm requires that all leave, come back and are given what they missed, once and in order.
func storm(t *testing.T, args ...string) {
	t.Helper()
	w := runAccounted(t, func() *weir { return startStorm(t, args...) })
	s := w.summary()
	r := s.Clients.Returns
	if r.Returns != stormCrowd || r.Resumed != stormCrowd || r.Failed != 0 || r.Replayed == 0 || s.Latency.CaughtUp.Count != stormCrowd {
		t.Errorf("got %+v, %d caught up; want %d returns, each resumed and caught up, and something replayed", r, s.Latency.CaughtUp.Count, stormCrowd)
	}
	for _, name := range []string{results.GaugeGatewayGoroutines, results.GaugeGatewayDescriptors} {
		if w.highest(name) == 0 { // how many there were depends on when it was read
			t.Errorf("%s was never read", name)
		}
	}
}

// highest is the highest that a gauge was.
func (w *weir) highest(gauge string) (most float64) {
	w.t.Helper()
	run, err := results.Open(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for iv, err := range run.Intervals() {
		if err != nil {
			w.t.Fatal(err)
		}
		most = max(most, iv.Gauges[gauge])
	}
	return most
}

// TestReconnectStorm: all clients drop at once and come back while the load goes on.
func TestReconnectStorm(t *testing.T) {
	t.Parallel()
	storm(t)
}

// TestDockerStorm is TestReconnectStorm on real Kafka.
func TestDockerStorm(t *testing.T) {
	requireDocker(t)
	storm(t, "--set", "kafka.provider=docker")
}

// TestRealExternalStorm is TestReconnectStorm on a cluster that is there.
func TestRealExternalStorm(t *testing.T) {
	storm(t, "--set", "kafka.provider=external", "--set", "kafka.seeds="+externalSeeds(t), "--set", "kafka.topics.0.replication=3")
}

// unplannedStorm cuts all clients off by break, in the midst of the load. Nobody is told before.
func unplannedStorm(t *testing.T, seeds string, newTopic func() string, breakOff func(g startedGateway, b *testkit.Balancer, topic string)) {
	t.Helper()
	topic := newTopic()
	g := startGateway(t, seeds, topic, "first")
	balancer := testkit.StartBalancer(t)
	balancer.Use(g.addr)
	w := startRun(t, fmt.Sprintf(behindBalancer, seeds, balancer.Addr, topic))
	w.measuring()
	breakOff(g, balancer, topic)
	w.endWhenBack(200)
	w.checkReturns(200)
}

// killed kills the gateway and starts another in its place, which begins where Kafka is then: what clients missed it has
// to read again.
func killed(seeds string) func(startedGateway, *testkit.Balancer, string) {
	return func(g startedGateway, b *testkit.Balancer, topic string) {
		if err := g.cmd.Process.Signal(syscall.SIGKILL); err != nil {
			g.t.Fatal(err)
		}
		g.wait()
		b.Use(startGateway(g.t, seeds, topic, "second").addr)
	}
}

// TestGatewayKilled: the gateway is killed and started again.
func TestGatewayKilled(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 4, "prices")
	seeds := strings.Join(kafka.ListenAddrs(), ",")
	unplannedStorm(t, seeds, func() string { return "prices" }, killed(seeds))
}

// TestRealExternalGatewayKilled is TestGatewayKilled on a cluster that is there.
func TestRealExternalGatewayKilled(t *testing.T) {
	seeds := externalSeeds(t)
	unplannedStorm(t, seeds, func() string { return externalTopic(t, seeds) }, killed(seeds))
}

// TestConnectionsCut: what stands between clients and gateway breaks all connections at once, again and again.
func TestConnectionsCut(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 4, "prices")
	unplannedStorm(t, strings.Join(kafka.ListenAddrs(), ","), func() string { return "prices" },
		func(_ startedGateway, b *testkit.Balancer, _ string) {
			for range 3 {
				b.Cut()
				testkit.Eventually(t, "all are back", func() bool { return b.Open() >= 200 })
			}
		})
}

// externalSeeds are those of the cluster that test-external is given.
func externalSeeds(t *testing.T) string {
	t.Helper()
	seeds := os.Getenv("WEIR_KAFKA_SEEDS")
	if seeds == "" {
		t.Skip("WEIR_KAFKA_SEEDS is not set: the tests on a running cluster are skipped (make test-external requires it)")
	}
	return seeds
}

// externalTopic makes a topic of four partitions on a cluster, which goes with the test.
func externalTopic(t *testing.T, seeds string) string {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(seeds, ",")...))
	if err != nil {
		t.Fatal(err)
	}
	admin := kadm.NewClient(client)
	topic := "weir-test-" + strings.ToLower(rand.Text()[:10])
	if _, err := admin.CreateTopic(t.Context(), 4, -1, nil, topic); err != nil {
		client.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer client.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if _, err := admin.DeleteTopic(ctx, topic); err != nil {
			t.Errorf("remove the test's topic: %v", err)
		}
	})
	return topic
}
