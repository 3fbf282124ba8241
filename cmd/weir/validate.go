package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func validateCommand() *cobra.Command {
	var sets []string
	cmd := &cobra.Command{
		Use:   "validate SCENARIO",
		Short: "Check a scenario; print the plan that it resolves to, as JSON, and what it will cost",
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
			c := plan.Cost()
			fmt.Fprintf(cmd.ErrOrStderr(), "%d connections, %d messages, %d deliveries (%.0f/s at the peak), %.1f MB delivered, "+
				"%.1f MB of audit, up to %.1f MB of send buffers, about %v (at most %v)\n",
				c.Connections, c.Messages, c.Deliveries, c.PeakDeliveries, float64(c.DeliveredBytes)/1e6,
				float64(c.AuditBytes)/1e6, float64(c.SendBufferBytes)/1e6, c.Duration.Round(time.Second), c.Longest.Round(time.Second))
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&sets, "set", nil, "override a value of the scenario: a.b=c, repeatable")
	return cmd
}
