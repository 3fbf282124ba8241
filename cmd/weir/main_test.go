package main

import (
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary answer as weir when it is started under that name, as the scripts, the lifetime tests
// and weir's own children do.
func TestMain(m *testing.M) {
	_ = os.Setenv("GORACE", "atexit_sleep_ms=0") // else each process of a race build takes a second to end
	// What runs side by side waits more than it works, and asks for no pace: how late this machine makes a run excuses it.
	_ = flag.Set("test.parallel", "4") // fails for no number; -parallel comes after it
	testscript.Main(m, map[string]func(){"weir": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Values[scriptTest{}] = env.T()
			library, err := os.ReadFile("../../scenarios/quickstart.yaml")
			if err != nil {
				return err
			}
			return os.WriteFile(env.WorkDir+"/quickstart.yaml", library, 0o644)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"exitcode": exitCodeCommand, "measured": measuredCommand},
	})
}
