package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

func reportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "report DIR",
		Short: "Rebuild summary and reports of a run directory from its log, and tell the verdict again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := results.Open(args[0])
			if err != nil {
				return err
			}
			summary, err := report.Summarise(run)
			if err != nil {
				return err
			}
			if err := report.WriteFiles(run, summary); err != nil {
				return err
			}
			return tell(cmd, summary)
		},
	}
}

// colour reports whether w is a terminal that wants colours.
func colour(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
