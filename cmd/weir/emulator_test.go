package main

import (
	"strconv"
	"strings"
	"testing"
)

// emulator is as much of a terminal as weir uses: printing with line breaks at the right edge, carriage return, line
// feed, cursor up, erase below, colours (ignored), and the cursor hidden and shown.
type emulator struct {
	columns int
	rows    [][]rune
	row     int
	column  int
	hidden  bool
	ups     int // times that the cursor was moved up: redraws
	unknown []string
}

func newEmulator(columns int) *emulator { return &emulator{columns: columns} }

func (e *emulator) Write(p []byte) (int, error) {
	text := []rune(string(p))
	for len(text) > 0 {
		switch r := text[0]; {
		case r == '\x1b':
			text = e.control(text)
			continue
		case r == '\n':
			e.row, e.column = e.row+1, 0
		case r == '\r':
			e.column = 0
		default:
			e.print(r)
		}
		text = text[1:]
	}
	return len(p), nil
}

func (e *emulator) print(r rune) {
	if e.column == e.columns {
		e.row, e.column = e.row+1, 0
	}
	for len(e.rows) <= e.row {
		e.rows = append(e.rows, nil)
	}
	for len(e.rows[e.row]) <= e.column {
		e.rows[e.row] = append(e.rows[e.row], ' ')
	}
	e.rows[e.row][e.column] = r
	e.column++
}

// control obeys one control sequence and returns what stands behind it.
func (e *emulator) control(text []rune) []rune {
	end := 2
	for end < len(text) && !(text[end] >= '@' && text[end] <= '~') {
		end++
	}
	if end >= len(text) || text[1] != '[' {
		e.unknown = append(e.unknown, string(text[:min(end, len(text))]))
		return nil
	}
	parameter := string(text[2:end])
	switch string(text[end]) + parameter {
	case "h?25":
		e.hidden = false
	case "l?25":
		e.hidden = true
	case "J":
		e.rows = e.rows[:min(e.row, len(e.rows))]
	default:
		switch n, err := strconv.Atoi(parameter); {
		case text[end] == 'A' && err == nil:
			e.row = max(e.row-n, 0)
			e.ups++
		case text[end] != 'm':
			e.unknown = append(e.unknown, string(text[:end+1]))
		}
	}
	return text[end+1:]
}

func (e *emulator) String() string {
	var lines []string
	for _, row := range e.rows {
		lines = append(lines, strings.TrimRight(string(row), " "))
	}
	return strings.Join(lines, "\n")
}

// resize breaks the lines anew, as terminals do that keep what they show. Whole lines are told from broken ones by their
// length, which is enough for what weir prints.
func (e *emulator) resize(columns int) {
	shown := e.String()
	was := *e
	*e = emulator{columns: columns, ups: was.ups, unknown: was.unknown, hidden: was.hidden}
	_, _ = e.Write([]byte(shown + "\n"))
}

func TestEmulator(t *testing.T) {
	e := newEmulator(4)
	_, _ = e.Write([]byte("abcdef\n\x1b[?25lgh\x1b[1A\rX\x1b[0;31m\x1b[J"))
	if got, want := e.String(), "abcd"; got != want || !e.hidden || e.row != 1 || e.ups != 1 || e.unknown != nil {
		t.Errorf("got %q, %+v; want %q", got, e, want)
	}
}
