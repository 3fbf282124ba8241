package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A threshold is METRIC[{LABEL=NAME, …}].STATISTIC OPERATOR VALUE, for example
//
//	e2e.p99 < 50ms
//	e2e{group=viewers, phase=steady}.p99.9 <= 200ms
//	audit.lost == 0
//	delivery.ratio >= 99.9%
//	throughput.delivered >= 9k/s
//
// The labels may stand behind the statistic as well.

// parsedThreshold is a Threshold and where its labels' values stand in the text.
type parsedThreshold struct {
	Threshold
	labels []thresholdLabel
}

type thresholdLabel struct {
	name, value string
	offset      int // of the value, in characters
}

// thresholdProblem is a mistake in a threshold, offset characters into its text.
type thresholdProblem struct {
	offset  int
	message string
}

// ParseThreshold parses one threshold. It knows no scenario: whether the groups, phases and producers that it filters
// by exist is checked by [Scenario.Resolve].
func ParseThreshold(text string) (Threshold, error) {
	parsed, problem := parseThreshold(text)
	if problem != nil {
		return Threshold{}, errors.New(problem.message)
	}
	return parsed.Threshold, nil
}

var operators = []string{"<", "<=", ">", ">=", "==", "!="}

const maxThresholdBytes = 1000

func parseThreshold(text string) (parsedThreshold, *thresholdProblem) {
	s := &scanner{text: text}
	t := parsedThreshold{Threshold: Threshold{Text: strings.TrimSpace(text)}}
	if len(text) > maxThresholdBytes {
		return t, s.problemf(0, "is longer than a threshold may be")
	}
	m, stat, problem := s.subject(&t)
	if problem != nil {
		return t, problem
	}
	if problem := t.checkLabels(s, m, stat); problem != nil {
		return t, problem
	}
	if t.Op, problem = s.operator(t.Metric + " < " + m.example("")); problem != nil {
		return t, problem
	}
	s.space()
	value := strings.TrimRight(s.text[s.pos:], " \t\r\n")
	if value == "" {
		return t, s.problemf(s.pos, "ends without a value (write %s %s %s)", t.Metric, t.Op, m.example(""))
	}
	var err error
	if t.Value, err = m.parseValue(t.Metric, value); err != nil {
		return t, s.problemf(s.pos, "%s", err)
	}
	return t, nil
}

// scanner walks over a threshold's text. Positions are in bytes.
type scanner struct {
	text string
	pos  int
}

func (s *scanner) problemf(pos int, format string, args ...any) *thresholdProblem {
	return &thresholdProblem{utf8.RuneCountInString(s.text[:pos]), fmt.Sprintf(format, args...)}
}

func (s *scanner) space() {
	for s.pos < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.pos]) >= 0 {
		s.pos++
	}
}

// accept takes a character if it comes next.
func (s *scanner) accept(c byte) bool {
	if s.pos < len(s.text) && s.text[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// word takes letters, digits, - and _.
func (s *scanner) word() string {
	start := s.pos
	for s.pos < len(s.text) && isWord(s.text[s.pos]) {
		s.pos++
	}
	return s.text[start:s.pos]
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// subject takes METRIC[{…}].STATISTIC[{…}] and fills in the threshold's metric, unit and labels.
func (s *scanner) subject(t *parsedThreshold) (m metric, stat string, problem *thresholdProblem) {
	s.space()
	start := s.pos
	name := s.word()
	known := subjects()
	i := slices.IndexFunc(known, func(m metric) bool { return m.name == name })
	if name == "" {
		return m, "", s.problemf(start, "does not begin with a metric (write e2e.p99 < 50ms)")
	}
	if i < 0 {
		if s.accept('.') {
			if mend := resourceMend(name, s.word()); mend != "" {
				return m, "", s.problemf(start, "unknown metric %s (did you mean %s?)", quote(s.text[start:s.pos]), mend)
			}
		}
		return m, "", s.problemf(start, "unknown metric %s%s", quote(name), didYouMean(name, metricNames()))
	}
	m = known[i]
	if problem := s.labels(t); problem != nil {
		return m, "", problem
	}
	dot := s.pos
	if !s.accept('.') {
		return m, "", s.problemf(dot, "%s needs a statistic (write %s.%s)", name, name, m.statNames()[0])
	}
	start = s.pos
	canonical, ok := m.canonicalStat(s.statistic())
	if !ok {
		return m, "", s.problemf(start, "%s", m.unknownStat(s.text[start:s.pos]))
	}
	if problem := s.labels(t); problem != nil {
		return m, "", problem
	}
	t.Metric, t.Unit = name+"."+canonical, m.unit
	return m, canonical, nil
}

// statistic takes a word, and the decimals of a percentile.
func (s *scanner) statistic() string {
	start := s.pos
	s.word()
	if strings.HasPrefix(s.text[start:], "p") && s.accept('.') {
		s.word()
	}
	return s.text[start:s.pos]
}

// resourceMend returns the figure of processor time, memory and the like that SUBJECT.WHAT was meant to be, or "".
func resourceMend(subject, what string) string {
	name := strings.ToLower(subject + "_" + map[string]string{"memory": "rss", "mem": "rss"}[what])
	if !strings.HasSuffix(name, "_rss") {
		name = strings.ToLower(subject + "_" + what)
	}
	switch {
	case !slices.Contains(metricNames(), name):
		return ""
	case strings.HasSuffix(name, "_rss"):
		return name + ".max"
	case resourceMetric(name) || name == "machine_busy":
		return name + ".mean"
	}
	return ""
}

func (m metric) unknownStat(stat string) string {
	if mend := resourceMend(m.name, stat); mend != "" {
		return fmt.Sprintf("unknown statistic %s (did you mean %s?)", quote(stat), mend)
	}
	switch {
	case stat == "":
		return fmt.Sprintf("%s needs a statistic (write %s.%s)", m.name, m.name, m.statNames()[0])
	case m.stats == nil && (stat == "p100" || strings.HasPrefix(stat, "p100.")):
		return fmt.Sprintf("%s.%s is the largest (write %s.max)", m.name, stat, m.name)
	case m.stats == nil && (stat == "avg" || stat == "average"):
		return fmt.Sprintf("unknown statistic %q (did you mean mean?)", stat)
	case m.stats == nil && strings.HasPrefix(stat, "p") && strings.Trim(stat[1:], "0123456789.") == "":
		return fmt.Sprintf("%s is not a percentile (write p99 or p99.9)", quote(stat))
	}
	return fmt.Sprintf("unknown statistic %s%s", quote(stat), didYouMean(stat, m.statNames()))
}

// labels takes {name=value, …} if it comes next.
func (s *scanner) labels(t *parsedThreshold) *thresholdProblem {
	start := s.pos
	if !s.accept('{') {
		return nil
	}
	if t.labels != nil {
		return s.problemf(start, "the labels stand here a second time (write them all in one {})")
	}
	for {
		if problem := s.label(t); problem != nil {
			return problem
		}
		s.space()
		if s.accept('}') {
			return nil
		}
		if !s.accept(',') {
			return s.problemf(s.pos, "a label must be followed by , or } (write {group=viewers, phase=steady})")
		}
	}
}

func (s *scanner) label(t *parsedThreshold) *thresholdProblem {
	s.space()
	start := s.pos
	name := s.word()
	s.space()
	if name == "" || !s.accept('=') {
		return s.problemf(start, "is not a label (write {group=viewers, phase=steady})")
	}
	if name == "hop" {
		return s.problemf(start, "filtering by hop is not supported yet by this version (remove it)")
	}
	if !slices.Contains(byAll, name) {
		return s.problemf(start, "unknown label %s%s", quote(name), didYouMean(name, byAll))
	}
	if _, double := t.Filters[name]; double {
		return s.problemf(start, "the label %s stands here a second time (a threshold is about one %s or all)", name, name)
	}
	s.space()
	at := s.pos
	value := s.word()
	if value == "" {
		return s.problemf(at, "the label %s needs a name, without quotes (write %s=NAME)", name, name)
	}
	if t.Filters == nil {
		t.Filters = map[string]string{}
	}
	t.Filters[name] = value
	t.labels = append(t.labels, thresholdLabel{name, value, utf8.RuneCountInString(s.text[:at])})
	return nil
}

// checkLabels refuses labels that the metric is not split by: no figure would be found for them.
func (t *parsedThreshold) checkLabels(s *scanner, m metric, stat string) *thresholdProblem {
	allowed := m.labelsOf(stat)
	for _, l := range t.labels {
		if slices.Contains(allowed, l.name) {
			continue
		}
		mend := "remove it"
		if len(allowed) > 0 {
			mend = "it can be by " + alternatives(allowed)
		}
		return &thresholdProblem{l.offset, fmt.Sprintf("%s is not split by %s (%s)", t.Metric, l.name, mend)}
	}
	return nil
}

// operator takes one of the operators; example is a whole threshold, for the message.
func (s *scanner) operator(example string) (string, *thresholdProblem) {
	s.space()
	start := s.pos
	for s.pos < len(s.text) && strings.IndexByte("<>=!~", s.text[s.pos]) >= 0 {
		s.pos++
	}
	op := s.text[start:s.pos]
	if slices.Contains(operators, op) {
		return op, nil
	}
	for wrong, right := range map[string]string{"=": "==", "=<": "<=", "=>": ">=", "<>": "!=", "===": "==", "!": "!="} {
		if op == wrong {
			return "", s.problemf(start, "%s is not an operator (write %s)", quote(op), right)
		}
	}
	if op == "" {
		op, _, _ = strings.Cut(s.text[start:], " ")
	}
	if op == "" {
		return "", s.problemf(start, "ends without an operator and a value (write %s)", example)
	}
	return "", s.problemf(start, "%s is not an operator (write one of %s)", quote(op), strings.Join(operators, " "))
}

// parseValue parses the limit in the metric's unit.
func (m metric) parseValue(name, text string) (float64, error) {
	var value float64
	var err error
	switch m.unit {
	case UnitNS:
		d, durationErr := parseDuration(text)
		value, err = float64(d), durationErr
	case UnitRatio:
		value, err = parseShare(text)
	case UnitCores:
		value, err = parseNumber(text)
	case UnitBytes:
		n, sizeErr := parseSize(text)
		value, err = float64(n), sizeErr
	case UnitPerS:
		value, err = parseRate(text)
	case UnitCount:
		n, countErr := parseCount(text)
		value, err = float64(n), countErr
		if n < 0 {
			err = errors.New("negative")
		}
	}
	if err != nil {
		return 0, fmt.Errorf("%s is not %s, which %s is compared with (write %s)", quote(text), m.kindOfValue(), name, m.example(text))
	}
	return value, nil
}

func (m metric) kindOfValue() string {
	return map[string]string{UnitNS: "a duration", UnitRatio: "a share", UnitPerS: "a rate", UnitCount: "a whole number",
		UnitCores: "a number of cores", UnitBytes: "a size"}[m.unit]
}

// example returns a value in the metric's unit, made from the number in text where there is one.
func (m metric) example(text string) string {
	number, rest := splitNumber(text)
	switch m.unit {
	case UnitNS:
		return orElse(number, "50") + "ms"
	case UnitRatio:
		return "0.999 or 99.9%"
	case UnitPerS:
		return orElse(number, "1000") + "/s"
	case UnitCores:
		if share, err := parseNumber(number); err == nil && strings.TrimSpace(rest) == "%" {
			return strconv.FormatFloat(share/100, 'g', 4, 64)
		}
		return orElse(number, "1.5")
	case UnitBytes:
		return orElse(number, "200") + "MiB"
	}
	whole, _, _ := strings.Cut(number, ".")
	return orElse(whole, "0")
}
