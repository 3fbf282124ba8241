package loadgen

import (
	"fmt"
	"io"
	"testing"

	"github.com/weirbench/weir/scenarios"
)

// pollessReader is the plan's first client, whose stream has been joined, without a connection.
func pollessReader(tb testing.TB, plan *scenarios.Plan) *client {
	tb.Helper()
	same := func(s string) string { return s }
	topo, err := newTopology(plan, 1, same, map[string]int{"t": 1})
	if err != nil {
		tb.Fatal(err)
	}
	p := &producer{shape: &topo.producers[0], join: newPending(1, 0), final: newPending(1, 0), ledger: newLedger(1, 0)}
	o := Options{Plan: plan, URL: "ws://127.0.0.1:1/", TopicName: same, Workers: 1}
	s, err := newSwarm(topo, o, []*producer{p}, [][]*sightings{{newSightings(2)}}, newRecorderPool())
	if err != nil {
		tb.Fatal(err)
	}
	s.loadUnix.Store(0)
	s.phase.Store(0)
	c := s.clients[0]
	s.begin(c)
	c.worker.takeMessage(c, stamped(Stamp{Kind: KindJoin, Run: 1, Key: NoKey}, 90, 0), 1, true)
	return c
}

// BenchmarkFrames: messages of the reference target's, one a read.
func BenchmarkFrames(b *testing.B) {
	const messages = 1000
	for _, size := range []int{128, 512, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := pollessReader(b, enginePlan("ws://127.0.0.1:1/", nil))
			var frames [][]byte
			for i := range uint64(messages) {
				head := `{"type":"message","channel":"t","topic":"t","partition":0,"offset":1234,"received_at_ns":1234567890,"queued_at_ns":1234567890}` + "\n"
				value := stamped(Stamp{Kind: KindData, Run: 1, Key: NoKey, PartSeq: i}, size, 0)
				frames = append(frames, serverFrame(opText, true, append([]byte(head), value...)))
			}
			w, t := c.worker, &c.trackers[0]
			joined := *t
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%messages == 0 {
					*t, w.waiting, w.spread = joined, w.waiting[:0], w.spread[:0]
				}
				if err := w.takeRead(c, frames[i%messages], 1, 2, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
			if t.gaps != 0 || t.next == 0 {
				b.Fatalf("got %+v; want every message to arrive", *t)
			}
		})
	}
}
