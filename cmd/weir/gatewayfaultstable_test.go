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

// outageOf reads what the fault at an instant did from the tallies of a load that ended at end.
func outageOf(tallies []tally, at, end time.Time) outage {
	var during []tally
	for _, t := range tallies {
		if t.from.After(at) && !t.to.After(end) {
			during = append(during, t)
		}
	}
	silent, over := longestSilence(during, at, func(t tally) int64 { return t.delivered })
	kafka, _ := longestSilence(during, at, func(t tally) int64 { return t.observed })
	caughtUp := behindUntil(during, at)
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

// behindUntil returns until when, counted from at, deliveries were behind what they came to in the end: what is lost by
// then is lost, and the others came as the observer read them.
func behindUntil(during []tally, at time.Time) (until time.Duration) {
	behind := int64(0)
	for _, t := range during {
		behind += t.observed - t.delivered
	}
	lost, from := behind, time.Time{}
	behind = 0
	for _, t := range during {
		behind += t.observed - t.delivered
		switch off := behind - lost; {
		case off > -behindBy && off < behindBy:
			from = time.Time{}
		case from.IsZero():
			from = t.from
		case t.to.Sub(from) >= behindFor:
			until = t.to.Sub(at)
		}
	}
	if n := len(during); n > 0 && until > during[n-1].to.Sub(at)-behindFor {
		return never
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
			switch c.Name {
			case results.CountDelivered:
				t.delivered += c.Value
			case results.CountObserved:
				t.observed += c.Value
			}
		}
		tallies = append(tallies, t)
	}
	_, end := f.measured(s)
	return outageOf(tallies, f.at, end)
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
	runs    []faultFigures
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
	i := slices.IndexFunc(tab.rows, func(r *faultRow) bool { return r.fault.name == f.fault.name && r.gateway.name == f.gateway.name })
	if i < 0 {
		i = len(tab.rows)
		tab.rows = append(tab.rows, &faultRow{fault: f.fault, gateway: f.gateway})
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
			"nobody served for | Kafka itself silent for | all served again after |",
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
	}
	var faults, gateways, remarks []string
	for _, r := range tab.rows {
		lines = append(lines, r.line())
		faults = append(faults, fmt.Sprintf("- %s: %s.", r.fault.name, r.fault.what))
		gateways = append(gateways, fmt.Sprintf("- %s: %s.", r.gateway.name, r.gateway.why))
		for i, run := range r.runs {
			if run.remark != "" {
				remarks = append(remarks, fmt.Sprintf("- %s, %s, run %d: %s", r.fault.name, r.gateway.name, i+1, run.remark))
			}
		}
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
		least, most := figure(r.runs[0]), figure(r.runs[0])
		for _, run := range r.runs[1:] {
			least, most = min(least, figure(run)), max(most, figure(run))
		}
		cells = append(cells, spanText(fmt.Sprint(least), fmt.Sprint(most)))
	}
	if !r.runs[0].timed {
		return "| " + strings.Join(append(cells, "", "", ""), " | ") + " |"
	}
	cells = append(cells, r.times(func(f faultFigures) time.Duration { return f.silent }),
		r.times(func(f faultFigures) time.Duration { return f.kafka }), r.times(func(f faultFigures) time.Duration { return f.served }))
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
		{"some are never served again", load(part{10, 20, 20}, part{10, 0, 20}, part{80, 14, 20}), outage{1000 * ms, 0, never}},
		{"no load after the fault", load(part{10, 20, 20}), outage{never, never, never}},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, end := start.Add(10*faultInterval-1), start.Add(time.Duration(len(c.tallies))*faultInterval)
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
