package report

import (
	"bytes"
	"encoding/csv"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weirbench/weir/results"
)

// readCSV returns the lines of a run's intervals.csv by the names of its columns.
func readCSV(t *testing.T, r *results.Run) (header []string, lines []map[string]string) {
	t.Helper()
	var out bytes.Buffer
	if err := IntervalsCSV(&out, r); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != strings.Count(out.String(), "\r\n") {
		t.Errorf("%d line ends, not all of them CRLF (RFC 4180)", n)
	}
	records, err := csv.NewReader(&out).ReadAll() // which refuses lines of another length
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records[1:] {
		line := map[string]string{}
		for i, cell := range record {
			line[records[0][i]] = cell
		}
		lines = append(lines, line)
	}
	return records[0], lines
}

func TestIntervalsCSV(t *testing.T) {
	t.Parallel()
	f := passing()
	r := f.write(t)
	header, lines := readCSV(t, r)
	if want := append([]string(nil), header...); len(slices.Compact(slices.Sorted(slices.Values(want)))) != len(header) {
		t.Errorf("two columns share a name: %q", header)
	}
	if len(lines) != len(f.intervals) {
		t.Fatalf("%d lines for %d intervals", len(lines), len(f.intervals))
	}
	in, line := f.intervals[3], lines[3]
	viewers, desks := in.Series[3], in.Series[7]
	if viewers.Stage != results.StageE2E || desks.Stage != results.StageE2E {
		t.Fatal("the fixture's order of series has changed")
	}
	var both results.Series
	for _, s := range []results.Series{viewers, desks} {
		if err := results.MergeSeries(&both, s); err != nil {
			t.Fatal(err)
		}
	}
	for column, want := range map[string]string{
		"index": "3", "start_at_ns": strconv.FormatInt(in.StartAt, 10), "start_s": "6", "seconds": "2", "phase": "steady",
		"sent": "1000", "expected": "3000", "delivered": "3000", "delivered_per_s": "1500", "stray": "0",
		"e2e_count": "3000", "e2e_p50_ns": strconv.FormatInt(both.Quantile(0.5), 10), "e2e_p99_ns": strconv.FormatInt(both.Quantile(0.99), 10),
		"e2e_max_ns": strconv.FormatInt(both.MaxNS, 10), "send_lag_count": "1000", "round_trip_count": "0", "round_trip_p50_ns": "",
		"clients": "52", "kafka_cpu_share": "0.1", "gateway_rss_bytes": "",
	} {
		if got, ok := line[column]; !ok || got != want {
			t.Errorf("%s is %q (there: %v); want %q", column, got, ok, want)
		}
	}
}

// A name from the scenario is no formula in a spreadsheet, and no further line or cell.
func TestCSVIsSafeFromHostileNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "steady": "steady", "": "",
		"\t=1": " =1", "a\"b,c": "a\"b,c"} {
		f := passing()
		f.intervals = f.intervals[:1]
		f.intervals[0].Phase = text
		_, lines := readCSV(t, f.write(t))
		if got := lines[0]["phase"]; got != want {
			t.Errorf("phase %q is written as %q; want %q", text, got, want)
		}
	}
}

var (
	hgrmHeader = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n"
	hgrmLine   = regexp.MustCompile(`^ *(-?\d+\.\d{3}) ([01]\.\d{12}) +(\d+)(?: +(\d+\.\d{2}))?$`)
	hgrmFooter = regexp.MustCompile(`^#\[Mean    = +[\d.]+, StdDeviation   = +[\d.]+\]\n#\[Max     = +[\d.]+, Total count    = +\d+\]\n#\[Buckets = +\d+, SubBuckets     = +\d+\]\n$`)
)

// The format is that of AbstractHistogram.outputPercentileDistribution, the levels and values are those of the library's
// percentile iterator.
func TestHGRM(t *testing.T) {
	t.Parallel()
	s := recorded(20000, rand.New(rand.NewPCG(8, 9)), 2e6, 0.7).Series(results.StageE2E, results.Label{})
	var out bytes.Buffer
	if err := writePercentiles(&out, s); err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(out.String(), hgrmHeader)
	if !ok {
		t.Fatalf("begins with %q; want %q", out.String()[:60], hgrmHeader)
	}
	body, footer, _ := strings.Cut(text, "#")
	if !hgrmFooter.MatchString("#" + footer) {
		t.Errorf("ends with %q", "#"+footer)
	}
	lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	want := s.Histogram.CumulativeDistributionWithTicks(hgrmTicks)
	if len(lines) != len(want) {
		t.Fatalf("%d lines; the library has %d", len(lines), len(want))
	}
	for i, line := range lines {
		m := hgrmLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("line %d is %q", i, line)
		}
		value, _ := strconv.ParseFloat(m[1], 64)
		level, _ := strconv.ParseFloat(m[2], 64)
		count, _ := strconv.ParseInt(m[3], 10, 64)
		if math.Abs(level*100-want[i].Quantile) > 1e-9 || count != want[i].Count || math.Abs(value*1e6-float64(want[i].ValueAt)) > 1000+0.001*value*1e6 {
			t.Errorf("line %d is %q; the library has %+v", i, line, want[i])
		}
		if last := i == len(lines)-1; last != (m[4] == "") || last && (level != 1 || value != math.Round(milliseconds(s.MaxNS)*1000)/1000) {
			t.Errorf("line %d of %d is %q", i, len(lines), line)
		}
	}
	if got, want := strings.Fields(footer), strconv.FormatFloat(s.Mean()/1e6, 'f', 3, 64)+","; got[2] != want {
		t.Errorf("the mean is %s; want %s", got[2], want)
	}
	// Deviation as the library has it, which counts with the middle of each bucket too.
	if got, want := deviation(s), s.Histogram.StdDev(); math.Abs(got-want) > 0.002*want {
		t.Errorf("the standard deviation is %v; the library has %v", got, want)
	}
}

func TestHGRMOfNothing(t *testing.T) {
	f := passing()
	f.intervals = nil
	var out bytes.Buffer
	if err := HGRM(&out, f.write(t)); err != nil {
		t.Fatal(err)
	}
	if footer, ok := strings.CutPrefix(out.String(), hgrmHeader); !ok || !hgrmFooter.MatchString(footer) {
		t.Errorf("got %q; want the header and the footer", out.String())
	}
}

// What is in no histogram counts all the same.
func TestHGRMCountsOverflow(t *testing.T) {
	var out bytes.Buffer
	if err := writePercentiles(&out, seriesOf(results.StageE2E, results.Label{}, ms, 2*ms, results.HighestNS*2)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), " 1200000.000 1.000000000000          3\n") {
		t.Errorf("the last line is not that of the 20 minutes: %s", out.String())
	}
}
