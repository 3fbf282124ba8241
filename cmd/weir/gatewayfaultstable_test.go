package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

// tally is what was delivered in a span of a run.
type tally struct {
	from, to  time.Time
	delivered int64
}

// outage is what a fault did to deliveries over time. Either is never where it lasted until the load was over.
type outage struct {
	silent time.Duration // the longest time without a delivery to anybody
	served time.Duration // from the fault until that was over, and deliveries kept the rate for the rest of the load
}

const never = -time.Second

const (
	// leastSilence is what counts as silence: less of it is between any two deliveries on a busy machine.
	leastSilence = 2 * faultInterval
	// Deliveries keep the rate where each window, of which one begins with each interval, has so much of what is due.
	servedWindow = 2 * time.Second
	servedShare  = 0.85
)

// outageOf reads what the fault at an instant did from the tallies of a load that ended at end. rate is how many deliveries
// a second are due.
func outageOf(tallies []tally, at, end time.Time, rate float64) outage {
	var during []tally
	for _, t := range tallies {
		if t.from.After(at) && !t.to.After(end) {
			during = append(during, t)
		}
	}
	silent, over := longestSilence(during, at)
	keeps := rateKept(during, at, rate)
	switch {
	case silent == never:
		return outage{never, never}
	case keeps == never:
		return outage{silent, never}
	}
	return outage{silent, max(over, keeps)}
}

// longestSilence returns how long nobody was served, and when that was over, from at on: 0 where it did not happen.
func longestSilence(during []tally, at time.Time) (silent, over time.Duration) {
	from := at
	for _, t := range during {
		if t.delivered == 0 {
			continue
		}
		if gap := t.from.Sub(from); gap >= leastSilence && gap > silent {
			silent, over = gap, t.from.Sub(at)
		}
		from = t.to
	}
	if n := len(during); n == 0 || during[n-1].to.Sub(from) >= servedWindow {
		return never, never
	}
	return silent, over
}

// rateKept returns from when on, counted from at, deliveries kept the rate: 0 where they always did.
func rateKept(during []tally, at time.Time, rate float64) (from time.Duration) {
	window := int(servedWindow / faultInterval)
	for i := range len(during) - window + 1 {
		n := int64(0)
		for _, t := range during[i : i+window] {
			n += t.delivered
		}
		if float64(n) >= servedShare*rate*during[i+window-1].to.Sub(during[i].from).Seconds() {
			continue
		}
		if i == len(during)-window {
			return never
		}
		// Where nothing came before, and all after, this window would be the first to have enough.
		from = during[i+1].from.Add(time.Duration((1 - servedShare) * float64(servedWindow))).Sub(at)
	}
	return from
}

// measured is when the run's measure phase began and ended.
func (f *faultRun) measured(s *report.Summary) (begin, end time.Time) {
	f.t.Helper()
	run, err := results.Open(s.Dir)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, e := range run.Events {
		if e.Kind == results.EventPhase && e.Phase == "steady" {
			begin = time.Unix(0, e.AtNS)
		}
	}
	return begin, begin.Add(f.fault.measure)
}

// outage is what the fault of the run did.
func (f *faultRun) outage(s *report.Summary) outage {
	f.t.Helper()
	run, err := results.Open(s.Dir)
	if err != nil {
		f.t.Fatal(err)
	}
	var tallies []tally
	for iv, err := range run.Intervals() {
		if err != nil {
			f.t.Fatal(err)
		}
		t := tally{from: time.Unix(0, iv.StartAt), to: time.Unix(0, iv.EndAt)}
		for _, c := range iv.Counters {
			if c.Name == results.CountDelivered {
				t.delivered += c.Value
			}
		}
		tallies = append(tallies, t)
	}
	_, end := f.measured(s)
	return outageOf(tallies, f.at, end, faultRate)
}

// faultTable gathers the runs of each row, in the order in which rows come first.
type faultTable struct {
	file string
	rows []*faultRow
}

// faultRow is one gateway's runs under one fault.
type faultRow struct {
	fault, gateway string
	runs           []faultFigures
}

// faultFigures are the figures of one run.
type faultFigures struct {
	results.Classes
	thrown int64
	timed  bool // the run had a fault to be timed from
	outage
	remark string
}

// put adds a run to its row.
func (tab *faultTable) put(s *report.Summary, f *faultRun) {
	fault, gateway := f.fault.name, f.gateway.name
	i := slices.IndexFunc(tab.rows, func(r *faultRow) bool { return r.fault == fault && r.gateway == gateway })
	if i < 0 {
		i = len(tab.rows)
		tab.rows = append(tab.rows, &faultRow{fault: fault, gateway: gateway})
	}
	run := faultFigures{Classes: s.Audit.Classes, thrown: s.CountersAll[results.CountThrownOut], timed: f.fault.do != nil, remark: faultRemark(s)}
	if run.timed {
		run.outage = f.outage(s)
	}
	tab.rows[i].runs = append(tab.rows[i].runs, run)
}

// faultRemark says what takes from a run's figures; empty for nothing.
func faultRemark(s *report.Summary) string {
	if s.Run.Error != "" {
		return "the run failed: " + s.Run.Error
	}
	for _, r := range s.Health.Reasons {
		if r.State == report.HealthInvalid {
			return "invalid: " + r.Text
		}
	}
	return ""
}

// write writes the table into its file.
func (tab *faultTable) write() error {
	lines := []string{
		"| fault | gateway | runs | expected | delivered | lost | unseen | undetermined | duplicate | reordered | connections ended | " +
			"nobody served for | all served again after |",
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
	}
	var remarks []string
	for _, r := range tab.rows {
		lines = append(lines, r.line())
		for i, run := range r.runs {
			if run.remark != "" {
				remarks = append(remarks, fmt.Sprintf("- %s, %s, run %d: %s", r.fault, r.gateway, i+1, run.remark))
			}
		}
	}
	if len(remarks) > 0 {
		lines = append(lines, "")
		lines = append(lines, remarks...)
	}
	return os.WriteFile(tab.file, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// line is the row in Markdown: of each figure the least and the most of the runs.
func (r *faultRow) line() string {
	cells := []string{r.fault, r.gateway, fmt.Sprint(len(r.runs))}
	for _, figure := range []func(faultFigures) int64{
		func(f faultFigures) int64 { return f.Expected }, func(f faultFigures) int64 { return f.Delivered },
		func(f faultFigures) int64 { return f.Lost }, func(f faultFigures) int64 { return f.Unseen },
		func(f faultFigures) int64 { return f.Undetermined }, func(f faultFigures) int64 { return f.Duplicate },
		func(f faultFigures) int64 { return f.Reordered }, func(f faultFigures) int64 { return f.thrown },
	} {
		least, most := figure(r.runs[0]), figure(r.runs[0])
		for _, run := range r.runs[1:] {
			least, most = min(least, figure(run)), max(most, figure(run))
		}
		cells = append(cells, spanText(fmt.Sprint(least), fmt.Sprint(most)))
	}
	if !r.runs[0].timed {
		return "| " + strings.Join(append(cells, "", ""), " | ") + " |"
	}
	cells = append(cells, r.times(func(f faultFigures) time.Duration { return f.silent }),
		r.times(func(f faultFigures) time.Duration { return f.served }))
	return "| " + strings.Join(cells, " | ") + " |"
}

// times is the least and the most of a time; what lasted until the load was over is longer than any.
func (r *faultRow) times(of func(faultFigures) time.Duration) string {
	var all []time.Duration
	nevers := 0
	for _, run := range r.runs {
		if d := of(run); d == never {
			nevers++
		} else {
			all = append(all, d)
		}
	}
	if len(all) == 0 {
		return "not within the run"
	}
	text := spanText(secondsText(slices.Min(all)), secondsText(slices.Max(all))) + " s"
	if nevers > 0 {
		text += fmt.Sprintf("; %d of %d not within the run", nevers, len(r.runs))
	}
	return text
}

func spanText(least, most string) string {
	if least == most {
		return least
	}
	return least + "–" + most
}

func secondsText(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }

// TestOutage: what is told of time comes from the deliveries alone.
func TestOutage(t *testing.T) {
	const interval = 100 * time.Millisecond
	start := time.Unix(1000, 0)
	load := func(spans ...int64) (tallies []tally) { // pairs: so many intervals of so many deliveries each
		for i := 0; i < len(spans); i += 2 {
			for range spans[i] {
				from := start.Add(time.Duration(len(tallies)) * interval)
				tallies = append(tallies, tally{from, from.Add(interval), spans[i+1]})
			}
		}
		return tallies
	}
	for _, c := range []struct {
		name    string
		tallies []tally
		want    outage
	}{
		{"nothing happens", load(100, 20), outage{0, 0}},
		{"silence, what was sent is lost", load(10, 20, 30, 0, 60, 20), outage{3 * time.Second, 3 * time.Second}},
		{"silence, what was sent comes later", load(10, 20, 30, 0, 1, 620, 59, 20), outage{3 * time.Second, 3 * time.Second}},
		{"a short silence", load(12, 20, 3, 0, 1, 80, 84, 20), outage{300 * time.Millisecond, 500 * time.Millisecond}},
		{"too short to count", load(12, 20, 1, 0, 1, 40, 86, 20), outage{0, 0}},
		{"silence to the end", load(10, 20, 90, 0), outage{never, never}},
		{"a burst, and some are served late", load(10, 20, 10, 0, 1, 220, 39, 14, 40, 20), outage{time.Second, 4300 * time.Millisecond}},
		{"a burst, and some are never served again", load(10, 20, 10, 0, 1, 220, 79, 14), outage{time.Second, never}},
		{"no load after the fault", load(10, 20), outage{never, never}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := outageOf(c.tallies, start.Add(10*interval-1), start.Add(time.Duration(len(c.tallies))*interval), 200)
			got.silent, got.served = got.silent.Truncate(time.Millisecond), got.served.Truncate(time.Millisecond)
			if got != c.want {
				t.Errorf("got %+v; want %+v", got, c.want)
			}
		})
	}
}
