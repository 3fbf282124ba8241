package results

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestLogsOfVersion1StayReadable reads a log that was recorded once and is kept, so that a change that breaks old runs
// shows.
func TestLogsOfVersion1StayReadable(t *testing.T) {
	dir := filepath.Join("testdata", "v1")
	if *update {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		w, err := Create(dir)
		if err != nil {
			t.Fatal(err)
		}
		writeSample(t, w, 2, 20)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join(dir, "content.txt"), describe(t, r))
	var hlog strings.Builder
	if err := WriteHLog(&hlog, r); err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join(dir, "run.hlog"), hlog.String())
}

func describe(t *testing.T, r *Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "status %s, damage %q\nplan %+v\nenvironment %+v\nevents %+v\naudit %+v\nhealth %+v\nend %+v\n",
		r.Status(), r.Damage, r.Plan.Thresholds, *r.Environment, r.Events, *r.Audit, *r.Health, *r.End)
	for in, err := range r.Intervals() {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "interval %d of %s, %d to %d\ncounters %+v\ngauges %v\n", in.Index, in.Phase, in.StartAt, in.EndAt, in.Counters, in.Gauges)
		for _, s := range in.Series {
			fmt.Fprintf(&b, "%s %+v: count %d, overflow %d, mean %.0f, min %d, max %d\n", s.Stage, s.Label, s.Count(), s.Overflow, s.Mean(), s.MinNS, s.MaxNS)
			for bucket := range s.Buckets() {
				fmt.Fprintf(&b, "\t%+v\n", bucket)
			}
		}
	}
	return b.String()
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (write it anew with -update, if it should)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}
