package scenarios

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestWrongScenarios holds every message to its golden file: the place, the path, what is wrong and the mend. Comments
// at a scenario's head are options.
func TestWrongScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/wrong/*.yaml")
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
	s, err := Parse(name, data, headOptions(t, data))
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
// "# --lift-limits", and lines of a file of variables: "# --env-line NAME=value".
func headOptions(t *testing.T, data []byte) Options {
	t.Helper()
	var o Options
	var file []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if text, ok := strings.CutPrefix(line, "# --set "); ok {
			o.Sets = append(o.Sets, text)
		}
		if text, ok := strings.CutPrefix(line, "# --env "); ok {
			o.Env = append(o.Env, text)
		}
		if text, ok := strings.CutPrefix(line, "# --env-line "); ok {
			file = append(file, text)
		}
		o.LiftLimits = o.LiftLimits || line == "# --lift-limits"
	}
	if file != nil {
		o.EnvFile = filepath.Join(t.TempDir(), "weir.env")
		if err := os.WriteFile(o.EnvFile, []byte(strings.Join(file, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// describeProblems writes each problem and, below it, its excerpt with a mark at the column.
func describeProblems(t *testing.T, problems Errors) string {
	t.Helper()
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.Error() + "\n")
		if p.Excerpt != "" {
			b.WriteString("\t" + p.Excerpt + "\n")
		}
		if (p.Line > 0) != (p.Column > 0) {
			t.Errorf("got line %d and column %d; want both or neither: %v", p.Line, p.Column, p)
		}
	}
	return b.String()
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
