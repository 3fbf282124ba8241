package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/weirbench/weir/results"
)

// IntervalsCSV writes the run's intervals as comma-separated values (RFC 4180): a header and a line for each interval,
// all of it as recorded, warm-up and drain included. The columns are
//
//   - index, start_at_ns and end_at_ns (Unix), start_s (since the first interval), seconds, phase;
//   - each counter over the interval, by its name, over all labels, and sent, acked and delivered per second;
//   - for each stage its count, p50, p90, p99 and maximum in nanoseconds, over all labels;
//   - each gauge at the interval's end, by its name.
//
// A cell is empty where nothing was measured. A text that a spreadsheet would take for a formula gets an apostrophe.
func IntervalsCSV(w io.Writer, r *results.Run) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	err := out.Write(csvHeader())
	first := int64(0)
	for in, readErr := range r.Intervals() {
		if readErr != nil {
			return fmt.Errorf("write csv: %w", readErr)
		}
		if first == 0 {
			first = in.StartAt
		}
		row, rowErr := csvRow(in, first)
		if rowErr != nil {
			return fmt.Errorf("write csv: interval %d: %w", in.Index, rowErr)
		}
		if err == nil {
			err = out.Write(row)
		}
	}
	out.Flush()
	if err == nil {
		err = out.Error()
	}
	if err != nil {
		return fmt.Errorf("write csv: %w", err)
	}
	return nil
}

func csvCounters() []string {
	return []string{results.CountSent, results.CountAcked, results.CountRefused, results.CountUndetermined, results.CountLate,
		results.CountOverflow, results.CountExpected, results.CountDelivered, results.CountDuplicate, results.CountReordered,
		results.CountCorrupt, results.CountStray, results.CountEarly, results.CountForeign, results.CountBytes, results.CountReads,
		results.CountCoalesced, results.CountConnected, results.CountConnectFail, results.CountThrownOut, results.CountLeft,
		results.CountObserved, results.CountReportedShed, results.CountReturns, results.CountResumed, results.CountResumeFailed,
		results.CountReplayed, results.CountReplayedLeave}
}

func csvRates() []string {
	return []string{results.CountSent, results.CountAcked, results.CountDelivered}
}

func csvGauges() []string {
	return []string{results.GaugeClients, results.GaugeUnsettled, results.GaugeMissingSoFar, results.GaugeGeneratorCPU,
		results.GaugeGatewayCPU, results.GaugeKafkaCPU, results.GaugeMachineBusy, results.GaugeGeneratorRSS, results.GaugeGatewayRSS,
		results.GaugeKafkaRSS, results.GaugeGCPauseMax, results.GaugeClockOffset, results.GaugeDescriptors,
		results.GaugeGatewayDescriptors, results.GaugeForeignCPU, results.GaugeRunQueue, results.GaugePacingWait, results.GaugeGCCount,
		results.GaugeGCCPU, results.GaugeGoCPU, results.GaugeSegments, results.GaugeRetransmits, results.GaugeListenOverflows, results.GaugeListenDrops, results.GaugeFullReceiveBuffers}
}

func csvHeader() []string {
	header := []string{"index", "start_at_ns", "end_at_ns", "start_s", "seconds", "phase"}
	header = append(header, csvCounters()...)
	for _, name := range csvRates() {
		header = append(header, name+"_per_s")
	}
	for _, stage := range stageOrder() {
		for _, figure := range []string{"count", "p50_ns", "p90_ns", "p99_ns", "max_ns"} {
			header = append(header, string(stage)+"_"+figure)
		}
	}
	return append(header, csvGauges()...)
}

func csvRow(in *results.Interval, first int64) ([]string, error) {
	whole := func(n int64) string { return strconv.FormatInt(n, 10) }
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	length := time.Duration(in.EndAt - in.StartAt).Seconds()
	row := []string{strconv.Itoa(in.Index), whole(in.StartAt), whole(in.EndAt), number(time.Duration(in.StartAt - first).Seconds()),
		number(length), csvText(in.Phase)}
	counts := map[string]int64{}
	for _, c := range in.Counters {
		counts[c.Name] += c.Value
	}
	for _, name := range csvCounters() {
		row = append(row, whole(counts[name]))
	}
	for _, name := range csvRates() {
		if length > 0 {
			row = append(row, number(float64(counts[name])/length))
		} else {
			row = append(row, "")
		}
	}
	stages, err := mergeByStage(in)
	if err != nil {
		return nil, err
	}
	for _, stage := range stageOrder() {
		s := stages[stage]
		if s.Count() == 0 {
			row = append(row, "0", "", "", "", "")
			continue
		}
		row = append(row, whole(s.Count()), whole(s.Quantile(0.5)), whole(s.Quantile(0.9)), whole(s.Quantile(0.99)), whole(s.MaxNS))
	}
	for _, name := range csvGauges() {
		if v, ok := in.Gauges[name]; ok {
			row = append(row, number(v))
		} else {
			row = append(row, "")
		}
	}
	return row, nil
}

// mergeByStage merges an interval's series over their labels. One that is alone is taken as it is.
func mergeByStage(in *results.Interval) (map[results.Stage]results.Series, error) {
	var set results.SeriesSet
	alone := map[results.Stage]results.Series{}
	several := map[results.Stage]int{}
	for _, s := range in.Series {
		several[s.Stage]++
		alone[s.Stage] = s
	}
	for _, s := range in.Series {
		if several[s.Stage] > 1 {
			if err := set.Add(s); err != nil {
				return nil, err
			}
		}
	}
	for stage, n := range several {
		if n > 1 {
			alone[stage] = set.Get(stage, nil)
		}
	}
	return alone, nil
}

// csvText makes a text safe for spreadsheets: one that begins like a formula is taken for one otherwise (OWASP, CSV
// injection).
func csvText(s string) string {
	s = clean(s)
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}
