package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"
)

// FuzzOpen reads any bytes as a log.
func FuzzOpen(f *testing.F) {
	whole := seedLog(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(whole[:headerSize])
	f.Add(append(bytes.Clone(whole), make([]byte, 4096)...))
	f.Fuzz(func(t *testing.T, data []byte) { readAll(t, data) })
}

// FuzzRecord reads any payload of any kind whose checksum holds.
func FuzzRecord(f *testing.F) {
	whole := seedLog(f)
	starts := records(whole)
	for i, at := range starts[:len(starts)-1] {
		f.Add(uint8(parseFrame(whole[at:]).kind), whole[at+frameSize:starts[i+1]])
	}
	f.Add(uint8(kindIvl), []byte(`{"series":[{"histogram":"HISTFAAA","overflow":-1}]}`))
	f.Add(uint8(kindIvl), []byte(`{"series":[{"overflow":9223372036854775807,"underflow":9223372036854775807}]}`))
	f.Add(uint8(kindPlan), []byte(`null`))
	plan := appendRecord(appendHeader(nil), kindPlan, "{}")
	f.Fuzz(func(t *testing.T, k uint8, payload []byte) {
		readAll(t, appendRecord(bytes.Clone(plan), kind(k), string(payload)))
	})
}

func seedLog(f *testing.F) []byte {
	m := new(memLog)
	w, err := newWriter(m, func() error { return nil }, time.Now)
	if err == nil {
		err = errors.Join(w.Plan(samplePlan()), w.Event(sampleEvent(0)), w.Interval(sampleInterval(0, 5)), w.End(&End{Status: StatusComplete}))
	}
	if err != nil {
		f.Fatal(err)
	}
	return m.data
}

// readAll uses whatever the log gives in every way that a report does.
func readAll(t *testing.T, data []byte) {
	r, err := openBytes(data)
	if err != nil {
		return
	}
	for _, s := range r.intervals {
		if s.at < int64(headerSize) || s.size < frameSize || s.at+int64(s.size) > int64(len(data)) {
			t.Fatalf("interval at %d, %d bytes, is outside of the log's %d", s.at, s.size, len(data))
		}
	}
	r.Status()
	e := newEncoder()
	var set SeriesSet
	for in, err := range r.Intervals() {
		if err != nil {
			break
		}
		if _, err := e.interval(in); err != nil {
			t.Fatalf("an interval that was read cannot be written: %v", err)
		}
		for _, s := range in.Series {
			useSeries(t, s)
			_ = set.Add(s) // may be more than it can count
		}
	}
	for _, stage := range set.Stages() {
		useSeries(t, set.Get(stage, nil))
	}
	_ = WriteHLog(io.Discard, r) // may hold what is no base64
	if _, err := json.Marshal(r.Plan); err != nil {
		t.Fatalf("a plan that was read cannot be written: %v", err)
	}
}

func useSeries(t *testing.T, s Series) {
	n := s.Count()
	if n < 0 {
		t.Fatalf("count = %d", n)
	}
	s.Mean()
	last := s.Quantile(0)
	for _, q := range []float64{0.01, 0.5, 0.99, 1} {
		last = s.Quantile(q)
		if got, ok := s.QuantileOver(q, n); ok != (n > 0) || ok && got != last {
			t.Fatalf("QuantileOver(%v, Count) = %d, %v; Quantile = %d", q, got, ok, last)
		}
	}
	var sum int64
	for b := range s.Buckets() {
		sum += b.Count
	}
	if sum != n {
		t.Fatalf("buckets hold %d of %d", sum, n)
	}
	if n > 0 && last != s.MaxNS {
		t.Fatalf("Quantile(1) = %d, maximum %d", last, s.MaxNS)
	}
}
