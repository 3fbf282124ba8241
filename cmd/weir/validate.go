package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/internal/doctor"
	"github.com/weirbench/weir/internal/thousands"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/scenarios"
)

func validateCommand() *cobra.Command {
	var f scenarioFlags
	var quiet, asJSON, schema bool
	cmd := &cobra.Command{
		Use:   "validate SCENARIO...",
		Short: "Check scenarios; print the plan that each resolves to, as JSON, and what it will cost",
		Long: `Check scenarios, start nothing. The plan, with every default filled in, goes to standard output as
JSON, what it will cost to standard error. All mistakes come at once, each with its place and the mend;
then the exit code is 2.`,
		Example: `  weir validate quickstart
  weir validate --quiet scenarios/*.yaml
  weir validate quickstart --json | jq .cost
  weir validate --schema > weir.schema.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if schema {
				return arguments(0, 0, "")(cmd, args)
			}
			return arguments(1, math.MaxInt, "SCENARIO")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if schema {
				if _, err := io.WriteString(cmd.OutOrStdout(), scenarios.Schema()); err != nil {
					return fmt.Errorf("print the schema: %w", err)
				}
				return nil
			}
			wrong := false
			for _, path := range args {
				plan, err := f.plan(path)
				if err != nil {
					wrong = true
					if err := printProblems(cmd, path, err, asJSON); err != nil {
						return fmt.Errorf("print the mistakes: %w", err)
					}
					continue
				}
				if quiet {
					continue
				}
				if err := printPlan(cmd, path, plan, asJSON); err != nil {
					return fmt.Errorf("print the plan: %w", err)
				}
			}
			if wrong {
				return &exitError{code: report.ExitUsage}
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&quiet, "quiet", false, "print mistakes alone")
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema (draft-07) of the language, for editors, and check nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a scenario on standard output: scenario, plan and cost, or scenario and problems")
	return cmd
}

// validated is what validate --json prints of a scenario.
type validated struct {
	Scenario string          `json:"scenario"`
	Plan     *scenarios.Plan `json:"plan"`
	Cost     cost            `json:"cost"`
	Note     string          `json:"note,omitempty"` // what a run of it needs beside the machine
}

// cost is a plan's cost with the memory that it asks for in all.
type cost struct {
	scenarios.Cost
	MemoryBytes int64 `json:"memory_bytes"`
	DiskBytes   int64 `json:"disk_bytes"`
}

func costOf(plan *scenarios.Plan) cost {
	return cost{plan.Cost(), doctor.MemoryBytes(plan), doctor.RunBytes(plan)}
}

// invalid is what validate --json prints of a scenario with mistakes.
type invalid struct {
	Scenario string           `json:"scenario"`
	Problems scenarios.Errors `json:"problems"`
}

// printProblems prints what is wrong with a scenario.
func printProblems(cmd *cobra.Command, path string, err error, asJSON bool) error {
	if wrong, ok := errors.AsType[scenarios.Errors](err); ok && asJSON {
		return jsonTo(cmd.OutOrStdout()).Encode(invalid{path, wrong})
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "weir: %s\n", printableLines(shown(err)))
	return nil
}

func jsonTo(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc
}

func printPlan(cmd *cobra.Command, path string, plan *scenarios.Plan, asJSON bool) error {
	enc := jsonTo(cmd.OutOrStdout())
	if asJSON {
		return enc.Encode(validated{path, plan, costOf(plan), targetNote(plan)})
	}
	if err := enc.Encode(plan); err != nil {
		return err
	}
	if err := printCost(cmd.ErrOrStderr(), path, costOf(plan)); err != nil {
		return err
	}
	if note := targetNote(plan); note != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: %s\n", printable(note))
	}
	return nil
}

func expected(n int64, lessThanOne bool) string {
	if lessThanOne {
		return "less than one"
	}
	return thousands.Of(n)
}

// printCost prints the cost as a table.
func printCost(w io.Writer, path string, c cost) error {
	fmt.Fprintf(w, "%s is right and will cost about\n", printable(path))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what, figure string) { fmt.Fprintf(t, "  %s\t%s\n", what, figure) }
	row("connections", thousands.Of(int64(c.Connections)))
	fewMessages, fewDeliveries := c.LessThanOne()
	row("messages", fmt.Sprintf("%s, %s", expected(c.Messages, fewMessages), doctor.Bytes(c.ProducedBytes)))
	row("deliveries", fmt.Sprintf("%s, %s; %s/s at the peak", expected(c.Deliveries, fewDeliveries), doctor.Bytes(c.DeliveredBytes),
		expected(int64(math.Round(c.PeakDeliveries)), c.PeakDeliveries > 0 && c.PeakDeliveries < 1)))
	row("memory", fmt.Sprintf("%s on this machine, %s of it audit and up to %s send buffers",
		doctor.Bytes(c.MemoryBytes), doctor.Bytes(c.AuditBytes), doctor.Bytes(c.SendBufferBytes)))
	row("disk", fmt.Sprintf("%s in the run directory", doctor.Bytes(c.DiskBytes)))
	row("time", fmt.Sprintf("%v, %v at most", c.Duration.Round(time.Second), c.Longest.Round(time.Second)))
	return t.Flush()
}
