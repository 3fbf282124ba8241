package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
)

// SideBySide writes a Markdown table of runs that did the same work: a row for each scenario and target, in it the median
// of its runs and, in brackets, their range. Invalid runs are counted and their figures left out. Whether a difference is
// more than chance it does not say.
func SideBySide(w io.Writer, runs []*Summary) error {
	type subject struct{ scenario, target string }
	of := map[subject][]*Summary{}
	invalid := map[subject]int64{}
	var subjects []subject
	for _, s := range runs {
		name := subject{s.Run.Scenario, s.Run.Target}
		if !slices.Contains(subjects, name) {
			subjects = append(subjects, name)
		}
		if s.Health.State == HealthInvalid {
			invalid[name]++
		} else {
			of[name] = append(of[name], s)
		}
	}
	slices.SortFunc(subjects, func(a, b subject) int {
		return cmp.Or(cmp.Compare(a.scenario, b.scenario), cmp.Compare(a.target, b.target))
	})
	header := []string{"scenario", "gateway", "valid runs"}
	for _, c := range sideColumns {
		header = append(header, c.name)
	}
	var rows [][]string
	for _, name := range subjects {
		count := formatCount(int64(len(of[name])))
		if invalid[name] > 0 {
			count += " of " + formatCount(int64(len(of[name]))+invalid[name])
		}
		row := []string{markdownText(name.scenario), markdownText(name.target), count}
		for _, c := range sideColumns {
			row = append(row, c.cell(of[name]))
		}
		rows = append(rows, row)
	}
	m := &markdown{}
	m.table(false, header, rows)
	_, err := w.Write(m.Bytes())
	return err
}

// sideColumn is one figure of a run; value is nil where the run does not have it.
type sideColumn struct {
	name   string
	value  func(*Summary) *float64
	format func(float64) string
}

var sideColumns = []sideColumn{
	{"e2e p50", latencyFigure(func(l Latency) int64 { return l.P50NS }), formatNS},
	{"p99", latencyFigure(func(l Latency) int64 { return l.P99NS }), formatNS},
	{"p99.9", latencyFigure(func(l Latency) int64 { return l.P999NS }), formatNS},
	{"expected", auditFigure(func(a AuditSummary) int64 { return a.Expected }), formatWhole},
	{"delivered", auditFigure(func(a AuditSummary) int64 { return a.Delivered }), formatWhole},
	{"lost or unseen", auditFigure(func(a AuditSummary) int64 { return a.Lost + a.Unseen }), formatWhole},
	{"undetermined", auditFigure(func(a AuditSummary) int64 { return a.Undetermined }), formatWhole},
	{"duplicate", auditFigure(func(a AuditSummary) int64 { return a.Duplicate }), formatWhole},
	{"reordered", auditFigure(func(a AuditSummary) int64 { return a.Reordered }), formatWhole},
	{"CPU a delivery", func(s *Summary) *float64 { return s.Resources.GatewayCPUPerDelivery }, func(v float64) string { return significant(v) + " µs" }},
	{"memory a connection", func(s *Summary) *float64 { return s.Resources.GatewayRSSPerConnection }, formatBytes},
}

func formatWhole(v float64) string { return formatCount(int64(v)) }

func latencyFigure(of func(Latency) int64) func(*Summary) *float64 {
	return func(s *Summary) *float64 {
		if s.Latency.E2E.Count == 0 {
			return nil
		}
		v := float64(of(s.Latency.E2E))
		return &v
	}
}

func auditFigure(of func(AuditSummary) int64) func(*Summary) *float64 {
	return func(s *Summary) *float64 {
		if !s.Audit.Available {
			return nil
		}
		v := float64(of(s.Audit))
		return &v
	}
}

// cell is the median of the runs' figures, the upper of two in the middle, and their range.
func (c sideColumn) cell(runs []*Summary) string {
	var values []float64
	for _, s := range runs {
		if v := c.value(s); v != nil {
			values = append(values, *v)
		}
	}
	if len(values) == 0 {
		return "–"
	}
	slices.Sort(values)
	least, middle, most := c.format(values[0]), c.format(values[len(values)/2]), c.format(values[len(values)-1])
	if least == most {
		return middle
	}
	return fmt.Sprintf("%s (%s to %s)", middle, least, most)
}
