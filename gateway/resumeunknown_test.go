package gateway

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// further is a client that has had n records of partition 4 from a gateway that
// knows of it, and has left.
func further(t *testing.T, knows *gatewayUnderTest, n int) *comeback {
	t.Helper()
	c := &comeback{g: knows, channels: []string{"prices"}}
	c.connect()
	c.until("caught_up")
	if _, err := kadm.NewClient(knows.kafka).CreatePartitions(t.Context(), 1, "prices"); err != nil {
		t.Fatal(err)
	}
	knows.kafka.ForceMetadataRefresh()
	knows.produce(4, keyed("k", 0, n)...)
	c.has(n)
	c.leave()
	return c
}

// knowing is a gateway that soon discovers what is new.
func knowing(t *testing.T) *gatewayUnderTest {
	return start(t, func(c *Config) { c.MetadataInterval = 20 * time.Millisecond })
}

// startBlind runs a second gateway on a cluster, which discovers new partitions
// when it is told to look.
func startBlind(t *testing.T, cluster *kfake.Cluster, change func(*Config)) (g *gatewayUnderTest, look func()) {
	t.Helper()
	cfg := Config{Brokers: cluster.ListenAddrs(), Topics: []string{"prices", "chat"}, InstanceID: "gw-1", MetadataInterval: time.Hour}
	change(&cfg)
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	i, err := newInstance(ctx, &cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	g = &gatewayUnderTest{t: t, cluster: cluster, stop: cancel}
	g.done = goErr(func() error { return i.run(ctx, func(addr string) { ready <- addr }) })
	t.Cleanup(g.shutDown)
	select {
	case g.addr = <-ready:
	case err := <-g.done:
		t.Fatalf("gateway ended: %v", err)
	case <-time.After(patience):
		t.Fatal("gateway is not ready")
	}
	return g, func() { i.consumer.discover(ctx) }
}

// A client comes from a gateway that knew of a partition which this one has yet
// to discover: what the client had there is not sent again when it does.
func TestResumeAtUndiscoveredPartition(t *testing.T) {
	knows := knowing(t)
	blind, look := startBlind(t, knows.cluster, func(*Config) {})
	c := further(t, knows, 3)
	c.g = blind
	c.wantAnswered(c.connect(), true, `null`)
	c.until("caught_up")
	look()
	knows.produce(4, keyed("k", 3, 4)...)
	c.wantRecords(4, 3, 7)
	if len(c.got) != 7 {
		t.Errorf("got %d records; want 7", len(c.got))
	}
}

// The gateway discovers the partition while the client's replay of another is
// under way: it goes on where the client was.
func TestPartitionDiscoveredDuringReplay(t *testing.T) {
	const mark = 1 << 20 // tells the consumer's fetches from those of replays
	knows := knowing(t)
	blind, look := startBlind(t, knows.cluster, func(c *Config) {
		c.Resume.MemoryBytes = minReplayMemory
		c.KafkaOpts = []kgo.Opt{kgo.FetchMaxBytes(mark)}
	})
	c := further(t, knows, 3)
	knows.produce(1, large("k", 40)...) // more than memory holds: the replay is to ask Kafka
	blind.eventually("the other partition is read", func(s Stats) bool { return s.Records == 40 })
	held := knows.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Fetch}, Topic: "prices", Err: kerr.NotLeaderForPartition, Count: -1,
		When: func(r kmsg.Request) bool { return r.(*kmsg.FetchRequest).MaxBytes == leastFetchBytes },
	})
	c.g = blind
	c.wantAnswered(c.connect(), true, `null`)
	if err := held.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	look()
	knows.produce(4, keyed("k", 3, 4)...)
	blind.eventually("the partition is read", func(s Stats) bool { return s.Records == 47 })
	held.Remove()
	c.until("caught_up")
	if next := c.wantContiguous(4); next != 7 || len(c.got) != 47 {
		t.Errorf("got %d records, %d of the new partition; want 47, 7", len(c.got), next)
	}
}
