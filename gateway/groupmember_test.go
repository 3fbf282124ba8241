package gateway

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirbench/weir/internal/settings"
)

// A static member comes back and reads on without a rebalance.
func TestStaticMemberRestarts(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{protocolClassic, protocolConsumer} {
		t.Run(protocol, func(t *testing.T) {
			cluster := newTestCluster(t)
			member := func(name string) func(*Config) {
				return func(c *Config) {
					routed(c)
					c.Topics = []string{"prices"}
					c.Consume.Protocol, c.Consume.Member = protocol, name
				}
			}
			a := startOn(t, cluster, member("a"))
			b := startOn(t, cluster, member("b"))
			waitFor(t, "partitions are shared", func() bool { return partitionsOf(a) == 2 && partitionsOf(b) == 2 })
			stays := b.dial("prices")
			a.shutDown()
			for p := range int32(4) {
				b.produce(p, keyed("k", 0, 1)...)
			}
			again := startOn(t, cluster, member("a"))
			waitFor(t, "it has its partitions", func() bool { return partitionsOf(again) == 2 })
			again.eventually("it reads what came meanwhile", func(s Stats) bool { return s.Records == 2 })
			for range 2 {
				if m := stays.read(); m.Type != "message" {
					t.Errorf("got %s; want a record, and nothing of a rebalance", m.Raw)
				}
			}
		})
	}
}

// Who joins as a member that there is takes its place, and the old one ends.
func TestStaticMemberIsFenced(t *testing.T) {
	cluster := newTestCluster(t)
	member := func(c *Config) {
		inGroup(c)
		c.Consume.Protocol, c.Consume.Member = protocolClassic, "a"
	}
	first := launch(t, cluster, member)
	first.awaitStatus(statusReady, "")
	second := launch(t, cluster, member)
	second.awaitStatus(statusReady, "")
	select {
	case err := <-first.done:
		if err == nil || !strings.Contains(err.Error(), "another gateway has joined the consumer group gateways as its member a") {
			t.Errorf("got %v; want who has taken its place", err)
		}
	case <-time.After(3 * patience):
		t.Fatal("the first gateway goes on")
	}
	second.awaitStatus(statusReady, "")
}

func TestGroupRefusals(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		fault  *kfake.Fault
		want   string
	}{
		{"no group of KIP-848", func(c *Config) { c.Consume.Protocol = protocolConsumer }, nil, "set Consume.Protocol to classic"},
		{"not authorized", nil, &kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.GroupAuthorizationFailed, Count: -1}, "GROUP_AUTHORIZATION_FAILED"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := []kfake.Opt{}
			cluster := newTestCluster(t, opts...)
			if tt.fault != nil {
				cluster.Fault(*tt.fault)
			} else {
				withoutConsumerGroups(cluster)
			}
			g := launch(t, cluster, func(c *Config) {
				inGroup(c)
				c.Consume.Protocol = protocolClassic
				if tt.change != nil {
					tt.change(c)
				}
			})
			select {
			case err := <-g.done:
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v; want %q", err, tt.want)
				}
			case <-time.After(3 * patience):
				t.Fatal("the gateway goes on")
			}
		})
	}
}

// withoutConsumerGroups makes the cluster one of before Kafka 4.
func withoutConsumerGroups(cluster *kfake.Cluster) {
	cluster.ControlKey(int16(kmsg.ApiVersions), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
		for key := range int16(60) {
			if kind := kmsg.RequestForKey(key); kind != nil {
				resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: key, MaxVersion: min(kind.MaxVersion(), 9)})
			}
		}
		return resp, nil, true
	})
}

func TestGroupFindsNewPartitions(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{protocolClassic, protocolConsumer} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			g := start(t, func(c *Config) {
				inGroup(c)
				c.Consume.Protocol = protocol
				c.MetadataInterval = 500 * time.Millisecond
			}, quickHeartbeats)
			c := g.dial("prices")
			if _, err := kadm.NewClient(g.kafka).CreatePartitions(t.Context(), 2, "prices"); err != nil {
				t.Fatal(err)
			}
			g.kafka.ForceMetadataRefresh()
			for i := range 20 {
				g.produce(5, keyed("k", i, 1)...)
			}
			for i := range int64(20) {
				if m := c.read(); m.Partition != 5 || m.Offset != i {
					t.Fatalf("got %s; want offset %d of partition 5", m.Raw, i)
				}
			}
		})
	}
}

func TestGroupFollowsRecreatedTopic(t *testing.T) {
	t.Parallel()
	g := start(t, func(c *Config) {
		inGroup(c)
		c.Consume.Protocol = protocolClassic
	})
	c := g.dial("prices")
	g.produce(0, keyed("k", 0, 3)...)
	for range 3 {
		c.read()
	}
	if err := g.cluster.DeleteTopic("prices"); err != nil {
		t.Fatal(err)
	}
	if err := g.cluster.CreateTopic("prices", 4, nil); err != nil {
		t.Fatal(err)
	}
	g.kafka.PurgeTopicsFromClient("prices")
	g.produce(0, keyed("k", 100, 1)...)
	if m := c.read(); m.Kind != "truncated" || m.FirstOffset != 0 || m.LastOffset != 2 {
		t.Errorf("got %s; want a notice of truncation", m.Raw)
	}
	if m := c.read(); string(m.Value) != "100" || m.Offset != 0 {
		t.Errorf("got %s; want the new topic's first record", m.Raw)
	}
}

// Partitions that the group has not given to a gateway for a while are another's.
func TestLackingForAWhile(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	var reason error
	m := &groupMember{
		c:       &consumer{cfg: &h.cfg, hub: h.hub, partitions: map[string][]partition{"prices": {{}, {holding: away}}}},
		waiting: func(err error) { reason = err },
		settled: true,
	}
	now := time.Now()
	m.checkLacking(now)
	m.checkLacking(now.Add(unassignedGrace - 1))
	if h.suspended || reason == nil || !strings.Contains(reason.Error(), "has given 1 of 2 partitions") {
		t.Errorf("before the time is over: suspended %v, %v; want clients kept, and the reason", h.suspended, reason)
	}
	m.checkLacking(now.Add(unassignedGrace))
	if !h.suspended {
		t.Error("after the time is over: clients are kept")
	}
}

func TestConsumeSettings(t *testing.T) {
	cfg := Config{Brokers: []string{"127.0.0.1:1"}, Topics: []string{"a"}}
	cfg.Consume.Member, cfg.Consume.Protocol = "m", "eager"
	cfg.Timeouts.DrainSpread = -1
	cfg.Batch = []settings.Batch{{Topic: "a"}}
	cfg.PublishTopics = []string{"a"}
	cfg.Publish.Dedup = time.Millisecond
	cfg.Publish.Keys = map[string]string{"a": "u-{subject}"}
	cfg.Pprof, cfg.Trace.Endpoint, cfg.Trace.Ratio = "6060", "collector:4318", 2
	err := cfg.WithDefaults().Validate()
	want := []string{
		`Consume.Protocol: "eager" is unknown (write auto, classic or consumer)`,
		`Consume.Group: empty, but Routed or Member is set (name the group, or leave them out)`,
		`Batch[0]: an interval of 0s is not from 1ms to 10s`,
		`Timeouts.DrainSpread: -1ns is negative (write 0 to close all clients at once)`,
		`Publish.Dedup: 1ms is not from 1s to 24h`,
		`Publish.Keys: the key of topic "a" names {subject}, and without Tokens nobody is asked who they are`,
		`Pprof: "6060" is not host:port`,
		`Trace.Ratio: 2 is not from 0 to 1`,
		`Trace.Endpoint: not a URL (write http://host:4318)`,
	}
	if err == nil || !slices.Equal(strings.Split(err.Error(), "\n"), want) {
		t.Errorf("got %v; want %q", err, want)
	}
}
