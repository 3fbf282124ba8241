// Command sidebyside writes a Markdown table of the run directories that it is given. Below it stands which of the runs did
// not come to their end or are invalid, whose figures are not in the table, and which have no pass, whose figures are. With
// any of the former its exit code is 1.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/weirbench/weir/report"
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

// write returns how many of the runs' figures are not in the table.
func write(w io.Writer, dirs []string) (failed int, err error) {
	var runs []*report.Summary
	var without, doubted []string
	for _, dir := range dirs {
		s, err := report.SummariseComplete(dir)
		if err != nil {
			without = append(without, fmt.Sprintf("- %s: %v", dir, err))
			continue
		}
		runs = append(runs, s)
		line := fmt.Sprintf("- %s: %s: %s: %s", dir, s.Run.Target, s.Verdict, s.Reasons[0])
		switch {
		case s.Health.State == report.HealthInvalid:
			without = append(without, line)
		case s.Verdict != report.VerdictPassed:
			doubted = append(doubted, line)
		}
	}
	if err := report.SideBySide(w, runs); err != nil {
		return 0, err
	}
	many := func(n int, one, more string) string {
		if n == 1 {
			return fmt.Sprintf("1 of %d runs %s", len(dirs), one)
		}
		return fmt.Sprintf("%d of %d runs %s", n, len(dirs), more)
	}
	err = footer(w, many(len(without), "failed or is invalid, and its figures are not in the table:",
		"failed or are invalid, and their figures are not in the table:"), without)
	if err == nil {
		err = footer(w, many(len(doubted), "has no pass, and its figures are in the table:", "have no pass, and their figures are in the table:"), doubted)
	}
	return len(without), err
}

// footer writes a list, if there is anything on it.
func footer(w io.Writer, title string, lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%s\n\n%s\n", title, strings.Join(lines, "\n"))
	return err
}
