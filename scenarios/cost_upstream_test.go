package scenarios

import (
	"testing"
	"time"
)

// TestPublishersAreStreams: the audit's memory counts a stream for each publishing client that a client follows, and what
// of a conflated topic has to be remembered.
func TestPublishersAreStreams(t *testing.T) {
	p := &Plan{
		Kafka: KafkaPlan{Topics: []Topic{{Name: "rooms", Partitions: 3}, {Name: "prices", Partitions: 3}}},
		Producers: []Producer{{
			Name: "p", Topic: "prices", Rate: Hold(100), Size: Size{Kind: SizeFixed, Min: 100, Max: 100}, Keys: Keys{Kind: KeysUniform, Count: 10},
		}},
		Gateway: GatewayPlan{Conflate: []Conflation{{Topic: "prices", Interval: 100 * time.Millisecond}}},
		Clients: []ClientGroup{
			{Name: "chat", Count: 50, Subscribe: Subscribe{Topic: "rooms", Keys: 2}, Publish: &Publish{Name: "chat", Topic: "rooms", Keys: 20, Rate: Hold(1)}},
			{Name: "log", Count: 1, Subscribe: Subscribe{Topic: "rooms", All: true}},
			{Name: "board", Count: 4, Subscribe: Subscribe{Topic: "prices", All: true}},
		},
		Phases: Phases{Measure: []MeasurePhase{{Name: "m", Duration: 10 * time.Second}}},
	}
	for sub, want := range map[Subscribe]float64{
		{Topic: "rooms", Keys: 2}:    2 * 3, // 50 clients share 20 keys: at most 3 a key
		{Topic: "rooms", All: true}:  50,
		{Topic: "prices", All: true}: 10,
		{Topic: "prices", Keys: 3}:   3,
		{}:                           0,
	} {
		if got := p.streams(sub); got != want {
			t.Errorf("%+v: got %v streams; want %v", sub, got, want)
		}
	}
	want := int64(10*auditKeyBytes + 3*auditPartitionBytes + 1000*auditConflatedBytes + 20*auditKeyBytes + 50*auditPublisherBytes +
		(50*6+50+4*10)*auditStreamBytes + 4*10*100*auditSkipBytes)
	if got := auditBytes(p); got != want {
		t.Errorf("got %d bytes; want %d", got, want)
	}
}
