package main

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// formats are what weir report prints a run as, by name.
var formats = []string{"terminal", "markdown", "json", "html", "junit", "csv", "hgrm"}

// runFiles tells of the files that weir makes from a run's log.
const runFiles = "  " + report.HTMLName + "     for people, one file that needs no network (html)\n" +
	"  " + report.MarkdownName + "       for a pull request (markdown)\n" +
	"  " + report.SummaryName + "    for programs (json)\n" +
	"  " + report.JUnitName + "       for a CI server (junit)\n" +
	"  " + report.CSVName + "   for a spreadsheet (csv)\n" +
	"  " + report.HGRMName + "        percentiles of the end-to-end latency, for HdrHistogram's plotter (hgrm)\n" +
	"  " + report.HLogName + "  all histograms of all intervals, for HdrHistogram's tools"

func reportCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "report DIR...",
		Short: "Rebuild reports of run directories from their logs, and tell the verdict again",
		Long: `Rebuild what is made from the logs of run directories, and print each run again. The exit code is that
of the run; of several, the first that is not 0. The files, and the formats that print them:

` + runFiles,
		Example: `  weir report results/runs/20261121-132156-quickstart-1likg5g5mq
  weir report results/today --format markdown > comment.md
  weir report results/today --format csv | head -3`,
		Args: arguments(1, math.MaxInt, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			print, err := printer(format, cmd.OutOrStdout())
			if err != nil {
				return err
			}
			// Each run is told, whatever the others are.
			var first error
			for _, dir := range args {
				err := rebuild(dir, print)
				if first == nil {
					first = err
				} else if err != nil && err.Error() != "" {
					fmt.Fprintf(cmd.ErrOrStderr(), "weir: %s\n", printableLines(err.Error()))
				}
			}
			return first
		},
	}
	cmd.Flags().StringVar(&format, "format", formats[0], "what is printed: "+strings.Join(formats, ", "))
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return cmd
}

// printSummary prints a run.
type printSummary func(*results.Run, *report.Summary) error

func printer(format string, out io.Writer) (printSummary, error) {
	switch format {
	case "terminal":
		return func(_ *results.Run, s *report.Summary) error {
			return report.Terminal(out, s, report.TerminalOptions{Color: colour(out), Width: columns(out)})
		}, nil
	case "markdown":
		return func(_ *results.Run, s *report.Summary) error { return report.Markdown(out, s) }, nil
	case "json":
		return func(_ *results.Run, s *report.Summary) error { return report.JSON(out, s) }, nil
	case "html":
		return func(r *results.Run, s *report.Summary) error { return report.HTML(out, r, s) }, nil
	case "junit":
		return func(_ *results.Run, s *report.Summary) error { return report.JUnit(out, s) }, nil
	case "csv":
		return func(r *results.Run, _ *report.Summary) error { return report.IntervalsCSV(out, r) }, nil
	case "hgrm":
		return func(r *results.Run, _ *report.Summary) error { return report.HGRM(out, r) }, nil
	}
	mend := "there is " + strings.Join(formats, ", ")
	if near := scenarios.Nearest(format, formats); near != "" {
		mend = "did you mean " + near + "?"
	}
	return nil, usagef("--format %q is unknown (%s)", format, mend)
}

// rebuild makes the files of a run directory again and prints the run. Files that can't be written, as in an archive
// that is read only, are an error after the run has been told.
func rebuild(dir string, print printSummary) error {
	run, err := results.Open(dir)
	if err != nil {
		return err
	}
	summary, err := report.Summarise(run)
	if err != nil {
		return err
	}
	written := report.WriteFiles(run, summary)
	if err := told(print(run, summary), summary); written == nil {
		return err
	}
	return written
}
