package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/runner"
	"github.com/weirbench/weir/scenarios"
	"github.com/weirbench/weir/testbed"
)

// buildLimit is for runs that build their target first, from empty caches and on a busy machine.
const buildLimit = 5 * time.Minute

// dockerKafka starts Apache Kafka in Docker for the test and returns its addresses, and by node id its containers' names.
func dockerKafka(t *testing.T, brokers int) (seeds string, container func(node int32) string) {
	t.Helper()
	requireDocker(t)
	executable, err := exec.LookPath("weir")
	if err != nil {
		t.Fatal(err)
	}
	o := testbed.Options{Executable: executable, RunID: "test" + strings.ToLower(rand.Text()[:8]), Dir: t.TempDir()}
	k, err := testbed.StartKafka(t.Context(), scenarios.KafkaPlan{Provider: scenarios.ProviderDocker, Brokers: brokers, Image: testbed.DefaultImage}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return strings.Join(k.Seeds, ","), func(node int32) string { return fmt.Sprintf("weir-%s-kafka-%d", o.RunID, node) }
}

// startGateways starts the library's scenario of the gateways, shortened, against brokers that run already.
func startGateways(t *testing.T, scenario, seeds string, args ...string) *weir {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	all := append([]string{"run", "../../scenarios/gateways/" + scenario + ".yaml", "--out", dir,
		"--set", "kafka.provider=external", "--set", "kafka.seeds=" + seeds,
		"--set", "clients.viewers.count=20", "--set", "phases.measure.steady.duration=3s", "--set", "producers.feed.rate=200/s"}, args...)
	w := startWeir(t, all...)
	w.dir, w.limit = dir, buildLimit
	return w
}

// checkGateway requires an exact account, that the target was measured, that the record names it, and that nothing of the
// run is left.
func checkGateway(t *testing.T, w *weir, target string) {
	t.Helper()
	s := w.summary()
	if s.Run.Target != target {
		t.Errorf("target: got %q; want %q", s.Run.Target, target)
	}
	if !strings.HasPrefix(s.Run.Kafka, "external Kafka 4.") {
		t.Errorf("brokers: got %q; want their release", s.Run.Kafka)
	}
	if cpu, memory := w.gatewayUse(); cpu <= 0 || memory < 1<<20 {
		t.Errorf("the gateway's use: got at most %g cores and %g bytes; want processor time and memory", cpu, memory)
	}
	if left := w.containers(); len(left) > 0 {
		t.Errorf("containers left behind: %v", left)
	}
	id := w.runID()
	testkit.Eventually(t, "the run's processes are gone", func() bool { return len(processesOf(id)) == 0 })
}

// gatewayUse is the most of any interval, whatever its phase: where the machine is busy with something else, nothing may
// reach the gateway while weir measures.
func (w *weir) gatewayUse() (cores, memory float64) {
	w.t.Helper()
	run, err := results.Open(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for iv, err := range run.Intervals() {
		if err != nil {
			w.t.Fatal(err)
		}
		cores = max(cores, iv.Gauges[results.GaugeGatewayCPU])
		memory = max(memory, iv.Gauges[results.GaugeGatewayRSS])
	}
	return cores, memory
}

func (w *weir) runID() string {
	w.t.Helper()
	run, err := results.Open(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return run.Environment.Extra[runner.RunIDKey]
}

// processesOf lists the processes that have the run's name in their arguments or environment, as all that weir starts do.
func processesOf(runID string) []string {
	var found []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		for _, name := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil && strings.Contains(string(text), runID) {
				found = append(found, filepath.Base(dir))
				break
			}
		}
	}
	return found
}

// TestDockerGateways: the same small work through every target that can be had, on one broker of Apache Kafka.
func TestDockerGateways(t *testing.T) {
	seeds, _ := dockerKafka(t, 1)
	executable, err := exec.LookPath("weir")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, gateway, target string }{
		{"reference", "{target: reference}", "reference gateway"},
		{"node-ws naive", "{target: node-ws, variant: naive, ready_in: 1m}", "node-ws (naive)"},
		{"node-ws shared", "{target: node-ws, variant: shared, ready_in: 1m}", "node-ws (shared)"},
		{"spring-boot", "{target: spring-boot, ready_in: 2m}", "spring-boot"},
		{
			"command", `{target: command, profile: reference, ready_in: 1m, command: {url: "ws://127.0.0.1:{port}/ws", ready: {url: "http://127.0.0.1:{port}/readyz"}, ` +
				`args: [` + executable + `, gateway, --listen, "127.0.0.1:{port}", --brokers, "{seeds}", --topics, "{topics}", --instance-id, "{run}"]}}`,
			"command " + executable + " gateway --listen 127.0.0.1:{port} --brokers {seeds} --topics {topics} --instance-id {run}",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := runAccounted(t, func() *weir {
				return startGateways(t, "keyed", seeds, "--set", "gateway="+c.gateway)
			})
			checkGateway(t, w, c.target)
		})
	}
	t.Run("container", func(t *testing.T) { containerGateway(t, seeds) })
	t.Run("external", func(t *testing.T) { externalGateway(t, seeds) })
}

// containerGateway measures weir in an image that is built for the run.
func containerGateway(t *testing.T, seeds string) {
	folder := testkit.ImageFolder(t)
	before := targetImages(t)
	t.Cleanup(func() {
		for image := range targetImages(t) {
			if before[image] {
				continue
			}
			if out, err := exec.Command("docker", "rmi", "-f", image).CombinedOutput(); err != nil {
				t.Errorf("remove the test's image: %v\n%s", err, out)
			}
		}
	})
	gateway := fmt.Sprintf(`{target: container, profile: reference, ready_in: 1m, container: {build: %q, port: 8080, url: "ws://127.0.0.1:{port}/ws", `+
		`ready: {url: "http://127.0.0.1:{port}/readyz"}, `+
		`args: [gateway, --listen, ":{port}", --brokers, "{seeds}", --topics, "{topics}", --instance-id, "{run}"]}}`, folder)
	w := runAccounted(t, func() *weir {
		return startGateways(t, "keyed", seeds, "--set", "gateway="+gateway)
	})
	checkGateway(t, w, "container built from "+folder+" (host network)")
}

// targetImages are the names of the images that weir built for targets.
func targetImages(t *testing.T) map[string]bool {
	t.Helper()
	out, err := exec.Command("docker", "images", "--filter", "reference=weir-target-*", "--format", "{{.Repository}}:{{.Tag}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]bool{}
	for _, image := range strings.Fields(string(out)) {
		images[image] = true
	}
	return images
}

// externalGateway measures a gateway that runs already, its use by its process.
func externalGateway(t *testing.T, seeds string) {
	const topic = "external-orders"
	makeTopic(t, seeds, topic, 3, 1)
	g := startGateway(t, seeds, topic, "external")
	url := "ws://" + g.addr + "/ws"
	w := runAccounted(t, func() *weir {
		return startGateways(t, "keyed", seeds, "--set", "kafka.topics=[{name: "+topic+", partitions: 3, existing: true}]",
			"--set", "producers.feed.topic="+topic, "--set", "clients.viewers.subscribe.topic="+topic,
			"--set", fmt.Sprintf("gateway={target: external, profile: reference, url: %q, usage: {pids: [%d]}}", url, g.cmd.Process.Pid))
	})
	checkGateway(t, w, "external "+url)
}

// makeTopic makes a topic and returns the node that leads its partition 0.
func makeTopic(t *testing.T, seeds, topic string, partitions int32, replicas int16) (leader int32) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(seeds, ",")...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(t.Context(), partitions, replicas, nil, topic); err != nil {
		t.Fatalf("create topic %s: %v", topic, err)
	}
	leader = -1
	testkit.Eventually(t, "topic "+topic+" has leaders", func() bool {
		listed, err := admin.ListTopics(t.Context(), topic)
		if err != nil || listed.Error() != nil {
			return false
		}
		led := listed[topic].Partitions
		leader = led[0].Leader
		return len(led) == int(partitions) && !slices.ContainsFunc(led.Sorted(), func(p kadm.PartitionDetail) bool { return p.Leader < 0 })
	})
	return leader
}

// TestDockerSnappyTrap: kafkajs can't read Snappy. One variant ends by it, the other keeps its sockets open and is silent;
// the error of either names the codec and the mend, and says so long before anybody would look for it.
func TestDockerSnappyTrap(t *testing.T) {
	seeds, _ := dockerKafka(t, 1)
	for variant, want := range map[string][]string{
		"shared": {"the target ended during the run", "Snappy compression not implemented", "set the producers' compression to gzip or none"},
		"naive":  {"join: ", "batches are compressed (snappy by feed)", "set compression: gzip or none"},
	} {
		t.Run(variant, func(t *testing.T) {
			w := startGateways(t, "broadcast", seeds, "--set", "gateway={target: node-ws, variant: "+variant+", ready_in: 1m}",
				"--set", "producers.feed.compression=snappy")
			if got := w.wait(); got != report.ExitError {
				t.Errorf("exit code: got %d; want %d", got, report.ExitError)
			}
			s := w.summary()
			for _, part := range want {
				if !strings.Contains(s.Run.Error, part) {
					t.Errorf("error: got %q; want %q in it", s.Run.Error, part)
				}
			}
			if s.Run.MeasuredNS > 0 {
				t.Errorf("got %v measured; want the run to end before", time.Duration(s.Run.MeasuredNS))
			}
		})
	}
}

// TestMissingToolchain: a target whose tools are not there is a clear error that names them.
func TestMissingToolchain(t *testing.T) {
	t.Parallel()
	executable, err := exec.LookPath("weir")
	if err != nil {
		t.Fatal(err)
	}
	for gateway, want := range map[string]string{
		"{target: node-ws, variant: shared}": "start target node-ws: node-ws needs node 18 or newer, and `node` is not on the PATH: install it (https://nodejs.org or your package manager)",
		"{target: spring-boot}":              "start target spring-boot: spring-boot needs java 17 or newer, and `java` is not on the PATH: install it (https://adoptium.net or your package manager)",
	} {
		w := startCommand(t, "", executable, []string{"PATH=" + t.TempDir()}, "run", "../../scenarios/gateways/keyed.yaml",
			"--out", filepath.Join(t.TempDir(), "run"), "--set", "gateway="+gateway)
		if got := w.wait(); got != report.ExitError {
			t.Errorf("%s: exit code: got %d; want %d", gateway, got, report.ExitError)
		}
		if got := w.stderr.String() + w.stdout.String(); !strings.Contains(strings.Join(strings.Fields(got), " "), want) {
			t.Errorf("%s: got %q; want %q in it", gateway, got, want)
		}
	}
}
