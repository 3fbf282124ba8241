package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Markdown writes the summary as GitHub-flavoured Markdown, short enough for a comment on a pull request. Names from the
// scenario or the wire are escaped. The error is the writer's.
func Markdown(w io.Writer, s *Summary) error {
	m := &markdown{}
	m.head(s)
	m.latency(s)
	m.thresholds(s)
	m.audit(s)
	m.health(s)
	_, err := w.Write(m.Bytes())
	return err
}

type markdown struct{ bytes.Buffer }

func (m *markdown) printf(format string, args ...any) { fmt.Fprintf(&m.Buffer, format, args...) }

// table writes a table: the first column to the left, the others to the right where they are figures.
func (m *markdown) table(figures bool, header []string, rows [][]string) {
	m.printf("\n| %s |\n|", strings.Join(header, " | "))
	for i := range header {
		if i > 0 && figures {
			m.printf(" ---: |")
		} else {
			m.printf(" --- |")
		}
	}
	m.printf("\n")
	for _, row := range rows {
		m.printf("| %s |\n", strings.Join(row, " | "))
	}
}

// markdownText escapes what Markdown or HTML would take for markup, a mention or a link.
func markdownText(s string) string {
	var b strings.Builder
	for _, r := range clean(s) {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '@':
			b.WriteString("&#64;")
		case strings.ContainsRune("\\`*_[]#|~$", r):
			b.WriteString(`\` + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return strings.ReplaceAll(b.String(), "://", "&#58;//")
}

func (m *markdown) head(s *Summary) {
	m.printf("## %s: %s\n\n", markdownText(s.Run.Scenario), verdictWord(s.Verdict))
	for i, reason := range s.Reasons {
		if i == 0 {
			m.printf("**%s.**\n", markdownText(sentence(reason)))
			continue
		}
		m.printf("- %s\n", markdownText(reason))
	}
	m.printf("\n%s  \n%s\n", markdownText(strings.Join(runLine(s), " · ")), markdownText(strings.Join(systemLine(s), " · ")))
	if s.Rates.MeasuredSeconds > 0 {
		m.printf("\n%s sent, %s acknowledged, %s delivered.\n", formatRate(s.Rates.Sent), formatRate(s.Rates.Acked), formatRate(s.Rates.Delivered))
	}
	if s.Clients.WithinShare != nil {
		m.printf("%s.\n", clientsLine(s.Clients))
	}
}

func verdictWord(v Verdict) string {
	if v == VerdictNone {
		return "no verdict"
	}
	return string(v)
}

func (m *markdown) latency(s *Summary) {
	m.printf("\n### Latency\n")
	var rows [][]string
	for _, st := range s.Latency.Stages() {
		l := st.Latency
		if !st.shown() {
			continue
		}
		rows = append(rows, append([]string{"`" + string(st.Stage) + "`", formatCount(l.Count)}, append(latencyCells(l), besideLatency(st))...))
		if l.missing() {
			cells := expectedCells(s.Latency.expected(st.Stage), *l.ExpectedCount)
			rows = append(rows, append([]string{"`" + string(st.Stage) + "` over expected", formatCount(*l.ExpectedCount)}, append(cells, "")...))
		}
	}
	m.table(true, []string{"stage", "count", "p50", "p90", "p99", "p99.9", "max", ""}, rows)
}

func (m *markdown) thresholds(s *Summary) {
	if len(s.Thresholds) == 0 {
		return
	}
	m.printf("\n### Thresholds\n")
	var rows [][]string
	for _, f := range s.Thresholds {
		rows = append(rows, []string{markdownText(f.Text), string(f.Result), markdownText(findingText(f))})
	}
	m.table(false, []string{"threshold", "result", "found"}, rows)
}

func (m *markdown) audit(s *Summary) {
	m.printf("\n### Delivery\n")
	if !s.Audit.Available {
		m.printf("\nThe run ended before its account was closed.\n")
		return
	}
	var rows [][]string
	for _, c := range listClasses(s.Audit.Classes) {
		rows = append(rows, []string{c.Name, classCount(c, s.Audit), c.Meaning})
	}
	m.table(false, []string{"class", "count", ""}, rows)
	for _, r := range s.Audit.Reference {
		if r.AckedGone+r.Doubled+r.Reordered > 0 {
			m.printf("\n%s\n", markdownText(referenceLine(r)))
		}
	}
}

// classCount is a class's count as text.
func classCount(c Class, a AuditSummary) string {
	if c.Name == "corrupt" && !a.CorruptionChecked {
		return "not checked"
	}
	return formatCount(c.Count)
}

func (m *markdown) health(s *Summary) {
	m.printf("\n### Generator health: %s\n\n", s.Health.State)
	for _, r := range s.Health.Reasons {
		m.printf("- %s: %s\n", r.State, markdownText(r.Text))
	}
	for _, w := range s.Warnings {
		m.printf("- warning: %s\n", markdownText(w.Text))
	}
	if len(s.Health.Reasons)+len(s.Warnings) == 0 {
		m.printf("Send lag p99 was %s.\n", formatNS(float64(s.Health.Figures.SendLagP99NS)))
	}
}
