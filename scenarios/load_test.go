package scenarios

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestLoadFindsTheLibrary(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("quickstart", 0o755); err != nil { // a directory of that name must not hide the scenario
		t.Fatal(err)
	}
	for _, path := range []string{"quickstart", "quickstart.yaml", "scenarios/quickstart.yaml", "./scenarios/quickstart.yaml", "scenarios/quickstart"} {
		s, err := Load(path, Options{})
		if err != nil || s.Name() != "quickstart" {
			t.Errorf("%s: got error %v; want the library's quickstart", path, err)
		}
	}
}

func TestLoadPrefersTheFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("quickstart", []byte(strings.Replace(base, "gateway:\n", "", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Load("quickstart", Options{})
	if err != nil || s.Name() != "base" {
		t.Fatalf("got error %v; want the file's scenario, base", err)
	}
	if p, err := s.Resolve(); err != nil || p.Source != "quickstart" {
		t.Errorf("got %+v, %v; want source quickstart", p, err)
	}
}

func TestLibraryResolves(t *testing.T) {
	if !slices.Contains(Library(), "quickstart") {
		t.Fatalf("got library %v; want quickstart in it", Library())
	}
	for _, name := range Library() {
		s, err := Load(name, Options{})
		if err != nil {
			t.Errorf("load %s: %v", name, err)
			continue
		}
		if p, err := s.Resolve(); err != nil || p.Name != name {
			t.Errorf("resolve %s: got %v; want a plan of that name", name, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ name, path, want string }{
		{"no path", "", "no scenario is named"},
		{"slip in the name", "quickstrt", "did you mean quickstart?"},
		{"no such file", filepath.Join(dir, "none.yaml"), "there is no such file"},
		{"directory", dir, "is a directory"},
		{"file as a directory", file("a.yaml", "x") + "/b.yaml", "not a directory"},
		{"empty", file("empty.yaml", ""), "is empty"},
		{"blank", file("blank.yaml", " \n\t\n"), "is empty"},
		{"too large", file("large.yaml", strings.Repeat("#", maxFileBytes+1)), "is larger than 1MiB"},
		{"UTF-16", file("utf16.yaml", "\xff\xfev\x00e\x00"), "is not UTF-8 text"},
		{"executable", file("elf.yaml", "\x7fELF\x02\x01\x01\x00"), "is not UTF-8 text"},
		{"a line feed in the path", "a\nb", "there is no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(c.path, Options{})
			var problems Errors
			if !errors.As(err, &problems) || len(problems) != 1 || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want one problem with %q", err, c.want)
			}
		})
	}
}

// An endless file must not be read to its end.
func TestLoadStopsReading(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no /dev/zero")
	}
	if _, err := Load("/dev/zero", Options{}); err == nil || !strings.Contains(err.Error(), "is larger than 1MiB") {
		t.Errorf("got %v; want the size refused", err)
	}
}

func TestParseTakesByteOrderMarkAndCarriageReturns(t *testing.T) {
	text := "\uFEFF" + strings.ReplaceAll(strings.Replace(base, "gateway:\n", "", 1)[1:], "\n", "\r\n")
	if p := planOf(t, text); p.Name != "base" || p.Producers[0].Rate.From != 1000 {
		t.Errorf("got %+v; want the base scenario", p)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 3 * maxProblems {
		fmt.Fprintf(&b, "x%d: 1\n", i)
	}
	_, err := Parse("many.yaml", []byte(b.String()), Options{})
	var problems Errors
	if !errors.As(err, &problems) || len(problems) != maxProblems+1 {
		t.Fatalf("got %d problems; want %d and their count", len(problems), maxProblems)
	}
	if got := problems[maxProblems].Message; !strings.Contains(got, "more problems") {
		t.Errorf("got %q as the last; want the number of the others", got)
	}
}

// What a scenario contains must not reach the terminal as control sequences.
func TestErrorsArePrintable(t *testing.T) {
	_, err := Parse("a.yaml", []byte("\"\\e[31mred\": 1\nname: \"\\a\\e]0;title\\a\"\n"), Options{Sets: []string{"x\x1b[31m.y=\x1b"}})
	if err == nil || strings.ContainsFunc(err.Error(), func(c rune) bool { return c < ' ' && c != '\n' }) {
		t.Errorf("got %q; want problems without control characters", err)
	}
}

// FuzzParse: no text panics, every mistake is an Errors with a place in the text, and what loads resolves or is refused
// by an Errors too.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	right, err := filepath.Glob("testdata/right/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(append(files, right...), "quickstart.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data), "kafka.brokers=1", "A=5s")
	}
	f.Add(base, "gateway={target: external, url: 'ws://a:1'}", "WEIR_SET__CLIENTS__VIEWERS__SLOW={}")
	f.Add(strings.Replace(base, "1000/s", "${RATE}", 1), "producers.feed.rate={sine: {mean: 5/s, amplitude: 5/s, period: 1s}}", "RATE=1/s")
	f.Fuzz(func(t *testing.T, text, set, variable string) {
		s, err := Parse("fuzz.yaml", []byte(text), Options{Sets: []string{set}, Env: []string{variable}})
		if err == nil {
			var p *Plan
			if p, err = s.Resolve(); err == nil {
				p.Cost()
				return
			}
		}
		var problems Errors
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("got %v; want Errors", err)
		}
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\u0085") +
			strings.Count(text, "\u2028") + strings.Count(text, "\u2029") + 1
		for _, p := range problems {
			if p.File != "fuzz.yaml" && p.Line > 0 {
				continue // a profile's file
			}
			if p.Message == "" || p.Line > lines || p.Line < 0 || (p.Line > 0 && p.Column < 1) {
				t.Errorf("got %+v; want a place in %d lines", p, lines)
			}
		}
	})
}
