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

// TestWrongScenarios holds every message to its golden file: the place, the path, what is wrong and the mend. Lines of
// the form "# --set a.b=c" at a scenario's head are applied as overrides.
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
	s, err := Parse(name, data, Options{Sets: headSets(data)})
	if err == nil {
		_, err = s.Resolve()
	}
	var problems Errors
	if !errors.As(err, &problems) {
		t.Fatalf("got error %v (%T); want Errors", err, err)
	}
	return problems
}

func headSets(data []byte) []string {
	var sets []string
	for line := range strings.Lines(string(data)) {
		if text, ok := strings.CutPrefix(line, "# --set "); ok {
			sets = append(sets, strings.TrimSuffix(text, "\n"))
		}
	}
	return sets
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
