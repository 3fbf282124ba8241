// Package benchtable is the arithmetic of comparisons that are made in rounds, and their tables: medians, ranges, and ratios
// that are taken within a round, so that what the machine did in one falls on both sides of it. It measures nothing.
package benchtable

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Sample is one figure, a value for each round; NaN stands for a round without one.
type Sample []float64

// Absent is a round's value where there is none.
func Absent() float64 { return math.NaN() }

// values are those that are there, in ascending order.
func (s Sample) values() []float64 {
	out := make([]float64, 0, len(s))
	for _, v := range s {
		if !math.IsNaN(v) {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

// Count is how many rounds have a value.
func (s Sample) Count() int { return len(s.values()) }

// Median is the middle value, or the mean of the two in the middle; NaN where there is none.
func (s Sample) Median() float64 {
	v := s.values()
	if len(v) == 0 {
		return math.NaN()
	}
	mid := len(v) / 2
	if len(v)%2 == 1 {
		return v[mid]
	}
	return (v[mid-1] + v[mid]) / 2
}

// Range is the lowest and the highest value; NaN where there is none.
func (s Sample) Range() (low, high float64) {
	v := s.values()
	if len(v) == 0 {
		return math.NaN(), math.NaN()
	}
	return v[0], v[len(v)-1]
}

// Ratios divides s by base round by round. A round in which either has no value, or base is 0, has none.
func Ratios(s, base Sample) Sample {
	out := make(Sample, min(len(s), len(base)))
	for i := range out {
		out[i] = math.NaN()
		if base[i] != 0 {
			out[i] = s[i] / base[i]
		}
	}
	return out
}

// Spread is (high − low) ÷ median; NaN where there are fewer than two values or the median is 0.
func (s Sample) Spread() float64 {
	low, high := s.Range()
	if m := s.Median(); m != 0 && s.Count() > 1 {
		return (high - low) / m
	}
	return math.NaN()
}

// Cell writes a sample as its median with the range behind it: "6.52 (6.40–6.71)". One value stands alone, and none is a
// dash.
func (s Sample) Cell(format func(float64) string) string {
	switch s.Count() {
	case 0:
		return "–"
	case 1:
		return format(s.Median())
	}
	low, high := s.Range()
	return fmt.Sprintf("%s (%s–%s)", format(s.Median()), format(low), format(high))
}

// Digits writes a number with three significant digits and no exponent.
func Digits(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Sprintf("%g", v)
	}
	whole := int(math.Floor(math.Log10(math.Abs(v)))) + 1
	if scale := math.Pow(10, float64(3-whole)); math.Abs(math.Round(v*scale)) >= 1000 {
		whole++ // 9.996 has two digits before its point once it is rounded
	}
	return fmt.Sprintf("%.*f", max(0, 3-whole), v)
}

// Percent writes a share of 1.
func Percent(v float64) string { return Digits(v*100) + "%" }

// Table is a table of Markdown.
type Table struct {
	Title string // a heading; empty for none
	Head  []string
	Rows  [][]string
	Notes []string // paragraphs below it
}

// Add appends a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Note appends a paragraph to those below the table.
func (t *Table) Note(format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
}

// Write writes the table. A row with fewer cells than the head is filled up with empty ones.
func (t *Table) Write(w io.Writer) error {
	var b strings.Builder
	if t.Title != "" {
		fmt.Fprintf(&b, "### %s\n\n", t.Title)
	}
	row := func(cells []string) {
		b.WriteByte('|')
		for i := range t.Head {
			cell := ""
			if i < len(cells) {
				cell = strings.ReplaceAll(strings.ReplaceAll(cells[i], "|", `\|`), "\n", " ")
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteByte('\n')
	}
	if len(t.Head) > 0 {
		row(t.Head)
		b.WriteString("|" + strings.Repeat(" --- |", len(t.Head)) + "\n")
	}
	for _, r := range t.Rows {
		row(r)
	}
	b.WriteByte('\n')
	for _, n := range t.Notes {
		b.WriteString(n + "\n\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
