package main

import (
	"fmt"
	"io"
	"time"

	"github.com/weirbench/weir/runner"
)

// progress is how a run is followed on standard error: figures drawn in place on a terminal, plain lines elsewhere.
type progress struct {
	// messages takes whole lines about the run, without disturbing the figures.
	messages io.Writer
	// show takes the run's progress; nil where nothing is to be shown.
	show func(runner.Progress)
	// close takes the figures off the terminal.
	close func()
}

func newProgress(stderr io.Writer, quiet bool) progress {
	if quiet {
		return progress{messages: stderr, close: func() {}}
	}
	terminal, ok := asTerminal(stderr)
	if !ok {
		return progress{messages: stderr, show: func(p runner.Progress) { printLine(stderr, p.Line) }, close: func() {}}
	}
	s := newScreen(terminal, func() (columns, rows int) {
		columns, rows, _ = terminalSize(terminal)
		return columns, rows
	})
	return progress{messages: s, close: s.close, show: func(p runner.Progress) {
		if p.Figures != nil {
			s.show(p.Figures)
			return
		}
		printLine(s, p.Line)
	}}
}

// printLine prints a line with the time of day. A reader that has gone away, or is a closed pipe, ends no run.
func printLine(w io.Writer, line string) {
	if line == "" {
		return
	}
	_, _ = io.WriteString(w, fmt.Sprintf("%s  %s\n", time.Now().Format(time.TimeOnly), printable(line)))
}
