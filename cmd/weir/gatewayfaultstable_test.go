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

// tally is what happened in a span of a run.
type tally struct {
	from, to  time.Time
	delivered int64
	observed  int64 // records that the observer, a consumer of Kafka beside the clients, read
}

// outage is what a fault did to deliveries over time. A time is never where it lasted until the load was over.
type outage struct {
	silent time.Duration // the longest time without a delivery to anybody
	kafka  time.Duration // the longest time in which the observer read nothing
	served time.Duration // from the fault until all that Kafka had was delivered as it came, for the rest of the load
}

const never = -time.Second

const (
	// leastSilence is what counts as silence: less of it is between any two deliveries on a busy machine.
	leastSilence = 2 * faultInterval
	// Clients are behind where so many messages that the observer has read are not delivered, for so long at a stretch. The
	// observer and the clients are apart by less for a moment on a busy machine.
	behindBy  = 40
	behindFor = 2 * time.Second
)

// outageOf reads what the fault at an instant did from the tallies of a run whose load ended at end.
func outageOf(tallies []tally, at, end time.Time) outage {
	after := slices.DeleteFunc(slices.Clone(tallies), func(t tally) bool { return !t.from.After(at) })
	during := slices.DeleteFunc(slices.Clone(after), func(t tally) bool { return t.to.After(end) })
	silent, over := longestSilence(during, at, func(t tally) int64 { return t.delivered })
	kafka, _ := longestSilence(during, at, func(t tally) int64 { return t.observed })
	caughtUp := behindUntil(after, at, end)
	if silent == never || caughtUp == never {
		return outage{silent, kafka, never}
	}
	return outage{silent, kafka, max(over, caughtUp)}
}

// longestSilence returns for how long nothing of a kind came, and when that was over, counted from at: 0 where it did not
// happen.
func longestSilence(during []tally, at time.Time, count func(tally) int64) (silent, over time.Duration) {
	from := at
	for _, t := range during {
		if count(t) == 0 {
			continue
		}
		if gap := t.from.Sub(from); gap >= leastSilence && gap > silent {
			silent, over = gap, t.from.Sub(at)
		}
		from = t.to
	}
	if n := len(during); n == 0 || during[n-1].to.Sub(from) >= behindFor {
		return never, never
	}
	return silent, over
}

// behindUntil returns until when, counted from at, deliveries were behind: never where they still were at end. What is not
// delivered by the end of the run is lost or unseen, which the account tells: clients are behind by the rest.
func behindUntil(after []tally, at, end time.Time) (until time.Duration) {
	behind := int64(0)
	for _, t := range after {
		behind -= t.observed - t.delivered
	}
	var from time.Time
	for _, t := range after {
		behind += t.observed - t.delivered
		switch {
		case behind > -behindBy && behind < behindBy:
			from = time.Time{}
			continue
		case from.IsZero():
			from = t.from
		}
		if t.to.Sub(from) < behindFor {
			continue
		}
		if t.to.After(end.Add(-behindFor)) {
			return never
		}
		until = t.to.Sub(at)
	}
	return until
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

// outage is what the fault of the run did, or in a run without one what happened while it measured.
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
			switch c.Name {
			case results.CountDelivered:
				t.delivered += c.Value
			case results.CountObserved:
				t.observed += c.Value
			}
		}
		tallies = append(tallies, t)
	}
	begin, end := f.measured(s)
	if f.at.After(begin) {
		begin = f.at
	}
	return outageOf(tallies, begin, end)
}

// faultTable gathers the runs of each row, in the order in which rows come first.
type faultTable struct {
	file string
	rows []*faultRow
}

// faultRow is one gateway's runs under one fault.
type faultRow struct {
	fault   gatewayFault
	gateway faultGateway
	runs    []faultFigures // those that count
	remarks []string       // of each run that has any
	made    int            // of all runs
}

// faultFigures are the figures of one run.
type faultFigures struct {
	results.Classes
	thrown int64
	outage
}

// put adds a run to its row. One with trouble is told of and gives no figures.
func (tab *faultTable) put(s *report.Summary, f *faultRun, trouble string) {
	i := slices.IndexFunc(tab.rows, func(r *faultRow) bool { return r.fault.name == f.fault.name && r.gateway.name == f.gateway.name })
	if i < 0 {
		i = len(tab.rows)
		tab.rows = append(tab.rows, &faultRow{fault: f.fault, gateway: f.gateway})
	}
	row := tab.rows[i]
	row.made++
	remark := faultRemark(s)
	if trouble != "" {
		remark = "not in the table: " + trouble
	} else {
		row.runs = append(row.runs, faultFigures{s.Audit.Classes, s.CountersAll[results.CountThrownOut], f.outage(s)})
	}
	if remark != "" {
		row.remarks = append(row.remarks, fmt.Sprintf("- %s, %s, run %d: %s.", f.fault.name, f.gateway.name, row.made, remark))
	}
}

// faultRemark says what takes from a run's figures; empty for nothing.
func faultRemark(s *report.Summary) string {
	if len(s.Health.Reasons) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: %s", s.Health.State, s.Health.Reasons[0].Text)
}

// write writes the table into its file.
func (tab *faultTable) write() error {
	lines := []string{
		"| fault | gateway | runs | expected | delivered | lost | unseen | undetermined | duplicate | reordered | connections ended | " +
			"nobody served for | Kafka itself silent for | all served again after |",
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
	}
	var faults, gateways, remarks []string
	for _, r := range tab.rows {
		lines = append(lines, r.line())
		faults = append(faults, fmt.Sprintf("- %s: %s.", r.fault.name, r.fault.what))
		gateways = append(gateways, fmt.Sprintf("- %s: %s.", r.gateway.name, r.gateway.why))
		remarks = append(remarks, r.remarks...)
	}
	for _, list := range [][]string{faults, gateways, remarks} {
		lines = append(lines, "")
		for i, line := range list {
			if !slices.Contains(list[:i], line) {
				lines = append(lines, line)
			}
		}
	}
	return os.WriteFile(tab.file, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// line is the row in Markdown: of each figure the least and the most of the runs.
func (r *faultRow) line() string {
	cells := []string{r.fault.name, r.gateway.name, fmt.Sprint(len(r.runs))}
	for _, figure := range []func(faultFigures) int64{
		func(f faultFigures) int64 { return f.Expected }, func(f faultFigures) int64 { return f.Delivered },
		func(f faultFigures) int64 { return f.Lost }, func(f faultFigures) int64 { return f.Unseen },
		func(f faultFigures) int64 { return f.Undetermined }, func(f faultFigures) int64 { return f.Duplicate },
		func(f faultFigures) int64 { return f.Reordered }, func(f faultFigures) int64 { return f.thrown },
	} {
		if len(r.runs) == 0 {
			cells = append(cells, "–")
			continue
		}
		least, most := figure(r.runs[0]), figure(r.runs[0])
		for _, run := range r.runs[1:] {
			least, most = min(least, figure(run)), max(most, figure(run))
		}
		cells = append(cells, spanText(fmt.Sprint(least), fmt.Sprint(most)))
	}
	served := ""
	if r.fault.do != nil && len(r.runs) > 0 { // nobody is back for good where clients come and go
		served = r.times(func(f faultFigures) time.Duration { return f.served })
	}
	cells = append(cells, r.times(func(f faultFigures) time.Duration { return f.silent }),
		r.times(func(f faultFigures) time.Duration { return f.kafka }), served)
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
	if len(r.runs) == 0 {
		return "–"
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

// TestOutage: what is told of time comes from what was delivered and what Kafka had.
func TestOutage(t *testing.T) {
	const ms = time.Millisecond
	start := time.Unix(1000, 0)
	type part struct{ intervals, delivered, observed int64 }
	load := func(parts ...part) (tallies []tally) {
		for _, p := range parts {
			for range p.intervals {
				from := start.Add(time.Duration(len(tallies)) * faultInterval)
				tallies = append(tallies, tally{from, from.Add(faultInterval), p.delivered, p.observed})
			}
		}
		return tallies
	}
	for _, c := range []struct {
		name    string
		tallies []tally
		want    outage
	}{
		{"nothing happens", load(part{100, 20, 20}), outage{0, 0, 0}},
		{"silence, what was sent is lost", load(part{10, 20, 20}, part{30, 0, 20}, part{60, 20, 20}), outage{3000 * ms, 0, 3000 * ms}},
		{"silence, what was sent comes later", load(part{10, 20, 20}, part{30, 0, 20}, part{1, 620, 20}, part{59, 20, 20}),
			outage{3000 * ms, 0, 3000 * ms}},
		{"silence of Kafka", load(part{10, 20, 20}, part{30, 0, 0}, part{1, 620, 620}, part{59, 20, 20}), outage{3000 * ms, 3000 * ms, 3000 * ms}},
		{"a silence longer than Kafka's", load(part{10, 20, 20}, part{20, 0, 0}, part{1, 0, 420}, part{9, 0, 20}, part{60, 20, 20}),
			outage{3000 * ms, 2000 * ms, 3000 * ms}},
		{"a short silence", load(part{12, 20, 20}, part{3, 0, 20}, part{85, 20, 20}), outage{300 * ms, 0, 500 * ms}},
		{"too short to count", load(part{12, 20, 20}, part{1, 0, 20}, part{87, 20, 20}), outage{0, 0, 0}},
		{"the observer stalls", load(part{40, 20, 20}, part{15, 20, 0}, part{1, 20, 320}, part{44, 20, 20}), outage{0, 1500 * ms, 0}},
		{"silence to the end", load(part{10, 20, 20}, part{90, 0, 20}), outage{never, 0, never}},
		{"some are served late", load(part{10, 20, 20}, part{10, 0, 20}, part{40, 14, 20}, part{40, 20, 20}), outage{1000 * ms, 0, 4300 * ms}},
		{"some are served when the load is over", load(part{10, 20, 20}, part{10, 0, 20}, part{80, 14, 20}, part{1, 480, 0}),
			outage{1000 * ms, 0, never}},
		{"some are never served again", load(part{10, 20, 20}, part{10, 0, 20}, part{80, 14, 20}), outage{1000 * ms, 0, never}},
		{"no load after the fault", load(part{10, 20, 20}), outage{never, never, never}},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, end := start.Add(10*faultInterval-1), start.Add(min(time.Duration(len(c.tallies)), 100)*faultInterval)
			got := outageOf(c.tallies, at, end)
			for _, d := range []*time.Duration{&got.silent, &got.kafka, &got.served} {
				*d = d.Truncate(ms)
			}
			if got != c.want {
				t.Errorf("got %+v; want %+v", got, c.want)
			}
		})
	}
}

// TestFaultRow: a row tells the least and the most of its runs, and nothing where none counts.
func TestFaultRow(t *testing.T) {
	fault, gateway := gatewayFault{name: "killed", do: (*faultRun).crash}, faultGateway{name: "one"}
	run := func(lost int64, silent, served time.Duration) faultFigures {
		return faultFigures{
			Classes: results.Classes{Expected: 100, Delivered: 100 - lost, Lost: lost}, thrown: 20, outage: outage{silent, 0, served},
		}
	}
	first, other := run(0, time.Second, 1200*time.Millisecond), run(30, 2500*time.Millisecond, never)
	for _, c := range []struct {
		name string
		row  faultRow
		want string
	}{
		{"ranges", faultRow{fault: fault, gateway: gateway, runs: []faultFigures{first, other}},
			"| killed | one | 2 | 100 | 70–100 | 0–30 | 0 | 0 | 0 | 0 | 20 | 1.0–2.5 s | 0.0 s | 1.2 s; 1 of 2 not within the run |"},
		{"one run", faultRow{fault: fault, gateway: gateway, runs: []faultFigures{other}},
			"| killed | one | 1 | 100 | 70 | 30 | 0 | 0 | 0 | 0 | 20 | 2.5 s | 0.0 s | not within the run |"},
		{"clients come and go", faultRow{fault: gatewayFault{name: "churn"}, gateway: gateway, runs: []faultFigures{first}},
			"| churn | one | 1 | 100 | 100 | 0 | 0 | 0 | 0 | 0 | 20 | 1.0 s | 0.0 s |  |"},
		{"no run counts", faultRow{fault: fault, gateway: gateway}, "| killed | one | 0 | – | – | – | – | – | – | – | – | – | – |  |"},
	} {
		if got := c.row.line(); got != c.want {
			t.Errorf("%s: got %s; want %s", c.name, got, c.want)
		}
	}
}
