package main

import (
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/scenarios"
)

// scenarioFlags are the flags of every command that reads scenarios.
type scenarioFlags struct {
	sets    []string
	envFile string
	lift    bool
}

func (f *scenarioFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.sets, "set", nil, "override a value of the scenario: `a.b=c`, repeatable, the last wins")
	cmd.Flags().StringVar(&f.envFile, "env-file", "", "a `FILE` of variables for the scenario, NAME=value a line; the environment's own win")
	cmd.Flags().BoolVar(&f.lift, "lift-limits", false, "allow rates, clients and durations beyond the usual bounds")
	cmd.ValidArgsFunction = completeScenario
}

// plan reads and resolves a scenario.
func (f *scenarioFlags) plan(path string) (*scenarios.Plan, error) {
	scenario, err := scenarios.Load(path, scenarios.Options{Sets: f.sets, Env: os.Environ(), EnvFile: f.envFile, LiftLimits: f.lift})
	if err != nil {
		return nil, usage(err)
	}
	plan, err := scenario.Resolve()
	if err != nil {
		return nil, usage(err)
	}
	return plan, nil
}

// export puts the variables of the file into the process's environment, where they are not set already: a scenario's
// secrets may name them, and the children look there, too.
func (f *scenarioFlags) export() error {
	if f.envFile == "" {
		return nil
	}
	variables, err := scenarios.ReadEnvFile(f.envFile)
	if err != nil {
		return usage(err)
	}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		if _, set := os.LookupEnv(name); set {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return usagef("set the variable %s of %s: %w", name, f.envFile, err)
		}
	}
	return nil
}

// completeScenario offers the library's names to the shell, and files.
func completeScenario(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, s := range library() {
		names = append(names, s.name+"\t"+s.about)
	}
	return names, cobra.ShellCompDirectiveDefault
}

// libraryScenario is a scenario that the binary carries.
type libraryScenario struct{ name, about string }

// library lists the scenarios that the binary carries, with what each is about.
func library() []libraryScenario {
	var all []libraryScenario
	for _, name := range scenarios.Library() {
		s := libraryScenario{name: name}
		if plan, err := (&scenarioFlags{}).plan(name + ".yaml"); err == nil {
			s.about = strings.Join(strings.Fields(plan.Description), " ")
		}
		all = append(all, s)
	}
	return all
}

// libraryLines prints the library, a line each that fits 100 columns.
func libraryLines() string {
	var b strings.Builder
	for _, s := range library() {
		fmt.Fprintln(&b, strings.TrimRight(shortened(fmt.Sprintf("  %-14s %s", s.name, s.about), 100), " "))
	}
	return b.String()
}

// shortened cuts a line to so many characters, between words.
func shortened(line string, columns int) string {
	if utf8.RuneCountInString(line) <= columns {
		return line
	}
	line = cut(line, columns-1)
	return strings.TrimRight(line[:strings.LastIndex(line, " ")], " ,;:.") + "…"
}

// oneScenario requires a scenario; where there is none it lists those of the library.
func oneScenario(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("no scenario is named: %s\nSCENARIO is a file, or one of the library:\n%s", cmd.UseLine(), strings.TrimRight(libraryLines(), "\n"))
	}
	return arguments(1, 1, "SCENARIO")(cmd, args)
}
