package scenarios

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// maxProblems bounds how many problems one answer lists; the rest are counted.
const maxProblems = 100

// Problem is one mistake in a scenario: where it is, what is wrong, and the mend.
type Problem struct {
	// File is the scenario as the user named it, another file that it names, or the override ("--set kafka.brokers=x",
	// "WEIR_SET__KAFKA__BROKERS=x") that brought the mistake in.
	File string `json:"file"`
	// Line and Column count from 1; 0 where the mistake has no place in a file. Columns count characters, not bytes.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Path is the place in the scenario, written as --set takes it: producers.feed.rate. Empty for the whole file.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	// Excerpt is the line of the file, without its indentation and shortened; empty where there is none.
	Excerpt string `json:"excerpt,omitempty"`

	indent int // characters of the line before the excerpt
}

// Error returns the problem in one line: file:line:column: path: message.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	if p.Path != "" {
		b.WriteString(": " + p.Path)
	}
	b.WriteString(": " + p.Message)
	return b.String()
}

// excerptColumns is how wide an excerpt with its line's number may be on a terminal.
const excerptColumns = 100

// Shown returns the problem as Error does and, where there is an excerpt, below it the line with its number and a mark
// under the column.
func (p Problem) Shown() string {
	if p.Excerpt == "" {
		return p.Error()
	}
	head := fmt.Sprintf("  %4d | ", p.Line)
	margin := strings.Repeat(" ", len(head)-2) + "| "
	room, mark, text := excerptColumns-len(head), p.Column-1-p.indent, []rune(p.Excerpt)
	marked := mark >= 0 && mark < len(text)
	if marked && mark >= room {
		from := min(mark-room/2, len(text)-room+1)
		mark, text = mark-from+1, append([]rune("…"), text[from:]...)
	}
	shown := p.Error() + "\n" + head + shorten(string(text), room)
	if marked {
		shown += "\n" + margin + strings.Repeat(" ", mark) + "^"
	}
	return shown
}

// Errors is every mistake found in a scenario, in the order of the file, those of overrides last. It is the only
// type of error that Load, Parse and Resolve return.
type Errors []Problem

// Error returns the problems, one a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Shown returns the problems as [Problem.Shown] does.
func (e Errors) Shown() string {
	shown := make([]string, len(e))
	for i, p := range e {
		shown[i] = p.Shown()
	}
	return strings.Join(shown, "\n")
}

// place is where something stands: in the file (line > 0) or in an override.
type place struct {
	set          string // the override as the user gave it, "--set a.b=c"; empty for the file
	line, column int
	path         string
	vars         string // the variables that the value was made of, and where they are from
}

// under returns the place with its path extended by one element.
func (p place) under(element string) place {
	p.path = join(p.path, element)
	return p
}

// right returns the place n characters further right, where it is in a file.
func (p place) right(n int) place {
	if p.line > 0 {
		p.column += n
	}
	return p
}

func join(path, element string) string {
	if path == "" {
		return element
	}
	return path + "." + element
}

// source is what a scenario was read from, kept for the excerpts.
type source struct {
	name string
	text string
}

// reporter collects problems.
type reporter struct {
	source   source
	lines    []string // of source.text, split when the first excerpt is wanted
	problems []problem
	others   []Problem // of other files that the scenario names
	dropped  int
	hidden   map[int]int     // line → the column from which on it is not shown
	hiddenIn map[string]bool // overrides whose value is not shown
	blind    bool            // the text is not YAML, so that nothing is known of what must not be shown
	reads    *reads
	env      *environment
	lift     bool          // Options.LiftLimits
	watch    func(*object) // told of each mapping decoded; tests only
}

func newReporter(s source) *reporter {
	return &reporter{source: s, hidden: map[int]int{}, hiddenIn: map[string]bool{}, reads: &reads{}, env: &environment{}}
}

// problem is a Problem whose place is yet to be written out: what must not be shown of it is known at the end.
type problem struct {
	at      place
	message string
}

// addf records a problem at a place.
func (r *reporter) addf(at place, format string, args ...any) {
	if len(r.problems) >= maxProblems {
		r.dropped++
		return
	}
	p := problem{at: at, message: fmt.Sprintf(format, args...)}
	if at.vars != "" {
		p.message += " [" + at.vars + "]"
	}
	if !slices.Contains(r.problems, p) {
		r.problems = append(r.problems, p)
	}
}

// hide keeps what stands at a place, and behind it in its line, out of every message.
func (r *reporter) hide(at place) {
	switch {
	case at.set != "":
		r.hiddenIn[at.set] = true
	case at.line > 0:
		r.hideFrom(at.line, at.column)
		r.hideQuoted(at)
	}
}

func (r *reporter) hideFrom(line, column int) {
	if before, ok := r.hidden[line]; !ok || column < before {
		r.hidden[line] = column
	}
}

// hideQuoted hides the further lines of a quoted value.
func (r *reporter) hideQuoted(at place) {
	first := []rune(r.line(at.line))
	if at.column > len(first) || first[at.column-1] != '"' && first[at.column-1] != '\'' {
		return
	}
	mark := string(first[at.column-1])
	rest := string(first[at.column:])
	for line := at.line + 1; !strings.Contains(rest, mark) && line <= len(r.lines); line++ {
		r.hideFrom(line, 1)
		rest = r.line(line)
	}
}

// line returns a line of the source, "" where there is none.
func (r *reporter) line(n int) string {
	if r.lines == nil {
		r.lines = strings.Split(r.source.text, "\n")
	}
	if n < 1 || n > len(r.lines) {
		return ""
	}
	return r.lines[n-1]
}

// written returns the problem as it is shown.
func (r *reporter) written(p problem) Problem {
	out := Problem{File: r.source.name, Line: p.at.line, Column: p.at.column, Path: p.at.path, Message: p.message, Excerpt: r.excerpt(p.at.line)}
	whole := r.line(p.at.line)
	out.indent = len(whole) - len(strings.TrimLeft(whole, " \t"))
	if p.at.set != "" {
		label := p.at.set
		if r.hiddenIn[label] || secretName.MatchString(label) {
			name, _, _ := strings.Cut(label, "=")
			label = name + "=" + redacted
		}
		out.File, out.Line, out.Column, out.Excerpt = shorten(label, 126), 0, 0, ""
	}
	return out
}

// redacted stands in messages for what must not be shown.
const redacted = "***"

// excerpt returns a line of the source, trimmed and shortened, without what must not be shown.
func (r *reporter) excerpt(line int) string {
	whole := r.line(line)
	text := strings.TrimLeft(whole, " \t")
	left := len(whole) - len(text)
	text = text[:min(len(text), 4*120)] // more is not shown
	if column, ok := r.hidden[line]; ok {
		runes := []rune(text)
		text = string(runes[:min(max(column-1-left, 0), len(runes))]) + redacted
	} else if r.blind {
		if at := secretName.FindStringIndex(text); at != nil {
			text = text[:at[1]] + redacted
		}
	}
	return shorten(strings.TrimSpace(text), 120)
}

// err returns the problems in order, or nil.
func (r *reporter) err() error {
	out := r.list()
	if len(out) == 0 {
		return nil
	}
	return Errors(out)
}

// list returns the problems in order: those of the file, of other files, of overrides.
func (r *reporter) list() []Problem {
	sorted := slices.Clone(r.problems)
	slices.SortStableFunc(sorted, func(a, b problem) int {
		return cmp.Or(cmp.Compare(rank(a.at), rank(b.at)), cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.column, b.at.column))
	})
	var out []Problem
	others := r.others
	for _, p := range sorted {
		if p.at.set != "" {
			out, others = append(out, others...), nil
		}
		out = append(out, r.written(p))
	}
	out = append(out, others...)
	if r.dropped > 0 {
		out = append(out, Problem{File: r.source.name, Message: fmt.Sprintf("and %d more problems", r.dropped)})
	}
	return out
}

func rank(at place) int {
	if at.set != "" {
		return 1
	}
	return 0
}

// shorten cuts s to at most n characters and replaces what a terminal must not be sent.
func shorten(s string, n int) string {
	if len(s) > 4*n {
		s = s[:4*n]
	}
	clean := []rune(strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, s))
	if len(clean) > n {
		return string(clean[:n-1]) + "…"
	}
	return string(clean)
}

// quote quotes a value for a message, shortened.
func quote(s string) string { return fmt.Sprintf("%q", shorten(s, 60)) }
