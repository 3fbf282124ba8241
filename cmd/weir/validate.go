package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func validateCommand() *cobra.Command {
	var sets []string
	cmd := &cobra.Command{
		Use:   "validate SCENARIO",
		Short: "Check a scenario and print the plan that it resolves to, as JSON",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, err := loadPlan(args[0], sets)
			if err != nil {
				return err
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			if err := enc.Encode(plan); err != nil {
				return fmt.Errorf("print the plan: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&sets, "set", nil, "override a value of the scenario: a.b=c, repeatable")
	return cmd
}
