package loadgen

import (
	"testing"
	"time"

	"github.com/weirbench/weir/results"
)

// TestSpreadReachesToTheLastFollower: a message that one client gets many intervals after the other has one spread, of
// the whole time between them, recorded when the last one has it; one that somebody never got counts at the end with
// what there is, and one that a single client got has none.
func TestSpreadReachesToTheLastFollower(t *testing.T) {
	topo, err := newTopology(enginePlan("ws://h/", nil), 77, func(s string) string { return s }, map[string]int{"t": 1})
	if err != nil {
		t.Fatal(err)
	}
	c := newCollector(&Engine{topo: topo}, newRecorderPool())
	c.followers = func(*sample) int64 { return 2 }
	at := func(seq uint64, from, to time.Duration, clients int64) sample {
		return sample{key: NoKey, seq: seq, first: int64(from), last: int64(to), clients: clients}
	}
	recorded := func() results.Series {
		r := c.spread.handOver(c.spread.empty())
		if r.slots[0] == nil {
			return results.Series{}
		}
		return r.slots[0].Series(results.StageSpread, results.Label{})
	}
	c.mergeSpreads([]sample{at(1, 0, 0, 1), at(2, 0, 0, 1)})
	for range 10 {
		c.mergeSpreads(nil)
	}
	if got := recorded().Count(); got != 0 {
		t.Fatalf("got %d spreads of messages that a client still waits for; want none", got)
	}
	c.mergeSpreads([]sample{at(1, 6*time.Second, 6*time.Second, 1), at(3, 0, time.Millisecond, 2)})
	s := recorded()
	if s.Count() != 2 || s.MaxNS != int64(6*time.Second) || s.MinNS != int64(time.Millisecond) {
		t.Errorf("got %d spreads from %v to %v; want 2, 1ms and 6s", s.Count(), time.Duration(s.MinNS), time.Duration(s.MaxNS))
	}
	c.closeSpreads()
	if got := recorded().Count(); got != 0 || len(c.spreads) != 0 {
		t.Errorf("got %d spreads of a message for one client, %d left open; want none", got, len(c.spreads))
	}
}
