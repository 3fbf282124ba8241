package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/scenarios"
)

// initFlags are the flags of weir init.
type initFlags struct {
	from, out      string
	force          bool
	list, noSchema bool
}

func initCommand() *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use:   "init [NAME|FILE]",
		Short: "Write a commented scenario to start from, asking nothing",
		Long: `Write a commented scenario to start from: a copy of one of the library under a name of its own. It asks
nothing and never writes over a file unless told to by --force. Without an argument the file is
scenario.yaml. Beside it goes ` + schemaFile + `, which the scenario's first line names, so that an editor with
a YAML language server completes and checks it.`,
		Example: `  weir init prices                  # writes prices.yaml
  weir init load/prices.yaml
  weir init rooms --from chat
  weir init prices --out -          # prints it
  weir init --list                  # what there is to start from`,
		Args: arguments(0, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, strings.Join(args, "")) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	cmd.Flags().StringVar(&f.from, "from", "quickstart", "the `SCENARIO` of the library to start from")
	cmd.Flags().StringVar(&f.out, "out", "", "the `FILE` to write, - for standard output (default NAME.yaml)")
	cmd.Flags().BoolVar(&f.force, "force", false, "write over a file that is there")
	cmd.Flags().BoolVar(&f.noSchema, "no-schema", false, "write no "+schemaFile+" and no line about it")
	cmd.Flags().BoolVar(&f.list, "list", false, "list the library and write nothing")
	_ = cmd.RegisterFlagCompletionFunc("from", completeScenario) // the flag is there
	return cmd
}

func (f *initFlags) run(cmd *cobra.Command, arg string) error {
	if f.list {
		if arg != "" {
			return usagef("--list writes nothing, and so takes no %q", arg)
		}
		_, err := fmt.Fprint(cmd.OutOrStdout(), libraryLines())
		return err
	}
	if err := checkGiven(cmd, "out", "FILE"); err != nil {
		return err
	}
	if base := arg[strings.LastIndexAny(arg, `/\`)+1:]; arg != "" && strings.Trim(base, ".") == "" {
		return usagef("%q is a directory (write %s/NAME.yaml)", arg, strings.TrimRight(arg, `/\`))
	}
	name, file := starterNames(arg)
	if f.out != "" {
		file = f.out
	}
	text, err := starter(f.from, name, file)
	if err != nil {
		return err
	}
	if file == "-" {
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	if !f.noSchema {
		text = append([]byte("# yaml-language-server: $schema="+schemaFile+"\n"), text...)
	}
	if err := writeStarter(file, text, f.force); err != nil {
		return err
	}
	out, shown := cmd.OutOrStdout(), shellWord(file)
	fmt.Fprintf(out, "wrote %s, a copy of %s to be changed", printable(file), libraryFile(f.from))
	if !f.noSchema {
		said, err := writeSchema(filepath.Join(filepath.Dir(file), schemaFile), f.force)
		if err != nil {
			fmt.Fprintln(out)
			return err
		}
		fmt.Fprint(out, said)
	}
	fmt.Fprintf(out, ". Next:\n  weir validate %s\n  weir run %s\n", shown, shown)
	return nil
}

// schemaFile is the language's schema beside a scenario.
const schemaFile = "weir.schema.json"

// writeSchema writes the schema where none is, and over another only when told to. It returns how the sentence about the
// scenario goes on.
func writeSchema(file string, over bool) (string, error) {
	there, err := os.ReadFile(file)
	switch {
	case err == nil && string(there) == scenarios.Schema():
		return "; " + printable(file) + " for editors is there already", nil
	case err == nil && !over:
		return "; " + printable(file) + " is of another weir and was left alone (--force writes over it)", nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("write the schema: %w (--no-schema does without it)", err)
	}
	if err := os.WriteFile(file, []byte(scenarios.Schema()), 0o666); err != nil {
		return "", fmt.Errorf("write the schema: %w (--no-schema does without it)", err)
	}
	return ", and " + printable(file) + " for editors", nil
}

// starterNames is the scenario's name and its file, which ends in .yaml or .yml.
func starterNames(arg string) (name, file string) {
	if arg == "" {
		return "scenario", "scenario.yaml"
	}
	file = arg
	if !strings.HasSuffix(arg, ".yaml") && !strings.HasSuffix(arg, ".yml") {
		file += ".yaml"
	}
	base := filepath.Base(file)
	return scenarioName(strings.TrimSuffix(strings.TrimSuffix(base, ".yaml"), ".yml")), file
}

// notInName is what a scenario's name can't hold.
var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// scenarioName makes a scenario's name of any text: "My prices" is my-prices.
func scenarioName(text string) string {
	return strings.Trim(notInName.ReplaceAllString(strings.ToLower(text), "-"), "-")
}

// libraryFile is the name of a library scenario's file without its ending.
func libraryFile(name string) string { return strings.TrimSuffix(filepath.Base(name), ".yaml") }

// What differs from the scenario that the starter is a copy of.
var (
	nameLine    = regexp.MustCompile(`(?m)^name:[ \t]*[^ \t#\n]*`)
	pageLine    = regexp.MustCompile(`(?m)^# docs/scenarios/`)           // a path from weir's repository
	editorsLine = regexp.MustCompile(`(?m)^# yaml-language-server:.*\n`) // its path is right where the library lies alone
)

// starter is the text of a scenario of that name, for that file. It is one that resolves.
func starter(from, name, file string) ([]byte, error) {
	base := libraryFile(from)
	data, err := fs.ReadFile(scenarios.FS(), base+".yaml")
	if err != nil {
		names := scenarios.Library()
		mend := "there is " + strings.Join(names, ", ")
		if near := scenarios.Nearest(base, names); near != "" {
			mend = "did you mean " + near + "?"
		}
		return nil, usagef("--from %q is no scenario of the library (%s)", from, mend)
	}
	text := editorsLine.ReplaceAllString(string(data), "")
	text = pageLine.ReplaceAllString(text, "# weir's docs/scenarios/")
	text = nameLine.ReplaceAllLiteralString(text, "name: "+name)
	text = strings.ReplaceAll(text, "weir run "+base, "weir run "+printable(shellWord(file)))
	text = "# Made by weir init from the library's " + base + ". weir validate tells what a change costs.\n#\n" + text
	scenario, err := scenarios.Parse(file, []byte(text), scenarios.Options{Env: os.Environ()})
	if err == nil {
		_, err = scenario.Resolve()
	}
	if err != nil {
		return nil, usagef("%q can't be a scenario's name (another: weir init NAME --out FILE):\n%w", name, err)
	}
	return []byte(text), nil
}

// writeStarter writes a new file, or over one that is there.
func writeStarter(file string, text []byte, over bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if over {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	out, err := os.OpenFile(file, flags, 0o666)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("write the scenario: %s is there already (choose another name, or write over it with --force)", file)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("write the scenario: there is no directory %s (make it: mkdir -p %s)", filepath.Dir(file), shellWord(filepath.Dir(file)))
	case err != nil:
		return fmt.Errorf("write the scenario: %w", err)
	}
	_, err = out.Write(text)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("write the scenario: %w", err)
	}
	return nil
}

// shellWord is a file's name as a shell takes it, and as no flag.
func shellWord(file string) string {
	if strings.HasPrefix(file, "-") {
		file = "./" + file
	}
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./+,:@%", r) || r > 0x7f
	}
	if file != "" && !strings.ContainsFunc(file, func(r rune) bool { return !plain(r) }) {
		return file
	}
	return "'" + strings.ReplaceAll(file, "'", `'\''`) + "'"
}
