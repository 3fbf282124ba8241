package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/internal/doctor"
	"github.com/weirbench/weir/internal/nulltarget"
	"github.com/weirbench/weir/internal/selftest"
	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
)

// selfTest makes the checks named, and returns the findings by name and the exit code. instead is what the target does in
// place of what it is said to.
func selfTest(t *testing.T, instead func(string, nulltarget.Faults) nulltarget.Faults, only ...string) (map[string]doctor.Finding, int) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir()) // where the runs go, and stay where a check fails
	f := &doctorFlags{selfTests: true, json: true, executable: program(t), selfTestOptions: selftest.Options{Only: only, Instead: instead, Within: testkit.Patience, Each: testkit.Patience}}
	var stdout, stderr bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	procs := runtime.GOMAXPROCS(0)
	err := f.selfTest(cmd)
	if got := runtime.GOMAXPROCS(0); got != procs {
		t.Errorf("got GOMAXPROCS %d after the runs; want %d as before", got, procs)
	}
	code := 0
	if exit, ok := errors.AsType[*exitError](err); ok {
		code = exit.code
	} else if err != nil {
		t.Fatal(err)
	}
	var found []doctor.Finding
	if err := json.Unmarshal(stdout.Bytes(), &found); err != nil {
		t.Fatalf("read %s: %v", stdout.String(), err)
	}
	named := map[string]doctor.Finding{}
	for _, finding := range found {
		named[finding.Check] = finding
		t.Log(finding)
	}
	if len(named) != len(only) {
		t.Fatalf("got %d findings; want %q; standard error:\n%s", len(named), only, stderr.String())
	}
	kept, _ := filepath.Glob(filepath.Join(t.TempDir(), "..", "*", "weir-doctor-*"))
	if (len(kept) > 0) != (code == report.ExitError) {
		t.Errorf("got the runs kept as %q, exit %d; want them kept where a check fails, and nowhere else", kept, code)
	}
	return named, code
}

// TestSelfTestReadsBack: what is planted is read back by real runs. The account is exact however busy the machine is; what is
// a matter of time may be untold here, or be more than this machine can measure, and says so with figures.
func TestSelfTestReadsBack(t *testing.T) {
	found, code := selfTest(t, nil, "clean", "delay", "audit")
	if got := found["audit"]; got.State != doctor.OK || got.Text != "planted and read back to the message: 160 lost, 160 twice, 160 out of order of 4000" {
		t.Errorf("got %s: %s; want it read back", got.State, got.Text)
	}
	if got := found["clean"]; got.State == doctor.Fail {
		t.Errorf("got %s; want it clean", got.Text)
	}
	if got := found["delay"]; got.State == doctor.Fail && !strings.Contains(got.Text, ": wrong by ") {
		t.Errorf("got %s; want it at or above the delay", got.Text)
	}
	if want := 0; code != want && found["delay"].State != doctor.Fail {
		t.Errorf("got exit %d; want %d", code, want)
	}
}

// TestSelfTestStops: a stop is in the corrected latency, be it the target's or the generator's own, however busy the machine is.
func TestSelfTestStops(t *testing.T) {
	only := []string{"stop"}
	if runtime.GOOS == "linux" {
		only = append(only, "own-stop")
	}
	found, _ := selfTest(t, nil, only...)
	for _, name := range only {
		if got := found[name]; strings.Contains(got.Text, "it is hidden") || strings.Contains(got.Text, "could not be made") {
			t.Errorf("got %s; want the stop in the figures", got.Text)
		}
	}
	if got := found["own-stop"]; strings.Contains(got.Text, "health is") {
		t.Errorf("got %s; want the run to be invalid", got.Text)
	}
}

// TestSelfTestCatchesALie: a target that does something else than it is said to fails each check.
func TestSelfTestCatchesALie(t *testing.T) {
	found, code := selfTest(t, func(_ string, told nulltarget.Faults) nulltarget.Faults {
		if told.Delay > 0 {
			told.Delay = 5 * time.Millisecond
		}
		if told.DropEach > 0 {
			told.DropEach *= 2
		}
		return told
	}, "delay", "audit")
	if got := found["audit"]; got.State != doctor.Fail || !strings.Contains(got.Text, "planted 160 lost") || !strings.Contains(got.Text, "read back 80 lost") {
		t.Errorf("got %s: %s; want it to fail with what was lost", got.State, got.Text)
	}
	if got := found["delay"]; got.State != doctor.Fail || !strings.Contains(got.Text, "planted 20ms; the least latency is ") {
		t.Errorf("got %s: %s; want it to fail with the least latency", got.State, got.Text)
	}
	if code != report.ExitError {
		t.Errorf("got exit %d; want %d", code, report.ExitError)
	}
}

// TestSelfTestCatchesAHiddenDelay: a target that holds records back for longer than it is said to does not pass, whatever the
// machine: the check fails with the figures, or a busy machine leaves it untold.
func TestSelfTestCatchesAHiddenDelay(t *testing.T) {
	found, code := selfTest(t, func(_ string, told nulltarget.Faults) nulltarget.Faults {
		if told.Delay > 0 {
			told.Delay = 300 * time.Millisecond
		}
		return told
	}, "clean", "delay")
	switch got := found["delay"]; got.State {
	case doctor.Fail:
		if !strings.Contains(got.Text, "planted 20ms; p50 ") || !strings.Contains(got.Text, ": wrong by ") || code != report.ExitError {
			t.Errorf("got exit %d, %s; want 1, and by how much it is wrong", code, got.Text)
		}
	case doctor.Warn:
		if !strings.HasPrefix(got.Text, "could not be told: ") {
			t.Errorf("got %s; want why it is untold", got.Text)
		}
	default:
		t.Errorf("got %s: %s; want it not to pass", got.State, got.Text)
	}
}

// TestDoctorInterrupted: an interrupt ends a calibration and a self-test with 130, and leaves no process and no directory.
func TestDoctorInterrupted(t *testing.T) {
	for mode, said := range map[string]string{"--calibrate": "floor: 100 clients", "--selftest": ", clean: nothing planted"} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			w := startCommand(t, "", program(t), []string{"TMPDIR=" + dir}, "doctor", mode)
			testkit.Eventually(t, "it begins", func() bool { return strings.Contains(w.stderr.String(), said) })
			testkit.Eventually(t, "Kafka runs", func() bool { return len(children(w.cmd.Process.Pid)) > 0 })
			pids := children(w.cmd.Process.Pid)
			if err := w.cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			if code := w.wait(); code != report.ExitInterrupted {
				t.Errorf("got exit %d; want %d", code, report.ExitInterrupted)
			}
			w.gone(pids)
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
				t.Errorf("got %q left; want nothing", left)
			}
		})
	}
}

// TestDoctorModes: what has no meaning together is refused before anything is started.
func TestDoctorModes(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"doctor", "--selftest", "--calibrate"}, "--selftest and --calibrate are two commands (give one of them)"},
		{[]string{"doctor", "--calibrate", "quickstart"}, "--selftest and --calibrate measure a target of their own, and take no scenario (leave quickstart out)"},
		{[]string{"doctor", "--selftest", "--out", "x"}, "--selftest writes no file (leave --out out)"},
		{[]string{"doctor", "--selftest", "--set", "a=1"}, "--selftest and --calibrate measure a target of their own (leave --set out)"},
		{[]string{"doctor", "--calibrate", "--allow-target", "h"}, "--selftest and --calibrate measure a target of their own (leave --allow-target out)"},
		{[]string{"doctor", "--calibrate", "--out", "none/x.json"}, "write the calibration: open none/x.json: no such file or directory (choose another --out)"},
		{[]string{"doctor", "--calibrate", "--out", "."}, "--out . is a directory (write --out ./calibration.json)"},
	} {
		var stdout, stderr bytes.Buffer
		if code := execute(c.args, nil, &stdout, &stderr); code != report.ExitUsage || stderr.String() != "weir: "+c.want+"\n" {
			t.Errorf("%q: got exit %d and %q; want 2 and %q", c.args, code, stderr.String(), c.want)
		}
	}
}
