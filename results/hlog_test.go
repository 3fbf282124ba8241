package results

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func TestHLogIsReadBackByTheLibrary(t *testing.T) {
	r, err := openBytes(sampleLog(t, 3, 100))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := WriteHLog(&out, r); err != nil {
		t.Fatal(err)
	}
	in := hdrhistogram.NewHistogramLogReader(&out)
	for i := range 3 {
		want := sampleInterval(i, 100)
		e2e, gateway := want.Series[0], want.Series[1]
		checkHLogLine(t, in, want, "e2e;phase=measure;group=viewers;producer=prices", e2e.Histogram)
		checkHLogLine(t, in, want, "gateway;phase=measure;group=viewers", gateway.Histogram)
		checkHLogLine(t, in, want, "gateway;phase=measure;group=viewers;sign=negative", gateway.Negative)
	}
	if h, err := in.NextIntervalHistogram(); h != nil || err != nil {
		t.Errorf("after the last line: %v, %v", h, err)
	}
}

func checkHLogLine(t *testing.T, in *hdrhistogram.HistogramLogReader, interval *Interval, tag string, want *hdrhistogram.Histogram) {
	t.Helper()
	got, err := in.NextIntervalHistogram()
	if err != nil || got == nil {
		t.Fatalf("%s: %v, %v", tag, got, err)
	}
	if got.Tag() != tag || !got.Equals(want) {
		t.Errorf("tag %q, want %q; %d values, want %d", got.Tag(), tag, got.TotalCount(), want.TotalCount())
	}
	// The reader adds the base time in floating point and cuts to milliseconds.
	start, end := interval.StartAt/int64(time.Millisecond), interval.EndAt/int64(time.Millisecond)
	if start-got.StartTimeMs() > 1 || end-got.EndTimeMs() > 1 || got.StartTimeMs() > start || got.EndTimeMs() > end {
		t.Errorf("%s: from %d to %d ms, want %d to %d", tag, got.StartTimeMs(), got.EndTimeMs(), start, end)
	}
}

func TestHLogLines(t *testing.T) {
	r, err := openBytes(sampleLog(t, 2, 3))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := WriteHLog(&out, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"#[Histogram log format version 1.3]\n",
		"#[BaseTime: 1800000000.250 (seconds since epoch)]\n",
		"#[StartTime: 1800000000.250 (seconds since epoch), 2027-01-15T08:00:00.25Z]\n",
		"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
		"#[e2e;phase=measure;group=viewers;producer=prices: at 1.000 s, 1 values above and 0 below ±10m0s are in no histogram]\n",
		fmt.Sprintf("Tag=e2e;phase=measure;group=viewers;producer=prices,1.000,1.000,%d.000005,HIST", HighestNS/1e6),
		"Tag=gateway;phase=measure;group=viewers;sign=negative,1.000,1.000,",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, out.String())
		}
	}
}

func TestHLogTags(t *testing.T) {
	for _, c := range []struct {
		stage Stage
		label Label
		want  string
	}{
		{StageE2E, Label{}, "e2e"},
		{StageAck, Label{Producer: "p"}, "ack;producer=p"},
		{StageE2E, Label{Phase: "a b", Group: "x,y;z=1%", Producer: "ü\n"}, "e2e;phase=a%20b;group=x%2Cy%3Bz%3D1%25;producer=%C3%BC%0A"},
	} {
		if got := hlogTag(c.stage, c.label); got != c.want {
			t.Errorf("tag of %s %+v = %q, want %q", c.stage, c.label, got, c.want)
		}
	}
}

func TestHLogWhenTheClockWasSetBack(t *testing.T) {
	m := new(memLog)
	w, _ := newMemWriter(t, m)
	s := seriesOf(5)
	err := errors.Join(w.Plan(samplePlan()),
		w.Interval(&Interval{StartAt: 10e9, EndAt: 11e9, Series: []Series{s}}),
		w.Interval(&Interval{Index: 1, StartAt: 8e9, EndAt: 7e9, Series: []Series{s}}))
	if err != nil {
		t.Fatal(err)
	}
	r, err := openBytes(m.data)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := WriteHLog(&out, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"interval 1 starts 2.000 s before the base time", "\nTag=e2e;phase=measure,0.000,0.000,0.000005,"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, out.String())
		}
	}
}

func TestHLogOfNothingHasAHead(t *testing.T) {
	r, err := openBytes(appendRecord(appendHeader(nil), kindPlan, "{}"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := WriteHLog(&out, r); err != nil || !strings.Contains(out.String(), "format version 1.3") {
		t.Errorf("%v, %q", err, out.String())
	}
}

func TestHLogReportsErrors(t *testing.T) {
	data := sampleLog(t, 1, 5000)
	r, err := openBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteHLog(failingWriter{}, r); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error = %v, want the writer's", err)
	}
	data[len(data)-1] ^= 1 // of the end, which no interval is
	data[r.intervals[0].at+30] ^= 1
	if err := WriteHLog(io.Discard, r); err == nil || !strings.Contains(err.Error(), "changed since") {
		t.Errorf("error = %v, want that the log changed", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
