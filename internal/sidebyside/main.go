// Command sidebyside writes a Markdown table of the run directories that it is given.
package main

import (
	"fmt"
	"os"

	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sidebyside:", err)
		os.Exit(1)
	}
}

func write(dirs []string) error {
	var runs []*report.Summary
	for _, dir := range dirs {
		run, err := results.Open(dir)
		if err != nil {
			return err
		}
		s, err := report.Summarise(run)
		if err != nil {
			return fmt.Errorf("summarise %s: %w", dir, err)
		}
		runs = append(runs, s)
	}
	return report.SideBySide(os.Stdout, runs)
}
