package report

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestWriteFiles(t *testing.T) {
	t.Parallel()
	r := passing().write(t)
	s, err := Summarise(r)
	if err != nil {
		t.Fatal(err)
	}
	// A report from an earlier time is replaced.
	if err := os.WriteFile(filepath.Join(r.Dir, SummaryName), []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := WriteFiles(r, s); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if want := []string{"e2e.hgrm", "intervals.csv", "intervals.hlog", "junit.xml", "report.html", "report.md", "run.log", "summary.json"}; !slices.Equal(got, want) {
		t.Errorf("the directory has %q; want %q", got, want)
	}
	written, err := os.ReadFile(filepath.Join(r.Dir, SummaryName))
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "passing.json", written)
}

func TestWriteFilesAgainIsTheSame(t *testing.T) {
	t.Parallel()
	f := broken()
	r := f.write(t)
	read := func() (all []byte) {
		s, err := Summarise(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteFiles(r, s); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{SummaryName, MarkdownName, HTMLName, HLogName, HGRMName, CSVName, JUnitName} {
			b, err := os.ReadFile(filepath.Join(r.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		return all
	}
	if first, second := read(), read(); !bytes.Equal(first, second) {
		t.Error("the same run gave two reports that differ")
	}
}

func TestWriteFileLeavesTheOldOneWhereItFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SummaryName)
	if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("half-way")
	err := writeFile(dir, SummaryName, func(w io.Writer) error {
		w.Write([]byte("new, and cut o"))
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("got %v; want %v", err, failure)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("the file holds %q; want what it held", got)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files; want the old one alone", len(entries))
	}
}
