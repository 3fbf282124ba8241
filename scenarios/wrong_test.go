package scenarios

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestWrongScenarios holds every message to its golden file: the place, the path, what is wrong and the mend. Comments
// at a scenario's head are options.
func TestWrongScenarios(t *testing.T) {
	t.Chdir("testdata/wrong") // so that the messages name a file as a user in its directory would
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("got %d wrong scenarios (%v); want at least 30", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, strings.TrimSuffix(file, ".yaml")+".golden", describeProblems(t, problemsOf(t, filepath.Base(file), data)))
		})
	}
}

// problemsOf returns what Parse, or else Resolve, has against a scenario.
func problemsOf(t *testing.T, name string, data []byte) Errors {
	t.Helper()
	s, err := Parse(name, data, headOptions("", data))
	if err == nil {
		_, err = s.Resolve()
	}
	var problems Errors
	if !errors.As(err, &problems) {
		t.Fatalf("got error %v (%T); want Errors", err, err)
	}
	return problems
}

// headOptions reads the options that comments at a scenario's head give: "# --set a.b=c", "# --env NAME=value",
// "# --lift-limits" and "# --env-file PATH", which is relative to the directory.
func headOptions(dir string, data []byte) Options {
	var o Options
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if text, ok := strings.CutPrefix(line, "# --set "); ok {
			o.Sets = append(o.Sets, text)
		}
		if text, ok := strings.CutPrefix(line, "# --env "); ok {
			o.Env = append(o.Env, text)
		}
		if text, ok := strings.CutPrefix(line, "# --env-file "); ok {
			o.EnvFile = filepath.Join(dir, text)
		}
		o.LiftLimits = o.LiftLimits || line == "# --lift-limits"
	}
	return o
}

// describeProblems writes each problem and, below it, its excerpt with a mark at the column.
func describeProblems(t *testing.T, problems Errors) string {
	t.Helper()
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.Shown() + "\n")
		if (p.Line > 0) != (p.Column > 0) {
			t.Errorf("got line %d and column %d; want both or neither: %v", p.Line, p.Column, p)
		}
	}
	return b.String()
}

// TestSecretsAreNotRepeated: what stands where a secret was written out is in no message, excerpt or label.
func TestSecretsAreNotRepeated(t *testing.T) {
	t.Chdir("testdata/wrong")
	const canary = "CANARY-5e1f"
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	planted := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), canary) && !strings.HasPrefix(file, "profile-file") && !strings.HasPrefix(file, "env-file") {
			continue
		}
		planted++
		for _, p := range problemsOf(t, file, data) {
			if text := fmt.Sprintf("%#v %s", p, p.Shown()); strings.Contains(text, canary[:8]) {
				t.Errorf("%s: got %s; want the secret not repeated", file, text)
			}
		}
	}
	if planted < 11 {
		t.Errorf("got %d scenarios with a secret in them; want at least 11", planted)
	}
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal([]byte(got), want) {
		t.Errorf("%s:\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}
