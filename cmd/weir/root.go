package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

const rootHelp = `weir measures Kafka→WebSocket pipelines: it stands one up, or is pointed at one, drives it as a YAML
scenario says, accounts for every message, and says how fast and how correct it was.

The first minute, with nothing but this binary:

  weir run quickstart       embedded Kafka, the reference gateway, 500 clients, half a minute
  weir doctor               what this machine lacks for more
  weir init                 a commented scenario of your own, to be changed and run`

// execute runs the command line and returns the exit code.
func execute(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "weir",
		Short:         "Load-test Kafka→WebSocket pipelines: how fast, how correct, how far",
		Long:          rootHelp,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 100"))
	root.SetFlagErrorFunc(wrongFlag)
	root.SetHelpCommand(helpCommand())
	root.AddCommand(runCommand(), initCommand(), validateCommand(), reportCommand(), doctorCommand(), gatewayCommand(), childCommand())
	return exitCode(root.Execute(), stderr)
}

// helpCommand is weir help COMMAND, which unlike cobra's own refuses what is no command.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return knownCommand(cmd.Root(), args)
			}
			return about.Help()
		},
	}
}

// knownCommand refuses what is no command, and says what may have been meant.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	mend := "weir --help lists the commands"
	near := scenarios.Nearest(args[0], names)
	switch {
	case isScenario(args[0]):
		mend = fmt.Sprintf("to run it: weir run %s", args[0])
	case near != "":
		mend = fmt.Sprintf("did you mean %s?", near)
	}
	return usagef("unknown command %q (%s)", args[0], mend)
}

// isScenario reports whether an argument names a scenario of the library or looks like a scenario's file.
func isScenario(arg string) bool {
	for _, name := range scenarios.Library() {
		if arg == name {
			return true
		}
	}
	return strings.HasSuffix(arg, ".yaml") || strings.HasSuffix(arg, ".yml")
}

// wrongFlag says which flag may have been meant.
func wrongFlag(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
		if near := scenarios.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			return usagef("%w (did you mean --%s?)", err, near)
		}
		return usagef("%w (%s --help lists the flags)", err, cmd.CommandPath())
	}
	return usage(err)
}

// arguments checks how many arguments a command gets; what names them in the message.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("%s is missing: %s", what, cmd.UseLine())
		case len(args) > most:
			return usagef("%q is one argument too many: %s", args[most], cmd.UseLine())
		}
		return nil
	}
}

// exitCode tells the error, where there is something to tell, and picks the code.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return report.ExitPassed
	}
	if text := shown(err); text != "" {
		fmt.Fprintf(stderr, "weir: %s\n", printableLines(text))
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	if _, ok := errors.AsType[scenarios.Errors](err); ok {
		return report.ExitUsage
	}
	return report.ExitError
}

// shown is an error's text; a scenario's mistakes come with the lines that they are in.
func shown(err error) string {
	if wrong, ok := errors.AsType[scenarios.Errors](err); ok {
		return wrong.Shown()
	}
	return err.Error()
}

// printableLines replaces what a terminal would obey in a message of several lines.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable(strings.ReplaceAll(line, "\t", "    "))
	}
	return strings.Join(lines, "\n")
}

// interruptible returns a context that the first interrupt, termination or loss of the terminal ends, with
// runner.ErrInterrupted as the cause; the second exits at once. messages is told that, and what is done now, in a goroutine of its own: a terminal
// that takes nothing must not keep the second from being heard.
func interruptible(messages io.Writer, doing string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup does
		signal.Notify(signals, syscall.SIGHUP)
	}
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			cancel(runner.ErrInterrupted)
			go fmt.Fprintf(messages, "weir: interrupted; %s (interrupt again to exit at once)\n", doing)
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

// surviveClosedPipes turns the signal for a reader of standard output or error that has gone, such as head, into an
// error of the write: it must not cost the run.
func surviveClosedPipes() (restore func()) {
	broken := make(chan os.Signal, 1) // the runtime drops what does not fit
	signal.Notify(broken, syscall.SIGPIPE)
	return func() { signal.Stop(broken) }
}
