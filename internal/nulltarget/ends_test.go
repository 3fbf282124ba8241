package nulltarget

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirbench/weir/internal/testkit"
)

// TestSlots: while deliveries wait the instants are a fixed time apart, however late each is made; after an idle time nothing
// is made up for, however much waits by then.
func TestSlots(t *testing.T) {
	p := &paced{shard: newShard(Faults{Capacity: 1000})}
	began := time.Now()
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	p.queue <- nil // others wait
	for i, c := range []struct{ from, want int }{{0, 0}, {0, 1}, {0, 2}, {1, 3}, {100, 100}, {100, 101}, {100, 102}, {103, 103}} {
		if got := p.slot(at(c.from)); !got.Equal(at(c.want)) {
			t.Errorf("delivery %d: got %v; want %d ms", i, got.Sub(began), c.want)
		}
	}
}

// TestFetchFails: a target that can't read Kafka any more ends, and says why.
func TestFetchFails(t *testing.T) {
	cluster := testkit.Kafka(t, 1, "t")
	cluster.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked := req.(*kmsg.FetchRequest)
		resp := asked.ResponseKind().(*kmsg.FetchResponse)
		for _, topic := range asked.Topics {
			answer := kmsg.NewFetchResponseTopic()
			answer.Topic, answer.TopicID = topic.Topic, topic.TopicID
			for _, partition := range topic.Partitions {
				refused := kmsg.NewFetchResponseTopicPartition()
				refused.Partition, refused.ErrorCode = partition.Partition, kerr.TopicAuthorizationFailed.Code
				answer.Partitions = append(answer.Partitions, refused)
			}
			resp.Topics = append(resp.Topics, answer)
		}
		return resp, nil, true
	})
	err := Serve(t.Context(), Options{Listen: "127.0.0.1:0", Seeds: cluster.ListenAddrs(), Topics: []string{"t"}}, nil)
	if !errors.Is(err, kerr.TopicAuthorizationFailed) || !strings.HasPrefix(err.Error(), "serve the null target: read Kafka: ") {
		t.Errorf("got %v; want what Kafka said", err)
	}
}

// TestLoopbackOnly: it serves nobody but this machine.
func TestLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "host.example:0"} {
		err := Serve(t.Context(), Options{Listen: address}, func(net.Addr) { t.Error("it listens") })
		if err == nil || !strings.Contains(err.Error(), "is not loopback (listen at 127.0.0.1:0)") {
			t.Errorf("%s: got %v; want it refused", address, err)
		}
	}
	for _, address := range []string{"127.0.0.1:0", "localhost:1", "[::1]:2"} {
		if err := loopback(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}
