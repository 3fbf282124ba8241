package testbed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/weirbench/weir/internal/kafkasec"
	"github.com/weirbench/weir/scenarios"
)

// requireDocker skips, or fails where WEIR_REQUIRE_DOCKER=1, when Docker can't be reached.
func requireDocker(t *testing.T) *client.Client {
	t.Helper()
	api, err := dockerAPI(context.Background()) // testcontainers keeps the outcome of its first look for good
	if err == nil {
		t.Cleanup(func() { api.Close() })
		return api
	}
	if os.Getenv("WEIR_REQUIRE_DOCKER") == "1" {
		t.Fatalf("WEIR_REQUIRE_DOCKER=1, but: %v", err)
	}
	t.Skipf("needs Docker: %v", err)
	return nil
}

// labelled lists what carries the run's label: containers and networks.
func labelled(t *testing.T, api *client.Client, runID string) []string {
	t.Helper()
	var found []string
	filters := client.Filters{}.Add("label", labelKey+"="+runID)
	containers, err := api.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers.Items {
		found = append(found, "container "+c.Names[0])
	}
	networks, err := api.NetworkList(context.Background(), client.NetworkListOptions{Filters: filters})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range networks.Items {
		found = append(found, "network "+n.Name)
	}
	return found
}

// wantGone polls until nothing carries the run's label.
func wantGone(t *testing.T, api *client.Client, runID string, within time.Duration) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); ; <-tick.C {
		left := labelled(t, api, runID)
		if len(left) == 0 {
			t.Logf("gone after %v", time.Since(start).Round(time.Millisecond))
			return
		}
		if time.Since(start) > within {
			t.Fatalf("left after %v: %q", within, left)
		}
	}
}

func dockerPlan(brokers int) scenarios.KafkaPlan {
	return scenarios.KafkaPlan{Provider: scenarios.ProviderDocker, Brokers: brokers, Image: testImage()}
}

func TestDockerKafka(t *testing.T) {
	for _, brokers := range []int{1, 3} {
		t.Run(fmt.Sprint(brokers), func(t *testing.T) {
			api := requireDocker(t)
			o := options(t)
			start := time.Now()
			k, err := StartKafka(t.Context(), dockerPlan(brokers), o)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s at %s, up after %v", k.Description, k.Seeds, time.Since(start).Round(time.Millisecond))
			defer k.Stop(context.Background())
			wantDockerKafka(t, k, brokers, o)

			topics := []scenarios.Topic{{Name: "a", Partitions: 6, Replication: brokers, MinISR: max(brokers-1, 1), RetentionBytes: 1 << 20}}
			start = time.Now()
			if err := k.EnsureTopics(t.Context(), topics, func(s string) string { return s + "-" + o.RunID }); err != nil {
				t.Fatal(err)
			}
			t.Logf("topic after %v", time.Since(start).Round(time.Millisecond))
			name := "a-" + o.RunID
			start = time.Now()
			roundTrip(t, k.Seeds, name, 1000)
			t.Logf("round trip after %v", time.Since(start).Round(time.Millisecond))
			wantConfig(t, k, name, map[string]string{
				"retention.bytes": "1048576", "segment.bytes": "1048576", "min.insync.replicas": fmt.Sprint(topics[0].MinISR),
			})
			err = k.EnsureTopics(t.Context(), []scenarios.Topic{{Name: "b", Partitions: 1, Replication: brokers + 1}}, nil)
			wantText(t, err, "can't hold replication")
			err = k.EnsureTopics(t.Context(), []scenarios.Topic{{Name: "a b", Partitions: 1, Replication: 1}}, nil)
			wantText(t, err, "create topic a b", "INVALID_TOPIC")

			if brokers > 1 {
				killOne(t, k, name)
			}
			start = time.Now()
			if err := k.DeleteTopics(t.Context()); err != nil {
				t.Error(err)
			}
			t.Logf("deleted after %v", time.Since(start).Round(time.Millisecond))
			start = time.Now()
			if err := k.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Logf("stopped after %v", time.Since(start).Round(time.Millisecond))
			wantOpen(t, "Done", k.Done())
			if left := labelled(t, api, o.RunID); len(left) != 0 {
				t.Errorf("left after Stop: %q", left)
			}
		})
	}
}

func wantDockerKafka(t *testing.T, k *Kafka, brokers int, o Options) {
	t.Helper()
	if !strings.HasPrefix(k.Description, "Apache Kafka 4.") || !strings.Contains(k.Description, count(brokers, "broker")) {
		t.Errorf("got description %q", k.Description)
	}
	if got := k.Processes(); len(got) != 0 {
		t.Errorf("got processes %v; want none", got)
	}
	if len(k.Seeds) != brokers || len(k.Pids()) != brokers {
		t.Errorf("got seeds %v, pids %v; want %d each", k.Seeds, k.Pids(), brokers)
	}
	for i, seed := range k.Seeds {
		if !strings.HasPrefix(seed, "127.0.0.1:2") && !strings.HasPrefix(seed, "127.0.0.1:3") {
			t.Errorf("got seed %s; want a port from 20000 to 32767 on loopback", seed)
		}
		if _, err := os.Stat(filepath.Join(o.Dir, fmt.Sprintf("kafka-%d.log", i+1))); err != nil {
			t.Error(err)
		}
	}
}

// killOne kills a broker by order, which is no failure: the other two go on.
func killOne(t *testing.T, k *Kafka, topic string) {
	t.Helper()
	if err := k.Kill(0); err != nil {
		t.Fatal(err)
	}
	wantOpen(t, "Done", k.Done())
	wantText(t, k.Kill(7), "there are 3")
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	a, err := newAdmin(k.Seeds[1:], kafkasec.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	start := time.Now()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		resp, err := a.metadata(ctx, a.cl, topic)
		if err == nil && len(resp.Brokers) == 2 && leaderless(resp, map[string]int{topic: 6}) == "" {
			t.Logf("two brokers lead all partitions after %v", time.Since(start).Round(time.Millisecond))
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("after a kill: %v", err)
		}
	}
}

func TestDockerBrokerDies(t *testing.T) {
	api := requireDocker(t)
	o := options(t)
	k, err := StartKafka(t.Context(), dockerPlan(1), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(k.Pids()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, "Done after the broker died", k.Done(), 10*time.Second)
	wantText(t, k.Err(), "kafka broker 1", "ended unasked with status 137", "Kafka Server started")
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // an interrupted weir cleans up all the same
	if err := k.Stop(ctx); err != nil {
		t.Error(err)
	}
	wantGone(t, api, o.RunID, 0)
}

// TestDockerReaper kills a weir with SIGKILL; its containers and network must be gone within ten seconds, and the reaper
// itself soon after.
func TestDockerReaper(t *testing.T) {
	api := requireDocker(t)
	runID := options(t).RunID
	parent, report := startParent(t, scenarios.ProviderDocker, runID)
	if left := labelled(t, api, runID); len(left) != 1 {
		t.Fatalf("got %q; want 1 container", left)
	}
	reaper := watchDeath(t, childOf(t, parent.Process.Pid))
	broker := watchDeath(t, report.Pids[0])
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	broker(10 * time.Second)
	wantGone(t, api, runID, 10*time.Second)
	reaper(reapFor + 5*time.Second)
}

// TestDockerReaperSeesLatecomers: what is created while weir dies appears only after a first look.
func TestDockerReaperSeesLatecomers(t *testing.T) {
	api := requireDocker(t)
	o := options(t)
	reaper, err := startReaper(t.Context(), o, api.DaemonHost())
	if err != nil {
		t.Fatal(err)
	}
	reaper.mu.Lock()
	reaper.asked = true // its end is wanted, though not by Stop
	reaper.mu.Unlock()
	reaper.stdin.Close()
	// The first network is there when the reaper looks, the second comes after that.
	for i := range 2 {
		options := client.NetworkCreateOptions{Labels: map[string]string{labelKey: o.RunID}}
		if _, err := api.NetworkCreate(t.Context(), fmt.Sprintf("weir-%s-%d", o.RunID, i), options); err != nil {
			t.Fatal(err)
		}
		wantGone(t, api, o.RunID, 3*time.Second)
	}
	wantClosed(t, "reaper's end", reaper.exited, reapFor+3*time.Second)
}

// TestDockerEarlyExit: a node that isn't among the quorum's voters refuses to start.
func TestDockerEarlyExit(t *testing.T) {
	api := requireDocker(t)
	o := options(t)
	reaper, err := startReaper(t.Context(), o, api.DaemonHost())
	if err != nil {
		t.Fatal(err)
	}
	own, err := dockerAPI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &dockerCluster{label: labelKey + "=" + o.RunID, api: own, reaper: reaper, log: o.log, cancel: cancel, died: make(chan struct{})}
	b, err := newBroker(2, 1, testImage(), "", o)
	if err != nil {
		t.Fatal(err)
	}
	d.brokers = append(d.brokers, b)
	start := time.Now()
	wantText(t, d.startBroker(t.Context(), ctx, b), "start broker 2", "ended before Kafka had started", "its last lines")
	t.Logf("told after %v", time.Since(start).Round(time.Millisecond))
	if err := d.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	wantGone(t, api, o.RunID, 0)
}

func TestDockerStartInterrupted(t *testing.T) {
	api := requireDocker(t)
	o := options(t)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 1500*time.Millisecond, context.Canceled)
	defer cancel()
	_, err := StartKafka(ctx, dockerPlan(3), o)
	wantText(t, err, "start kafka in docker")
	wantGone(t, api, o.RunID, 0)
}

func TestDockerNoSuchImage(t *testing.T) {
	api := requireDocker(t)
	o := options(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	plan := dockerPlan(1)
	plan.Image = "127.0.0.1:1/no/such:image"
	_, err := StartKafka(ctx, plan, o)
	wantText(t, err, "pull image 127.0.0.1:1/no/such:image", "kafka.image", "kafka.provider=embedded")
	wantGone(t, api, o.RunID, 0)
}
