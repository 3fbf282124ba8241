package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/internal/doctor"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/runner"
)

// doctorFlags are the flags of weir doctor.
type doctorFlags struct {
	scenario scenarioFlags
	out      string
	allow    []string
	json     bool
}

func doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor [SCENARIO]",
		Short: "Tell what this machine lacks, for a scenario or in general, and the mend",
		Long: `Check this machine: for what a scenario needs, or without one for a load of 10,000 clients. It
changes and pulls nothing. Each check is a line with ok, warn (a run is possible, its figures may
suffer) or fail. Exit codes: 0 nothing fails, 1 something that is needed is missing, 2 wrong scenario
or flags.`,
		Example: `  weir doctor
  weir doctor scenario.yaml
  weir doctor quickstart --set kafka.provider=docker`,
		Args: arguments(0, 1, "SCENARIO"),
		RunE: f.run,
	}
	f.scenario.add(cmd)
	cmd.Flags().StringVar(&f.out, "out", runner.RunsDir, "the `DIR` that results are to go to")
	cmd.Flags().StringSliceVar(&f.allow, "allow-target", nil, "a `HOST` that may be loaded although it is not loopback, repeatable")
	cmd.Flags().BoolVar(&f.json, "json", false, "print the findings as JSON")
	return cmd
}

func (f *doctorFlags) run(cmd *cobra.Command, args []string) error {
	if err := checkGiven(cmd, "out", "DIR"); err != nil {
		return err
	}
	if err := checkAllow(cmd, f.allow); err != nil {
		return err
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
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(found); err != nil {
			return fmt.Errorf("print the findings: %w", err)
		}
	}
	if ctx.Err() != nil {
		return &exitError{code: report.ExitInterrupted}
	}
	for _, finding := range found {
		if finding.State == doctor.Fail {
			return &exitError{code: report.ExitError}
		}
	}
	return nil
}
