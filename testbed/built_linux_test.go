package testbed

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// recipeText is a target.yaml whose program is the test binary; build is appended to what it builds by.
func recipeText(t *testing.T, build string) string {
	t.Helper()
	return `description: a program of the tests
tools: [{name: sh}]
build:
  - [sh, -c, "echo a build step"]
` + build + `
run:
  args: ["` + executable(t) + `", test, target, ok]
  env: {FILES: "{files}", HOW: none}
  url: ws://127.0.0.1:{port}/ws
  ready: {log: "^serving at"}
  stop_signal: SIGINT
  stop_in: 5s
files:
  config.json: '{"port":{port},"brokers":{seeds_json},"topics":{topics_json}}'
variants:
  naive: {env: {HOW: naively}}
  shared: {env: {HOW: together}}
`
}

func builtOptions(t *testing.T, recipe string) Options {
	t.Helper()
	o := options(t)
	o.Cache = t.TempDir()
	o.Targets = fstest.MapFS{"node-ws/target.yaml": {Data: []byte(recipe)}, "node-ws/src/server.js": {Data: []byte("serve()")}}
	return o
}

func startTestBuilt(t *testing.T, variant string, o Options) (*Target, error) {
	t.Helper()
	plan := scenarios.GatewayPlan{Target: scenarios.TargetNodeWS, Variant: variant, ReadyIn: time.Minute}
	return StartTarget(t.Context(), plan, []string{"127.0.0.1:1", "127.0.0.1:2"}, []string{"a", "b"}, o)
}

// TestBuiltTarget: it is built once and then run in its folder, as the variant says, with its files written.
func TestBuiltTarget(t *testing.T) {
	t.Parallel()
	o := builtOptions(t, recipeText(t, `  - [sh, -c, "cat src/server.js; echo once >> built.txt"]`))
	for range 2 {
		target, err := startTestBuilt(t, "shared", o)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := target.Description, "node-ws (shared)"; got != want {
			t.Errorf("got description %q; want %q", got, want)
		}
		cwd, err := os.Readlink("/proc/" + strconv.Itoa(target.Processes()[0]) + "/cwd")
		if err != nil {
			t.Fatal(err)
		}
		if built, err := os.ReadFile(filepath.Join(cwd, "built.txt")); err != nil || string(built) != "once\n" {
			t.Errorf("got %q, %v in the program's folder; want one build", built, err)
		}
		config, err := os.ReadFile(filepath.Join(o.Dir, "target", "config.json"))
		port := target.URL[strings.LastIndex(target.URL, ":")+1 : strings.LastIndex(target.URL, "/")]
		if want := `{"port":` + port + `,"brokers":["127.0.0.1:1","127.0.0.1:2"],"topics":["a","b"]}`; err != nil || string(config) != want {
			t.Errorf("got config %q, %v; want %q", config, err, want)
		}
		if err := target.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	wantFile(t, filepath.Join(o.Dir, "target-build.log"), "a build step", "serve()")
	wantFile(t, filepath.Join(o.Dir, "gateway.log"), "HOW=together", "FILES="+filepath.Join(o.Dir, "target"))
}

func wantFile(t *testing.T, path string, parts ...string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		if !strings.Contains(string(text), part) {
			t.Errorf("got %q in %s; want %q in it", text, filepath.Base(path), part)
		}
	}
}

// TestBuiltAtOnce: two runs share one build, and a new version of the folder is another one.
func TestBuiltAtOnce(t *testing.T) {
	t.Parallel()
	o := builtOptions(t, recipeText(t, `  - [sh, -c, "echo once >> built.txt"]`))
	r, err := readRecipe(o.Targets, "node-ws")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var dirs [4]string
	for i := range dirs {
		wg.Go(func() {
			own := o
			own.RunID += strconv.Itoa(i)
			var err error
			if dirs[i], err = build(t.Context(), "node-ws", r, time.Minute, own); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, dir := range dirs {
		if built, err := os.ReadFile(filepath.Join(dir, "built.txt")); dir != dirs[0] || err != nil || string(built) != "once\n" {
			t.Errorf("got %q, %v in %s; want one build, in %s", built, err, dir, dirs[0])
		}
	}
	o.Targets.(fstest.MapFS)["node-ws/src/server.js"].Data = []byte("serve better()")
	if dir, err := build(t.Context(), "node-ws", r, time.Minute, o); err != nil || dir == dirs[0] {
		t.Errorf("got %s, %v for a changed folder; want another one", dir, err)
	}
}

// TestBuildFails: the error has the last lines, and the next run builds anew.
func TestBuildFails(t *testing.T) {
	t.Parallel()
	o := builtOptions(t, recipeText(t, `  - [sh, -c, "echo half > half.txt; echo no such module >&2; test -e `+filepath.Join(t.TempDir(), "never")+`"]`))
	for range 2 {
		_, err := startTestBuilt(t, "naive", o)
		wantText(t, err, "start target node-ws", "build by `sh -c", "exit status 1", "its last lines", "no such module")
	}
	wantFile(t, filepath.Join(o.Dir, "target-build.log"), "no such module\na build step\nno such module\n")
	if stamps, _ := filepath.Glob(filepath.Join(o.Cache, "*", builtStamp)); len(stamps) > 0 {
		t.Errorf("got %q; want no build to count as done", stamps)
	}
}

// TestBuiltTools: a tool that is not there, or too old, is named with its mend, before anything is built.
func TestBuiltTools(t *testing.T) {
	bin := t.TempDir()
	script := func(name, text string) {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	script("oldtool", `echo 'oldtool version "16.9.1" 2020-01-01' >&2`)
	script("mutetool", "exit 3")
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for tools, want := range map[string]string{
		`{name: no-such-tool, version_args: [--version], at_least: "18", hint: "https://example.org"}`: "node-ws needs no-such-tool 18 or newer, and `no-such-tool` is not on the PATH: install it (https://example.org)",
		`{name: no-such-tool}`: "node-ws needs no-such-tool, and `no-such-tool` is not on the PATH: install it",
		`{name: oldtool, version_args: [-version], at_least: "16.10"}`: "node-ws needs oldtool 16.10 or newer, and `oldtool -version` says 16.9.1: install a newer one",
		`{name: oldtool, version_args: [-version], at_least: "16.9"}`:  "",
		`{name: mutetool, version_args: [-v], at_least: "1"}`:          "ask for its version by `mutetool -v`: exit status 3",
	} {
		o := builtOptions(t, strings.Replace(recipeText(t, ""), "{name: sh}", tools, 1))
		target, err := startTestBuilt(t, "naive", o)
		if want != "" {
			wantText(t, err, want)
			if made, _ := filepath.Glob(filepath.Join(o.Cache, "*")); len(made) > 0 {
				t.Errorf("%s: got %q; want nothing to be built", tools, made)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := target.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestRecipeTrouble(t *testing.T) {
	t.Parallel()
	good := recipeText(t, "")
	tests := []struct {
		name, recipe, variant string
		want                  string
	}{
		{"unknown field", good + "colour: blue\n", "naive", "field colour not found"},
		{"no YAML", "a: [", "naive", "yaml"},
		{"two documents", good + "---\na: b\n", "naive", "more than one document"},
		{"no program", "run: {url: x}", "naive", "run.args names no program"},
		{"empty step", strings.Replace(good, "build:\n", "build:\n  - []\n", 1), "naive", "build[0] names no program"},
		{"bad version", strings.Replace(good, "{name: sh}", "{name: sh, version_args: [-v], at_least: new}", 1), "naive", "tools[0]: at_least"},
		{"bad duration", strings.Replace(good, "stop_in: 5s", "stop_in: 5", 1), "naive", `"5" is not a duration`},
		{"bad file", strings.Replace(good, "config.json:", "../config.json:", 1), "naive", `"../config.json" is no file name`},
		{"no variant", good, "", "set gateway.variant to naive or shared"},
		{"unknown variant", good, "clever", `no variant "clever" (set gateway.variant to naive or shared)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := startTestBuilt(t, tt.variant, builtOptions(t, tt.recipe))
			wantText(t, err, "start target node-ws", tt.want)
		})
	}
	o := options(t)
	_, err := startTestBuilt(t, "naive", o)
	wantText(t, err, "no targets are built into this weir")
	o.Targets = fstest.MapFS{}
	if _, err = startTestBuilt(t, "naive", o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v; want that the file is not there", err)
	}
}

func TestOlder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		have, want string
		older      bool
	}{
		{"18", "18", false}, {"18.1", "18", false}, {"18", "18.1", true}, {"9", "18", true}, {"1.8.0", "17", true}, {"18.0.0", "18.0", false},
	} {
		have, _ := parseVersion(c.have)
		want, _ := parseVersion(c.want)
		if got := older(have, want); got != c.older {
			t.Errorf("%s against %s: got %v; want %v", c.have, c.want, got, c.older)
		}
	}
}
