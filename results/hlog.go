package results

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// WriteHLog writes the run's series as a tagged interval log, version 1.3, as HdrHistogram's tools read it
// (HistogramLogAnalyzer, HistogramLogProcessor, and hdrhistogram-go's reader). Times are in seconds since the base time,
// the interval's maximum is in milliseconds, the values in the histograms are nanoseconds.
//
// The tag is the stage and what the series is split by: e2e;phase=measure;group=viewers;producer=prices. Characters
// that would end a tag or a part of it are written as %XX. Values below zero come as a histogram of their magnitudes
// under the same tag with ;sign=negative. What no histogram holds (overflow, underflow) is said in a comment line.
//
// The histograms are copied as stored, so that hours of them take seconds.
func WriteHLog(w io.Writer, r *Run) error {
	out := bufio.NewWriter(w)
	h := &hlog{out: out, log: hdrhistogram.NewHistogramLogWriter(out)}
	for payload, err := range r.payloads() {
		var in *storedInterval
		if err == nil {
			in, err = decodeStoredInterval(payload)
		}
		if err != nil {
			return fmt.Errorf("write hlog of %s: %w", r.Dir, err)
		}
		if err := h.interval(in); err != nil {
			return fmt.Errorf("write hlog of %s: interval %d: %w", r.Dir, in.Index, err)
		}
	}
	h.head(0) // for a run without intervals
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write hlog of %s: %w", r.Dir, err)
	}
	return nil
}

// hlog writes one interval log. An error of the header's lines stays in out and shows at its Flush.
type hlog struct {
	out    *bufio.Writer
	log    *hdrhistogram.HistogramLogWriter
	headed bool
	baseNS int64
}

// head writes the header once. The library's own lines for the two times drop the milliseconds.
func (h *hlog) head(startNS int64) {
	if h.headed {
		return
	}
	h.headed = true
	h.baseNS = startNS / int64(time.Millisecond) * int64(time.Millisecond)
	base := time.Unix(0, h.baseNS).UTC()
	_ = h.log.OutputComment("[Logged by weir: values in nanoseconds, Interval_Max in milliseconds]")
	_ = h.log.OutputLogFormatVersion()
	_ = h.log.OutputComment(fmt.Sprintf("[BaseTime: %.3f (seconds since epoch)]", seconds(h.baseNS)))
	_ = h.log.OutputComment(fmt.Sprintf("[StartTime: %.3f (seconds since epoch), %s]", seconds(h.baseNS), base.Format(time.RFC3339Nano)))
	_ = h.log.OutputLegend()
}

func (h *hlog) interval(in *storedInterval) error {
	h.head(in.StartAt)
	start := in.StartAt - h.baseNS
	if start < 0 { // the format has no negative times
		_ = h.log.OutputComment(fmt.Sprintf("[interval %d starts %.3f s before the base time, since the clock was set back; its histograms stand at 0]",
			in.Index, seconds(-start)))
		start = 0
	}
	times := fmt.Sprintf("%.3f,%.3f", seconds(start), seconds(max(in.EndAt-in.StartAt, 0)))
	for _, s := range in.Series {
		tag := hlogTag(s.Stage, s.Label)
		if s.Overflow+s.Underflow > 0 {
			_ = h.log.OutputComment(fmt.Sprintf("[%s: at %.3f s, %d values above and %d below ±%v are in no histogram]", tag,
				seconds(start), s.Overflow, s.Underflow, time.Duration(HighestNS)))
		}
		err := errors.Join(
			h.line(tag, times, s.Histogram, s.MaxNS),
			h.line(tag+";sign=negative", times, s.Negative, -s.MinNS))
		if err != nil {
			return err
		}
	}
	return nil
}

// line writes one histogram's line. Its maximum is the exact one, of overflow too.
func (h *hlog) line(tag, times, encoded string, maxNS int64) error {
	if encoded == "" {
		return nil
	}
	if strings.ContainsAny(encoded, ", \t\r\n") {
		return fmt.Errorf("the histogram of %s is not base64", tag)
	}
	_, err := fmt.Fprintf(h.out, "Tag=%s,%s,%.6f,%s\n", tag, times, float64(maxNS)/float64(time.Millisecond), encoded)
	return err
}

func seconds(ns int64) float64 { return float64(ns) / float64(time.Second) }

func hlogTag(stage Stage, label Label) string {
	var b strings.Builder
	writeTagPart(&b, string(stage))
	for _, part := range []struct{ name, value string }{
		{";phase=", label.Phase}, {";group=", label.Group}, {";producer=", label.Producer},
	} {
		if part.value != "" {
			b.WriteString(part.name)
			writeTagPart(&b, part.value)
		}
	}
	return b.String()
}

// writeTagPart writes s with all but printable ASCII, and the characters that part a tag, percent-encoded.
func writeTagPart(b *strings.Builder, s string) {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(",;=%", c) >= 0 {
			fmt.Fprintf(b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
}
