package gateway

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What was produced before the gateway was ready is not delivered; what comes
// after is, from the very first record.
func TestStartsAtTheEnd(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "prices", "chat"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	first := startOn(t, cluster, nil)
	first.produce(1, keyed("k", 0, 5)...)
	g := startOn(t, cluster, nil)
	c := g.dial("prices")
	g.produce(1, keyed("k", 5, 1)...)
	if m := c.read(); m.Offset != 5 {
		t.Errorf("first record: got offset %d; want 5", m.Offset)
	}
}

func TestWaitsForItsTopics(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "chat"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	asked := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Observe: true, Count: -1})
	created := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := asked.Wait(ctx, 1); err != nil {
			created <- err
			return
		}
		created <- cluster.CreateTopic("prices", 2, nil)
	}()
	g := startOn(t, cluster, nil) // returns when it is ready
	if err := <-created; err != nil {
		t.Fatal(err)
	}
	c := g.dial("prices")
	g.produce(1, keyed("k", 0, 1)...)
	c.read()
}

func TestFindsNewPartitions(t *testing.T) {
	t.Parallel()
	g := start(t, func(c *Config) { c.MetadataInterval = 50 * time.Millisecond })
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
}

// Leaders move and a broker goes while records flow: nothing is lost, doubled
// or out of order.
func TestSurvivesLeaderMoves(t *testing.T) {
	t.Parallel()
	g := start(t, nil, kfake.NumBrokers(3))
	c := g.dial("prices")
	const n = 60
	for i := range n {
		switch i {
		case 20, 25, 30:
			g.cluster.ShufflePartitionLeaders()
		case 40:
			if err := g.cluster.RemoveNode(g.cluster.LeaderFor("prices", 0)); err != nil {
				t.Fatal(err)
			}
		}
		g.produce(0, keyed("k", i, 1)...)
	}
	for i := range int64(n) {
		if m := c.read(); m.Offset != i {
			t.Fatalf("got %.200s; want offset %d", m.Raw, i)
		}
	}
}

// Kafka deletes records before the gateway has read them: all whom it may
// concern are told, and reading goes on after the hole.
func TestTellsOfGaps(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	whole, key, other := g.dial("prices"), g.dial("prices/a", "prices/b"), g.dial("chat")
	g.produce(2, keyed("a", 0, 3)...)
	for range 3 {
		whole.read()
		key.read()
	}
	blocked := g.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "prices", Err: kerr.NotLeaderForPartition, Count: -1})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// A fetch that was under way when the fault came may still bring records:
	// these go to partition 3.
	g.produce(3, keyed("wake", 0, 1)...)
	if err := blocked.Wait(ctx, 1); err != nil {
		t.Fatal(err)
	}
	g.produce(2, keyed("a", 3, 7)...)
	if err := g.cluster.DeleteRecords("prices", 2, 8); err != nil {
		t.Fatal(err)
	}
	blocked.Remove()

	const want = `"topic":"prices","partition":2,"first_offset":3,"last_offset":7,"count":5}`
	if got, want := string(whole.readPartition(2).Raw), `{"type":"notice","kind":"gap","channel":"prices",`+want; got != want {
		t.Errorf("subscriber of the topic: got %s; want %s", got, want)
	}
	notices := []string{string(key.read().Raw), string(key.read().Raw)}
	slices.Sort(notices)
	for i, channel := range []string{"prices/a", "prices/b"} {
		if want := `{"type":"notice","kind":"gap","channel":"` + channel + `",` + want; notices[i] != want {
			t.Errorf("subscriber of keys: got %s; want %s", notices[i], want)
		}
	}
	for _, c := range []*testClient{whole, key} {
		for offset := int64(8); offset < 10; offset++ {
			if m := c.readPartition(2); m.Offset != offset {
				t.Errorf("after the gap: got %s; want offset %d", m.Raw, offset)
			}
		}
	}
	g.produce(0, &kgo.Record{Topic: "chat"})
	if m := other.read(); m.Type != "message" {
		t.Errorf("subscriber of another topic: got %s", m.Raw)
	}
	if s := g.stats(); s.KafkaGaps != 1 || s.KafkaErrors == 0 {
		t.Errorf("stats: %+v; want 1 gap and errors", s)
	}
}

// readPartition reads past messages about other partitions.
func (c *testClient) readPartition(p int32) received {
	c.t.Helper()
	for {
		if m := c.read(); m.Partition == p {
			return m
		}
	}
}

// A topic that is deleted and created again is read from its beginning.
func TestFollowsRecreatedTopic(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
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

func TestReadsCommittedOnly(t *testing.T) {
	g := start(t, nil)
	c := g.dial("prices")
	tx, err := kgo.NewClient(kgo.SeedBrokers(g.cluster.ListenAddrs()...), kgo.TransactionalID("tx"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tx.Close)
	for i, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		if err := tx.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		r := keyed("k", i, 1)[0]
		r.Topic = "prices"
		if err := tx.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := tx.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"1", "3"} {
		if m := c.read(); string(m.Value) != want {
			t.Errorf("got %s; want value %s", m.Raw, want)
		}
	}
}

// Errors that waiting does not mend end Run.
func TestRefusedAuthorizationEndsRun(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "prices"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "prices", Err: kerr.TopicAuthorizationFailed, Count: -1})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err = Run(ctx, Config{Brokers: cluster.ListenAddrs(), Topics: []string{"prices"}}, testLog(t), nil)
	if err == nil {
		t.Error("got nil; want the refusal")
	}
}
