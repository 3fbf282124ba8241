package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/gateway"
	"github.com/weirbench/weir/runner"
	"github.com/weirbench/weir/testbed"
)

func gatewayCommand() *cobra.Command {
	var cfg gateway.Config
	var policy string
	var conflate []string
	var security kafkaFlags
	var child, verbose bool
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Serve Kafka topics to WebSocket clients: the reference gateway",
		Long: `Serve topics and their keys as channels over WebSocket, as docs/PROTOCOL.md says.
Clients may publish to the topics that --publish names.

The first interrupt drains: clients get what waits for them and are closed with 1012.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.SlowPolicy = gateway.SlowPolicy(policy)
			for _, c := range conflate {
				conflation, err := gateway.ParseConflation(c)
				if err != nil {
					return usage(fmt.Errorf("--conflate: %w", err))
				}
				cfg.Conflate = append(cfg.Conflate, conflation)
			}
			if err := cfg.WithDefaults().Validate(); err != nil {
				return usage(err)
			}
			secured, err := security.settings()
			if err != nil {
				return usage(err)
			}
			if cfg.KafkaOpts, err = secured.Options(); err != nil {
				return fmt.Errorf("reach Kafka: %w", err)
			}
			level := slog.LevelWarn
			if verbose {
				level = slog.LevelInfo
			}
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			ctx, stop := interruptible(cmd.ErrOrStderr())
			defer stop()
			if child {
				childCtx, cancel := testbed.ChildContext(ctx, cmd.InOrStdin())
				defer cancel()
				ctx = childCtx
			}
			err = gateway.Run(ctx, cfg, log, func(addr string) {
				if !child {
					fmt.Fprintf(cmd.ErrOrStderr(), "weir gateway: ready at ws://%s/ws\n", addr)
					return
				}
				line, _ := json.Marshal(map[string]any{"ready": true, "addr": addr}) // strings and booleans always encode
				fmt.Fprintf(cmd.OutOrStdout(), "%s\n", line)
			})
			if errors.Is(err, runner.ErrInterrupted) {
				return nil
			}
			return explain(err, secured)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Listen, "listen", "127.0.0.1:8080", "address to listen on; port 0 picks a free one")
	f.StringSliceVar(&cfg.Brokers, "brokers", nil, "Kafka bootstrap addresses, host:port")
	f.StringSliceVar(&cfg.Topics, "topics", nil, "topics to serve")
	f.StringSliceVar(&conflate, "conflate", nil, "pass on only the newest record of each key of a topic, at an interval: TOPIC=INTERVAL; may be repeated")
	f.StringSliceVar(&cfg.PublishTopics, "publish", nil, "topic that clients may publish to; may be repeated (default none)")
	f.IntVar(&cfg.Publish.MaxInFlight, "max-in-flight", 0, "bound of one client's publish messages without an answer (default 256)")
	f.DurationVar(&cfg.Publish.Linger, "publish-linger", 0, "how long a published record waits for others to go with it (default 0s)")
	f.StringSliceVar(&cfg.Origins.Allow, "allow-origin", nil, "browser origins that may connect besides the gateway's own")
	f.IntVar(&cfg.QueueBytes, "queue-bytes", 0, "bound of one client's queue, bytes (default 1 MiB)")
	f.StringVar(&policy, "slow-clients", string(gateway.SlowDisconnect), "what happens when a queue is full: disconnect or drop-oldest")
	f.DurationVar(&cfg.Timeouts.Drain, "drain-timeout", 0, "how long queues are written out at shutdown (default 10s)")
	f.StringVar(&cfg.InstanceID, "instance-id", "", "name of this instance, echoed by /readyz and to clients")
	security.define(cmd)
	f.BoolVar(&verbose, "verbose", false, "log what happens and not only what goes wrong")
	f.BoolVar(&child, "child", false, "write a ready line to standard output and end when standard input ends")
	if err := f.MarkHidden("child"); err != nil {
		panic(err) // the flag is defined in the line above
	}
	return cmd
}
