package results

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/weirbench/weir/scenarios"
)

func TestCreateMakesParents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	w, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	writeSample(t, w, 1, 3)
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if r.Dir != dir || r.Damage != "" || r.Status() != StatusComplete || r.IntervalCount() != 1 {
		t.Errorf("opened %+v", r)
	}
}

func TestCreateRefuses(t *testing.T) {
	tmp := t.TempDir()
	file := filepath.Join(tmp, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(tmp, "taken")
	w, err := Create(taken)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	locked := filepath.Join(tmp, "locked")
	if err := os.Mkdir(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, dir, want string }{
		{"a run", taken, "holds a run already (choose another, or delete it)"},
		{"a file", file, "a file is in the way"},
		{"a file among the parents", filepath.Join(file, "x"), "a file is in the way"},
		{"no permission", filepath.Join(locked, "x"), "choose a directory that you may write to"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.HasPrefix(c.dir, locked) && os.Getuid() == 0 {
				t.Skip("root may write anywhere")
			}
			_, err := Create(c.dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.dir) {
				t.Errorf("error = %v, want one naming the directory with %q", err, c.want)
			}
		})
	}
}

func TestMendsOfADirectory(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{syscall.EACCES, "may write to"}, {syscall.EROFS, "may write to"}, {syscall.ENOTDIR, "in the way"},
		{syscall.EEXIST, "in the way"}, {syscall.ENOSPC, "free some space"}, {syscall.EIO, ""},
	} {
		got := mendDir(&os.PathError{Op: "mkdir", Path: "x", Err: c.err})
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("mend of %v = %q, want %q in it", c.err, got, c.want)
		}
	}
}

func TestARecordIsOneWrite(t *testing.T) {
	m := new(memLog)
	w, _ := newMemWriter(t, m)
	before := m.writes
	if err := w.Plan(samplePlan()); err != nil {
		t.Fatal(err)
	}
	if err := w.Interval(sampleInterval(0, 500)); err != nil {
		t.Fatal(err)
	}
	if got := m.writes - before; got != 2 {
		t.Errorf("%d writes for two records", got)
	}
}

func TestIntervalsAreForcedToTheDiskOnceASecond(t *testing.T) {
	m := new(memLog)
	w, now := newMemWriter(t, m)
	if m.syncs != 1 {
		t.Fatalf("%d syncs after creation, want 1", m.syncs)
	}
	for i := range 41 { // at 0, 100, … 4000 ms
		if err := w.Interval(sampleInterval(i, 1)); err != nil {
			t.Fatal(err)
		}
		*now = now.Add(100 * time.Millisecond)
	}
	if got := m.syncs - 1; got != 4 {
		t.Errorf("%d syncs in 4 s, want 4", got)
	}
	if err := w.End(&End{Status: StatusComplete}); err != nil {
		t.Fatal(err)
	}
	if got := m.syncs - 1; got != 5 {
		t.Errorf("%d syncs after the end, want 5", got)
	}
}

func TestClosing(t *testing.T) {
	w, err := Create(filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := w.Event(sampleEvent(0)); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("writing after Close: %v", err)
	}
}

func TestNothingFollowsTheEnd(t *testing.T) {
	m := new(memLog)
	w, _ := newMemWriter(t, m)
	if err := w.End(&End{Status: StatusPartial}); err != nil {
		t.Fatal(err)
	}
	size := len(m.data)
	if err := w.Event(sampleEvent(0)); err == nil || len(m.data) != size {
		t.Errorf("an event after the end: error %v, %d bytes more", err, len(m.data)-size)
	}
}

func TestRecordsThatCannotBeEncodedAreRefused(t *testing.T) {
	m := new(memLog)
	w, _ := newMemWriter(t, m)
	w.limit = 1000
	size := len(m.data)
	foreign := hdrhistogram.New(1, 1000, 2)
	if err := foreign.RecordValue(1); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"nil plan":     w.Plan(nil),
		"nil interval": w.Interval(nil),
		"nil end":      w.End(nil),
		"no number":    w.Health(&Health{CPUSeconds: math.NaN()}),
		"too large":    w.Event(&Event{Text: strings.Repeat("x", w.limit)}),
		"foreign":      w.Interval(&Interval{Series: []Series{{Stage: StageE2E, Histogram: foreign}}}),
	} {
		if err == nil {
			t.Errorf("%s: written", name)
		}
	}
	if len(m.data) != size {
		t.Errorf("refused records left %d bytes", len(m.data)-size)
	}
}

func TestAGaugeWithoutAValueIsLeftOut(t *testing.T) {
	m := new(memLog)
	w, _ := newMemWriter(t, m)
	in := &Interval{Gauges: map[string]float64{"a": math.NaN(), "b": 1, "c": math.Inf(1)}}
	if err := errors.Join(w.Plan(samplePlan()), w.Interval(in)); err != nil {
		t.Fatal(err)
	}
	if len(in.Gauges) != 3 {
		t.Error("the caller's gauges were changed")
	}
	r, err := openBytes(m.data)
	if err != nil {
		t.Fatal(err)
	}
	for got, err := range r.Intervals() {
		if err != nil || len(got.Gauges) != 1 || got.Gauges["b"] != 1 {
			t.Errorf("gauges = %v, error %v; want b alone", got.Gauges, err)
		}
	}
}

// fullDisk returns a log with a plan and two intervals whose third did not fit.
func fullDisk(t *testing.T, m *memLog, spare int) *Writer {
	t.Helper()
	w, _ := newMemWriter(t, m)
	if err := errors.Join(w.Plan(samplePlan()), w.Interval(sampleInterval(0, 9)), w.Interval(sampleInterval(1, 9))); err != nil {
		t.Fatal(err)
	}
	m.room, m.writeErr = len(m.data)+spare, syscall.ENOSPC
	err := w.Interval(sampleInterval(2, 9))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "write interval") || !strings.Contains(err.Error(), "free some space") {
		t.Fatalf("error = %v, want one that says what was not written, why and what to do", err)
	}
	return w
}

func TestAFullDiskLeavesAWholeLog(t *testing.T) {
	for _, spare := range []int{0, 1, frameSize, 40} {
		m := new(memLog)
		w := fullDisk(t, m, spare)
		r, err := openBytes(m.data)
		if err != nil || r.Damage != "" || r.IntervalCount() != 2 || r.Status() != StatusPartial {
			t.Fatalf("with %d bytes spare: opened %+v, %v", spare, r, err)
		}
		m.room = 0 // somebody made space
		if err := w.Interval(sampleInterval(3, 9)); err != nil {
			t.Fatal(err)
		}
		if err := w.End(&End{Status: StatusComplete}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("a run that lacks an interval was ended as complete: %v", err)
		}
		if err := w.End(&End{Status: StatusPartial, Error: "disk full"}); err != nil {
			t.Fatal(err)
		}
		r, err = openBytes(m.data)
		if err != nil || r.Damage != "" || r.IntervalCount() != 3 || r.End.Error != "disk full" {
			t.Errorf("after space was made: opened %+v, %v", r, err)
		}
	}
}

func TestNothingFollowsATornRecord(t *testing.T) {
	m := &memLog{truncateErr: syscall.EIO}
	w := fullDisk(t, m, 40)
	m.room = 0
	size := len(m.data)
	if err := w.Event(sampleEvent(0)); err == nil || !strings.Contains(err.Error(), "torn record") {
		t.Errorf("error = %v, want a refusal that names the torn record", err)
	}
	if err := w.End(&End{Status: StatusPartial}); err == nil {
		t.Error("an end was written behind a torn record")
	}
	if len(m.data) != size {
		t.Errorf("%d bytes were written behind a torn record", len(m.data)-size)
	}
	r, err := openBytes(m.data)
	if err != nil || !strings.Contains(r.Damage, "the last 40 bytes were left out") || r.IntervalCount() != 2 {
		t.Errorf("opened %+v, %v", r, err)
	}
}

func TestNothingFollowsAFailedSync(t *testing.T) {
	m := new(memLog)
	w, now := newMemWriter(t, m)
	if err := w.Plan(samplePlan()); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(2 * syncEvery)
	m.syncErr = syscall.EIO
	if err := w.Interval(sampleInterval(0, 1)); !errors.Is(err, syscall.EIO) {
		t.Fatalf("error = %v, want the disk's", err)
	}
	m.syncErr = nil
	if err := w.Event(sampleEvent(0)); !errors.Is(err, syscall.EIO) {
		t.Errorf("error = %v, want a refusal that names the disk's error", err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestCreateReportsASinkThatTakesNothing(t *testing.T) {
	m := &memLog{room: 3, writeErr: syscall.ENOSPC}
	_, err := newWriter(m, func() error { return nil }, time.Now)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error = %v, want ENOSPC", err)
	}
}

func TestPlanSurvivesUnchanged(t *testing.T) {
	m := new(memLog)
	w, _ := newMemWriter(t, m)
	if err := errors.Join(w.Plan(samplePlan()), w.Plan(&scenarios.Plan{Name: "second"})); err != nil {
		t.Fatal(err)
	}
	r, err := openBytes(m.data)
	if err != nil {
		t.Fatal(err)
	}
	if r.Plan.Name != "sample" || r.Plan.Seed != 1<<63+7 || r.Plan.Thresholds[0].Text != "e2e.p99 < 50ms" {
		t.Errorf("plan = %+v, want the first as it was written", r.Plan)
	}
}
