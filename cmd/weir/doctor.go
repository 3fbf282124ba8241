package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/internal/doctor"
	"github.com/weirbench/weir/internal/selftest"
	"github.com/weirbench/weir/runner"
)

// doctorFlags are the flags of weir doctor.
type doctorFlags struct {
	scenario scenarioFlags
	out      string
	allow    []string
	json     bool

	selfTests, calibrates bool

	selfTestOptions selftest.Options // beside what every self-test has; for tests
	executable      string           // "" is this one
}

func doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor [SCENARIO]",
		Short: "Tell what this machine lacks, for a scenario or in general, and the mend",
		Long: `Check this machine: for what a scenario needs, or without one for a load of 10,000 clients. It
changes and pulls nothing. Each check is a line with ok, warn (a run is possible, its figures may
suffer) or fail. Exit codes: 0 nothing fails, 1 something that is needed is missing, 2 wrong scenario
or flags, 130 interrupted.

With --selftest weir measures a target of its own, of known delay, loss and capacity, and says
whether it reads them back here: a minute at most. With --calibrate it measures that target with
nothing wrong in it, and states what no figure can be better than here, and at how many deliveries a
second the generator's health turns: two minutes at most.`,
		Example: `  weir doctor
  weir doctor scenario.yaml
  weir doctor quickstart --set kafka.provider=docker
  weir doctor --selftest
  weir doctor --calibrate --json`,
		Args: arguments(0, 1, "SCENARIO"),
		RunE: f.run,
	}
	f.scenario.add(cmd)
	cmd.Flags().StringVar(&f.out, "out", runner.RunsDir, "the `DIR` that results are to go to; with --calibrate a FILE for its figures")
	cmd.Flags().StringSliceVar(&f.allow, "allow-target", nil, "a `HOST` that may be loaded although it is not loopback, repeatable")
	cmd.Flags().BoolVar(&f.json, "json", false, "print the findings as JSON")
	cmd.Flags().BoolVar(&f.selfTests, "selftest", false, "measure a target of known behaviour and compare")
	cmd.Flags().BoolVar(&f.calibrates, "calibrate", false, "measure what this machine's figures can't be better than, and how much it carries")
	return cmd
}

func (f *doctorFlags) run(cmd *cobra.Command, args []string) error {
	if err := checkGiven(cmd, "out", "DIR"); err != nil {
		return err
	}
	if err := checkAllow(cmd, f.allow); err != nil {
		return err
	}
	if err := f.checkMode(cmd, args); err != nil {
		return err
	}
	switch {
	case f.selfTests:
		return f.selfTest(cmd)
	case f.calibrates:
		return f.calibrate(cmd)
	}
	needs := doctor.Needs{RunsDir: f.out}
	if len(args) > 0 {
		plan, err := f.scenario.plan(args[0])
		if err != nil {
			return err
		}
		if err := f.scenario.export(); err != nil {
			return err
		}
		needs.Plan = plan
	}
	out := cmd.OutOrStdout()
	ctx, stop := interruptible(cmd.ErrOrStderr(), "ending")
	defer stop()
	var tell func(doctor.Finding)
	if !f.json {
		tell = func(f doctor.Finding) { fmt.Fprintln(out, printableLines(f.String())) }
	}
	found := doctor.Examine(ctx, doctor.Local(f.allow), needs, tell)
	if f.json {
		if err := printJSON(out, found); err != nil {
			return err
		}
	}
	return doctorExit(ctx, found)
}
