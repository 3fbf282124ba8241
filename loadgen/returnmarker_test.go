package loadgen

import (
	"testing"
	"time"
)

// TestMarkersFromBeforeAReturn: a join marker that was sent while the client was away puts its subscription in force where
// the client told its positions, since all from there on is to come; where it subscribed anew the marker was kept by
// somebody, and says nothing of what follows.
func TestMarkersFromBeforeAReturn(t *testing.T) {
	for _, c := range []struct {
		name           string
		told, declared bool
		joined         bool
		delivered      int64
		early          int64
	}{
		{"it told its positions", true, true, true, 1, 0},
		{"it had none", false, true, false, 0, 1},
		{"the target does not say that it resumes", true, false, false, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := enginePlan("", nil)
			plan.Clients[0].Count, plan.Clients[0].Resume, plan.Gateway.Guarantees.Resumes = 1, true, c.declared
			client := oneClient(t, plan)
			s := client.worker.swarm
			take := func(message []byte) { client.worker.takeMessage(client, message, time.Now().UnixNano(), true) }
			s.arrive(client)
			s.begin(client)
			if c.told {
				take([]byte(`{"type":"subscribed","id":1,"positions":{"run-t":{"epoch":"e","next":{"0":0}}}}`))
			}
			s.left(client)
			s.arrive(client)
			client.dialling(time.Now().UnixNano())
			s.begin(client)
			away := client.cameAt.UnixNano() - 1
			take(stamped(Stamp{Kind: KindJoin, Run: 77, Key: NoKey, SentAt: away, DueAt: away}, 90, 0))
			if got := client.trackers[0].flag&flagJoined != 0; got != c.joined {
				t.Errorf("the subscription is in force: %v; want %v", got, c.joined)
			}
			take(stamped(Stamp{Kind: KindData, Run: 77, Key: NoKey, SentAt: away, DueAt: away}, 90, 0))
			if d, e := client.counted(countDelivered), client.counted(countEarly); d != c.delivered || e != c.early {
				t.Errorf("got %d delivered, %d early; want %d, %d", d, e, c.delivered, c.early)
			}
		})
	}
}
