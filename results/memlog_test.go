package results

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// memLog is a log's file in memory that can fail as a disk does.
type memLog struct {
	data        []byte
	room        int // bytes that fit, 0 for any number
	writeErr    error
	truncateErr error
	syncErr     error
	writes      int
	syncs       int
}

func (m *memLog) WriteAt(b []byte, at int64) (int, error) {
	m.writes++
	n := len(b)
	if m.room > 0 {
		n = min(n, max(m.room-int(at), 0))
	}
	m.data = append(m.data[:min(int(at), len(m.data))], b[:n]...)
	if n < len(b) {
		return n, m.writeErr
	}
	return n, nil
}

func (m *memLog) Truncate(size int64) error {
	if m.truncateErr == nil {
		m.data = m.data[:size]
	}
	return m.truncateErr
}

func (m *memLog) Sync() error {
	m.syncs++
	return m.syncErr
}

// newMemWriter returns a writer to m, and the clock it goes by.
func newMemWriter(t *testing.T, m *memLog) (*Writer, *time.Time) {
	t.Helper()
	now := time.Unix(1_800_000_000, 0)
	w, err := newWriter(m, func() error { return nil }, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return w, &now
}

// openBytes opens a log that is in memory.
func openBytes(data []byte) (*Run, error) {
	r := &Run{Dir: "memory"}
	r.open = func() (log, error) { return nopCloser{bytes.NewReader(data)}, nil }
	if err := r.read(bytes.NewReader(data), int64(len(data))); err != nil {
		return nil, err
	}
	return r, nil
}

type nopCloser struct{ io.ReaderAt }

func (nopCloser) Close() error { return nil }

func samplePlan() *scenarios.Plan {
	return &scenarios.Plan{Name: "sample", Seed: 1<<63 + 7, Objective: 50 * time.Millisecond, IntervalNS: time.Second,
		Thresholds: []scenarios.Threshold{{Text: "e2e.p99 < 50ms", Metric: "e2e.p99", Op: "<", Value: 5e7, Unit: "ns"}}}
}

// sampleInterval returns the same interval for the same index, with series of all kinds and values values in each.
func sampleInterval(index, values int) *Interval {
	rng := rand.New(rand.NewPCG(uint64(index), 1))
	in := &Interval{
		Index:   index,
		StartAt: 1_800_000_000_250_000_000 + int64(index)*1e9,
		EndAt:   1_800_000_001_250_000_000 + int64(index)*1e9,
		Phase:   "measure",
		Counters: []Counter{{Name: CountSent, Label: Label{Phase: "measure", Producer: "prices"}, Value: int64(values)},
			{Name: CountDelivered, Label: Label{Phase: "measure", Group: "viewers"}, Value: int64(index)}},
		Gauges: map[string]float64{GaugeClients: 50, GaugeGeneratorCPU: 0.25},
	}
	var e2e, gateway Recorder
	for range values {
		v := int64(rng.ExpFloat64() * 2e6)
		e2e.Record(v)
		gateway.Record(v - 1e6)
	}
	e2e.Record(HighestNS + 5)
	in.Series = []Series{
		e2e.Series(StageE2E, Label{Phase: "measure", Group: "viewers", Producer: "prices"}),
		gateway.Series(StageGateway, Label{Phase: "measure", Group: "viewers"}),
	}
	return in
}

// sampleEvent is the event that a sample log has before the interval of that index.
func sampleEvent(index int) *Event {
	return &Event{AtNS: 1_800_000_000_000_000_000 + int64(index), Kind: EventPhase, Phase: "measure", Text: "phase <measure> began"}
}

// writeSample writes a whole run of that many intervals.
func writeSample(t *testing.T, w *Writer, intervals, values int) {
	t.Helper()
	steps := []func() error{
		func() error { return w.Plan(samplePlan()) },
		func() error { return w.Environment(&Environment{WeirVersion: "dev", Cores: 2, StartedAtNS: 5}) },
	}
	for i := range intervals {
		steps = append(steps,
			func() error { return w.Event(sampleEvent(i)) },
			func() error { return w.Interval(sampleInterval(i, values)) })
	}
	steps = append(steps,
		func() error {
			return w.Audit(&Audit{Rows: []AuditRow{{Phase: "measure", Group: "viewers", Classes: Classes{Expected: 2, Delivered: 2}}}})
		},
		func() error { return w.Health(&Health{PlannedMessages: 2, SentMessages: 2, PacerKind: "timer"}) },
		func() error { return w.End(&End{AtNS: 9, Status: StatusComplete}) },
		w.Close)
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}

// sampleLog returns the bytes of a whole run.
func sampleLog(t *testing.T, intervals, values int) []byte {
	t.Helper()
	m := new(memLog)
	w, _ := newMemWriter(t, m)
	writeSample(t, w, intervals, values)
	return m.data
}

// appendRecord appends a record of any kind and payload, as a hostile or later writer would.
func appendRecord(log []byte, k kind, payload string) []byte {
	record := append(make([]byte, frameSize), payload...)
	sealFrame(record, k)
	return append(log, record...)
}

// records returns where each record of a whole log starts, and the log's end.
func records(log []byte) []int {
	var starts []int
	at := headerSize
	for at < len(log) {
		starts = append(starts, at)
		at += frameSize + int(parseFrame(log[at:]).length)
	}
	return append(starts, at)
}
