package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/gateway"
	"github.com/weirbench/weir/internal/kafkasec"
	"github.com/weirbench/weir/runner"
	"github.com/weirbench/weir/testbed"
)

func gatewayCommand() *cobra.Command {
	var f gatewayFlags
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Serve Kafka topics to WebSocket clients: the reference gateway",
		Long: `Serve topics and their keys as channels over WebSocket, as docs/PROTOCOL.md says.
Clients may publish to the topics that --publish names.

What it serves and how may stand in a file, which docs/GATEWAY.md describes; flags win over it.

The first interrupt drains: clients get what waits for them and are closed with 1012.`,
		Example: `  weir gateway --brokers 127.0.0.1:9092 --topics prices
  weir gateway --config gateway.yaml
  weir gateway --config gateway.yaml --listen 0.0.0.0:8080 --set limits.connections=5000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, secured, err := f.config(cmd)
			if err != nil {
				return err
			}
			return f.serve(cmd, cfg, secured)
		},
	}
	f.define(cmd)
	return cmd
}

// serve runs the gateway until an interrupt has drained it, or, of a child, the end of standard input.
func (f *gatewayFlags) serve(cmd *cobra.Command, cfg gateway.Config, secured kafkasec.Settings) error {
	level := slog.LevelWarn
	if f.verbose {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	ctx, stop := interruptible(cmd.ErrOrStderr(), "draining")
	defer stop()
	if f.child {
		childCtx, cancel := testbed.ChildContext(ctx, cmd.InOrStdin())
		defer cancel()
		ctx = childCtx
	}
	err := gateway.Run(ctx, cfg, log, func(addr string) { f.ready(cmd, cfg, addr) })
	if errors.Is(err, runner.ErrInterrupted) {
		return nil
	}
	return explain(err, secured)
}

// ready tells where the gateway serves.
func (f *gatewayFlags) ready(cmd *cobra.Command, cfg gateway.Config, addr string) {
	if f.child {
		line, _ := json.Marshal(map[string]any{"ready": true, "addr": addr}) // strings and booleans always encode
		fmt.Fprintf(cmd.OutOrStdout(), "%s\n", line)
		return
	}
	scheme := "ws"
	if cfg.TLS != nil {
		scheme = "wss"
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "weir gateway: ready at %s://%s/ws\n", scheme, addr)
}
