package loadgen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
)

// meterInterval has a meter of seven stages for each worker, and what an interval goes through from them to the log.
type meterInterval struct {
	meters []*meter
	pool   *recorderPool
	spares results.Spares
	log    *results.Writer
	values []int64
}

func newMeterInterval(tb testing.TB, workers, values int) *meterInterval {
	tb.Helper()
	log, err := results.Create(filepath.Join(tb.TempDir(), "run"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { log.Close() })
	m := &meterInterval{log: log, pool: newRecorderPool()}
	layout := meterLayout{[]results.Label{{Phase: "m"}}, []results.Stage{
		results.StageE2E, results.StageE2EUncorrected, results.StageGateway, results.StageGatewayIn,
		results.StageGatewayOut, results.StageReceiveLag, results.StageKafka,
	}, []string{results.CountDelivered}}
	for range workers {
		m.meters = append(m.meters, newMeter(layout, m.pool))
	}
	draw := rand.New(rand.NewPCG(1, 2))
	for range values {
		m.values = append(m.values, int64(5e6*math.Exp(draw.NormFloat64()/2)))
	}
	return m
}

func (m *meterInterval) record() {
	for _, meter := range m.meters {
		for _, ns := range m.values {
			for stage := range meter.layout.stages {
				meter.record(0, stage, ns>>stage)
			}
		}
	}
}

func (m *meterInterval) handOver(tb testing.TB) {
	t := newTally(&m.spares)
	for _, meter := range m.meters {
		if err := t.add(meter.handOver(meter.empty())); err != nil {
			tb.Fatal(err)
		}
	}
	var iv results.Interval
	t.fill(&iv)
	m.pool.trim()
	if err := m.log.Interval(&iv); err != nil {
		tb.Fatal(err)
	}
	if got, want := iv.Series[0].Count(), int64(len(m.meters)*len(m.values)); len(iv.Series) != 7 || got != want {
		tb.Fatalf("got %d series, the first of %d values; want 7 of %d", len(iv.Series), got, want)
	}
	m.spares.Take(&iv)
}

// BenchmarkMeterInterval: what one interval of two workers and seven series takes from the meters to the log, with so
// many collections between two intervals.
func BenchmarkMeterInterval(b *testing.B) {
	for _, collections := range []int{0, 2} {
		b.Run(fmt.Sprintf("collections=%d", collections), func(b *testing.B) {
			m := newMeterInterval(b, 2, 1000)
			b.ReportAllocs()
			for b.Loop() {
				m.record()
				m.handOver(b)
				for range collections {
					runtime.GC()
				}
			}
		})
	}
}

// BenchmarkHandOver: as much without the recording and without the log.
func BenchmarkHandOver(b *testing.B) {
	m := newMeterInterval(b, 2, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		m.record()
		b.StartTimer()
		t := newTally(&m.spares)
		for _, meter := range m.meters {
			if err := t.add(meter.handOver(meter.empty())); err != nil {
				b.Fatal(err)
			}
		}
		var iv results.Interval
		t.fill(&iv)
		m.spares.Take(&iv)
	}
}

// TestIntervalsTakeNoFreshHistograms, nor recorders, nor a compressor: what an interval allocates once the first ones have
// taken theirs is less than any of these, however often the garbage collector ran in between.
func TestIntervalsTakeNoFreshHistograms(t *testing.T) {
	m := newMeterInterval(t, 2, 500)
	interval := func() {
		m.record()
		m.handOver(t)
		runtime.GC()
		runtime.GC()
	}
	interval()
	interval()
	const intervals = 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range intervals {
		interval()
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / intervals; got > 80_000 {
		t.Errorf("an interval allocates %d bytes; want less than one recorder's 86 KB", got)
	}
}

// TestRecorderPoolGivesUpWhatNobodyNeeds, an interval later, and nothing that was needed.
func TestRecorderPoolGivesUpWhatNobodyNeeds(t *testing.T) {
	pool := newRecorderPool()
	interval := func(needed int) (fresh int) {
		known := map[*results.Recorder]bool{}
		for _, r := range pool.free {
			known[r] = true
		}
		var taken []*results.Recorder
		for range needed {
			r := pool.get()
			if !known[r] {
				fresh++
			}
			r.Record(1)
			taken = append(taken, r)
		}
		for _, r := range taken {
			pool.put(r)
		}
		pool.trim()
		return fresh
	}
	for i, step := range []struct{ needed, fresh, kept int }{{3, 3, 3}, {3, 0, 3}, {5, 2, 5}, {2, 0, 2}, {2, 0, 2}, {0, 0, 0}, {1, 1, 1}} {
		if fresh := interval(step.needed); fresh != step.fresh || len(pool.free) != step.kept {
			t.Errorf("interval %d, %d needed: %d fresh ones, %d kept; want %d and %d", i, step.needed, fresh, len(pool.free), step.fresh, step.kept)
		}
		for _, r := range pool.free {
			if !r.Empty() {
				t.Fatalf("interval %d: a free recorder is not empty", i)
			}
		}
	}
}

// TestIntervalsTrimThePool: recorders that nobody needs are given up while the engine runs.
func TestIntervalsTrimThePool(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 1, "t")
	gateway := testkit.StartGateway(t, testkit.Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1})
	runThrough(t, enginePlan(gateway.URL(), kafka.ListenAddrs()), func(e *Engine) {
		pool := e.collector.pool
		const surplus = 1000
		for range surplus {
			pool.put(new(results.Recorder)) // without its memory
		}
		testkit.Eventually(t, "the surplus is given up", func() bool {
			pool.mu.Lock()
			defer pool.mu.Unlock()
			return len(pool.free) < surplus
		})
	})
}
