package testbed

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/kafkasec"
	"github.com/weirbench/weir/scenarios"
)

// lockedBuffer takes the lines that a client writes from many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// roundTrip produces and consumes n records and fails unless all come back.
func roundTrip(t *testing.T, seeds []string, topic string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var story lockedBuffer // of a slow round trip
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.WithLogger(kgo.BasicLogger(&story, kgo.LogLevelDebug, func() string {
			return time.Now().Format("05.000 ")
		})))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	start := time.Now()
	for i := range n {
		cl.Produce(ctx, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%d", i)}, nil)
	}
	if err := cl.Flush(ctx); err != nil {
		t.Fatalf("flush: %v", err)
	}
	seen := map[string]bool{}
	for len(seen) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("got %d of %d records: %v", len(seen), n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { seen[string(r.Value)] = true })
	}
	// kgo waits 5 s over a topic that it asks for too early. When EnsureTopics waited for leaders in the metadata alone,
	// 9 of 14 first round trips on a real broker took that long.
	if d := time.Since(start); d > 4*time.Second {
		t.Errorf("%d records took %v there and back:\n%s", n, d, story.String())
	}
}

func TestEmbeddedKafka(t *testing.T) {
	t.Parallel()
	for _, brokers := range []int{1, 3} {
		t.Run(fmt.Sprint(brokers), func(t *testing.T) {
			t.Parallel()
			k := startTestKafka(t, brokers)
			if got, want := len(k.Seeds), brokers; got != want {
				t.Errorf("got %d seeds; want %d", got, want)
			}
			if got, want := k.Description, "embedded kfake, "+count(brokers, "broker"); got != want {
				t.Errorf("got %q; want %q", got, want)
			}
			topics := []scenarios.Topic{{Name: "a", Partitions: 6, Replication: brokers, MinISR: 1, RetentionBytes: 1 << 20}}
			suffix := func(s string) string { return s + ".run1" }
			if err := k.EnsureTopics(t.Context(), topics, suffix); err != nil {
				t.Fatal(err)
			}
			roundTrip(t, k.Seeds, "a.run1", 500)
			wantConfig(t, k, "a.run1", map[string]string{
				"retention.bytes": "1048576", "segment.bytes": "1048576", "retention.ms": "-1", "min.insync.replicas": "1",
			})
			if err := k.DeleteTopics(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantTopics(t, k)
			wantOpen(t, "Done", k.Done())
			if err := k.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantOpen(t, "Done", k.Done())
			if err := k.Err(); err != nil {
				t.Errorf("got %v; want no error after Stop", err)
			}
		})
	}
}

func testAdmin(t *testing.T, k *Kafka) *kadm.Client {
	t.Helper()
	a, err := newAdmin(k.Seeds, kafkasec.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	return a.adm
}

func wantConfig(t *testing.T, k *Kafka, topic string, want map[string]string) {
	t.Helper()
	configs, err := testAdmin(t, k).DescribeTopicConfigs(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if w, ok := want[c.Key]; ok && c.MaybeValue() != w {
			t.Errorf("%s of topic %s: got %s; want %s", c.Key, topic, c.MaybeValue(), w)
		}
		delete(want, c.Key)
	}
	if len(want) > 0 {
		t.Errorf("configs missing: %v", want)
	}
}

func wantTopics(t *testing.T, k *Kafka, want ...string) {
	t.Helper()
	topics, err := testAdmin(t, k).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := topics.Names(); strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("got topics %q; want %q", got, want)
	}
}

// TestEmbeddedRetention sends far more than the topic may hold: without retention passes in the child, all of it stays.
func TestEmbeddedRetention(t *testing.T) {
	t.Parallel()
	k := startTestKafka(t, 1)
	topics := []scenarios.Topic{{Name: "a", Partitions: 1, Replication: 1, RetentionBytes: 256 << 10}}
	if err := k.EnsureTopics(t.Context(), topics, nil); err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.Seeds...), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	value := make([]byte, 1000)
	for range 8000 {
		cl.Produce(t.Context(), &kgo.Record{Topic: "a", Value: value}, nil)
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	adm := testAdmin(t, k)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		offsets, err := adm.ListStartOffsets(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := offsets.Lookup("a", 0); o.Offset > 6500 {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("the first offset is %d after 8 MB into a topic of 256 KiB", o.Offset)
		}
	}
}

func TestEnsureTopicsMistakes(t *testing.T) {
	t.Parallel()
	k := startTestKafka(t, 2)
	there := scenarios.Topic{Name: "there", Partitions: 3, Replication: 1}
	like := scenarios.Topic{Name: "the_re", Partitions: 1, Replication: 1} // Kafka takes . and _ for the same in names
	if err := k.EnsureTopics(t.Context(), []scenarios.Topic{there, like}, nil); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		topic scenarios.Topic
		want  []string // parts of the error; none for success
	}{
		{"taken", scenarios.Topic{Name: "there", Partitions: 3, Replication: 1}, []string{"create topic there", "existing: true"}},
		{"replication", scenarios.Topic{Name: "x", Partitions: 1, Replication: 3}, []string{"create topic x", "2 brokers", "replication 3"}},
		{"min isr", scenarios.Topic{Name: "x", Partitions: 1, Replication: 1, MinISR: 2}, []string{"create topic x", "min_isr 2"}},
		{"partitions", scenarios.Topic{Name: "x", Replication: 1}, []string{"create topic x", "0 partitions"}},
		{"name", scenarios.Topic{Name: "the.re", Partitions: 1, Replication: 1}, []string{"create topic the.re", "INVALID_TOPIC"}},
		{"missing", scenarios.Topic{Name: "gone", Existing: true}, []string{"use existing topic gone", "isn't there"}},
		{"other partitions", scenarios.Topic{Name: "there", Partitions: 4, Existing: true}, []string{"3 partitions", "says 4", "partitions: 3"}},
		{"same partitions", scenarios.Topic{Name: "there", Partitions: 3, Existing: true}, nil},
		{"any partitions", scenarios.Topic{Name: "there", Existing: true}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			good := scenarios.Topic{Name: "good-" + strings.ReplaceAll(tt.name, " ", "-"), Partitions: 1, Replication: 1}
			err := k.EnsureTopics(t.Context(), []scenarios.Topic{good, tt.topic}, func(s string) string { return s })
			if tt.want != nil {
				wantText(t, err, tt.want...)
			} else if err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("all at once", func(t *testing.T) {
		err := k.EnsureTopics(t.Context(), []scenarios.Topic{tests[1].topic, tests[5].topic}, nil)
		wantText(t, err, tests[1].want[0], tests[5].want[0])
	})
}

// TestEnsureTopicsTakesBack: a call that fails halfway must take back what it created, and that alone. It used to delete
// the topics of earlier calls as well.
func TestEnsureTopicsTakesBack(t *testing.T) {
	t.Parallel()
	k := startTestKafka(t, 1)
	topic := func(name string) scenarios.Topic { return scenarios.Topic{Name: name, Partitions: 1, Replication: 1} }
	if err := k.EnsureTopics(t.Context(), []scenarios.Topic{topic("a.b")}, nil); err != nil {
		t.Fatal(err)
	}
	err := k.EnsureTopics(t.Context(), []scenarios.Topic{topic("second"), topic("a_b")}, nil)
	wantText(t, err, "create topic a_b")
	wantTopics(t, k, "a.b")
}

func TestDeleteTopicsLeavesOthers(t *testing.T) {
	t.Parallel()
	k := startTestKafka(t, 1)
	if _, err := testAdmin(t, k).CreateTopic(t.Context(), 1, 1, nil, "theirs"); err != nil {
		t.Fatal(err)
	}
	var topics []scenarios.Topic
	for _, name := range []string{"a", "b"} {
		topics = append(topics, scenarios.Topic{Name: name, Partitions: 1, Replication: 1})
	}
	topics = append(topics, scenarios.Topic{Name: "theirs", Existing: true})
	if err := k.EnsureTopics(t.Context(), topics, nil); err != nil {
		t.Fatal(err)
	}
	if err := k.DeleteTopics(t.Context(), "a", "theirs"); err != nil {
		t.Fatal(err)
	}
	wantTopics(t, k, "b", "theirs")
	if err := k.DeleteTopics(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantTopics(t, k, "theirs")
}

func TestEmbeddedKafkaKilled(t *testing.T) {
	t.Parallel()
	o := options(t)
	k, err := StartKafka(t.Context(), scenarios.KafkaPlan{Provider: scenarios.ProviderEmbedded, Brokers: 1}, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(k.Pids()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, "Done after the child was killed", k.Done(), 5*time.Second)
	wantText(t, k.Err(), "embedded kafka", "ended unasked", "signal: killed")
	if err := k.Stop(t.Context()); err != nil {
		t.Errorf("got %v; want Stop of a dead child to be quiet", err)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "kafka.log")); err != nil {
		t.Error(err)
	}
	wantText(t, k.Kill(0), "not possible with provider embedded")
}

func TestEmbeddedKafkaFailsToStart(t *testing.T) {
	t.Setenv(kafkaMode, "fail")
	_, err := StartKafka(t.Context(), scenarios.KafkaPlan{Provider: scenarios.ProviderEmbedded, Brokers: 7}, options(t))
	wantText(t, err, "start embedded kafka", "exit status 1", "no room for 7 brokers")
}

func TestStartKafkaUnknownProvider(t *testing.T) {
	t.Parallel()
	_, err := StartKafka(t.Context(), scenarios.KafkaPlan{Provider: "cloud"}, Options{})
	wantText(t, err, `"cloud"`, "embedded, docker or external")
}

func TestExternalKafka(t *testing.T) {
	t.Parallel()
	theirs := startTestKafka(t, 2)
	k, err := StartKafka(t.Context(), scenarios.KafkaPlan{Provider: scenarios.ProviderExternal, Seeds: theirs.Seeds[:1]}, options(t))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(k.Description, "external Kafka ") || !strings.HasSuffix(k.Description, ", 2 brokers") {
		t.Errorf("got description %q; want a version and 2 brokers", k.Description)
	}
	topics := []scenarios.Topic{{Name: "x", Partitions: 2, Replication: 2}}
	if err := k.EnsureTopics(t.Context(), topics, nil); err != nil {
		t.Fatal(err)
	}
	roundTrip(t, k.Seeds, "x", 10)
	if got := k.Processes(); len(got) != 0 {
		t.Errorf("got processes %v; want none", got)
	}
	wantOpen(t, "Done", k.Done())
	wantText(t, k.Kill(0), "external")
	if err := k.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// listen serves each connection of a listener on loopback and returns its address.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// closedPort is an address where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestExternalKafkaUnreachable(t *testing.T) {
	t.Parallel()
	silent := func(t *testing.T) string {
		return listen(t, func(c net.Conn) { t.Cleanup(func() { c.Close() }) })
	}
	closing := func(t *testing.T) string { return listen(t, func(c net.Conn) { c.Close() }) }
	web := func(t *testing.T) string {
		return listen(t, func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			c.Close()
		})
	}
	tests := []struct {
		name string
		seed func(t *testing.T) string
		want string
	}{
		{"refused", closedPort, "nothing listens there"},
		{"silent", silent, "doesn't answer"},
		{"closing", closing, "without TLS"},
		{"web server", web, "Kafka listener"},
		{"no such host", func(*testing.T) string { return "nosuchhost.invalid:9092" }, "doesn't resolve"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seed := tt.seed(t)
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			_, err := StartKafka(ctx, scenarios.KafkaPlan{Provider: scenarios.ProviderExternal, Seeds: []string{seed}}, options(t))
			wantText(t, err, "reach kafka at "+seed, tt.want)
		})
	}
	t.Run("no seeds", func(t *testing.T) {
		_, err := StartKafka(t.Context(), scenarios.KafkaPlan{Provider: scenarios.ProviderExternal}, options(t))
		wantText(t, err, "kafka.seeds")
	})
}
