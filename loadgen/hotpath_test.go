package loadgen

import (
	"bytes"
	"io"
	"testing"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// TestUnfinishedFramesAllocateNothing: messages that come in pieces, and in fragments, are put together in memory that
// another had before.
func TestUnfinishedFramesAllocateNothing(t *testing.T) {
	for name, stream := range map[string][]byte{
		"pieces":    serverFrame(opText, true, bytes.Repeat([]byte("x"), 10_000)),
		"fragments": append(serverFrame(opText, false, make([]byte, 3000)), serverFrame(opContinuation, true, make([]byte, 5000))...),
	} {
		t.Run(name, func(t *testing.T) {
			var r frameReader
			var stock leftovers
			messages := 0
			each := func(f frame, _ bool) error { messages += len(f.payload); return nil }
			got := testing.AllocsPerRun(100, func() {
				for rest := stream; len(rest) > 0; {
					n := min(len(rest), 1500)
					if err := r.feed(rest[:n], &stock, each); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
			})
			if got != 0 || messages < 100*8000 || r.unfinished != nil {
				t.Errorf("got %v allocations, %d bytes of messages and %+v kept; want none, all and nothing", got, messages, r.unfinished)
			}
		})
	}
}

// TestLeftoversAreBounded: neither one message of many bytes nor many clients with something unfinished at once keep their
// memory taken.
func TestLeftoversAreBounded(t *testing.T) {
	const large = keptLeftovers / 16
	for _, c := range []struct{ readers, size, kept int }{{1, keptLeftovers, 0}, {1, large, 1}, {30, large, 15}, {300, 100, 300}} {
		stream := serverFrame(opBinary, true, make([]byte, c.size))
		readers := make([]frameReader, c.readers)
		var stock leftovers
		got := 0
		each := func(f frame, _ bool) error { got += len(f.payload); return nil }
		for _, part := range [][]byte{stream[:len(stream)-1], stream[len(stream)-1:]} {
			for i := range readers {
				if err := readers[i].feed(part, &stock, each); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range readers {
			if readers[i].unfinished != nil {
				t.Errorf("reader %d keeps %+v of whole messages", i, readers[i].unfinished)
			}
		}
		if got != c.readers*c.size || len(stock.free) != c.kept {
			t.Errorf("%d messages of %d bytes: got %d bytes in all and %d in stock; want all of them and %d", c.readers, c.size, got, len(stock.free), c.kept)
		}
	}
}

// TestAuditAllocatesNothing, neither in order nor where what is missing comes later.
func TestAuditAllocatesNothing(t *testing.T) {
	g, tr, seq := newGapStore(10), tracker{}, uint64(0)
	tr.join(0)
	got := testing.AllocsPerRun(1000, func() {
		for _, n := range []uint64{0, 2, 1, 3, 3} {
			g.arrive(&tr, seq+n)
		}
		seq += 4
	})
	if got != 0 || tr.next != seq || tr.gaps != 0 {
		t.Errorf("got %v allocations and %+v; want none, and all below %d", got, tr, seq)
	}
}

func BenchmarkAudit(b *testing.B) {
	for name, order := range map[string][]uint64{"in order": {0, 1, 2, 3}, "one late": {0, 2, 3, 1}} {
		b.Run(name, func(b *testing.B) {
			g, tr := newGapStore(10), tracker{}
			tr.join(0)
			b.ReportAllocs()
			for i := uint64(0); b.Loop(); i++ {
				g.arrive(&tr, i&^3+order[i&3])
			}
		})
	}
}

// recordAll is a delivery that goes into every histogram that one can go into: of its latency five, of its read one.
func recordAll(tb testing.TB) (record func(), w *worker) {
	tb.Helper()
	plan := enginePlan("ws://127.0.0.1:1/", nil)
	plan.Producers[0].Rate = scenarios.Hold(1e5) // so that few messages are samples of the spread
	c := pollessReader(tb, plan)
	w = c.worker
	w.swarm.seen[0][0].put(0, 1000)
	head := []byte(`{"type":"message","received_at_ns":500,"queued_at_ns":700}` + "\n")
	s := &Stamp{Kind: KindData, Run: 1, Key: NoKey, DueAt: 100, SentAt: 200}
	cell, lag := w.swarm.topo.cell(0, c.group, 0), w.swarm.topo.cell(0, c.group, -1)
	for w.swarm.sampleMask[0]&mix(s.PartSeq) == 0 {
		s.PartSeq++ // nor is this one
	}
	w.swarm.seen[0][0].put(s.PartSeq, 1000)
	return func() {
		w.meter.record(lag, stageReceiveLag, 40)
		w.measure(c, s, head, cell, 0, 1_000_000)
	}, w
}

// TestRecordingAllocatesNothing in any of the stages of a delivery.
func TestRecordingAllocatesNothing(t *testing.T) {
	record, w := recordAll(t)
	record()
	got := testing.AllocsPerRun(1000, record)
	stages := map[results.Stage]int64{}
	for i, r := range w.meter.slots {
		if r != nil {
			stages[clientStages[i%len(clientStages)]] += r.Count()
		}
	}
	if got != 0 || len(stages) != 6 || stages[results.StageE2E] != 1002 || stages[results.StageReceiveLag] != 1002 {
		t.Errorf("got %v allocations and %v; want none, and 1002 values in each of six stages", got, stages)
	}
}

// BenchmarkRecordAll: a delivery's latencies into all their histograms, and besides with all that finds them.
func BenchmarkRecordAll(b *testing.B) {
	record, w := recordAll(b)
	b.Run("delivery", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			record()
		}
	})
	b.Run("histograms", func(b *testing.B) {
		b.ReportAllocs()
		ns := int64(1)
		for b.Loop() {
			ns = ns * 48271 % 0x7fffffff
			for _, stage := range []int{stageE2E, stageUncorrected, stageGateway, stageGatewayIn, stageGatewayOut, stageReceiveLag} {
				w.meter.record(0, stage, ns)
			}
		}
	})
}

// TestReadsAllocateNothing: the whole way of a read from the socket's bytes to the histograms.
func TestReadsAllocateNothing(t *testing.T) {
	plan := enginePlan("ws://127.0.0.1:1/", nil)
	plan.Producers[0].Rate = scenarios.Hold(1e5)
	c := pollessReader(t, plan)
	var frames [][]byte
	for seq := range uint64(1100) {
		value := stamped(Stamp{Kind: KindData, Run: 1, Key: NoKey, PartSeq: seq}, 256, 0)
		frames = append(frames, serverFrame(opText, true, append([]byte(`{"type":"message","received_at_ns":12,"queued_at_ns":13}`+"\n"), value...)))
	}
	next := 0
	got := testing.AllocsPerRun(1000, func() {
		c.worker.waiting = c.worker.waiting[:0]
		if err := c.worker.takeRead(c, frames[next], 5, 6, io.Discard); err != nil {
			t.Fatal(err)
		}
		next++
	})
	if got != 0 || c.trackers[0].next != uint64(next) {
		t.Errorf("got %v allocations and %d messages; want none and %d", got, c.trackers[0].next, next)
	}
}
