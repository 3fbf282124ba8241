package main

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

// requireDocker skips visibly where there is no Docker, and fails where there must be one.
func requireDocker(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("docker", "info").CombinedOutput(); err != nil {
		if os.Getenv("WEIR_REQUIRE_DOCKER") != "" {
			t.Fatalf("Docker is required and does not answer: %v\n%s", err, out)
		}
		t.Skip("no Docker: the tests on real Kafka are skipped (make test-docker requires them)")
	}
}

// checkClean requires that every message is accounted for and nothing is wrong with any.
func (w *weir) checkClean() {
	w.t.Helper()
	checkExact(w.t, w.summary())
}

// quickstart is the library's scenario, shortened; the machine also runs the brokers, so that no latency is asserted.
func quickstart(args ...string) []string {
	return append([]string{
		"--set", "phases.measure.0.duration=4s", "--set", "phases.warm-up=3s", "--set", "thresholds=[audit.lost == 0]",
	}, args...)
}

func startQuickstart(t *testing.T, args ...string) *weir {
	t.Helper()
	text, err := os.ReadFile("../../scenarios/quickstart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return startRun(t, string(text), quickstart(args...)...)
}

// passQuickstart requires that the library's scenario passes.
func passQuickstart(t *testing.T, args ...string) *weir {
	t.Helper()
	return runMeasured(t, func() *weir { return startQuickstart(t, args...) })
}

func TestDockerQuickstart(t *testing.T) {
	requireDocker(t)
	for _, brokers := range []int{1, 3} {
		t.Run(strconv.Itoa(brokers), func(t *testing.T) {
			w := passQuickstart(t, "--set", "kafka.provider=docker", "--set", "kafka.brokers="+strconv.Itoa(brokers))
			if left := w.containers(); len(left) > 0 {
				t.Errorf("containers left behind: %v", left)
			}
		})
	}
}

// containers lists the containers of the run, brokers and target, running or not.
func (w *weir) containers() []string {
	w.t.Helper()
	var all []string
	for _, label := range []string{"weir.run", "weir.target"} {
		out, err := exec.Command("docker", "ps", "-aq", "--filter", "label="+label+"="+w.runID()).Output()
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, strings.Fields(string(out))...)
	}
	return all
}

// TestDockerPullIsTold: what takes long at the first run is said, and an image that can't be had ends it.
func TestDockerPullIsTold(t *testing.T) {
	requireDocker(t)
	const image = "127.0.0.1:1/nobody/kafka:1"
	w := startQuickstart(t, "--set", "kafka.provider=docker", "--set", "kafka.image="+image)
	if got, want := w.wait(), report.ExitError; got != want {
		t.Errorf("exit code: got %d; want %d", got, want)
	}
	if got, want := w.stderr.String(), "  pulling image "+image; !strings.Contains(got, want) {
		t.Errorf("standard error: got %q; want %q in it", got, want)
	}
}

// TestDockerKilledWeirLeavesNothing kills weir while its containers run.
func TestDockerKilledWeirLeavesNothing(t *testing.T) {
	requireDocker(t)
	w := startQuickstart(t, "--set", "kafka.provider=docker", "--set", "phases.measure.0.duration=60s")
	w.measuring()
	if len(w.containers()) == 0 {
		t.Fatal("no container runs")
	}
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	w.wait()
	testkit.Eventually(t, "the containers are gone", func() bool { return len(w.containers()) == 0 })
}

// TestDockerBrokerKilled kills the only broker: a clear error, a partial report, nothing left.
func TestDockerBrokerKilled(t *testing.T) {
	requireDocker(t)
	w := startQuickstart(t, "--set", "kafka.provider=docker", "--set", "phases.measure.0.duration=60s")
	w.measuring()
	for _, id := range w.containers() {
		if out, err := exec.Command("docker", "kill", id).CombinedOutput(); err != nil {
			t.Fatalf("kill the broker: %v\n%s", err, out)
		}
	}
	if got, want := w.wait(), report.ExitError; got != want {
		t.Errorf("exit code: got %d; want %d", got, want)
	}
	if s := w.summary(); s.Status != results.StatusPartial || !strings.Contains(s.Run.Error, "Kafka") {
		t.Errorf("got status %s, error %q; want partial and Kafka named", s.Status, s.Run.Error)
	}
	if left := w.containers(); len(left) > 0 {
		t.Errorf("containers left behind: %v", left)
	}
}

// TestRealExternal runs against a cluster that is there already, and leaves it as it was.
func TestRealExternal(t *testing.T) {
	seeds := os.Getenv("WEIR_KAFKA_SEEDS")
	if seeds == "" {
		t.Skip("WEIR_KAFKA_SEEDS is not set: the tests on a running cluster are skipped (make test-external requires it)")
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(seeds, ",")...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	topics := func() []string {
		listed, err := kadm.NewClient(client).ListTopics(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return listed.Names()
	}
	before := len(topics())
	external := []string{"--set", "kafka.provider=external", "--set", "kafka.seeds=" + seeds, "--set", "kafka.topics.0.replication=3"}
	passQuickstart(t, external...)
	if after := topics(); len(after) != before {
		t.Errorf("topics: got %v; want the %d that were there", after, before)
	}

	// A run that is interrupted takes its topics away too.
	w := startQuickstart(t, append(external, "--set", "phases.measure.0.duration=60s")...)
	w.measuring()
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got, want := w.wait(), report.ExitInterrupted; got != want {
		t.Errorf("exit code: got %d; want %d", got, want)
	}
	w.checkClean()
	if after := topics(); len(after) != before {
		t.Errorf("topics: got %v; want the %d that were there", after, before)
	}
}
