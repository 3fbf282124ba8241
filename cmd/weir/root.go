package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/runner"
	"github.com/weirbench/weir/scenarios"
)

// version is weir's own; releases set it when they are linked.
var version = "0.1.0-dev"

// exitError carries an exit code with a reason that has been told already, or with one still to be told.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage marks an error as the user's: the scenario or the flags are wrong.
func usage(err error) error { return &exitError{report.ExitUsage, err} }

// execute runs the command line and returns the exit code.
func execute(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "weir",
		Short:         "Load-test Kafka→WebSocket pipelines: how fast, how correct, how far",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.AddCommand(runCommand(), reportCommand(), validateCommand(), gatewayCommand(), childCommand())
	return exitCode(root.Execute(), stderr)
}

// exitCode tells the error, where there is something to tell, and picks the code.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return report.ExitPassed
	}
	if text := err.Error(); text != "" {
		fmt.Fprintf(stderr, "weir: %s\n", text)
	}
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	var wrong scenarios.Errors
	if errors.As(err, &wrong) || isUnknownCommand(err) {
		return report.ExitUsage
	}
	return report.ExitError
}

// isUnknownCommand recognises cobra's errors about the command line itself, which have no type.
func isUnknownCommand(err error) bool {
	text := err.Error()
	for _, prefix := range []string{"unknown command", "accepts ", "requires at least", "unknown flag"} {
		if len(text) >= len(prefix) && text[:len(prefix)] == prefix {
			return true
		}
	}
	return false
}

// interruptible returns a context that the first interrupt or termination signal ends, with runner.ErrInterrupted as the
// cause; the second exits at once.
func interruptible(stderr io.Writer) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			fmt.Fprintln(stderr, "weir: interrupted; draining and writing the report (interrupt again to exit at once)")
			cancel(runner.ErrInterrupted)
		case <-done:
			return
		}
		select {
		case <-signals:
			os.Exit(report.ExitInterrupted)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}
