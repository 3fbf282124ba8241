package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/internal/doctor"
	"github.com/weirbench/weir/internal/selftest"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/runner"
	"github.com/weirbench/weir/scenarios"
)

// bench is where weir doctor makes runs of its own: a folder for their directories, which goes when all is well.
type bench struct {
	dir        string
	executable string
	progress   io.Writer
}

// newBench makes one. executable is the weir binary; "" is this one.
func newBench(progress io.Writer, executable string) (*bench, error) {
	if executable == "" {
		var err error
		if executable, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find the weir binary: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "weir-doctor-*")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the runs: %w", err)
	}
	return &bench{dir: dir, executable: executable, progress: progress}, nil
}

// target is the command line of the null target.
func (b *bench) target() []string { return []string{b.executable, "child", "null-target"} }

// run makes one run, as weir run does.
func (b *bench) run(ctx context.Context, plan *scenarios.Plan) (*selftest.Measured, error) {
	dir := filepath.Join(b.dir, plan.Name)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0)) // measure raises it for its run
	summary, err := measure(ctx, runner.Options{Plan: plan, Dir: dir, Executable: b.executable, Command: os.Args, Version: version})
	if err != nil {
		return nil, err
	}
	return &selftest.Measured{Summary: summary, Dir: dir}, nil
}

// say tells what is done now. Nobody need listen.
func (b *bench) say(line string) { printLine(b.progress, line) }

// close removes the runs, or says where they are kept.
func (b *bench) close(keep bool) {
	if keep {
		b.say("the runs are kept in " + b.dir)
		return
	}
	_ = os.RemoveAll(b.dir) // what is left of a temporary folder harms nobody
}

// selfTest measures a target of known delay, loss and capacity, and says whether they are read back here.
func (f *doctorFlags) selfTest(cmd *cobra.Command) error {
	b, err := newBench(cmd.ErrOrStderr(), f.executable)
	if err != nil {
		return err
	}
	ctx, stop := interruptible(cmd.ErrOrStderr(), "ending")
	defer stop()
	out := cmd.OutOrStdout()
	o := f.selfTestOptions
	o.Run, o.RunStopped, o.Target, o.Progress = b.run, b.stoppedRunner(), b.target(), b.say
	if !f.json {
		o.Tell = func(finding doctor.Finding) { fmt.Fprintln(out, printableLines(finding.String())) }
	}
	found := selftest.Run(ctx, o)
	b.close(failing(found))
	if f.json {
		if err := printJSON(out, found); err != nil {
			return err
		}
	}
	return doctorExit(ctx, found)
}

// printJSON prints a value for programs.
func printJSON(out io.Writer, value any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return fmt.Errorf("print the findings: %w", err)
	}
	return nil
}

func failing(found []doctor.Finding) bool {
	for _, finding := range found {
		if finding.State == doctor.Fail {
			return true
		}
	}
	return false
}

// doctorExit is the exit code after the findings.
func doctorExit(ctx context.Context, found []doctor.Finding) error {
	switch {
	case ctx.Err() != nil:
		return &exitError{code: report.ExitInterrupted}
	case failing(found):
		return &exitError{code: report.ExitError}
	}
	return nil
}

// checkMode refuses flags and arguments that have no meaning together.
func (f *doctorFlags) checkMode(cmd *cobra.Command, args []string) error {
	switch {
	case f.selfTests && f.calibrates:
		return usageOf("--selftest and --calibrate are two commands (give one of them)")
	case (f.selfTests || f.calibrates) && len(args) > 0:
		return usageOf("--selftest and --calibrate measure a target of their own, and take no scenario (leave " + args[0] + " out)")
	case f.selfTests && cmd.Flags().Changed("out"):
		return usageOf("--selftest writes no file (leave --out out)")
	case f.selfTests || f.calibrates:
		for _, name := range []string{"set", "env-file", "lift-limits", "allow-target"} {
			if cmd.Flags().Changed(name) {
				return usageOf("--selftest and --calibrate measure a target of their own (leave --" + name + " out)")
			}
		}
	}
	return nil
}

func usageOf(text string) error { return usage(errors.New(text)) }
