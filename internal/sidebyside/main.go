// Command sidebyside writes a Markdown table of the run directories that it is given, and below it which of the runs did
// not come to their end; those are not in the table. With any of them its exit code is 1.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

func main() {
	failed, err := write(os.Stdout, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "sidebyside:", err)
	}
	if err != nil || failed > 0 {
		os.Exit(1)
	}
}

// write returns how many of the runs are not in the table.
func write(w io.Writer, dirs []string) (failed int, err error) {
	var runs []*report.Summary
	var footer []string
	for _, dir := range dirs {
		s, err := complete(dir)
		if err != nil {
			footer = append(footer, fmt.Sprintf("- %s: %v", dir, err))
			continue
		}
		runs = append(runs, s)
	}
	if err := report.SideBySide(w, runs); err != nil {
		return 0, err
	}
	if len(footer) == 0 {
		return 0, nil
	}
	_, err = fmt.Fprintf(w, "\n%d of %d runs failed and are not in the table:\n\n", len(footer), len(dirs))
	for _, line := range footer {
		if err == nil {
			_, err = fmt.Fprintln(w, line)
		}
	}
	return len(footer), err
}

// complete summarises a run that came to its end. The figures of any other are not those of the whole work.
func complete(dir string) (*report.Summary, error) {
	run, err := results.Open(dir)
	if err != nil {
		return nil, err
	}
	s, err := report.Summarise(run)
	switch {
	case err != nil:
		return nil, fmt.Errorf("summarise: %w", err)
	case s.Run.Error != "":
		return nil, fmt.Errorf("%s: %s", s.Run.Target, s.Run.Error)
	case s.Status != results.StatusComplete:
		return nil, fmt.Errorf("%s: the run is %s", s.Run.Target, s.Status)
	}
	return s, nil
}
