package scenarios

import "testing"

// TestResumingClientsRemember: their positions are 8 bytes a partition of their topic, and 64 besides.
func TestResumingClientsRemember(t *testing.T) {
	group := ClientGroup{Count: 100, Subscribe: Subscribe{Topic: "prices", All: true}}
	p := &Plan{
		Kafka:   KafkaPlan{Topics: []Topic{{Name: "prices", Partitions: 12}}},
		Gateway: GatewayPlan{Target: TargetExternal},
		Clients: []ClientGroup{group},
	}
	without := connectionBytes(p)
	p.Clients[0].Resume = true
	if got, want := connectionBytes(p)-without, int64(100*(64+8*12)); got != want {
		t.Errorf("got %d bytes more with resume; want %d", got, want)
	}
}
