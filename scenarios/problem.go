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
	// File is the scenario as the user named it, or the --set flag ("--set kafka.brokers=x") that brought the mistake in.
	File string `json:"file"`
	// Line and Column count from 1; 0 where the mistake has no place in a file. Columns count characters, not bytes.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Path is the place in the scenario, written as --set takes it: producers.feed.rate. Empty for the whole file.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	// Excerpt is the line of the file, without its indentation and shortened; empty where there is none.
	Excerpt string `json:"excerpt,omitempty"`
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

// Errors is every mistake found in a scenario, in the order of the file, those of --set flags last. It is the only
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

// place is where something stands: in the file (line > 0) or in a --set flag.
type place struct {
	set          string // the flag's text; empty for the file
	line, column int
	path         string
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
	problems []Problem
	dropped  int
}

// addf records a problem at a place.
func (r *reporter) addf(at place, format string, args ...any) {
	if len(r.problems) >= maxProblems {
		r.dropped++
		return
	}
	p := Problem{File: r.source.name, Line: at.line, Column: at.column, Path: at.path, Message: fmt.Sprintf(format, args...)}
	if at.set != "" {
		p.File, p.Line, p.Column = "--set "+shorten(at.set, 120), 0, 0
	}
	p.Excerpt = r.excerpt(p.Line)
	if !slices.Contains(r.problems, p) {
		r.problems = append(r.problems, p)
	}
}

// excerpt returns a line of the source, trimmed and shortened.
func (r *reporter) excerpt(line int) string {
	if line < 1 {
		return ""
	}
	if r.lines == nil {
		r.lines = strings.Split(r.source.text, "\n")
	}
	if line > len(r.lines) {
		return ""
	}
	return shorten(strings.TrimSpace(r.lines[line-1]), 120)
}

// err returns the problems in order, or nil.
func (r *reporter) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	out := slices.Clone(r.problems)
	slices.SortStableFunc(out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(setRank(a), setRank(b)), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if r.dropped > 0 {
		out = append(out, Problem{File: r.source.name, Message: fmt.Sprintf("and %d more problems", r.dropped)})
	}
	return Errors(out)
}

func setRank(p Problem) int {
	if p.Line == 0 && strings.HasPrefix(p.File, "--set ") {
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
