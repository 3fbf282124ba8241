package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// startOpen runs a gateway that lets clients publish to orders (4 partitions).
func startOpen(t *testing.T, change func(*Config), opts ...kfake.Opt) *gatewayUnderTest {
	t.Helper()
	return start(t, func(c *Config) {
		c.PublishTopics = []string{"orders"}
		if change != nil {
			change(c)
		}
	}, append([]kfake.Opt{kfake.SeedTopics(4, "orders")}, opts...)...)
}

func (c *testClient) publish(id int, channel, value string) {
	c.t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		c.t.Fatal(err)
	}
	c.send(fmt.Sprintf(`{"type":"publish","id":%d,"channel":%q,"value":%s}`, id, channel, text))
}

// wantAnswer reads the answer to a publish message: its type, id and code.
func (c *testClient) wantAnswer(kind string, id int, code ErrorCode) received {
	c.t.Helper()
	m := c.read()
	if m.Type != kind || m.ID == nil || *m.ID != uint64(id) || m.Code != string(code) {
		c.t.Fatalf("got %s; want %s of %d with code %q", m.Raw, kind, id, code)
	}
	return m
}

// written reads n records of a topic of the fake Kafka from its beginning.
func written(t *testing.T, cluster *kfake.Cluster, topic string, n int) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	var records []*kgo.Record
	for len(records) < n {
		fetches := kafka.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("read %s back: %v, %d of %d records", topic, err, len(records), n)
		}
		records = append(records, fetches.Records()...)
	}
	if len(records) != n {
		t.Errorf("records in %s: got %d; want %d", topic, len(records), n)
	}
	return records
}

// endOf is how many records a topic has.
func endOf(t *testing.T, cluster *kfake.Cluster, topic string) (n int64) {
	t.Helper()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	ends, err := kadm.NewClient(kafka).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n
}

// holdProduce keeps Kafka from looking at produce requests until release, and
// says when the first has come.
func holdProduce(t *testing.T, cluster *kfake.Cluster) (arrived <-chan struct{}, release func()) {
	gate, first := make(chan struct{}), make(chan struct{})
	var once, opened sync.Once
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		once.Do(func() { close(first) })
		cluster.SleepControl(func() { <-gate })
		return nil, nil, false
	})
	release = func() { opened.Do(func() { close(gate) }) }
	t.Cleanup(release)
	return first, release
}

func within10s(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	if !within(done, patience) {
		t.Fatalf("never came: %s", what)
	}
}

// What is published stands in Kafka byte for byte, where Kafka's own clients
// would have put it, and where the answer says.
func TestPublishedIsWritten(t *testing.T) {
	g := startOpen(t, nil)
	c := g.dial()
	type sent struct{ key, value []byte }
	var all []sent
	for i := range 40 {
		all = append(all, sent{fmt.Appendf(nil, "k%d/%d", i, i), fmt.Appendf(nil, "value %d", i)})
	}
	all = append(all,
		sent{nil, []byte("no key")}, sent{[]byte{}, []byte("empty key")}, sent{[]byte("k"), []byte{}},
		sent{[]byte("é\n"), []byte("\"\\/\b\f\n\r\t\x00 é 😀 \u2028")}, sent{[]byte("k"), []byte{0xff, 0, 0xfe}},
	)
	for i, s := range all {
		channel := "orders"
		if s.key != nil {
			channel += "/" + string(s.key)
		}
		m := map[string]any{"type": "publish", "id": i, "channel": channel, "value": string(s.value)}
		if slices.Contains(s.value, 0xff) {
			delete(m, "value")
			m["value_base64"] = base64.StdEncoding.EncodeToString(s.value)
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		c.send(string(text))
	}
	at := make(map[uint64]received)
	for range all {
		m := c.read()
		if m.Type != "published" || m.ID == nil {
			t.Fatalf("got %s; want published", m.Raw)
		}
		at[*m.ID] = m
	}
	records := written(t, g.cluster, "orders", len(all))
	murmur := kgo.StickyKeyPartitioner(nil).ForTopic("orders")
	for i, s := range all {
		m, ok := at[uint64(i)]
		if !ok {
			t.Fatalf("no answer to %d", i)
		}
		n := slices.IndexFunc(records, func(r *kgo.Record) bool { return r.Partition == m.Partition && r.Offset == m.Offset })
		if n < 0 {
			t.Fatalf("message %d: no record at %d/%d", i, m.Partition, m.Offset)
		}
		r := records[n]
		if string(r.Key) != string(s.key) || (r.Key == nil) != (s.key == nil) || string(r.Value) != string(s.value) {
			t.Errorf("message %d: got %q=%q; want %q=%q", i, r.Key, r.Value, s.key, s.value)
		}
		if want := murmur.Partition(&kgo.Record{Key: s.key}, 4); s.key != nil && int(m.Partition) != want {
			t.Errorf("key %q: got partition %d; want %d", s.key, m.Partition, want)
		}
	}
	// As the Java client computes it.
	if got := murmur.Partition(&kgo.Record{Key: []byte("foobar")}, 1000); got != (-790332482&0x7fffffff)%1000 {
		t.Errorf("murmur2 of foobar: got partition %d", got)
	}
	if s := g.stats(); s.Published != int64(len(all)) || s.PublishRefused+s.PublishUndetermined+s.Publishing != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// An error says "refused" where it proves that nothing was written, and only
// there.
func TestPublishFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault *kerr.Error
		want  string
	}{
		{kerr.TopicAuthorizationFailed, answerRefused},
		{kerr.ClusterAuthorizationFailed, answerRefused},
		{kerr.MessageTooLarge, answerRefused},
		{kerr.InvalidRecord, answerRefused},
		{kerr.UnknownServerError, answerUndetermined},
		{kerr.NotLeaderForPartition, "published"}, // tried again
		{kerr.NotEnoughReplicas, "published"},
		{kerr.RequestTimedOut, "published"},
	} {
		t.Run(tt.fault.Message, func(t *testing.T) {
			t.Parallel()
			g := startOpen(t, nil)
			c := g.dial()
			fault := g.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "orders", Err: tt.fault})
			c.publish(1, "orders/k", "one")
			code := ErrorKafka
			if tt.want == "published" {
				code = ""
			}
			m := c.wantAnswer(tt.want, 1, code)
			if code != "" && !strings.Contains(m.Message, tt.fault.Message) {
				t.Errorf("message: got %s; want %s in it", m.Raw, tt.fault.Message)
			}
			if fault.Hits() != 1 {
				t.Errorf("faults: got %d; want 1", fault.Hits())
			}
			// Whatever it was, it is over.
			c.publish(2, "orders/k", "two")
			c.wantAnswer("published", 2, "")
			want := int64(1)
			if tt.want == "published" {
				want = 2
			}
			if n := endOf(t, g.cluster, "orders"); n != want {
				t.Errorf("records: got %d; want %d", n, want)
			}
		})
	}
}

// A topic that has taken records and then refuses may have taken a first attempt
// whose answer was lost: its refusal is no proof any more.
func TestLateDenialProvesNothing(t *testing.T) {
	g := startOpen(t, nil)
	c := g.dial()
	c.publish(1, "orders/k", "one")
	c.wantAnswer("published", 1, "")
	g.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "orders", Err: kerr.TopicAuthorizationFailed})
	c.publish(2, "orders/k", "two")
	c.wantAnswer(answerUndetermined, 2, ErrorKafka)
}

// produceWrites tells of each produce request that the gateway has written.
type produceWrites chan struct{}

// OnBrokerWrite implements kgo.HookBrokerWrite.
func (w produceWrites) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	if key == int16(kmsg.Produce) {
		w <- struct{}{}
	}
}

// The Kafka client fails a batch that is on its way by the error of the one
// before it, whatever Kafka does with it: to say that it was refused would be
// more than is known.
func TestErrorOfOneBatchProvesNothingOfTheNext(t *testing.T) {
	writes := make(produceWrites, 100)
	g := startOpen(t, func(c *Config) { c.KafkaOpts = []kgo.Opt{kgo.WithHooks(writes)} })
	c := g.dial()
	c.publish(0, "orders/k", "zero") // the first goes alone
	c.wantAnswer("published", 0, "")
	<-writes
	arrived, release := holdProduce(t, g.cluster)
	g.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "orders", Err: kerr.MessageTooLarge})
	c.publish(1, "orders/k", "one")
	within10s(t, "the first batch", arrived)
	<-writes
	c.publish(2, "orders/k", "two")
	select {
	case <-writes: // and so it is in flight behind the first
	case <-time.After(patience):
		t.Fatal("the second batch waits for the first: the test shows nothing")
	}
	release()
	c.wantAnswer(answerRefused, 1, ErrorKafka)
	c.wantAnswer(answerUndetermined, 2, ErrorKafka)
	s := g.stats()
	if s.Published != 1 || s.PublishRefused != 1 || s.PublishUndetermined != 1 || s.Publishing != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// A topic that is gone is refused: its records were never sent.
func TestPublishToATopicThatIsGone(t *testing.T) {
	t.Parallel()
	g := startOpen(t, nil)
	if _, err := kadm.NewClient(g.kafka).DeleteTopics(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	c := g.dial()
	c.publish(1, "orders/k", "one")
	c.wantAnswer(answerRefused, 1, ErrorKafka)
}

// While Kafka stands still nobody waits for it: what exceeds the bounds is
// refused, other requests are answered, and the answers come late.
func TestPublishWhileKafkaStalls(t *testing.T) {
	g := startOpen(t, func(c *Config) {
		c.Publish.MaxInFlight = 20
		c.Publish.BufferBytes = 1 << 20
	})
	arrived, release := holdProduce(t, g.cluster)
	c, other := g.dial("prices"), g.dial()
	for i := range 22 {
		c.publish(i, "orders/k", "v")
	}
	within10s(t, "a produce request", arrived)
	c.wantAnswer(answerRefused, 20, ErrorTooManyInFlight)
	c.wantAnswer(answerRefused, 21, ErrorTooManyInFlight)
	c.send(`{"type":"subscribe","id":99,"channels":["chat"]}`)
	c.wantAnswer("subscribed", 99, "")

	const size = 60_000
	fit := (1<<20 - 20*(len("kv")+publicationBytes)) / (len("k") + size + publicationBytes)
	for i := range fit + 1 {
		other.publish(i, "orders/k", strings.Repeat("x", size))
	}
	other.wantAnswer(answerRefused, fit, ErrorBufferFull)
	if s := g.stats(); s.Publishing != int64(20+fit) || s.PublishRefused != 3 || s.Published != 0 {
		t.Errorf("stats: %+v; want %d in flight, 3 refused", s, 20+fit)
	}
	release()
	for i := range 20 {
		c.wantAnswer("published", i, "")
	}
	for i := range fit {
		other.wantAnswer("published", i, "")
	}
	c.publish(30, "orders/k", "v")
	c.wantAnswer("published", 30, "")
}

// Many clients publish at once, while leaders move and connections break, and
// each message has one answer, stands in Kafka once, where the answer says, and
// in its client's order.
func TestPublishersKeepTheirOrder(t *testing.T) {
	t.Parallel()
	g := startOpen(t, nil, kfake.NumBrokers(3))
	const clients, each, window = 8, 300, 50
	produced := 0
	g.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		g.cluster.KeepControl()
		if produced++; produced%20 == 7 {
			return nil, errors.New("the connection breaks"), true
		}
		return nil, nil, false
	})
	answers := make([][]received, clients)
	var publishers sync.WaitGroup
	for n := range clients {
		c := g.dial()
		publishers.Go(func() {
			for i := range each {
				if i%100 == 50 && n == 0 {
					g.cluster.ShufflePartitionLeaders()
				}
				c.publish(i, fmt.Sprintf("orders/k%d", n), fmt.Sprintf("%d", i))
				if i >= window {
					answers[n] = append(answers[n], c.read())
				}
			}
			for range window {
				answers[n] = append(answers[n], c.read())
			}
		})
	}
	publishers.Wait()
	records := written(t, g.cluster, "orders", clients*each)
	next := make(map[string]int)
	at := make(map[string]string)
	for _, r := range records {
		k := string(r.Key)
		if string(r.Value) != fmt.Sprint(next[k]) {
			t.Fatalf("key %s: got %s; want %d", k, r.Value, next[k])
		}
		next[k]++
		at[k+"="+string(r.Value)] = fmt.Sprint(r.Partition, r.Offset)
	}
	for n := range clients {
		answered := make(map[uint64]bool)
		for _, m := range answers[n] {
			want := at[fmt.Sprintf("k%d=%d", n, *m.ID)]
			if m.Type != "published" || answered[*m.ID] || fmt.Sprint(m.Partition, m.Offset) != want {
				t.Fatalf("client %d: got %s; want published at %s, once", n, m.Raw, want)
			}
			answered[*m.ID] = true
		}
		if len(answered) != each {
			t.Errorf("client %d: %d answers; want %d", n, len(answered), each)
		}
	}
}

// At the end of a gateway, who waits for no answer is closed at once, and who
// does when it has it; nothing new is taken.
func TestDrainAwaitsAnswers(t *testing.T) {
	g := startOpen(t, nil)
	arrived, release := holdProduce(t, g.cluster)
	waits, idle := g.dial(), g.dial()
	for i := range 3 {
		waits.publish(i, "orders/k", "v")
	}
	within10s(t, "a produce request", arrived)
	g.eventually("all are in flight", func(s Stats) bool { return s.Publishing == 3 })
	g.stop()
	idle.wantClose(CloseServiceRestart)
	waits.publish(3, "orders/k", "v")
	waits.wantAnswer(answerRefused, 3, ErrorShuttingDown)
	release()
	for i := range 3 {
		waits.wantAnswer("published", i, "")
	}
	waits.wantClose(CloseServiceRestart)
	g.shutDown()
	if n := endOf(t, g.cluster, "orders"); n != 3 {
		t.Errorf("records: got %d; want 3", n)
	}
}

// A Kafka that does not answer holds the end up for Timeouts.Drain, and then the
// clients are told that nothing is known.
func TestDrainGivesPublicationsUp(t *testing.T) {
	g := startOpen(t, func(c *Config) { c.Timeouts.Drain = 50 * time.Millisecond })
	arrived, _ := holdProduce(t, g.cluster)
	c := g.dial()
	c.publish(1, "orders/k", "v")
	c.publish(2, "orders/k", "v")
	within10s(t, "a produce request", arrived)
	g.eventually("all are in flight", func(s Stats) bool { return s.Publishing == 2 })
	g.stop()
	c.wantAnswer(answerUndetermined, 1, ErrorShuttingDown)
	c.wantAnswer(answerUndetermined, 2, ErrorShuttingDown)
	c.wantClose(CloseServiceRestart)
	g.shutDown()
}

// A client that is gone before the answer takes nothing with it.
func TestPublisherIsGone(t *testing.T) {
	g := startOpen(t, nil)
	arrived, release := holdProduce(t, g.cluster)
	c := g.dial()
	c.publish(1, "orders/k", "v")
	within10s(t, "a produce request", arrived)
	c.ws.Close()
	g.eventually("the client is gone", func(s Stats) bool { return s.Connections == 0 })
	release()
	g.eventually("it is settled", func(s Stats) bool { return s.Published == 1 && s.Publishing == 0 })
}

// Records larger than Kafka takes are refused before they hold up any others.
func TestPublishTooLarge(t *testing.T) {
	g := startOpen(t, func(c *Config) {
		c.Limits.MessageBytes = 2 << 20
		c.QueueBytes = 8 << 20
	})
	c := g.dial()
	c.publish(1, "orders/k", strings.Repeat("x", maxRecordBytes))
	c.wantAnswer(answerRefused, 1, ErrorTooLarge)
	c.publish(2, "orders/k", strings.Repeat("x", maxRecordBytes-1))
	c.wantAnswer("published", 2, "")
}

// A gateway may be there for publishing alone, and waits for the topic.
func TestPublishingGateway(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	asked := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Observe: true, Count: -1})
	cfg := Config{Listen: freeAddr(t), Brokers: cluster.ListenAddrs(), PublishTopics: []string{"orders"}, InstanceID: "gw-1"}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ready := make(chan struct{})
	g := &gatewayUnderTest{t: t, cluster: cluster, stop: stop, addr: cfg.Listen}
	g.done = goErr(func() error { return Run(ctx, cfg, nil, func(string) { close(ready) }) })
	if err := asked.Wait(ctx, 1); err != nil {
		t.Fatal(err)
	}
	var answer readiness
	for !strings.Contains(answer.Reason, "topic orders, to publish to") {
		if status := g.get("/readyz", &answer); status != 503 {
			t.Fatalf("readyz: got %d %+v; want 503", status, answer)
		}
	}
	kafka, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	if _, err := kadm.NewClient(kafka).CreateTopics(ctx, 1, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	within10s(t, "ready", ready)
	c := g.dial()
	c.publish(1, "orders", "v")
	c.wantAnswer("published", 1, "")
	g.shutDown()
}

// freeAddr is an address that was free just now.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// The work for a message beside the Kafka client's.
func TestPublishCost(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	c := newClient(newSink(nil), &h.cfg, h.hub)
	b := new(burst)
	settle := func() {
		a := &publication{id: new(uint64(7)), topic: &openTopic{name: "prices"}, client: c, publisher: h.publisher, acceptedAt: time.Now()}
		if admitted, _ := c.queue.beginPublish(10); !admitted {
			t.Fatal("not admitted")
		}
		if _, refused := h.publisher.begin(0); refused != nil {
			t.Fatal(refused)
		}
		a.settle(&a.record, nil)
		c.queue.take(b)
		c.queue.bytes -= b.bytes
		b.reset()
	}
	settle()
	// The publication, its topic and id, the answer's frame and its message.
	if got := testing.AllocsPerRun(100, settle); got > 5 {
		t.Errorf("allocations for a publication: got %v; want at most 5", got)
	}
}

// BenchmarkPublish is the whole way of a message from its text to the answer,
// through the Kafka client to a fake Kafka in the same process.
func BenchmarkPublish(b *testing.B) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "orders"), kfake.BlackholeProduce())
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Close()
	h := newTestHub(b, SlowDisconnect)
	h.cfg.Brokers, h.cfg.PublishTopics = cluster.ListenAddrs(), []string{"orders"}
	if h.publisher, err = newPublisher(&h.cfg, &h.counters, slog.New(slog.DiscardHandler)); err != nil {
		b.Fatal(err)
	}
	defer func() {
		h.publisher.drain()
		h.publisher.close()
	}()
	c := h.join(b, nil)
	text := []byte(`{"type":"publish","id":123456,"channel":"orders/k3","value":"` + strings.Repeat("x", 300) + `"}`)
	b.ReportAllocs()
	for b.Loop() {
		for h.counters.publishing.Load() >= 256 {
			runtime.Gosched()
		}
		c.request(text)
	}
	for h.counters.publishing.Load() > 0 {
		runtime.Gosched()
	}
	if s := h.counters.stats(""); s.PublishRefused+s.PublishUndetermined != 0 {
		b.Errorf("stats: %+v", s)
	}
}
