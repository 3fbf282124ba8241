package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/internal/doctor"
	"github.com/weirbench/weir/loadgen"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/runner"
	"github.com/weirbench/weir/scenarios"
	"github.com/weirbench/weir/targets"
)

// gcPercent lets the heap grow to five times what is live before it is collected.
const gcPercent = 400

// runFlags are the flags of weir run.
type runFlags struct {
	scenario    scenarioFlags
	out         string
	allow       []string
	quiet, json bool
}

func runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "Stand a pipeline up, drive it, account for every message and say whether it passed",
		Long: `Run a scenario: a YAML file, or the name of one of the library (weir run alone lists it).

The result is a run directory with the log of all that was measured, run.log, what is made from it
(weir report makes it again), and the children's output, kafka.log and gateway.log, or gateway-1.log
and on:

` + runFiles + `

Exit codes: 0 passed, 1 error, 2 wrong scenario or flags, 3 a threshold failed, 4
delivery broke the target's contract, 5 invalid (the generator or the clock can't support a
verdict), 130 interrupted.`,
		Example: `  weir run quickstart
  weir run quickstart --set producers.feed.rate=2000/s --set phases.measure.steady.duration=60s
  weir run scenario.yaml --out results/today --json --quiet`,
		Args: oneScenario,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.scenario.add(cmd)
	cmd.Flags().StringVar(&f.out, "out", "", "the run directory, a new `DIR` (default "+runner.RunsDir+"/TIME-NAME-ID)")
	cmd.Flags().StringSliceVar(&f.allow, "allow-target", nil, "a `HOST` that may be loaded although it is not loopback, repeatable")
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "no progress on standard error")
	cmd.Flags().BoolVar(&f.json, "json", false, "print summary.json on standard output instead of the table")
	return cmd
}

func (f *runFlags) run(cmd *cobra.Command, scenario string) error {
	if err := checkGiven(cmd, "out", "DIR"); err != nil {
		return err
	}
	if err := checkAllow(cmd, f.allow); err != nil {
		return err
	}
	plan, err := f.scenario.plan(scenario)
	if err != nil {
		return err
	}
	if err := checkTarget(cmd.Context(), plan, f.allow); err != nil {
		return err
	}
	if err := f.scenario.export(); err != nil {
		return err
	}
	if err := checkOut(f.out, plan); err != nil {
		return err
	}
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the weir binary: %w", err)
	}
	defer surviveClosedPipes()()
	progress := newProgress(cmd.ErrOrStderr(), f.quiet)
	defer progress.close()
	ctx, stop := interruptible(progress.messages, "draining and writing the report")
	defer stop()
	summary, err := measure(ctx, runner.Options{
		Plan: plan, Dir: f.out, Executable: executable, AllowTargets: f.allow, Targets: targets.Files,
		Command: os.Args, Version: version, Progress: progress.show,
	})
	progress.close()
	if summary == nil {
		return err
	}
	if told := tell(cmd, summary, f.json); err == nil {
		return told
	}
	return err
}

// measure makes the run in a process that is set up to disturb it little.
func measure(ctx context.Context, o runner.Options) (*report.Summary, error) {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1 + loadgen.WaitingThreads(o.Plan))
	// Fewer collections: the live heap is small and what is measured must not wait for the generator's. While the load goes
	// on they are bounded by memory instead. What the user has set stays.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	o.BoundGC = true
	summary, _, err := runner.Run(ctx, o)
	return summary, err
}

// checkOut refuses, before anything starts, a run directory that is not free for a run or has too little room.
func checkOut(dir string, plan *scenarios.Plan) error {
	at := dir
	if dir == "" {
		at = runner.RunsDir
	} else if err := checkEmpty(dir); err != nil {
		return err
	}
	return doctor.RoomFor(plan, at)
}

// checkEmpty refuses what is there already, unless it is an empty directory.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("use run directory %s: it, or what it is to lie in, is a file (choose another --out)", dir)
	case err != nil:
		return fmt.Errorf("use run directory: %w (choose another --out)", err)
	case len(entries) > 0:
		return fmt.Errorf("use run directory %s: it holds files already, %s for one (choose another --out)", dir, entries[0].Name())
	}
	return nil
}

// tell prints the summary and turns its verdict into the exit code.
func tell(cmd *cobra.Command, s *report.Summary, asJSON bool) error {
	out := cmd.OutOrStdout()
	if asJSON {
		return told(report.JSON(out, s), s)
	}
	return told(report.Terminal(out, s, report.TerminalOptions{Color: colour(out), Width: columns(out)}), s)
}

// told is the exit code after printing. A reader that has gone, as head does, has had what it wanted.
func told(err error, s *report.Summary) error {
	if err != nil && !errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("print the summary: %w", err)
	}
	if code := s.ExitCode(); code != report.ExitPassed {
		return &exitError{code: code}
	}
	return nil
}
