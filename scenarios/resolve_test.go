package scenarios

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestDefaults pins every default: a change of one changes what existing scenarios measure.
func TestDefaults(t *testing.T) {
	const text = `
version: 1
name: least
kafka: {topics: [{name: prices}]}
producers: [{name: feed, topic: prices, rate: 10/s}]
clients: [{name: viewers, count: 5, subscribe: {topic: prices}}]
phases: {measure: [{name: steady, duration: 1s}]}
`
	want := &Plan{
		Name: "least", Source: "base.yaml", Seed: 1,
		Kafka: KafkaPlan{Provider: ProviderEmbedded, Brokers: 3, FinalRead: true,
			Topics: []Topic{{Name: "prices", Partitions: 6, Replication: 3, MinISR: 2, RetentionBytes: 64 << 20}}},
		Gateway: GatewayPlan{Target: TargetReference, Listen: "127.0.0.1:0", Profile: ReferenceProfile(), QueueBytes: 1 << 20,
			SlowPolicy: "disconnect", Guarantees: Guarantees{Delivery: "at-most-once", Ordered: true, Resumes: true}, ReadyIn: 30 * time.Second},
		Producers: []Producer{{Name: "feed", Topic: "prices", Rate: Hold(10), Payload: Payload{Kind: PayloadRandom}, Arrivals: ArrivalsConstant, Size: Size{Kind: SizeFixed, Min: 256, Max: 256},
			Keys: Keys{Kind: KeysNone}, Acks: "all", Compression: "none", Stall: 30 * time.Second}},
		Clients: []ClientGroup{{Name: "viewers", Count: 5, ConnectRate: 500, Subscribe: Subscribe{Topic: "prices", All: true}, Reconnect: true}},
		Phases: Phases{ConnectDeadline: 30 * time.Second, JoinDeadline: 15 * time.Second, WarmUp: 2 * time.Second,
			Measure: []MeasurePhase{{Name: "steady", Duration: time.Second}}, DrainDeadline: 10 * time.Second},
		Thresholds: []Threshold{},
		Audit:      AuditLimits{MemoryBytes: 1 << 30, Gaps: 1 << 20},
		IntervalNS: time.Second,
		Objective:  100 * time.Millisecond,
	}
	if got := planOf(t, text); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestDefaultsThatDepend(t *testing.T) {
	text := strings.Replace(base, "gateway:\n", "", 1)
	external := []string{"kafka.provider=external", "kafka.seeds=a:1"}
	for _, c := range []struct {
		name string
		sets []string
		got  func(*Plan) any
		want any
	}{
		{"docker", []string{"kafka.provider=docker"}, func(p *Plan) any { return p.Kafka.Topics[0] }, Topic{Name: "prices", Partitions: 6, Replication: 1, MinISR: 1}},
		{"docker's image", []string{"kafka.provider=docker"}, func(p *Plan) any { return p.Kafka.Image }, "apache/kafka:4.3.1"},
		{"docker, three brokers", []string{"kafka.provider=docker", "kafka.brokers=3"}, func(p *Plan) any { return p.Kafka.Topics[0] },
			Topic{Name: "prices", Partitions: 6, Replication: 3, MinISR: 2}},
		{"two brokers", []string{"kafka.brokers=2"}, func(p *Plan) any { return p.Kafka.Topics[0].Replication }, 2},
		{"external brokers", external, func(p *Plan) any { return p.Kafka.Brokers }, 0},
		{"external", external, func(p *Plan) any { return p.Kafka.Topics[0] }, Topic{Name: "prices", Partitions: 6, Replication: 1, MinISR: 1}},
		{"existing", append(external, "kafka.topics.prices={name: prices, existing: true, partitions: 4}"), func(p *Plan) any { return p.Kafka.Topics[0] },
			Topic{Name: "prices", Partitions: 4, Existing: true}},
		{"uncommitted", []string{"kafka.isolation=read_uncommitted"}, func(p *Plan) any { return p.Kafka.ReadUncommitted }, true},
		{"drop-oldest sheds", []string{"gateway.slow_clients=drop-oldest"}, func(p *Plan) any { return p.Gateway.Guarantees.Sheds }, true},
		{"unless it says not", []string{"gateway.slow_clients=drop-oldest", "gateway.guarantees.sheds=false"}, func(p *Plan) any { return p.Gateway.Guarantees.Sheds }, false},
		{"external gateway", []string{"gateway={target: external, url: 'ws://h:1/ws?a=b'}"}, func(p *Plan) any { return p.Gateway },
			GatewayPlan{Target: TargetExternal, URL: "ws://h:1/ws?a=b", Profile: BareProfile(), Guarantees: Guarantees{Delivery: "at-most-once", Ordered: true}, ReadyIn: 30 * time.Second}},
		{"zipf's skew", []string{"producers.feed.keys={kind: zipf, count: 50}"}, func(p *Plan) any { return p.Producers[0].Keys.Skew }, 1.0},
		{"one key", nil, func(p *Plan) any { return p.Clients[0].Subscribe }, Subscribe{Topic: "prices", Keys: 1}},
		{"connect deadline grows", []string{"clients.viewers.connect_rate=10/s"}, func(p *Plan) any { return p.Phases.ConnectDeadline }, 60 * time.Second},
		{"tightest objective", []string{"thresholds=e2e.p99 < 50ms, e2e.p50 <= 5ms, kafka.p99 < 1ms, e2e.p99 > 1ms, e2e.min == 1ms"},
			func(p *Plan) any { return p.Objective }, 5 * time.Millisecond},
		{"abort", []string{"thresholds=[{check: audit.lost == 0, abort: true}]"}, func(p *Plan) any { return p.Thresholds[0].Abort }, true},
		{"rate of a phase", []string{"phases.measure.steady.rates.feed=5/s"}, func(p *Plan) any { return p.RateIn(p.Phases.Measure[0], p.Senders()[0]).From }, 5.0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.got(planOf(t, text, c.sets...)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v; want %+v", got, c.want)
			}
		})
	}
}

// TestQuickstart holds the first run to what its comments say.
func TestQuickstart(t *testing.T) {
	s, err := Load("quickstart.yaml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if p.ClientCount() != 500 || p.KeyCount("prices") != 50 || p.Objective != 250*time.Millisecond {
		t.Errorf("got %d clients, %d keys, objective %s; want 500, 50, 250ms", p.ClientCount(), p.KeyCount("prices"), p.Objective)
	}
	want := Cost{
		Connections: 500, Messages: 22_000, Deliveries: 220_000, ProducedBytes: 22_000 * 256, DeliveredBytes: 220_000 * 256,
		PeakDeliveries: 10_000, ConnectionBytes: 500 * 64 << 10, SendBufferBytes: 1000 * 30 * 256, AuditBytes: 500*48 + 6*64 + 50*32,
		Duration: 23 * time.Second, Longest: 77 * time.Second,
	}
	if got := p.Cost(); got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
}
