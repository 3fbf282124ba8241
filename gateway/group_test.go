package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func inGroup(c *Config) {
	c.Consume.Group = "gateways"
	beatQuickly(c)
}

func routed(c *Config) {
	inGroup(c)
	c.Consume.Routed = true
}

// quickHeartbeats makes members of groups of KIP-848 hear of changes soon.
var quickHeartbeats = kfake.BrokerConfigs(map[string]string{"group.consumer.heartbeat.interval.ms": "100"})

// beatQuickly does the same for those of the classic protocol.
func beatQuickly(c *Config) {
	c.KafkaOpts = append(c.KafkaOpts, kgo.HeartbeatInterval(100*time.Millisecond))
}

func newTestCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(4, "prices", "chat"), quickHeartbeats}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// launch runs a gateway that need not get ready.
func launch(t *testing.T, cluster *kfake.Cluster, change func(*Config)) *gatewayUnderTest {
	t.Helper()
	cfg := Config{Listen: freeAddr(t), Brokers: cluster.ListenAddrs(), Topics: []string{"prices"}, InstanceID: "gw-1"}
	change(&cfg)
	ctx, cancel := context.WithCancel(t.Context())
	g := &gatewayUnderTest{t: t, cluster: cluster, stop: cancel, addr: cfg.Listen}
	g.done = goErr(func() error { return Run(ctx, cfg, testLog(t), nil) })
	t.Cleanup(func() {
		cancel()
		<-g.done
	})
	return g
}

// awaitStatus polls /readyz; there is nothing else to wait on.
func (g *gatewayUnderTest) awaitStatus(status, reason string) {
	g.t.Helper()
	deadline := time.After(3 * patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var last readiness
	for {
		if resp, err := http.Get("http://" + g.addr + "/healthz"); err == nil {
			resp.Body.Close()
			code := g.get("/readyz", &last)
			if last.Status == status && strings.Contains(last.Reason, reason) && (code == http.StatusOK) == (status == statusReady) {
				return
			}
		}
		select {
		case <-tick.C:
		case err := <-g.done:
			g.t.Fatalf("gateway ended: %v", err)
		case <-deadline:
			g.t.Fatalf("never came: %s with %q; last %+v", status, reason, last)
		}
	}
}

// committed are the group's offsets of topic prices.
func committed(t *testing.T, cluster *kfake.Cluster) map[int32]int64 {
	t.Helper()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	offsets, err := kadm.NewClient(kafka).FetchOffsets(t.Context(), "gateways")
	if err != nil {
		t.Fatal(err)
	}
	at := make(map[int32]int64)
	for p, o := range offsets["prices"] {
		at[p] = o.At
	}
	return at
}

// A new group begins at the end; its gateway delivers, commits, and the next one
// goes on where it ended.
func TestGroup(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{protocolAuto, protocolClassic, protocolConsumer} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			cluster := newTestCluster(t)
			inIt := func(c *Config) {
				inGroup(c)
				c.Consume.Protocol = protocol
			}
			startOn(t, cluster, nil).produce(1, keyed("k", 0, 5)...)
			g := startOn(t, cluster, inIt)
			c := g.dial("prices")
			g.produce(1, keyed("k", 5, 2)...)
			g.produce(2, keyed("k", 7, 1)...)
			for range 3 {
				if m := c.read(); m.Partition == 1 && m.Offset < 5 || m.Type != "message" {
					t.Errorf("got %s; want no older record", m.Raw)
				}
			}
			kind := cluster.GroupInfo("gateways")
			if kind == nil {
				t.Fatal("there is no group")
			}
			g.shutDown()
			c.wantClose(CloseServiceRestart)
			if got, want := committed(t, cluster), (map[int32]int64{0: 0, 1: 7, 2: 1, 3: 0}); !maps.Equal(got, want) {
				t.Errorf("committed: got %v; want %v", got, want)
			}
			held := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "prices", Err: kerr.NotLeaderForPartition, Count: -1})
			startOn(t, cluster, nil).produce(1, keyed("k", 8, 3)...)
			next := startOn(t, cluster, inIt)
			c = next.dial("prices")
			held.Remove()
			for i := range int64(3) {
				if m := c.read(); m.Partition != 1 || m.Offset != 7+i {
					t.Fatalf("got %s; want offset %d of partition 1", m.Raw, 7+i)
				}
			}
		})
	}
}

// Offsets are never committed before what precedes them is in the queues, that
// which conflation holds included.
func TestGroupCommitsWhatIsQueued(t *testing.T) {
	t.Parallel()
	g := start(t, func(c *Config) {
		inGroup(c)
		c.Conflate = []Conflation{{"prices", time.Hour}}
	})
	c := g.dial("prices")
	g.produce(1, keyed("k", 0, 5)...)
	c.read()
	g.eventually("all are read", func(s Stats) bool { return s.Records == 5 })
	for deadline := time.Now().Add(patience); committed(t, g.cluster)[1] != 4; {
		if time.Now().After(deadline) {
			t.Fatalf("committed: got %v; want 4 of partition 1", committed(t, g.cluster))
		}
	}
	g.stop()
	if m := c.read(); m.Offset != 4 {
		t.Errorf("got %s; want what was held", m.Raw)
	}
	g.shutDown()
	if got := committed(t, g.cluster)[1]; got != 5 {
		t.Errorf("committed at the end: got %d; want 5", got)
	}
}

// Two gateways in a group whose clients are not routed miss half of the records
// each: both say so and serve nobody, until one is gone.
func TestGroupRefusesToShare(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{protocolClassic, protocolConsumer} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			cluster := newTestCluster(t)
			alone := func(c *Config) {
				inGroup(c)
				c.Topics = []string{"prices"}
				c.Consume.Protocol = protocol
			}
			first := startOn(t, cluster, alone)
			c := first.dial("prices")
			first.produce(0, keyed("k", 0, 1)...)
			c.read()
			second := launch(t, cluster, alone)
			c.wantClose(CloseServiceRestart)
			const reason = "has given 2 of 4 partitions to other members"
			for _, g := range []*gatewayUnderTest{first, second} {
				g.awaitStatus(statusIncomplete, reason)
				_, resp, err := websocket.DefaultDialer.Dial("ws://"+g.addr+"/ws?channel=prices", nil)
				if !errors.Is(err, websocket.ErrBadHandshake) {
					t.Fatalf("dial: got %v; want a refusal", err)
				}
				body, _ := io.ReadAll(resp.Body)
				if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), reason) {
					t.Errorf("upgrade: got %s %s; want 503 with the reason", resp.Status, body)
				}
			}
			second.stop()
			first.awaitStatus(statusReady, "")
			c = first.dial("prices")
			first.produce(3, keyed("k", 1, 1)...)
			if m := c.read(); m.Type != "message" || m.Partition != 3 {
				t.Errorf("got %s; want the record", m.Raw)
			}
		})
	}
}

// arrivals collects record messages until total have come to all of its readers.
type arrivals struct {
	mu    sync.Mutex
	at    map[string]int // by partition and offset
	moved int
	total int
	done  chan struct{}
}

func (a *arrivals) collect(c *testClient) {
	next := make(map[int32]int64)
	for {
		m, err := c.tryRead()
		if err != nil {
			return
		}
		a.mu.Lock()
		switch {
		case m.Kind == string(noticeMoved):
			a.moved++
		case m.Type == "message":
			if m.Offset < next[m.Partition] {
				c.t.Errorf("got %s after offset %d", m.Raw, next[m.Partition]-1)
			}
			next[m.Partition] = m.Offset + 1
			a.at[fmt.Sprint(m.Partition, "/", m.Offset)]++
			if len(a.at) == a.total {
				close(a.done)
				a.total = -1
			}
		}
		a.mu.Unlock()
	}
}

// unheard takes n records, of those that came before, out of what is waited for.
func (a *arrivals) unheard(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total -= n
}

// dialInRebalance dials until the gateway lets the client in, which it may refuse between two steps of a rebalance.
func (g *gatewayUnderTest) dialInRebalance(channels ...string) (c *testClient) {
	g.t.Helper()
	waitFor(g.t, "a client is let in", func() bool {
		ws, resp, err := websocket.DefaultDialer.Dial(g.url(channels...), nil)
		if resp != nil {
			resp.Body.Close()
		}
		if err != nil {
			return false
		}
		g.t.Cleanup(func() { ws.Close() })
		c = &testClient{t: g.t, ws: ws}
		return true
	})
	c.greeted(channels...)
	return c
}

// A second routed gateway joins while records flow, and leaves again: each
// record comes to a client of one of them, once and in order.
func TestRoutedGroupRebalances(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{protocolClassic, protocolConsumer} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			cluster := newTestCluster(t)
			change := func(c *Config) {
				routed(c)
				c.Topics = []string{"prices"}
				c.Consume.Protocol = protocol
			}
			first := startOn(t, cluster, change)
			const each = 200
			all := &arrivals{at: make(map[string]int), total: 4 * each, done: make(chan struct{})}
			var readers sync.WaitGroup
			c := first.dial("prices")
			readers.Go(func() { all.collect(c) })
			send := func(from, to int) {
				for i := from; i < to; i++ {
					for p := range int32(4) {
						first.produce(p, keyed("k", i, 1)...)
					}
				}
			}
			send(0, each/4)
			var second *gatewayUnderTest
			joined := make(chan struct{})
			go func() {
				defer close(joined)
				second = startOn(t, cluster, change)
			}()
			sent := each / 4
			for moved := false; !moved && sent < each/2; sent++ { // under way while it joins
				send(sent, sent+1)
				all.mu.Lock()
				moved = all.moved > 0
				all.mu.Unlock()
			}
			<-joined
			other := second.dialInRebalance("prices")
			readers.Go(func() { all.collect(other) })
			waitFor(t, "partitions are shared", func() bool {
				all.mu.Lock()
				defer all.mu.Unlock()
				return all.moved == 2 && partitionsOf(second) == 2
			})
			// What the second read before it had a client was for nobody. All is read, and by one of them.
			waitFor(t, "all is read", func() bool { return first.stats().Records+second.stats().Records == int64(4*sent) })
			s := second.stats()
			all.unheard(int(s.Records - s.Queued))
			send(sent, each*3/4)
			second.shutDown()
			send(each*3/4, each)
			within10s(t, "every record", all.done)
			first.shutDown()
			readers.Wait()
			for at, n := range all.at {
				if n != 1 {
					t.Errorf("record %s came %d times", at, n)
				}
			}
			if all.moved != 2 {
				t.Errorf("notices of moved partitions: got %d; want 2", all.moved)
			}
		})
	}
}

// partitionsOf is how many partitions a gateway reads.
func partitionsOf(g *gatewayUnderTest) (n int) {
	values, _ := g.metrics()
	for name := range values {
		if strings.HasPrefix(name, "weir_gateway_consumer_lag_records{") {
			n++
		}
	}
	return n
}

// waitFor polls what no event tells of.
func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	waitUpTo(t, 3*patience, what, cond)
}

func waitUpTo(t *testing.T, most time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(most)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never came true: %s", what)
		}
	}
}

// The group forgets its member, leaders and the coordinator move and a broker
// goes: clients stay connected and get each record once and in order.
func TestGroupSurvives(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, protocol string
		heartbeat      kmsg.Key
		err            error
	}{
		{"forgotten, classic", protocolClassic, kmsg.Heartbeat, kerr.UnknownMemberID},
		{"forgotten, consumer", protocolConsumer, kmsg.ConsumerGroupHeartbeat, kerr.FencedMemberEpoch},
		{"coordinator moves, classic", protocolClassic, kmsg.Heartbeat, kerr.NotCoordinator},
		{"coordinator moves, consumer", protocolConsumer, kmsg.ConsumerGroupHeartbeat, kerr.NotCoordinator},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := start(t, func(c *Config) {
				inGroup(c)
				c.Consume.Protocol = tt.protocol
			}, kfake.NumBrokers(3), quickHeartbeats)
			c := g.dial("prices")
			failed := g.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{tt.heartbeat}, Err: tt.err.(*kerr.Error), Count: 1})
			const n = 60
			for i := range n {
				switch i {
				case 20:
					ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
					defer cancel()
					if err := failed.Wait(ctx, 1); err != nil {
						t.Fatal(err)
					}
				case 30, 35:
					g.cluster.ShufflePartitionLeaders()
				case 40:
					if err := g.cluster.RemoveNode(g.cluster.LeaderFor("prices", 0)); err != nil {
						t.Fatal(err)
					}
				}
				g.produce(0, keyed("k", i, 1)...)
			}
			for i := range int64(n) {
				if m := c.read(); m.Offset != i || m.Type != "message" {
					t.Fatalf("got %.200s; want offset %d", m.Raw, i)
				}
			}
			g.shutDown()
			if got := committed(t, g.cluster)[0]; got != n {
				t.Errorf("committed: got %d; want %d", got, n)
			}
		})
	}
}
