package scenarios

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// The limits of a scenario file. They keep a hostile or generated file from taking the machine: the loader stays
// below 64 MiB whatever it is given.
const (
	maxFileBytes = 1 << 20
	maxDepth     = 32
	maxMarks     = 50_000   // characters that begin a YAML node, see countMarks
	maxNodes     = 50_000   // after aliases are written out
	maxSetBytes  = 64 << 10 // all --set flags together
)

// Options is what goes into a scenario beside its file. The zero value adds nothing.
type Options struct {
	// Sets are overrides, "a.b=c" as --set takes them; the last wins.
	Sets []string
	// Env is the environment, "NAME=value" as [os.Environ] gives it.
	Env []string
	// EnvFile is a file of further variables, NAME=value a line; those of Env win. Empty is none.
	EnvFile string
	// LiftLimits allows rates, clients and durations beyond what a slip of the pen should be able to ask for.
	LiftLimits bool
}

// Load reads a scenario file, applies the options and checks its form. Where no such file exists the library that the
// binary carries is asked for the name. The error is an [Errors].
func Load(path string, o Options) (*Scenario, error) {
	data, err := readScenario(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, o)
}

// readScenario returns a file's or a library scenario's bytes, at most one more than maxFileBytes.
func readScenario(path string) ([]byte, error) {
	fail := func(format string, args ...any) ([]byte, error) {
		return nil, Errors{{File: orElse(shorten(path, 200), "scenario"), Message: fmt.Sprintf(format, args...)}}
	}
	if path == "" {
		return fail("no scenario is named (write a file's path, or one of the library: %s)", strings.Join(Library(), ", "))
	}
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		if data, ok := fromLibrary(path); ok {
			return data, nil
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail("there is no such file, and the library has none of that name%s", didYouMean(libraryName(path), Library()))
	case err != nil:
		return fail("can't be read: %v", reason(err))
	case info.IsDir():
		return fail("is a directory (name a scenario file in it)")
	}
	f, err := os.Open(path)
	if err != nil {
		return fail("can't be read: %v", reason(err))
	}
	defer f.Close() // read only: nothing is lost by a failing close
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return fail("can't be read: %v", reason(err))
	}
	return data, nil
}

// reason is what the system says, without the path, which stands before it anyway.
func reason(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// Parse parses a scenario's text and applies the options. Name is what the messages call it. The form is checked here,
// what the parts of a scenario must have to do with each other by [Scenario.Resolve]; where the form is wrong already,
// both are, so that all mistakes come at once. The error is an [Errors].
func Parse(name string, data []byte, o Options) (*Scenario, error) {
	r := newReporter(source{name: orElse(name, "scenario"), text: string(data)})
	r.lift = o.LiftLimits
	r.env = readEnvironment(r, o)
	return parse(r, data, o.Sets)
}

func parse(r *reporter, data []byte, sets []string) (*Scenario, error) {
	tree, ok := parseTree(r, place{}, data)
	if !ok {
		return nil, r.err()
	}
	applied := applySets(r, tree, scenarioShape, r.overrides(sets))
	s := decode(r, applied)
	if r.err() == nil {
		return s, nil
	}
	s.resolve(r)
	return nil, r.err()
}
