package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/runner"
	"github.com/weirbench/weir/scenarios"
)

// gcPercent lets the heap grow to five times what is live before it is collected.
const gcPercent = 400

func runCommand() *cobra.Command {
	var out string
	var sets, allow []string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "Stand a pipeline up, drive it, account for every message and say whether it passed",
		Long: `Run a scenario: a YAML file, or the name of one of the library.

The result is a run directory with summary.json, report.html, report.md and the log that they are made from.
Exit codes: 0 passed, 1 error, 2 wrong scenario or flags, 3 a threshold failed, 4 delivery broke the target's
contract, 5 invalid (the generator or the clock can't support a verdict), 130 interrupted.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, err := loadPlan(args[0], sets)
			if err != nil {
				return err
			}
			executable, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find the weir binary: %w", err)
			}
			// Each pacing thread finds a P to run on when it wakes, also while all processors run Go code; see loadgen.Options.
			runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1 + len(plan.Producers))
			// Fewer collections: the live heap is small and what is measured must not wait for the generator's.
			debug.SetGCPercent(gcPercent)
			ctx, stop := interruptible(cmd.ErrOrStderr())
			defer stop()
			progress := func(line string) { fmt.Fprintf(cmd.ErrOrStderr(), "%s  %s\n", time.Now().Format(time.TimeOnly), line) }
			if quiet {
				progress = nil
			}
			summary, _, err := runner.Run(ctx, runner.Options{
				Plan: plan, Dir: out, Executable: executable, AllowTargets: allow,
				Command: os.Args, Version: version, Progress: progress,
			})
			if summary == nil {
				return err
			}
			if told := tell(cmd, summary); err == nil {
				return told
			}
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the run directory (default "+runner.RunsDir+"/TIME-NAME-ID)")
	cmd.Flags().StringArrayVar(&sets, "set", nil, "override a value of the scenario: a.b=c, repeatable")
	cmd.Flags().StringSliceVar(&allow, "allow-target", nil, "hosts that may be loaded although they are not loopback")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "no progress on standard error")
	return cmd
}

// loadPlan reads and resolves a scenario.
func loadPlan(path string, sets []string) (*scenarios.Plan, error) {
	scenario, err := scenarios.Load(path, scenarios.Options{Sets: sets})
	if err != nil {
		return nil, usage(err)
	}
	plan, err := scenario.Resolve()
	if err != nil {
		return nil, usage(err)
	}
	return plan, nil
}

// tell prints the summary and turns its verdict into the exit code.
func tell(cmd *cobra.Command, s *report.Summary) error {
	opt := report.TerminalOptions{Color: colour(cmd.OutOrStdout()), Width: 100}
	if err := report.Terminal(cmd.OutOrStdout(), s, opt); err != nil {
		return fmt.Errorf("print the summary: %w", err)
	}
	if code := s.ExitCode(); code != report.ExitPassed {
		return &exitError{code: code}
	}
	return nil
}
