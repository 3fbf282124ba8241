package report

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weirbench/weir/results"
)

// TerminalOptions says how the summary is printed. The zero value is plain text of 100 columns.
type TerminalOptions struct {
	Color bool
	Width int // columns; 0 means 100, and what is above 100 or below 60 is taken as that
}

const (
	widest    = 100
	narrowest = 60
)

// Terminal prints the summary as text that leads with the verdict and its reason. Names from the scenario or the wire
// are printed without their control characters. The error is the writer's.
func Terminal(w io.Writer, s *Summary, opt TerminalOptions) error {
	if opt.Width == 0 {
		opt.Width = widest
	}
	t := &terminal{color: opt.Color, width: min(max(opt.Width, narrowest), widest)}
	t.head(s)
	t.latency(s)
	t.audit(s)
	t.rates(s)
	t.resources(s)
	t.thresholds(s)
	t.health(s)
	t.remarks(s)
	if s.Dir != "" {
		t.row("report", clean(filepath.Join(s.Dir, HTMLName)))
	}
	_, err := w.Write(t.out.Bytes())
	return err
}

type terminal struct {
	out   bytes.Buffer
	color bool
	width int
}

// The colours of the terminal, by what they say.
const (
	good    = "\x1b[1;32m"
	bad     = "\x1b[1;31m"
	unsure  = "\x1b[1;33m"
	dim     = "\x1b[2m"
	neutral = "\x1b[0m"
)

func (t *terminal) paint(color, text string) string {
	if !t.color || color == "" || text == "" {
		return text
	}
	return color + text + neutral
}

// margin is the width of the left column, in which each row has its name.
const margin = 11

// row prints a name and a text that is wrapped beside it.
func (t *terminal) row(name, text string) { t.paintedRow("", name, text) }

func (t *terminal) paintedRow(color, name, text string) {
	for i, line := range wrap(text, t.width-margin) {
		if i > 0 {
			name = ""
		}
		t.out.WriteString(strings.TrimRight(t.paint(color, name)+strings.Repeat(" ", max(1, margin-runes(name)))+line, " ") + "\n")
	}
}

func (t *terminal) gap() { t.out.WriteByte('\n') }

func verdictColor(v Verdict) string {
	switch v {
	case VerdictPassed:
		return good
	case VerdictFailed, VerdictBroken:
		return bad
	}
	return unsure
}

func (t *terminal) head(s *Summary) {
	word := strings.ToUpper(string(s.Verdict))
	if s.Verdict == VerdictNone {
		word = "NO VERDICT"
	}
	for _, reason := range s.Reasons {
		t.paintedRow(verdictColor(s.Verdict), word, sentence(reason))
		word = ""
	}
	t.gap()
	t.row("run", clean(strings.Join(runLine(s), " · ")))
	t.row("", clean(strings.Join(systemLine(s), " · ")))
	t.gap()
}

// runLine says what was run and when, in parts.
func runLine(s *Summary) []string {
	parts := []string{s.Run.Scenario}
	if s.Run.StartedAtNS > 0 {
		parts = append(parts, time.Unix(0, s.Run.StartedAtNS).UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	parts = append(parts, fmt.Sprintf("took %s, %s of it measured", formatSpan(time.Duration(s.Run.DurationNS)), formatSpan(time.Duration(s.Run.MeasuredNS))),
		fmt.Sprintf("seed %d", s.Run.Seed))
	if s.Status != results.StatusComplete {
		parts = append(parts, string(s.Status))
	}
	return parts
}

func systemLine(s *Summary) []string {
	return []string{plural(int64(s.Clients.Planned), "client"), "gateway: " + s.Run.Target, "kafka: " + s.Run.Kafka}
}

// The columns of the latency table.
const latencyRow = "%-16s %12s %10s %10s %10s %10s %12s"

// latency is the table of stages; a run that ended before anything was measured has none.
func (t *terminal) latency(s *Summary) {
	if !slices.ContainsFunc(s.Latency.Stages(), StageLatency.recorded) {
		return
	}
	t.out.WriteString(t.paint(dim, fmt.Sprintf(latencyRow, "latency", "count", "p50", "p90", "p99", "p99.9", "max")) + "\n")
	unsupported := false
	for _, st := range s.Latency.Stages() {
		l := st.Latency
		if !st.shown() {
			continue
		}
		cells := latencyCells(l)
		unsupported = unsupported || cells[3] == unsupportedMark
		t.latencyRow(string(st.Stage), l.Count, cells, besideLatency(st))
		if l.missing() {
			t.latencyRow(string(st.Stage)+" expected", *l.ExpectedCount, expectedCells(s.Latency.expected(st.Stage), *l.ExpectedCount), "")
		}
	}
	if unsupported {
		t.out.WriteString(t.paint(dim, unsupportedMark+" fewer than ten values lie above that percentile; summary.json has the number") + "\n")
	}
	t.gap()
}

func (t *terminal) latencyRow(name string, count int64, cells []string, beside string) {
	line := fmt.Sprintf(latencyRow, name, formatCount(count), cells[0], cells[1], cells[2], cells[3], cells[4])
	if beside != "" {
		if runes(line)+2+runes(beside) > t.width {
			line += "\n" + strings.Repeat(" ", 15)
		}
		line += "  " + t.paint(unsure, beside)
	}
	t.out.WriteString(line + "\n")
}

// unsupportedMark stands for a percentile that there are too few values for.
const unsupportedMark = "–"

// latencyCells are p50, p90, p99, p99.9 and the maximum as text.
func latencyCells(l Latency) []string {
	if l.Count == 0 {
		return []string{unsupportedMark, unsupportedMark, unsupportedMark, unsupportedMark, unsupportedMark}
	}
	at := func(q float64, ns int64) string {
		if !supports(q, l.Count) {
			return unsupportedMark
		}
		return formatNS(float64(ns))
	}
	return []string{at(0.5, l.P50NS), at(0.9, l.P90NS), at(0.99, l.P99NS), at(0.999, l.P999NS), formatNS(float64(l.MaxNS))}
}

// expectedCells is latencyCells over expected deliveries.
func expectedCells(e ExpectedQuantiles, population int64) []string {
	at := func(q float64, ns *int64) string {
		switch {
		case population == 0 || q < 1 && !supports(q, population):
			return unsupportedMark
		case ns == nil:
			return "missing"
		}
		return formatNS(float64(*ns))
	}
	return []string{at(0.5, e.P50NS), at(0.9, e.P90NS), at(0.99, e.P99NS), at(0.999, e.P999NS), at(1, e.MaxNS)}
}

// besideLatency is what is to be said beside a stage's figures.
func besideLatency(st StageLatency) string {
	var parts []string
	if n := st.Latency.Negative; n > 0 {
		text := formatCount(n) + " negative"
		if st.Stage == results.StageGateway {
			text = formatCount(n) + " below zero, " + clientWasFirst
		}
		parts = append(parts, text)
	}
	if n := st.Latency.Overflow; n > 0 {
		parts = append(parts, fmt.Sprintf("%s over %s", formatCount(n), formatLimit(float64(results.HighestNS))))
	}
	return strings.Join(parts, ", ")
}

// clientWasFirst explains a gateway stage below zero.
const clientWasFirst = "which is no fault: the client had it before weir's own Kafka reader"

func (t *terminal) audit(s *Summary) {
	if !s.Audit.Available {
		t.row("audit", "none: the run ended before its account was closed")
		t.notTaken(s)
		return
	}
	identity, besides := auditLines(s)
	t.row("audit", identity)
	t.row("", besides)
	if line := contractLine(s.Run); line != "" {
		t.row("", clean(line))
	}
	t.notTaken(s)
	for _, r := range s.Audit.Reference {
		if r.AckedGone+r.Doubled+r.Reordered > 0 {
			t.row("", clean(referenceLine(r)))
		}
	}
}

func (t *terminal) notTaken(s *Summary) {
	for _, line := range notTakenLines(s.Audit.NotTaken) {
		t.row("", clean(line))
	}
}

// auditLines are the account's identity, and what is counted besides.
func auditLines(s *Summary) (identity, besides string) {
	var missing, others []string
	for _, c := range listClasses(s.Audit.Classes) {
		text := formatCount(c.Count) + " " + c.Name
		switch {
		case c.Missing:
			missing = append(missing, text)
		case c.Name == "corrupt" && !s.Audit.CorruptionChecked:
			others = append(others, "corrupt not checked")
		case c.Name != "expected" && c.Name != "delivered":
			others = append(others, text)
		}
	}
	identity = fmt.Sprintf("%s expected = %s delivered + %s", formatCount(s.Audit.Expected), formatCount(s.Audit.Delivered), strings.Join(missing, " + "))
	return identity, "besides " + strings.Join(others, ", ")
}

func referenceLine(r results.TopicAudit) string {
	return fmt.Sprintf("topic %s, producer %s: %s acknowledged and gone, %s doubled, %s reordered (%s)", r.Topic, r.Producer,
		formatCount(r.AckedGone), formatCount(r.Doubled), formatCount(r.Reordered), r.Source)
}

func (t *terminal) rates(s *Summary) {
	if s.Rates.MeasuredSeconds > 0 {
		t.row("rates", fmt.Sprintf("%s sent, %s acknowledged, %s delivered", formatRate(s.Rates.Sent), formatRate(s.Rates.Acked), formatRate(s.Rates.Delivered)))
	}
	if s.Clients.WithinShare != nil {
		t.row("clients", clientsLine(s.Clients))
	}
	if line := returnsLine(s.Clients.Returns, s.Latency.CaughtUp); line != "" {
		t.row("returns", line)
	}
}

// resources are the processors, the memory and the descriptors that the parts used on average.
func (t *terminal) resources(s *Summary) {
	cpu, memory, descriptors := resourceLines(s.Resources)
	for _, line := range [][2]string{{"cpu", cpu}, {"memory", memory}, {"open files", descriptors}} {
		if line[1] != "" {
			t.row(line[0], line[1])
		}
	}
	t.gap()
}

func clientsLine(c Clients) string {
	return fmt.Sprintf("%s of %s (%s) had at least 99%% of their deliveries within %s", formatCount(int64(c.WithinObjective)),
		formatCount(int64(c.Judged)), formatShare(*c.WithinShare), formatLimit(float64(c.Objective)))
}

func (t *terminal) thresholds(s *Summary) {
	name := "thresholds"
	if len(s.Thresholds) == 0 {
		t.row(name, "none")
	}
	for _, f := range s.Thresholds {
		word, color := "pass", good
		switch f.Result {
		case OutcomeFail:
			word, color = "FAIL", bad
		case OutcomeNotJudged:
			word, color = "–", unsure
		}
		t.thresholdRow(name, word, color, clean(f.Text+": "+findingText(f)))
		name = ""
	}
	t.gap()
}

// findingText is what was found, with its doubt.
func findingText(f Finding) string {
	text := f.Reason
	if f.Result == OutcomeNotJudged {
		text = "not judged, " + text
	}
	if f.Note != "" {
		text += " (" + f.Note + ")"
	}
	return text
}

func (t *terminal) thresholdRow(name, word, color, text string) {
	const wordWidth = 5
	for i, line := range wrap(text, t.width-margin-wordWidth) {
		if i > 0 {
			name, word = "", ""
		}
		fmt.Fprintf(&t.out, "%-*s%s%s%s\n", margin, name, t.paint(color, word), strings.Repeat(" ", wordWidth-runes(word)), line)
	}
}

func (t *terminal) health(s *Summary) {
	color := map[HealthState]string{HealthValid: good, HealthDoubtful: unsure, HealthInvalid: bad}[s.Health.State]
	text := string(s.Health.State)
	if s.Health.State == HealthValid {
		text += ": send lag p99 " + formatNS(float64(s.Health.Figures.SendLagP99NS))
	}
	t.row("health", t.paint(color, text))
	for _, r := range s.Health.Reasons {
		t.row("", clean(string(r.State)+": "+r.Text))
	}
}

func (t *terminal) remarks(s *Summary) {
	name := "warnings"
	for _, w := range s.Warnings {
		t.row(name, clean(w.Text))
		name = ""
	}
}

// sentence begins with a capital and is free of control characters.
func sentence(text string) string {
	text = clean(text)
	if text == "" {
		return text
	}
	first := []rune(text)[0]
	return strings.ToUpper(string(first)) + text[len(string(first)):]
}
