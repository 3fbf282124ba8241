package loadgen

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// TestPartsOfAFrame: whatever stands in one frame in whatever order, values with the separator inside among it, each part
// is counted once as what it is, and the target's times are those of the value that they stand before.
func TestPartsOfAFrame(t *testing.T) {
	pool := oneRecorder()
	rapid.Check(t, func(t *rapid.T) {
		plan := enginePlan("ws://127.0.0.1:1/", nil)
		plan.Gateway.Profile = scenarios.WireProfile{Separator: "\n", Ping: "{}", Pong: "{}", Refusal: "err", Control: []string{"ok"}, QueuedAt: "q="}
		same := func(s string) string { return s }
		topo, err := newTopology(plan, 1, same, map[string]int{"t": 1})
		if err != nil {
			t.Fatal(err)
		}
		p := &producer{shape: &topo.producers[0], join: newPending(1, 0), final: newPending(1, 0), ledger: newLedger(1, 0)}
		s, err := newSwarm(topo, Options{Plan: plan, URL: "ws://127.0.0.1:1/", TopicName: same, Workers: 1}, []*producer{p}, [][]*sightings{{newSightings(2)}}, pool)
		if err != nil {
			t.Fatal(err)
		}
		s.loadUnix.Store(0)
		s.phase.Store(0)
		c := s.clients[0]
		s.begin(c)
		w := c.worker
		w.takeMessage(c, stamped(Stamp{Kind: KindJoin, Run: 1, Key: NoKey}, 90, 0), 1, true)
		want := map[string]int64{}
		queued, pings, refusals := int64(0), 0, int64(0)
		var parts [][]byte
		seq := uint64(0)
		for range rapid.IntRange(1, 8).Draw(t, "parts") {
			var part string
			switch rapid.IntRange(0, 6).Draw(t, "part") {
			case 0:
				part, pings = "{}", pings+1
			case 1:
				part, refusals = "err: no", refusals+1
			case 2:
				part = "ok q=7"
			case 3:
				part = "weather"
				want[results.CountForeign]++
			case 4:
				broken := stamped(Stamp{Kind: KindData, Run: 1, Key: NoKey, PartSeq: seq}, 90, 0)
				broken[20] ^= 1
				part = "q=9 " + string(broken)
				want[results.CountForeign]++
			default:
				value := stampedWith(Stamp{Kind: KindData, Run: 1, Key: NoKey, PartSeq: seq}, []byte("before\nq=1 "), []byte(" behind\nerr: not one\n"))
				seq++
				part = string(value)
				if rapid.Bool().Draw(t, "with its time") {
					part = "q=5 " + part
					queued++
				}
				part += rapid.SampledFrom([]string{"", " q=6 tail"}).Draw(t, "tail")
				want[results.CountDelivered]++
			}
			parts = append(parts, []byte(part))
		}
		frame := bytes.Join(parts, []byte("\n"))
		if rapid.Bool().Draw(t, "ends in a separator") {
			frame = append(frame, '\n')
		}
		w.takeMessage(c, frame, 1, true)
		if w.pings != pings || w.remarks.all["the target refused a request: err: no"] != refusals {
			t.Fatalf("%q: got %d pings and the remarks %v; want %d, and %d refusals", frame, w.pings, w.remarks.all, pings, refusals)
		}
		r := w.handOver()
		got := map[string]int64{}
		for i, n := range r.counts {
			if n != 0 {
				got[r.layout.counters[i%len(r.layout.counters)]] += n
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%q: got %v; want %v", frame, got, want)
		}
		if got := c.trackers[0].next; got != seq {
			t.Fatalf("%q: got %d messages; want %d", frame, got, seq)
		}
		if n := w.queuedSeen(r); n != (queued > 0) {
			t.Fatalf("%q: got times of the target's own: %v; want them of %d messages", frame, n, queued)
		}
	})
}

// queuedSeen reports whether any queued time was recorded: histories' pool gives one recorder for all.
func (w *worker) queuedSeen(r workerReading) bool {
	for i, rec := range r.slots {
		if rec != nil && r.layout.stages[i%len(r.layout.stages)] == results.StageGatewayOut {
			return true
		}
	}
	return false
}

// stampedWith is a value that has the stamp between two texts.
func stampedWith(s Stamp, before, behind []byte) []byte {
	value := append(append(bytes.Clone(before), make([]byte, StampSize)...), behind...)
	s.Offset, s.ValueSize = uint32(len(before)), uint32(len(value))
	s.ValueSum = sumAround(value, len(before))
	s.Put(value[len(before):])
	return value
}
