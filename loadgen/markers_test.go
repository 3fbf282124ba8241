package loadgen

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/testkit"
)

// TestJoinPause: longer for more clients, and never so long that fewer than ten rounds fit into the join deadline.
func TestJoinPause(t *testing.T) {
	for _, c := range []struct {
		linked   int64
		deadline time.Duration
		want     time.Duration
	}{
		{0, 15 * time.Second, markerEvery},
		{2_500, 15 * time.Second, markerEvery},
		{10_000, 15 * time.Second, time.Second},
		{80_000, 15 * time.Second, 1500 * time.Millisecond},
		{1_000_000, 15 * time.Second, 1500 * time.Millisecond},
		{80_000, 2 * time.Minute, 8 * time.Second},
		{80_000, time.Second, markerEvery},
	} {
		p := producer{joinDeadline: c.deadline, linked: func() int64 { return c.linked }}
		if got := p.joinPause(); got != c.want {
			t.Errorf("%d clients, join deadline %v: got %v; want %v", c.linked, c.deadline, got, c.want)
		}
		if silence := silenceOf(c.deadline); c.deadline >= 2*leastSilence && p.joinPause() > silence/4 {
			t.Errorf("join deadline %v: silence is told after %v, and a round takes %v", c.deadline, silence, p.joinPause())
		}
	}
}

// markersSent counts the final markers that a producer hands over.
type markersSent struct{ finals atomic.Int64 }

func (m *markersSent) OnProduceRecordBuffered(r *kgo.Record) {
	if at := bytes.Index(r.Value, []byte("~W1")); at >= 0 && r.Value[at+3] == byte(KindFinal) {
		m.finals.Add(1)
	}
}

// TestFinalMarkersAreRepeated although so many clients are connected that join markers would wait for minutes.
func TestFinalMarkersAreRepeated(t *testing.T) {
	kafka := testkit.Kafka(t, 1, "t")
	plan := enginePlan("ws://127.0.0.1:1/", kafka.ListenAddrs())
	plan.Phases.JoinDeadline = time.Hour
	topo, err := newTopology(plan, 1, func(s string) string { return s }, map[string]int{"t": 1})
	if err != nil {
		t.Fatal(err)
	}
	sent := &markersSent{}
	p, err := newProducer(topo, 0, plan.Kafka.Seeds, oneRecorder(), []kgo.Opt{kgo.WithHooks(sent)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	p.linked = func() int64 { return 3_000_000 }
	p.ended = func() {}
	p.final.add(streamKey{}, 1)
	s := newSignals()
	s.loadAt = newEpoch()
	close(s.start)
	close(s.finals)
	done := make(chan struct{})
	go func() { defer close(done); p.pace(s) }()
	testkit.Eventually(t, "a final marker has been repeated twice", func() bool { return sent.finals.Load() >= 3 })
	close(s.finish)
	<-done
}
