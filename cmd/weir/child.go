package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/testbed"
)

// childCommand holds what weir starts itself as: processes of their own, so that their CPU, GC and stops are not the
// generator's. They end when their standard input does.
func childCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "child", Short: "Processes that weir starts for itself", Hidden: true, Args: cobra.NoArgs}
	var kafka testbed.KafkaChild
	embedded := &cobra.Command{
		Use:  "kafka",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return testbed.ServeKafka(context.Background(), kafka, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	embedded.Flags().IntVar(&kafka.Brokers, "brokers", 3, "number of brokers")
	embedded.Flags().StringVar(&kafka.RunID, "run-id", "", "name of the run")
	reaper := &cobra.Command{
		Use:  "reaper",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return testbed.ServeReaper(context.Background(), cmd.InOrStdin())
		},
	}
	guard := &cobra.Command{
		Use:  "guard",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return testbed.ServeGuard(context.Background(), cmd.InOrStdin())
		},
	}
	cmd.AddCommand(embedded, reaper, guard, nullTargetCommand())
	return cmd
}
