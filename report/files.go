package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/weirbench/weir/results"
)

// The names of the files that WriteFiles makes in a run directory.
const (
	SummaryName  = "summary.json"
	MarkdownName = "report.md"
	HTMLName     = "report.html"
	HLogName     = "intervals.hlog"
	HGRMName     = "e2e.hgrm"
	CSVName      = "intervals.csv"
	JUnitName    = "junit.xml"
)

// WriteFiles writes the report into the run's directory, each file in whole or not at all: whoever reads while it is
// written again sees the old one or the new. All are tried; the error joins those that failed.
func WriteFiles(r *results.Run, s *Summary) error {
	t, err := readTimeline(r)
	if err != nil {
		return fmt.Errorf("write the report of %s: %w", r.Dir, err)
	}
	return errors.Join(
		writeFile(r.Dir, SummaryName, func(w io.Writer) error { return JSON(w, s) }),
		writeFile(r.Dir, MarkdownName, func(w io.Writer) error { return Markdown(w, s) }),
		writeFile(r.Dir, HTMLName, func(w io.Writer) error { return writeHTML(w, r, s, t) }),
		writeFile(r.Dir, JUnitName, func(w io.Writer) error { return JUnit(w, s) }),
		writeFile(r.Dir, CSVName, func(w io.Writer) error { return IntervalsCSV(w, r) }),
		writeFile(r.Dir, HGRMName, t.hgrm),
		writeFile(r.Dir, HLogName, func(w io.Writer) error { return results.WriteHLog(w, r) }),
	)
}

// JSON writes summary.json.
func JSON(w io.Writer, s *Summary) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(s)
}

// writeFile writes a file beside its name and renames it. The rename makes it whole for every reader; it is not synced,
// since all of it can be made again from the log.
func writeFile(dir, name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	if err = write(f); err != nil {
		f.Close()
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		f.Close()
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, name))
}
