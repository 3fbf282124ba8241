package loadgen

import (
	"io"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
)

// TestReceiveTimeOfALateReader: ten messages come 1 ms apart to a reader that is busy for 10 ms more. The kernel tells when
// the last came, to the microsecond; for the nine before it that is an upper bound, and they are counted.
func TestReceiveTimeOfALateReader(t *testing.T) {
	const messages, busy = 10, 10 * time.Millisecond
	to, from := testkit.TCPPair(t)
	file, err := to.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd := int(file.Fd())
	if err := stampSocket(fd); err != nil {
		t.Fatal(err)
	}
	c := pollessReader(t, enginePlan("ws://127.0.0.1:1/", nil))
	w := c.worker

	var sentAt [messages]int64
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := range sentAt {
		<-tick.C
		sentAt[i] = time.Now().UnixNano()
		value := stamped(Stamp{Kind: KindData, Run: 1, Key: NoKey, PartSeq: uint64(i), DueAt: sentAt[i], SentAt: sentAt[i]}, 128, 0)
		if _, err := from.Write(serverFrame(opText, true, append([]byte("{}\n"), value...))); err != nil {
			t.Fatal(err)
		}
	}
	written := time.Now()
	<-time.After(busy)

	n, kernelAt, err := w.space.read(fd)
	if err != nil {
		t.Fatal(err)
	}
	readAt := time.Now().UnixNano()
	if kernelAt < sentAt[messages-1] || kernelAt > written.UnixNano() {
		t.Errorf("the kernel had the last message %v after it was sent and %v before its write ended; want it between",
			time.Duration(kernelAt-sentAt[messages-1]), time.Duration(written.UnixNano()-kernelAt))
	}
	if err := w.takeRead(c, w.space.data[:n], kernelAt, readAt, io.Discard); err != nil {
		t.Fatal(err)
	}
	sum := newTally(new(results.Spares))
	if err := sum.add(w.meter.handOverLocked(&w.mu)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{results.CountDelivered: messages, results.CountCoalesced: messages - 1, results.CountReads: 1} {
		if got := countOf(sum, name); got != want {
			t.Errorf("%s: got %d; want %d", name, got, want)
		}
	}
	e2e, lag := seriesOf(t, sum, results.StageE2EUncorrected), seriesOf(t, sum, results.StageReceiveLag)
	if got := time.Duration(lag.MinNS); got < busy {
		t.Errorf("receive lag %v; want the reader's %v at least", got, busy)
	}
	// The last message's latency is its own; the first's is bounded by it, being sent 9 ms before.
	if got, want := e2e.MaxNS, kernelAt-sentAt[0]; got != want {
		t.Errorf("latency of the first message: got %v; want %v, when the newest byte came", time.Duration(got), time.Duration(want))
	}
	if got, want := e2e.MinNS, kernelAt-sentAt[messages-1]; got != want {
		t.Errorf("latency of the last message: got %v; want %v", time.Duration(got), time.Duration(want))
	}
}

func countOf(sum *tally, name string) (n int64) {
	for key, count := range sum.counts {
		if key.name == name {
			n += count
		}
	}
	return n
}

func seriesOf(t *testing.T, sum *tally, stage results.Stage) *results.Series {
	t.Helper()
	for key, s := range sum.series {
		if key.stage == stage {
			return s
		}
	}
	t.Fatalf("nothing was recorded of %s", stage)
	return nil
}
