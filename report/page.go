package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/weirbench/weir/results"
)

// page is the content of the HTML report: texts ready to be shown, unescaped, and the data of the charts.
type page struct {
	Bundle      bundle
	Title       string
	Verdict     string // the word shown
	Class       string // of the verdict: passed, failed, broken, invalid, none
	Reason      string
	Meaning     string // of a verdict that says nothing about the pipeline
	More        []string
	Facts       []string
	Figures     []figure
	Notable     []eventRow // what happened, the most telling first to be read
	MoreEvents  string
	Lead        []chart // over time: the end-to-end latency
	Findings    []findingRow
	Stages      []stageRow
	Note        string // about percentiles that are not shown
	Parts       []partTable
	Curve       chart
	Heat        *heatmap
	Charts      []chart // over time: deliveries, what is missing, clients
	Resources   []chart // over time: CPU and memory
	Used        [][]string
	CostPerUnit string
	Generator   []chart // over time: the generator's own
	Identity    string
	Contract    string
	NotTaken    []string
	Classes     []classRow
	Audited     bool
	Reference   [][]string
	Within      string
	Returns     string
	Worst       [][]string
	Health      healthBlock
	Warnings    []string
	Events      []eventRow
	Counters    [][]string
	Plan        string
	Machine     [][]string
	Data        pageData
}

// pageData is what the page's script reads.
type pageData struct {
	Charts []chart     `json:"charts"`
	Heat   *heatmap    `json:"heat"`
	Phases []phaseData `json:"phases"`
	Late   []lateData  `json:"late"`
	Events []eventData `json:"events"`
}

type phaseData struct {
	Name     string  `json:"name"`
	From     float64 `json:"from"`
	To       float64 `json:"to"`
	Measured bool    `json:"measured"`
}

// lateData is a stretch to be shaded.
type lateData struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
	Text string  `json:"text"`
}

type eventData struct {
	At     float64 `json:"at"`
	Number int     `json:"number"`
	Bad    bool    `json:"bad,omitempty"`
}

type figure struct{ Name, Value, Beside string }

type findingRow struct {
	Text, Result, Class, Observed, Note string
	Far                                 string // how far from the limit
	Bar                                 *bar
}

// bar draws an observed value against its limit: both from 0 to 100.
type bar struct{ Value, Limit int }

type stageRow struct {
	Name, Meaning, Count string
	Cells                []string
	Beside               string
	Sub                  bool
}

type partTable struct {
	Title string
	Rows  []partRow
}

type partRow struct {
	Name                         string
	Expected, Delivered, Missing string
	Cells                        []string
}

type classRow struct {
	Name, Count, Meaning string
	Class                string // bad, or doubt
	Sub                  bool
}

type healthBlock struct {
	State   string
	Reasons []HealthReason
	Rows    [][]string
}

type eventRow struct {
	Number, At, Kind, Phase, Text, Count string
	Class                                string // bad, or nothing
}

func newPage(r *results.Run, s *Summary, t *timeline) (*page, error) {
	b, err := newBundle()
	if err != nil {
		return nil, err
	}
	plan, err := indented(r.Plan)
	if err != nil {
		return nil, err
	}
	p := &page{
		Bundle:      b,
		Title:       clean(s.Run.Scenario),
		Verdict:     verdictWord(s.Verdict),
		Class:       string(s.Verdict),
		Facts:       cleanEach(append(runLine(s)[1:], systemLine(s)...)),
		Figures:     headline(s),
		Parts:       partTables(s),
		Used:        resourceRows(s.Resources),
		CostPerUnit: perUnit(s.Resources),
		Audited:     s.Audit.Available,
		Warnings:    remarkTexts(s.Warnings),
		Counters:    counterRows(s),
		Plan:        plan,
		Machine:     machineRows(s),
		Health:      healthBlock{State: string(s.Health.State), Rows: healthRows(s)},
	}
	p.Meaning = verdictMeaning(s)
	if len(s.Reasons) > 0 {
		p.Reason = sentence(s.Reasons[0])
		for _, more := range s.Reasons[1:] {
			p.More = append(p.More, sentence(more))
		}
	}
	for _, reason := range s.Health.Reasons {
		if slices.Contains(s.Reasons, reason.Text) {
			continue // is said on top
		}
		p.Health.Reasons = append(p.Health.Reasons, HealthReason{Remark{reason.Code, sentence(reason.Text)}, reason.State})
	}
	for _, line := range notTakenLines(s.Audit.NotTaken) {
		p.NotTaken = append(p.NotTaken, sentence(line))
	}
	p.fillTables(s)
	p.fillCharts(r, s, t)
	return p, nil
}

// verdictMeaning says what the reader is to make of a run that has no word about the pipeline.
func verdictMeaning(s *Summary) string {
	switch s.Verdict {
	case VerdictInvalid:
		return "This run says nothing about the pipeline: its figures are partly those of the generator or the clock."
	case VerdictNone:
		return "The run did not come far enough for a verdict; the figures are of what there is."
	}
	return ""
}

func indented(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false) // html/template does
	err := enc.Encode(v)
	return escapeFormat(strings.TrimSpace(b.String())), err
}

// escapeFormat writes the characters of a JSON text that are not seen, but order or hide others, as escapes.
func escapeFormat(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// headline are the figures shown large: latency over expected deliveries, as thresholds judge it.
func headline(s *Summary) []figure {
	arrived := latencyCells(s.Latency.E2E)
	over := arrived
	if n := s.Latency.E2E.ExpectedCount; n != nil {
		over = expectedCells(s.Latency.E2EExpected, *n)
	}
	var figures []figure
	for i, name := range []string{"p50", "p90", "p99", "p99.9", "max"} {
		if i == 1 {
			continue
		}
		f := figure{Name: name + " end to end", Value: over[i]}
		switch {
		case f.Value == unsupportedMark:
			f.Beside = "too few values"
		case f.Value != arrived[i]:
			f.Beside = arrived[i] + " of what arrived"
		}
		figures = append(figures, f)
	}
	delivered := figure{Name: "delivered", Value: unsupportedMark, Beside: "the account was not closed"}
	if s.Audit.DeliveryRatio != nil {
		delivered.Value = formatShare(*s.Audit.DeliveryRatio)
		delivered.Beside = fmt.Sprintf("%s of %s", formatCount(s.Audit.Delivered), formatCount(s.Audit.due()))
		if shed := s.Audit.Shed - s.Audit.Conflated; shed > 0 {
			delivered.Beside += fmt.Sprintf("; %s shed", formatCount(shed))
		}
	}
	figures = append(figures, delivered, figure{"deliveries", formatRate(s.Rates.Delivered), formatRate(s.Rates.Sent) + " sent"})
	if s.Clients.WithinShare != nil {
		figures = append(figures, figure{"clients within " + formatLimit(float64(s.Clients.Objective)), formatShare(*s.Clients.WithinShare),
			fmt.Sprintf("%s of %s", formatCount(int64(s.Clients.WithinObjective)), formatCount(int64(s.Clients.Judged)))})
	}
	return figures
}

func (p *page) fillTables(s *Summary) {
	for _, f := range s.Thresholds {
		row := findingRow{Text: clean(f.Text), Result: string(f.Result), Class: strings.ReplaceAll(string(f.Result), " ", "-"), Observed: clean(f.Reason), Note: f.Note}
		row.Far, row.Bar = farFrom(f)
		p.Findings = append(p.Findings, row)
	}
	for _, st := range s.Latency.Stages() {
		l := st.Latency
		if !st.shown() {
			continue
		}
		cells := latencyCells(l)
		if cells[3] == unsupportedMark {
			p.Note = unsupportedMark + " stands where fewer than ten values lie above the percentile; summary.json has the number all the same."
		}
		p.Stages = append(p.Stages, stageRow{string(st.Stage), st.Meaning, formatCount(l.Count), append(cells, meanText(l)), besideLatency(st), false})
		if l.missing() {
			over := expectedCells(s.Latency.expected(st.Stage), *l.ExpectedCount)
			p.Stages = append(p.Stages, stageRow{"over expected", "what did not arrive exceeds every limit", formatCount(*l.ExpectedCount), append(over, unsupportedMark), "", true})
		}
	}
	p.fillAudit(s)
}

func meanText(l Latency) string {
	if l.Count == 0 {
		return unsupportedMark
	}
	return formatNS(float64(l.MeanNS))
}

func (p *page) fillAudit(s *Summary) {
	if !s.Audit.Available {
		return
	}
	p.Identity, _ = auditLines(s)
	if line := contractLine(s.Run); line != "" {
		p.Contract = sentence(line)
	}
	for _, c := range listClasses(s.Audit.Classes) {
		row := classRow{Name: c.Name, Count: classCount(c, s.Audit), Meaning: c.Meaning, Sub: c.Missing}
		switch {
		case c.Count == 0 || c.Name == "expected" || c.Name == "delivered":
		case c.Name == "shed" && c.Count == s.Audit.Conflated: // as declared
		case forbidden(c.Name, s.Plan.Gateway.Guarantees):
			row.Class = "bad"
		default:
			row.Class = "doubt"
		}
		p.Classes = append(p.Classes, row)
	}
	for _, t := range s.Audit.Reference {
		source := t.Source
		if t.Incomplete != "" {
			source += ", incomplete: " + t.Incomplete
		}
		p.Reference = append(p.Reference, cleanEach([]string{t.Topic, t.Producer, formatCount(t.Sent), formatCount(t.Acked), formatCount(t.Refused),
			formatCount(t.Unsettled), formatCount(t.InTopic), formatCount(t.AckedGone), formatCount(t.Doubled), formatCount(t.Reordered), source}))
	}
	if s.Clients.WithinShare != nil {
		p.Within = clientsLine(s.Clients)
	}
	p.Returns = returnsLine(s.Clients.Returns, s.Latency.CaughtUp)
	for _, c := range s.Clients.Worst {
		p.Worst = append(p.Worst, []string{clean(c.Client), formatCount(c.Expected), formatCount(c.Missing), formatShare(c.WithinShare),
			formatNS(float64(c.MeanNS)), formatNS(float64(c.MaxNS)), strconv.Itoa(c.Sessions)})
	}
}

func partTables(s *Summary) []partTable {
	var tables []partTable
	for _, t := range []struct {
		title string
		parts []Part
	}{{"By phase", s.Breakdown.ByPhase}, {"By client group", s.Breakdown.ByGroup}, {"By producer", s.Breakdown.ByProducer}} {
		if len(t.parts) < 2 {
			continue // the same figures once more
		}
		table := partTable{Title: t.title}
		for _, part := range t.parts {
			table.Rows = append(table.Rows, partRow{clean(part.Name), formatCount(part.Expected), formatCount(part.Delivered),
				formatCount(part.Missing()), latencyCells(part.E2E)})
		}
		tables = append(tables, table)
	}
	return tables
}

func (p *page) fillCharts(r *results.Run, s *Summary, t *timeline) {
	expected := int64(0)
	if n := s.Latency.E2E.ExpectedCount; n != nil {
		expected = *n
	}
	p.Data = pageData{Charts: []chart{}, Phases: []phaseData{}, Late: []lateData{}, Events: []eventData{}}
	keep := func(charts []chart) (kept []chart) {
		for _, c := range charts {
			if !c.empty() {
				p.Data.Charts = append(p.Data.Charts, c.drawn())
				kept = append(kept, c)
			}
		}
		return kept
	}
	byTime := timeCharts(t, latencyLimits(r.Plan))
	p.Lead = keep(byTime.lead)
	if curve := keep([]chart{percentileCurve(t, expected)}); curve != nil {
		p.Curve = curve[0]
	}
	p.Charts, p.Resources, p.Generator = keep(byTime.load), keep(byTime.resources), keep(byTime.generator)
	p.Heat = latencyHeatmap(t)
	p.Data.Heat = p.Heat
	p.fillEvents(r.Events, t)
	if len(t.moments) == 0 {
		return
	}
	for _, span := range t.phases {
		p.Data.Phases = append(p.Data.Phases, phaseData{clean(span.name), sinceStart(t, span.startAt), sinceStart(t, span.endAt), span.measured})
	}
}

func remarkTexts(remarks []Remark) []string {
	var texts []string
	for _, r := range remarks {
		texts = append(texts, sentence(r.Text))
	}
	return texts
}

func healthRows(s *Summary) [][]string {
	f := s.Health.Figures
	rows := [][]string{
		{"send lag p99", formatNS(float64(f.SendLagP99NS)), "at most " + formatNS(float64(f.SendLagLimitNS))},
		{"send lag p99.9", formatNS(float64(f.SendLagP999NS)), ""},
	}
	if s.Latency.ReceiveLag.Count > 0 {
		rows = append(rows, []string{"receive lag p99", formatNS(float64(f.ReceiveLagP99NS)), "kernel to program, not part of the latency where the kernel stamps"})
	}
	if f.MachineBusy != nil {
		rows = append(rows, []string{"machine busy", formatShare(*f.MachineBusy), "mean of all cores over the measure phases"})
	}
	if f.GeneratorCPU != nil {
		rows = append(rows, []string{"generator CPU", formatShare(*f.GeneratorCPU), "of one core, mean over the measure phases"})
	}
	rows = append(rows, gaugeRows(f)...)
	rows = append(rows, []string{"shared reads", formatShare(f.CoalescedShare), "of deliveries; their latency is an upper bound"})
	h := f.Record
	if h == nil {
		return rows
	}
	return append(rows,
		[]string{"messages", formatCount(h.SentMessages), "of " + formatCount(h.PlannedMessages) + " planned"},
		[]string{"unsent", formatCount(h.UnsentMessages), "planned and never handed over"},
		[]string{"send buffer full", formatCount(h.OverflowMessages), "messages refused; the pipeline's failure"},
		[]string{"clock", fmt.Sprintf("%d steps", h.ClockSteps), fmt.Sprintf("slewed by up to %.1f ppm", h.ClockSlewPPM)},
		[]string{"GC", plural(h.GCCount, "cycle"), "longest pause " + formatNS(float64(h.GCPauseMaxNS)) + gcText(h.GC)},
		[]string{"descriptors", formatCount(h.DescriptorsUsed), "of " + formatCount(h.DescriptorsLimit)},
		[]string{"ports", formatCount(h.PortsUsed), "of " + formatCount(h.PortsLimit)},
		[]string{"CPU time", significant(h.CPUSeconds) + " s", ""},
		[]string{"pacer", h.PacerKind, ""},
		[]string{"receive stamps", h.ReceiveTimestamps, ""})
}

func counterRows(s *Summary) [][]string {
	var rows [][]string
	for _, name := range sortedKeys(s.CountersAll) {
		rows = append(rows, []string{name, formatCount(s.Counters[name]), formatCount(s.CountersAll[name])})
	}
	return rows
}

func machineRows(s *Summary) [][]string {
	rows := [][]string{{"status", string(s.Status)}, {"run directory", s.Dir}}
	e := s.Environment
	if e == nil {
		return rows
	}
	revision := e.GitRevision
	if e.GitModified {
		revision += ", modified"
	}
	rows = append(rows, [][]string{
		{"weir", e.WeirVersion}, {"git revision", revision}, {"Go", e.GoVersion}, {"system", e.OS + "/" + e.Arch}, {"kernel", e.Kernel},
		{"CPU", e.CPU}, {"cores", strconv.Itoa(e.Cores)}, {"memory", formatBytes(float64(e.MemoryBytes))}, {"kafka", e.Kafka},
		{"gateway", e.Gateway}, {"started", time.Unix(0, e.StartedAtNS).UTC().Format(time.RFC3339)},
		{"receive stamps", e.ReceiveStamps}, {"connections read by", e.Reader}, {"command", strings.Join(e.Command, " ")},
	}...)
	for _, key := range sortedKeys(e.Extra) {
		rows = append(rows, []string{key, e.Extra[key]})
	}
	var filled [][]string
	for _, row := range rows {
		if row[1] != "" {
			filled = append(filled, cleanEach(row))
		}
	}
	return filled
}
