package results

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirbench/weir/scenarios"
)

// content is a run's records but the intervals as JSON, for comparison.
func content(t tester, r *Run) string {
	t.Helper()
	b, err := json.Marshal([]any{r.Plan, r.Environment, r.Events, r.Audit, r.Health, r.End})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return string(b)
}

// sameIntervals compares the run's intervals with those that were written.
func sameIntervals(t tester, r *Run, want []*Interval) {
	t.Helper()
	i := 0
	for got, err := range r.Intervals() {
		if err != nil {
			t.Fatalf("%v", err)
		}
		if g, w := plain(t, got), plain(t, want[i]); g != w {
			t.Fatalf("interval %d: got\n%s\nwant\n%s", i, g, w)
		}
		for j := range got.Series {
			sameSeries(t, got.Series[j], want[i].Series[j])
		}
		i++
	}
	if i != len(want) {
		t.Fatalf("%d intervals, want %d", i, len(want))
	}
}

// plain is an interval as JSON, without its histograms and the gauges that are no numbers.
func plain(t tester, in *Interval) string {
	t.Helper()
	without := *in
	without.Gauges = finite(in.Gauges)
	b, err := json.Marshal(without)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return string(b)
}

// encodable draws a value that JSON can hold.
func encodable[T any](t *rapid.T, name string) *T {
	v := rapid.Make[T]().Filter(func(v T) bool {
		_, err := json.Marshal(v)
		return err == nil
	}).Draw(t, name)
	return &v
}

func drawInterval(t *rapid.T, i int) *Interval {
	in := &Interval{
		Index:    i,
		StartAt:  rapid.Int64().Draw(t, "start"),
		EndAt:    rapid.Int64().Draw(t, "end"),
		Phase:    rapid.String().Draw(t, "phase"),
		Counters: rapid.SliceOfN(rapid.Make[Counter](), 0, 3).Draw(t, "counters"),
		Gauges:   rapid.MapOfN(rapid.String(), rapid.Float64(), 0, 3).Draw(t, "gauges"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "series") {
		s := seriesOf(latencies().Draw(t, "values")...)
		s.Stage, s.Label = Stage(rapid.String().Draw(t, "stage")), rapid.Make[Label]().Draw(t, "label")
		in.Series = append(in.Series, s)
	}
	return in
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := new(memLog)
		w, _ := newMemWriter(t, m)
		want := &Run{
			Plan:        encodable[scenarios.Plan](rt, "plan"),
			Environment: encodable[Environment](rt, "environment"),
			Audit:       encodable[Audit](rt, "audit"),
			Health:      encodable[Health](rt, "health"),
			End:         encodable[End](rt, "end"),
		}
		errs := []error{w.Plan(want.Plan), w.Environment(want.Environment)}
		var intervals []*Interval
		for i := range rapid.IntRange(0, 3).Draw(rt, "intervals") {
			in, event := drawInterval(rt, i), encodable[Event](rt, "event")
			intervals = append(intervals, in)
			want.Events = append(want.Events, *event)
			errs = append(errs, w.Interval(in), w.Event(event))
		}
		errs = append(errs, w.Audit(want.Audit), w.Health(want.Health), w.End(want.End), w.Close())
		if err := errors.Join(errs...); err != nil {
			rt.Fatal(err)
		}
		got, err := openBytes(m.data)
		if err != nil || got.Damage != "" {
			rt.Fatalf("open: %v, damage %q", err, got.Damage)
		}
		for range 2 { // the intervals can be read again
			sameIntervals(rt, got, intervals)
		}
		if g, w := content(rt, got), content(rt, want); g != w {
			rt.Fatalf("got\n%s\nwant\n%s", g, w)
		}
	})
}

func TestIntervalsHaveAHistogramEach(t *testing.T) {
	m := new(memLog)
	w, _ := newMemWriter(t, m)
	in := &Interval{Series: []Series{{Stage: StageAck}, seriesOf(-1)}}
	if err := errors.Join(w.Plan(samplePlan()), w.Interval(in)); err != nil {
		t.Fatal(err)
	}
	r, err := openBytes(m.data)
	if err != nil {
		t.Fatal(err)
	}
	for got, err := range r.Intervals() {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range got.Series {
			if s.Histogram == nil {
				t.Errorf("series %s has no histogram", s.Stage)
			}
		}
		sameSeries(t, got.Series[1], seriesOf(-1))
	}
}

// TestEveryTruncationOpens cuts a log at each of its bytes. Whatever was whole before the cut must be there.
func TestEveryTruncationOpens(t *testing.T) {
	t.Parallel()
	data := sampleLog(t, 2, 8)
	starts := records(data)
	whole, err := openBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	for size := range data {
		r, err := openBytes(data[:size])
		if size < starts[1] { // the plan is not whole
			want := "no plan"
			if size < headerSize {
				want = "cut off in its first"
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("cut at %d: error %v, want %q", size, err, want)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", size, err)
		}
		last := starts[0]
		intervals := 0
		for _, s := range starts {
			if s <= size {
				last = s
			}
		}
		for _, s := range whole.intervals {
			if s.at+int64(s.size) <= int64(size) {
				intervals++
			}
		}
		damage := ""
		if last < size {
			damage = fmt.Sprintf("torn record at byte %d: the last %d bytes were left out", last, size-last)
		}
		if r.Damage != damage || r.IntervalCount() != intervals || r.Status() != StatusPartial {
			t.Fatalf("cut at %d: damage %q, want %q; %d intervals, want %d; status %s", size, r.Damage, damage, r.IntervalCount(), intervals, r.Status())
		}
	}
}

// TestEveryFlippedByteIsDetected changes each byte of a log in two ways. No change may pass, and what is read in
// spite of it must be what was written.
func TestEveryFlippedByteIsDetected(t *testing.T) {
	t.Parallel()
	data := sampleLog(t, 2, 8)
	original, err := openBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	starts := records(data)
	for at := range data {
		for _, mask := range []byte{0x01, 0xff} {
			flipped := bytes.Clone(data)
			flipped[at] ^= mask
			r, err := openBytes(flipped)
			if err != nil {
				if at >= starts[1] {
					t.Fatalf("byte %d ^ %#x, behind the plan: %v", at, mask, err)
				}
				continue
			}
			checkDamaged(t, r, original, at, at < starts[len(starts)-2])
		}
	}
}

func checkDamaged(t *testing.T, r, original *Run, at int, midst bool) {
	t.Helper()
	if r.Damage == "" {
		t.Fatalf("byte %d: the change passed", at)
	}
	if midst != strings.Contains(r.Damage, "damaged in its midst") {
		t.Fatalf("byte %d: damage %q, want the midst named: %v", at, r.Damage, midst)
	}
	for i, s := range r.intervals {
		if s != original.intervals[i] || s.at+int64(s.size) > int64(at) {
			t.Fatalf("byte %d: interval %d was read from a damaged place", at, i)
		}
	}
	for i, e := range r.Events {
		if e != original.Events[i] {
			t.Fatalf("byte %d: event %d = %+v, want %+v", at, i, e, original.Events[i])
		}
	}
	if r.Audit != nil && fmt.Sprint(r.Audit) != fmt.Sprint(original.Audit) || r.Health != nil && *r.Health != *original.Health || r.End != nil {
		t.Fatalf("byte %d: audit %v, health %v, end %v", at, r.Audit, r.Health, r.End)
	}
}

func TestUnknownKindsAreSkipped(t *testing.T) {
	data := appendRecord(appendHeader(nil), kindPlan, `{"name":"x"}`)
	data = appendRecord(data, kindHighest+1, "of a later weir, not even JSON")
	at := len(data)
	data = appendRecord(data, kindEnd, `{"status":"aborted"}`)
	r, err := openBytes(data)
	if err != nil || r.Damage != "" || r.Status() != StatusAborted {
		t.Fatalf("opened %+v, %v", r, err)
	}
	data[at-1] ^= 1
	r, err = openBytes(data)
	if err != nil || r.Damage == "" || r.End != nil {
		t.Errorf("a damaged record of an unknown kind passed: %+v, %v", r, err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	later := append([]byte(magic), 9, 0, 0, 0)
	later = binary.LittleEndian.AppendUint32(later, crc32.Checksum(later, castagnoli))
	damaged := appendHeader(nil)
	damaged[len(magic)] = 9
	noPlan := appendRecord(appendHeader(nil), kindEvent, `{"text":"x"}`)
	for _, c := range []struct {
		name string
		log  []byte
		want string
	}{
		{"nothing", []byte{}, "cut off in its first"},
		{"short foreign file", []byte("hello"), "not a weir log"},
		{"foreign file", bytes.Repeat([]byte("name: x\n"), 100), "not a weir log"},
		{"later version", later, "format version 9 and this weir reads version 1"},
		{"damaged header", damaged, "header is damaged"},
		{"no plan", noPlan, "no plan"},
		{"torn plan", noPlan[:len(noPlan)-1], "torn record at byte"},
		{"plan is no JSON", appendRecord(appendHeader(nil), kindPlan, "x"), "decode the plan record at byte 16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, LogName), c.log, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error = %v, want one naming the directory with %q", err, c.want)
			}
		})
	}
}

func TestOpenSaysWhatToGiveIt(t *testing.T) {
	tmp := t.TempDir()
	foreign := filepath.Join(tmp, "foreign")
	empty := filepath.Join(tmp, "empty")
	for _, dir := range []string{foreign, empty} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(foreign, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, dir, want string }{
		{"missing", filepath.Join(tmp, "no"), "file does not exist"},
		{"empty", empty, "the directory is empty"},
		{"foreign", foreign, "holds no run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(c.dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), mendPath) {
				t.Errorf("error = %v, want %q and what to do", err, c.want)
			}
		})
	}
	if _, err := Open(filepath.Join(tmp, "no")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing directory gives %v, want fs.ErrNotExist", err)
	}
}

func TestOpenTakesTheLogsPath(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, LogName), sampleLog(t, 1, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Open(filepath.Join(dir, LogName))
	if err != nil || r.Dir != dir {
		t.Fatalf("opened %+v, %v", r, err)
	}
}

func TestAChangedLogIsAnError(t *testing.T) {
	data := sampleLog(t, 2, 5)
	r, err := openBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	data[r.intervals[1].at+20] ^= 1
	var errs []error
	for _, err := range r.Intervals() {
		errs = append(errs, err)
	}
	if len(errs) != 2 || errs[0] != nil || errs[1] == nil || !strings.Contains(errs[1].Error(), "changed since") {
		t.Errorf("errors = %v, want none for the first interval and then the change", errs)
	}
}

// TestAHostileLengthAllocatesNothing lets a record claim 64 MiB in a log of a few bytes.
func TestAHostileLengthAllocatesNothing(t *testing.T) {
	data := appendRecord(appendHeader(nil), kindPlan, `{"name":"x"}`)
	for _, length := range []uint32{1, maxPayload, maxPayload + 1, 1<<32 - 1} {
		hostile := binary.LittleEndian.AppendUint32(bytes.Clone(data), length)
		hostile = append(hostile, byte(kindIvl), 0, 0, 0, 0)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := openBytes(hostile)
		runtime.ReadMemStats(&after)
		if err != nil || r.Damage == "" {
			t.Fatalf("opened %+v, %v", r, err)
		}
		got := after.TotalAlloc - before.TotalAlloc
		if got > 1<<18 { // the search behind the damage reads 64 KiB at a time
			t.Errorf("a length of %d: %d bytes allocated", length, got)
		}
	}
}
