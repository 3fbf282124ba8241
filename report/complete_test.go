package report

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirbench/weir/results"
)

// TestSummariseComplete: only the figures of a run that came to its end are the whole work's.
func TestSummariseComplete(t *testing.T) {
	t.Parallel()
	ended := func(end *results.End) string {
		f := passing()
		f.intervals, f.end = nil, end
		return f.write(t).Dir
	}
	whole := ended(&results.End{Status: results.StatusComplete})
	s, err := SummariseComplete(whole)
	if err != nil || s.Status != results.StatusComplete {
		t.Fatalf("got %+v, %v; want the summary of a run that is complete", s, err)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	for dir, want := range map[string]string{
		ended(nil): s.Run.Target + ": the run is partial",
		ended(&results.End{Status: results.StatusAborted}):                            s.Run.Target + ": the run is aborted",
		ended(&results.End{Status: results.StatusAborted, Error: "the gateway died"}): s.Run.Target + ": the gateway died",
		missing: "open",
	} {
		if s, err := SummariseComplete(dir); s != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, %v; want %q", s, err, want)
		}
	}
}
