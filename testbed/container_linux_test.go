package testbed

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/moby/moby/client"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/scenarios"
)

// removeImage removes the image of a folder at the test's end.
func removeImage(t *testing.T, api *client.Client, target string) {
	t.Helper()
	t.Cleanup(func() {
		images, err := api.ImageList(context.Background(), client.ImageListOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		for _, image := range images.Items {
			for _, tag := range image.RepoTags {
				if strings.HasPrefix(tag, target) {
					_, err = api.ImageRemove(context.Background(), tag, client.ImageRemoveOptions{Force: true, PruneChildren: true})
					if err != nil {
						t.Error(err)
					}
				}
			}
		}
	})
}

// gatewayContainer is the reference gateway as any container would be.
func gatewayContainer(folder string) *scenarios.ContainerTarget {
	return &scenarios.ContainerTarget{
		Build: folder,
		Args:  []string{"gateway", "--verbose", "--listen", ":{port}", "--brokers", "{seeds}", "--topics", "{topics}", "--instance-id", "{run}"},
		Port:  8080, URL: "ws://127.0.0.1:{port}/ws", Ready: scenarios.Ready{URL: "http://127.0.0.1:{port}/readyz"},
		StopIn: 5 * time.Second,
	}
}

// labelledTargets lists the containers of the run's target.
func labelledTargets(t *testing.T, api *client.Client, runID string) int {
	t.Helper()
	filters := client.Filters{}.Add("label", targetLabel+"="+runID)
	containers, err := api.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		t.Fatal(err)
	}
	return len(containers.Items)
}

// wantDelivery connects to the target, produces a record, and wants it to come.
func wantDelivery(t *testing.T, url, topic string, seeds []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, _, err := websocket.DefaultDialer.DialContext(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"subscribe","id":1,"channels":["`+topic+`"]}`)); err != nil {
		t.Fatal(err)
	}
	kafka, err := kgo.NewClient(kgo.SeedBrokers(seeds...))
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			t.Fatalf("the message did not come: %v", err)
		}
		if strings.Contains(string(text), `"subscribed"`) {
			if err := kafka.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("through the container")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(string(text), "through the container") {
			return
		}
	}
}

// TestDockerTarget: an image that is built for it, on the brokers' network and on this machine's.
func TestDockerTarget(t *testing.T) {
	folder := testkit.ImageFolder(t)
	for _, provider := range []scenarios.KafkaProvider{scenarios.ProviderDocker, scenarios.ProviderEmbedded} {
		t.Run(string(provider), func(t *testing.T) {
			api := requireDocker(t)
			o := options(t)
			o.ContainerTarget = true
			removeImage(t, api, "weir-target-")
			k, err := StartKafka(t.Context(), scenarios.KafkaPlan{Provider: provider, Brokers: 1, Image: testImage()}, o)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Stop(context.Background())
			if err := k.EnsureTopics(t.Context(), []scenarios.Topic{{Name: "a", Partitions: 1, Replication: 1}}, nil); err != nil {
				t.Fatal(err)
			}
			o.Network, o.NetworkSeeds = k.Inside()
			c := gatewayContainer(folder)
			want := "container built from " + folder
			if provider == scenarios.ProviderEmbedded {
				c.Port = 0
				want += " (host network)"
			}
			plan := scenarios.GatewayPlan{Target: scenarios.TargetContainer, Container: c, ReadyIn: time.Minute}
			target, err := StartTarget(t.Context(), plan, k.Seeds, []string{"a"}, o)
			if err != nil {
				t.Fatal(err)
			}
			if target.Description != want {
				t.Errorf("got description %q; want %q", target.Description, want)
			}
			wantDelivery(t, target.URL, "a", k.Seeds)
			wantContainerUse(t, target)
			wantOpen(t, "Done", target.Done())
			if err := target.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			wantOpen(t, "Done", target.Done())
			if n := labelledTargets(t, api, o.RunID); n != 0 {
				t.Errorf("%d containers are left", n)
			}
			wantFile(t, filepath.Join(o.Dir, "gateway.log"), "level=INFO")
			wantFile(t, filepath.Join(o.Dir, "target-build.log"), "FROM scratch")
		})
	}
}

// wantContainerUse compares what the processes say with what Docker says.
func wantContainerUse(t *testing.T, target *Target) {
	t.Helper()
	use, err := target.Usage()
	if err != nil || use.RSSBytes < 4<<20 || use.Descriptors < 3 {
		t.Errorf("got use %+v, %v; want that of a running gateway", use, err)
	}
	said, err := target.part.(*boxed).stats(t.Context())
	if err != nil || said.CPUSeconds <= 0 || said.RSSBytes < 1<<20 {
		t.Errorf("got use %+v, %v of Docker; want that of a running gateway", said, err)
	}
}

// TestDockerTargetTrouble: each ends with what the container said, and without a container.
func TestDockerTargetTrouble(t *testing.T) {
	api := requireDocker(t)
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "Dockerfile"), []byte("FROM scratch\nCOPY no-such-file /\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kafka := func(args ...string) *scenarios.ContainerTarget {
		return &scenarios.ContainerTarget{Image: testImage(), Args: args, Port: 8080, URL: "ws://127.0.0.1:{port}/ws"}
	}
	for name, c := range map[string]struct {
		container *scenarios.ContainerTarget
		want      []string
	}{
		"ends early":  {kafka("sh", "-c", "echo no such luck; exit 3"), []string{"ended before it was ready", "status 3", "no such luck"}},
		"never ready": {kafka("sh", "-c", "echo thinking; exec sleep 60"), []string{"not ready within 2s", "thinking"}},
		"port published, not listened at": {func() *scenarios.ContainerTarget {
			c := kafka("sh", "-c", "echo thinking; exec sleep 60")
			c.Ready.Port = true
			return c
		}(), []string{"not ready within 2s", "nothing listens at its port inside the container", "thinking"}},
		"build fails":   {&scenarios.ContainerTarget{Build: broken, Port: 1, URL: "ws://127.0.0.1:{port}/"}, []string{"build an image from " + broken, "no-such-file"}},
		"no Dockerfile": {&scenarios.ContainerTarget{Build: t.TempDir(), Port: 1, URL: "ws://127.0.0.1:{port}/"}, []string{"a folder with a Dockerfile"}},
		"neither":       {&scenarios.ContainerTarget{}, []string{"gateway.container.image"}},
		"no program":    {kafka("no-such-program"), []string{"start container"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			plan := scenarios.GatewayPlan{Target: scenarios.TargetContainer, Container: c.container, ReadyIn: 2 * time.Second}
			if name == "ends early" {
				plan.ReadyIn = time.Minute
			}
			_, err := StartTarget(t.Context(), plan, []string{"192.0.2.1:9092"}, nil, o)
			wantText(t, err, c.want...)
			if n := labelledTargets(t, api, o.RunID); n != 0 {
				t.Errorf("%d containers are left", n)
			}
		})
	}
}

// TestDockerTargetDies: a container that ends by itself is told with its last lines; one that a killed weir leaves is
// removed by the reaper.
func TestDockerTargetDies(t *testing.T) {
	api := requireDocker(t)
	o := options(t)
	plan := scenarios.GatewayPlan{Target: scenarios.TargetContainer, ReadyIn: time.Minute, Container: &scenarios.ContainerTarget{
		Image: testImage(), Args: []string{"sh", "-c", "echo up and running; exec sleep 600"}, Port: 8080, URL: "ws://127.0.0.1:{port}/ws",
		Ready: scenarios.Ready{Log: "^up and running$"}, StopIn: time.Second,
	}}
	target, err := StartTarget(t.Context(), plan, []string{"192.0.2.1:9092"}, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(target.Processes()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, "Done after the container was killed", target.Done(), 10*time.Second)
	wantText(t, target.Err(), "ended unasked with status 137", "up and running")
	if err := target.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if n := labelledTargets(t, api, o.RunID); n != 0 {
		t.Errorf("%d containers are left", n)
	}
}

// TestDockerTargetReaper: the end of the reaper's input, as weir's death brings it, removes the container.
func TestDockerTargetReaper(t *testing.T) {
	api := requireDocker(t)
	runID := options(t).RunID
	parent, report := startParent(t, scenarios.KafkaProvider(scenarios.TargetContainer), runID)
	if n := labelledTargets(t, api, runID); n != 1 {
		t.Fatalf("got %d containers; want 1", n)
	}
	await := watchDeath(t, report.Pids[0])
	reaper := watchDeath(t, childOf(t, parent.Process.Pid))
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	await(10 * time.Second)
	reaper(reapFor + 5*time.Second)
	if n := labelledTargets(t, api, runID); n != 0 {
		t.Errorf("%d containers are left", n)
	}
}
