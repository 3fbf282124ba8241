package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// markdownLimit is how many characters a comment on GitHub may have.
const markdownLimit = 65536

// Bounds of what a comment shows: longer texts end in an ellipsis, longer lists in the number of the rest.
const (
	markdownTextLimit = 300 // characters of a text
	markdownRows      = 50  // of a table or list
	markdownReasons   = 20  // so that what is never left out fits, however its characters are escaped
)

// Markdown writes the summary as GitHub-flavoured Markdown for a comment on a pull request: the verdict and its reasons,
// one table of what was judged, and the details folded. It has at most 65,536 characters, GitHub's limit: details that
// do not fit are left out, and it says so. Names from the scenario or the wire are escaped. The error is the writer's.
func Markdown(w io.Writer, s *Summary) error {
	m := &markdown{}
	m.head(s)
	for _, part := range []func(*markdown, *Summary){(*markdown).judged, (*markdown).figures, (*markdown).latency, (*markdown).audit, (*markdown).health} {
		m.fold(part, s)
	}
	_, err := w.Write(m.Bytes())
	return err
}

type markdown struct{ bytes.Buffer }

func (m *markdown) printf(format string, args ...any) { fmt.Fprintf(&m.Buffer, format, args...) }

// fold adds a part where there is room for it.
func (m *markdown) fold(part func(*markdown, *Summary), s *Summary) {
	const omitted = "\nDetails that did not fit are left out; report.html has them.\n"
	one := &markdown{}
	part(one, s)
	if runes(m.String())+runes(one.String())+runes(omitted) > markdownLimit {
		if !strings.HasSuffix(m.String(), omitted) {
			m.printf("%s", omitted)
		}
		return
	}
	m.Write(one.Bytes())
}

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
	for i, row := range rows {
		if i == markdownRows {
			m.printf("\n%s more.\n", formatCount(int64(len(rows)-i)))
			return
		}
		m.printf("| %s |\n", strings.Join(row, " | "))
	}
}

// list writes a list of at most so many texts.
func (m *markdown) list(texts []string, most int) {
	for i, text := range texts {
		if i == most {
			m.printf("- %s more\n", formatCount(int64(len(texts)-i)))
			return
		}
		m.printf("- %s\n", markdownText(text))
	}
}

// markdownText escapes what Markdown or HTML would take for markup, a mention or a link, and cuts what is too long.
func markdownText(s string) string {
	s = clean(s)
	if runes(s) > markdownTextLimit {
		s = string([]rune(s)[:markdownTextLimit-1]) + "…"
	}
	var b strings.Builder
	for _, r := range s {
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
		}
	}
	if len(s.Reasons) > 1 {
		m.printf("\n")
		m.list(s.Reasons[1:], markdownReasons)
	}
}

func verdictWord(v Verdict) string {
	if v == VerdictNone {
		return "no verdict"
	}
	return string(v)
}

// judged is the one table that is not folded: the thresholds, and what their values were.
func (m *markdown) judged(s *Summary) {
	if len(s.Thresholds) == 0 {
		return
	}
	var rows [][]string
	for _, f := range s.Thresholds {
		far, _ := farFrom(f)
		rows = append(rows, []string{resultMark(f.Result), markdownText(f.Text), markdownText(findingText(f)), far})
	}
	m.table(false, []string{"", "threshold", "found", ""}, rows)
}

func resultMark(o Outcome) string {
	switch o {
	case OutcomePass:
		return "✅ pass"
	case OutcomeFail:
		return "❌ fail"
	}
	return "➖ not judged"
}

// figures are the lines below the table: latency, delivery, load, and with what.
func (m *markdown) figures(s *Summary) {
	cells := latencyCells(s.Latency.E2E)
	if n := s.Latency.E2E.ExpectedCount; n != nil {
		cells = expectedCells(s.Latency.E2EExpected, *n)
	}
	m.printf("\nEnd to end p50 %s · p99 %s · p99.9 %s · max %s  \n", cells[0], cells[2], cells[3], cells[4])
	if s.Audit.Available {
		identity, _ := auditLines(s)
		m.printf("%s  \n", identity)
	}
	if s.Rates.MeasuredSeconds > 0 {
		m.printf("%s sent, %s acknowledged, %s delivered  \n", formatRate(s.Rates.Sent), formatRate(s.Rates.Acked), formatRate(s.Rates.Delivered))
	}
	cpu, memory, descriptors := resourceLines(s.Resources)
	for _, line := range [][2]string{{"CPU", cpu}, {"Memory", memory}, {"Open files", descriptors}} {
		if line[1] != "" {
			m.printf("%s: %s  \n", line[0], line[1])
		}
	}
	m.printf("%s  \n%s\n", markdownText(strings.Join(runLine(s)[1:], " · ")), markdownText(strings.Join(systemLine(s), " · ")))
}

// open and shut enclose folded details.
func (m *markdown) open(title string) { m.printf("\n<details><summary>%s</summary>\n", title) }
func (m *markdown) shut()             { m.printf("\n</details>\n") }

func (m *markdown) latency(s *Summary) {
	m.open("Latency by stage")
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
	if s.Clients.WithinShare != nil {
		m.printf("\n%s.\n", clientsLine(s.Clients))
	}
	if line := returnsLine(s.Clients.Returns, s.Latency.CaughtUp); line != "" {
		m.printf("\n%s.\n", line)
	}
	m.shut()
}

func (m *markdown) audit(s *Summary) {
	m.open("Delivery audit")
	defer m.shut()
	if !s.Audit.Available {
		m.printf("\nThe run ended before its account was closed.\n")
	}
	lines := notTakenLines(s.Audit.NotTaken)
	if s.Audit.Available {
		m.classes(s)
		if line := contractLine(s.Run); line != "" {
			lines = append(lines, line)
		}
	}
	for _, r := range s.Audit.Reference {
		if r.AckedGone+r.Doubled+r.Reordered > 0 {
			lines = append(lines, referenceLine(r))
		}
	}
	if len(lines) > 0 {
		m.printf("\n")
		m.list(lines, markdownRows)
	}
}

func (m *markdown) classes(s *Summary) {
	var rows [][]string
	for _, c := range listClasses(s.Audit.Classes) {
		rows = append(rows, []string{c.Name, classCount(c, s.Audit), c.Meaning})
	}
	m.table(false, []string{"class", "count", ""}, rows)
}

// classCount is a class's count as text.
func classCount(c Class, a AuditSummary) string {
	if c.Name == "corrupt" && !a.CorruptionChecked {
		return "not checked"
	}
	return formatCount(c.Count)
}

func (m *markdown) health(s *Summary) {
	m.open("Generator health: " + string(s.Health.State))
	m.printf("\nSend lag p99 was %s.\n\n", formatNS(float64(s.Health.Figures.SendLagP99NS)))
	var lines []string
	for _, r := range s.Health.Reasons {
		lines = append(lines, string(r.State)+": "+r.Text)
	}
	for _, w := range s.Warnings {
		lines = append(lines, "warning: "+w.Text)
	}
	m.list(lines, markdownRows)
	m.shut()
}
