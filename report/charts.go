package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// chart is one chart as the page's script draws it, and its numbers as the table below it has them.
type chart struct {
	ID     string     `json:"id"`
	Title  string     `json:"title"`
	X      string     `json:"x"` // time: seconds since the start; percentile: 1/(1−p)
	Log    bool       `json:"log"`
	XS     []float64  `json:"xs"`
	Lines  []line     `json:"lines"`
	Aside  string     `json:"-"`
	Header []string   `json:"-"`
	Rows   [][]string `json:"-"`
}

// line is one series of a chart. A nil value is a gap.
type line struct {
	Label  string     `json:"label"`
	Unit   string     `json:"unit"` // ns, per_s, count, cores, bytes or percent
	Color  string     `json:"color"`
	Dash   bool       `json:"dash,omitempty"`
	Right  bool       `json:"right,omitempty"` // has the axis on the right
	Step   bool       `json:"step,omitempty"`
	Values []*float64 `json:"values"`
}

// empty reports whether there is nothing to draw.
func (c *chart) empty() bool {
	for _, l := range c.Lines {
		for _, v := range l.Values {
			if v != nil {
				return false
			}
		}
	}
	return true
}

// keepDrawable drops the lines without any value.
func (c *chart) keepDrawable() {
	var kept []line
	for _, l := range c.Lines {
		if one := (chart{Lines: []line{l}}); !one.empty() {
			kept = append(kept, l)
		}
	}
	c.Lines = kept
}

func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// drawn is the chart as the script gets it: six digits are more than it shows, and a third of the file. Counts stay whole.
func (c chart) drawn() chart {
	lines := make([]line, len(c.Lines))
	for i, l := range c.Lines {
		values := make([]*float64, len(l.Values))
		for k, v := range l.Values {
			if v == nil || l.Unit == "count" || *v == 0 {
				values[k] = v
				continue
			}
			scale := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(*v))))
			values[k] = number(math.Round(*v*scale) / scale)
		}
		l.Values = values
		lines[i] = l
	}
	c.Lines = lines
	return c
}

// momentLine says how a line's value is read off a moment; ok is false for a gap.
type momentLine struct {
	line
	at func(m *moment) (v float64, ok bool)
}

// charts over time, by the section that they stand in.
type sections struct{ lead, load, resources, generator []chart }

func timeCharts(t *timeline, limits []scenarios.Threshold) sections {
	latency := timeChart(t, "latency-time", "End-to-end latency over time", true,
		medianLine("c1", e2eOf), p99Line("c2", e2eOf), maxLine("c3", e2eOf))
	latency.Aside = "Of what was read in each interval, whatever phase it was due in. The first reads after a stall carry the whole of it. Percentiles have a gap where fewer than ten values lie above them." + t.merged()
	latency.addLimits(limits)
	missing := timeChart(t, "missing-time", "Missing so far", false,
		gaugeLine("missing", "c3", "count", 1, results.GaugeMissingSoFar))
	missing.Aside = "Expected less delivered of the measure phases; what is only under way is part of it."
	return sections{
		lead: []chart{latency},
		load: []chart{
			timeChart(t, "deliveries-time", "Deliveries against expectation", false,
				counterLine("expected", "c4", true, results.CountExpected), counterLine("delivered", "c1", false, results.CountDelivered)),
			missing,
			timeChart(t, "clients-time", "Connected clients", false, gaugeLine("clients", "c1", "count", 1, results.GaugeClients)),
		},
		resources: []chart{
			timeChart(t, "cpu-time", "Processor time, in cores, and how busy the machine was", false,
				gaugeLine("gateway", "c2", "cores", 1, results.GaugeGatewayCPU), gaugeLine("kafka", "c3", "cores", 1, results.GaugeKafkaCPU),
				gaugeLine("generator", "c1", "cores", 1, results.GaugeGeneratorCPU),
				onTheRight(gaugeLine("machine busy", "c4", "percent", 100, results.GaugeMachineBusy))),
			timeChart(t, "memory-time", "Resident memory", false,
				gaugeLine("gateway", "c2", "bytes", 1, results.GaugeGatewayRSS), gaugeLine("kafka", "c3", "bytes", 1, results.GaugeKafkaRSS),
				gaugeLine("generator", "c1", "bytes", 1, results.GaugeGeneratorRSS)),
		},
		generator: []chart{timeChart(t, "sendlag-time", "Send lag: how late the generator sent", true,
			medianLine("c1", sendLagOf), p99Line("c2", sendLagOf), maxLine("c3", sendLagOf))},
	}
}

// addLimits draws limits across a chart of latency, as far as they are not so far above it that it would be flat.
func (c *chart) addLimits(limits []scenarios.Threshold) {
	highest := 0.0
	for _, l := range c.Lines {
		for _, v := range l.Values {
			if v != nil {
				highest = max(highest, *v)
			}
		}
	}
	drawn := 0
	for _, t := range limits {
		if t.Value <= 0 || t.Value > 30*highest || drawn == 2 {
			continue
		}
		_, stat := t.Subject()
		l := line{Label: clean(stat + " limit " + formatBound(t.Value, t.Unit)), Unit: t.Unit, Color: "bad", Dash: true, Values: make([]*float64, len(c.XS))}
		for i := range l.Values {
			l.Values[i] = number(t.Value)
		}
		c.Lines = append(c.Lines, l)
		drawn++
	}
}

// latencyLimits are the plan's upper limits of end-to-end latency that hold for all of it.
func latencyLimits(p *scenarios.Plan) (limits []scenarios.Threshold) {
	for _, t := range p.Thresholds {
		if subject, _ := t.Subject(); subject == string(results.StageE2E) && len(t.Filters) == 0 && (t.Op == "<" || t.Op == "<=") {
			limits = append(limits, t)
		}
	}
	return limits
}

// merged says how many intervals a point stands for, where it is several.
func (t *timeline) merged() string {
	if t.every < 2 {
		return ""
	}
	return fmt.Sprintf(" The run has more intervals than a chart has points: in all charts over time and their tables a point is %d intervals merged; intervals.csv has each.", t.every)
}

func onTheRight(l momentLine) momentLine {
	l.Right, l.Dash = true, true
	return l
}

func e2eOf(m *moment) distribution     { return m.e2e }
func sendLagOf(m *moment) distribution { return m.sendLag }

func medianLine(color string, of func(*moment) distribution) momentLine {
	return momentLine{line{Label: "p50", Unit: "ns", Color: color}, func(m *moment) (float64, bool) {
		d := of(m)
		return float64(d.p50), supports(0.5, d.count)
	}}
}

func p99Line(color string, of func(*moment) distribution) momentLine {
	return momentLine{line{Label: "p99", Unit: "ns", Color: color}, func(m *moment) (float64, bool) {
		d := of(m)
		return float64(d.p99), supports(0.99, d.count)
	}}
}

func maxLine(color string, of func(*moment) distribution) momentLine {
	return momentLine{line{Label: "max", Unit: "ns", Color: color}, func(m *moment) (float64, bool) {
		d := of(m)
		return float64(d.max), d.count > 0
	}}
}

func counterLine(label, color string, dash bool, name string) momentLine {
	return momentLine{line{Label: label, Unit: "per_s", Color: color, Dash: dash, Step: true}, func(m *moment) (float64, bool) {
		return m.rate(name), true
	}}
}

func gaugeLine(label, color, unit string, times float64, name string) momentLine {
	return momentLine{line{Label: label, Unit: unit, Color: color}, func(m *moment) (float64, bool) {
		v, ok := m.gauges[name]
		return v * times, ok
	}}
}

func timeChart(t *timeline, id, title string, log bool, lines ...momentLine) chart {
	c := chart{ID: id, Title: title, X: "time", Log: log, Header: []string{"time", "phase"}}
	for i := range t.moments {
		c.XS = append(c.XS, sinceStart(t, t.moments[i].endAt))
	}
	for _, l := range lines {
		for i := range t.moments {
			v, ok := l.at(&t.moments[i])
			if !ok {
				l.Values = append(l.Values, nil)
				continue
			}
			l.Values = append(l.Values, number(v))
		}
		c.Lines = append(c.Lines, l.line)
	}
	c.keepDrawable()
	for _, l := range c.Lines {
		c.Header = append(c.Header, l.Label)
	}
	for i := range t.moments {
		row := []string{timeText(c.XS[i]), clean(t.moments[i].phase)}
		for _, l := range c.Lines {
			row = append(row, cellText(l.Values[i], l.Unit))
		}
		c.Rows = append(c.Rows, row)
	}
	if log {
		hideNonPositive(&c)
	}
	return c
}

// hideNonPositive leaves out of the drawing what a logarithmic axis has no place for; the table keeps it.
func hideNonPositive(c *chart) {
	for i := range c.Lines {
		values := make([]*float64, len(c.Lines[i].Values))
		for k, v := range c.Lines[i].Values {
			if v != nil && *v > 0 {
				values[k] = v
			}
		}
		c.Lines[i].Values = values
	}
}

// timeText writes a time since the start.
func timeText(seconds float64) string { return fmt.Sprintf("%.1f s", seconds) }

// sinceStart is in seconds, to the millisecond.
func sinceStart(t *timeline, at int64) float64 {
	return math.Round(float64(at-t.moments[0].startAt)/1e6) / 1e3
}

func cellText(v *float64, unit string) string {
	switch {
	case v == nil:
		return unsupportedMark
	case unit == "percent":
		return fmt.Sprintf("%.1f%%", *v)
	}
	return formatValue(*v, unit)
}

// curveStages are the lines of the percentile curve.
func curveStages() []struct {
	label, color string
	stage        results.Stage
	dash         bool
} {
	return []struct {
		label, color string
		stage        results.Stage
		dash         bool
	}{
		{"end to end", "c1", results.StageE2E, false},
		{"uncorrected", "c1", results.StageE2EUncorrected, true},
		{"kafka", "c2", results.StageKafka, false},
		{"gateway", "c4", results.StageGateway, false},
	}
}

// percentileCurve is latency over 1/(1−p), so that each further nine has the same width. A line ends where fewer than
// ten values lie above.
func percentileCurve(t *timeline, expected int64) chart {
	c := chart{ID: "percentiles", Title: "Latency by percentile", X: "percentile", Log: true, Header: []string{"percentile"},
		Aside: "Each line ends where fewer than ten values lie above it. Uncorrected is counted from the actual send, end to end from when the message was due."}
	all := map[string]results.Series{}
	longest := expected
	for _, st := range curveStages() {
		s := t.curve.Get(st.stage, nil)
		all[st.label] = s
		longest = max(longest, s.Count())
	}
	xs := curveGrid(longest)
	c.XS = xs
	for _, st := range curveStages() {
		s := all[st.label]
		l := line{Label: st.label, Unit: "ns", Color: st.color, Dash: st.dash}
		l.Values = curveValues(xs, s, s.Count())
		c.Lines = append(c.Lines, l)
		if st.stage == results.StageE2E && expected > s.Count() {
			c.Lines = append(c.Lines, line{Label: "over expected", Unit: "ns", Color: "c3", Values: curveValues(xs, s, expected)})
		}
	}
	c.keepDrawable()
	c.Rows = curveRows(&c, xs)
	for _, l := range c.Lines {
		c.Header = append(c.Header, l.Label)
	}
	hideNonPositive(&c)
	return c
}

func curveValues(xs []float64, s results.Series, total int64) []*float64 {
	values := make([]*float64, len(xs))
	for i, x := range xs {
		q := 1 - 1/x
		if total == 0 || !supports(q, total) {
			continue
		}
		if ns, ok := s.QuantileOver(q, total); ok {
			values[i] = number(float64(ns))
		}
	}
	return values
}

// curveGrid is 1/(1−p): the percentiles that have names, and steps between them, up to what n values support.
func curveGrid(n int64) []float64 {
	var xs []float64
	for decade := 1.0; decade <= float64(n)/10+1e-9; decade *= 10 {
		for _, step := range []float64{1, 1.1, 1.25, 1.4, 1.6, 1.8, 2, 2.25, 2.5, 2.8, 3.2, 3.6, 4, 4.5, 5, 5.6, 6.3, 7.1, 8, 9} {
			if x := decade * step; x <= float64(n)/10+1e-9 {
				xs = append(xs, x)
			}
		}
	}
	return xs
}

// curveRows are the table's rows: the percentiles that people quote.
func curveRows(c *chart, xs []float64) [][]string {
	var rows [][]string
	for i, x := range xs {
		lead := x / math.Pow(10, math.Floor(math.Log10(x)+1e-9))
		if lead = math.Round(lead*100) / 100; x < 2 || lead != 1 && lead != 2 && lead != 4 && lead != 5 {
			continue
		}
		row := []string{percentileName(x)}
		for _, l := range c.Lines {
			row = append(row, cellText(l.Values[i], l.Unit))
		}
		rows = append(rows, row)
	}
	return rows
}

// percentileName writes 1/(1−p) as a percentile: p99.9 for 1000.
func percentileName(x float64) string {
	s := fmt.Sprintf("%.6f", 100-100/x)
	return "p" + strings.TrimRight(strings.TrimRight(s, "0"), ".")
}
