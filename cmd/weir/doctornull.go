package main

import (
	"context"
	"fmt"
	"net"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/internal/nulltarget"
	"github.com/weirbench/weir/testbed"
)

// nullTargetCommand is the target of known behaviour that weir doctor measures: a process of its own, started like any other
// program that is a target. It ends when it is asked to, or its standard input does.
func nullTargetCommand() *cobra.Command {
	var o nulltarget.Options
	cmd := &cobra.Command{
		Use:  "null-target",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asked, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
			defer stop()
			ctx, cancel := testbed.ChildContext(asked, cmd.InOrStdin())
			defer cancel()
			return nulltarget.Serve(ctx, o, func(at net.Addr) { fmt.Fprintf(cmd.OutOrStdout(), "listens at %s\n", at) })
		},
	}
	cmd.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:0", "host:port")
	cmd.Flags().StringSliceVar(&o.Seeds, "seeds", nil, "Kafka's addresses")
	cmd.Flags().StringSliceVar(&o.Topics, "topics", nil, "topics to read")
	o.Faults.Register(cmd.Flags())
	return cmd
}
