package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/runner"
)

// deliveries are those of an interval, and how many were due in it.
type deliveries struct{ made, due int64 }

// steady lists the deliveries of the intervals of the measure phase so far.
func (w *weir) steady() (intervals []deliveries) {
	w.t.Helper()
	run, err := results.Open(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for iv, err := range run.Intervals() {
		if err != nil {
			w.t.Fatal(err)
		}
		if iv.Phase != "steady" {
			continue
		}
		const usual = 1000 // a second: 200 messages, each to 5 clients
		d := deliveries{due: usual * (iv.EndAt - iv.StartAt) / int64(time.Second)}
		for _, c := range iv.Counters {
			if c.Name == results.CountDelivered {
				d.made += c.Value
			}
		}
		intervals = append(intervals, d)
	}
	return intervals
}

// TestStoppedGatewayShows stops the gateway for two seconds or more in the midst of a run: what was due meanwhile waits for
// it, so that the corrected latency must show the stop, and the time series a dip and a burst.
func TestStoppedGatewayShows(t *testing.T) {
	t.Parallel()
	w := startRun(t, strings.Replace(small, "duration: 5s", "duration: 10m", 1))
	w.measuring()
	gateway := w.child("gateway --child")
	stopFor(t, gateway, 2*time.Second, func() {
		before := len(w.steady()) // the next one has the stop's beginning
		testkit.Eventually(t, "an interval shows the dip", func() bool {
			all := w.steady()
			return len(all) > before+1 && slices.ContainsFunc(all[before+1:], func(d deliveries) bool { return d.made < d.due/4 })
		})
	})
	stopped := len(w.steady())
	testkit.Eventually(t, "an interval shows the burst", func() bool {
		return slices.ContainsFunc(w.steady()[stopped:], func(d deliveries) bool { return d.made > d.due+500 })
	})
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	w.wait()
	s := w.summary()
	for name, got := range map[string]int64{"p99.9": s.Latency.E2E.P999NS, "max": s.Latency.E2E.MaxNS} {
		if want := int64(1900 * time.Millisecond); got < want {
			t.Errorf("corrected %s: got %v; want at least %v", name, time.Duration(got), time.Duration(want))
		}
	}
	checkExact(t, s)
}

// TestStoppedGeneratorIsInvalid stops weir itself for some time: the corrected latency shows what a user of an open system
// would have felt, the uncorrected one does not, and the run gets no pass.
func TestStoppedGeneratorIsInvalid(t *testing.T) {
	t.Parallel()
	w := startRun(t, strings.Replace(small, "duration: 5s", "duration: 12s", 1))
	w.measuring()
	stopFor(t, w.cmd.Process.Pid, 2500*time.Millisecond, func() {})
	if got, want := w.wait(), report.ExitInvalid; got != want {
		t.Errorf("exit code: got %d; want %d", got, want)
	}
	s := w.summary()
	if got, want := s.Latency.E2E.MaxNS, int64(1900*time.Millisecond); got < want {
		t.Errorf("corrected max: got %v; want at least %v", time.Duration(got), time.Duration(want))
	}
	// They differ by what the messages were sent late, however long they took: 2,500 deliveries by 1.25 s on average, or
	// fewer where the stop began late.
	corrected, uncorrected := s.Latency.E2E, s.Latency.E2EUncorrected
	if got, want := (corrected.MeanNS-uncorrected.MeanNS)*corrected.Count, 1000*int64(time.Second); got < want {
		t.Errorf("all corrected latencies are above the uncorrected ones by %v; want at least %v", time.Duration(got), time.Duration(want))
	}
	if s.Health.State != report.HealthInvalid || s.Verdict != report.VerdictInvalid {
		t.Errorf("got health %s, verdict %s; want both invalid", s.Health.State, s.Verdict)
	}
}

// TestKilledPartsEndTheRun kills the gateway or Kafka: the run ends early with an error that names the part, leaves a
// partial report, and nothing running.
func TestKilledPartsEndTheRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ word, says string }{
		"gateway": {"gateway --child", "target"},
		"kafka":   {"child kafka", "Kafka"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startRun(t, strings.Replace(small, "duration: 5s", "duration: 10m", 1))
			w.measuring()
			pids := children(w.cmd.Process.Pid)
			if err := syscall.Kill(w.child(c.word), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if got, want := w.wait(), report.ExitError; got != want {
				t.Errorf("exit code: got %d; want %d", got, want)
			}
			s := w.summary()
			if s.Status != results.StatusPartial || s.Verdict == report.VerdictPassed {
				t.Errorf("got status %s, verdict %s; want partial and no pass", s.Status, s.Verdict)
			}
			if !strings.Contains(s.Run.Error, c.says) {
				t.Errorf("error: got %q; want it to name %q", s.Run.Error, c.says)
			}
			if s.Latency.E2E.Count == 0 {
				t.Error("the partial report holds no deliveries")
			}
			w.gone(pids)
		})
	}
}

// TestInterruptDrainsAndReports interrupts once: a partial report of all that happened, 130, nothing left.
func TestInterruptDrainsAndReports(t *testing.T) {
	t.Parallel()
	w := startRun(t, strings.Replace(small, "duration: 5s", "duration: 10m", 1))
	w.measuring()
	pids := children(w.cmd.Process.Pid)
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if got, want := w.wait(), report.ExitInterrupted; got != want {
		t.Errorf("exit code: got %d; want %d", got, want)
	}
	s := w.summary()
	if s.Status != results.StatusPartial {
		t.Errorf("status: got %s; want %s", s.Status, results.StatusPartial)
	}
	if s.Audit.Expected == 0 || s.Audit.Delivered != s.Audit.Expected {
		t.Errorf("audit: got %d delivered of %d; want all that was sent", s.Audit.Delivered, s.Audit.Expected)
	}
	w.gone(pids)
}

// draining starts a run whose gateway is stopped, so that its drain lasts until something ends it.
func draining(t *testing.T) *weir {
	t.Helper()
	w := startRun(t, strings.Replace(strings.Replace(small, "duration: 5s", "duration: 4s", 1), "deadline: 2m", "deadline: 10m", 1))
	testkit.Eventually(t, "the load begins", func() bool { return strings.Contains(w.stderr.String(), "; load\n") })
	if err := syscall.Kill(w.child("gateway --child"), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the drain begins", func() bool { return strings.Contains(w.stderr.String(), "  drain\n") })
	return w
}

// TestInterruptEndsTheDrain: the drain would wait for its deadline.
func TestInterruptEndsTheDrain(t *testing.T) {
	t.Parallel()
	w := draining(t)
	pids := children(w.cmd.Process.Pid)
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if got, want := w.wait(), report.ExitInterrupted; got != want {
		t.Errorf("exit code: got %d; want %d", got, want)
	}
	if s := w.summary(); s.Status != results.StatusPartial || s.Audit.Unseen == 0 {
		t.Errorf("got status %s with %d unseen; want partial with some", s.Status, s.Audit.Unseen)
	}
	w.gone(pids)
}

// TestDeathEndsTheDrain kills the gateway when all has been sent and not all delivered.
func TestDeathEndsTheDrain(t *testing.T) {
	t.Parallel()
	w := draining(t)
	if err := syscall.Kill(w.child("gateway --child"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got, want := w.wait(), report.ExitError; got != want {
		t.Errorf("exit code: got %d; want %d", got, want)
	}
	if s := w.summary(); s.Status != results.StatusPartial || !strings.Contains(s.Run.Error, "target") {
		t.Errorf("got status %s, error %q; want partial and the target named", s.Status, s.Run.Error)
	}
}

// smallDisk mounts a file system of that size and returns its directory.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a small file system takes a privilege: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	return dir
}

// startRunIn is startRun with a run directory on another disk.
func startRunIn(t *testing.T, disk, scenario string, args ...string) *weir {
	t.Helper()
	w := startRun(t, scenario, append(args, "--out", filepath.Join(disk, "run"))...)
	w.dir = filepath.Join(disk, "run")
	return w
}

// TestFullDisk fills the run directory's disk while the run goes on: what there is gets reported.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "16m")
	w := startRunIn(t, disk, strings.Replace(small, "duration: 5s", "duration: 60s", 1))
	w.measuring()
	filler, err := os.Create(filepath.Join(disk, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for size := 1 << 20; size > 0; { // to the last byte
		if _, err := filler.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if got, want := w.wait(), report.ExitError; got != want {
		t.Errorf("exit code: got %d; want %d", got, want)
	}
	if !strings.Contains(w.stderr.String()+w.stdout.String(), "no space left") {
		t.Error("the output does not say that the disk is full")
	}
	if _, err := results.Open(w.dir); err != nil {
		t.Errorf("the log does not open: %v", err)
	}
}

// TestDiskTooSmall: a run that there is no room for is refused with the figures, before anything starts.
func TestDiskTooSmall(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "64k")
	w := startRunIn(t, disk, small)
	if got, want := w.wait(), report.ExitError; got != want {
		t.Errorf("exit code: got %d; want %d", got, want)
	}
	want := "weir: use run directory " + w.dir + ": its disk has 64.0 KiB free, and this run writes about 4.27 MiB " +
		"(free some, or choose another with --out)\n"
	if got := w.stderr.String(); got != want {
		t.Errorf("standard error: got %q; want %q", got, want)
	}
	if _, err := os.Stat(w.dir); err == nil {
		t.Error("the run directory has been made all the same")
	}
}

// TestSecondInterruptExits stops the gateway, so that the drain can't end, and interrupts twice.
func TestSecondInterruptExits(t *testing.T) {
	t.Parallel()
	w := startRun(t, strings.Replace(strings.Replace(small, "duration: 5s", "duration: 10m", 1), "deadline: 2m", "deadline: 10m", 1))
	w.measuring()
	pids := children(w.cmd.Process.Pid)
	if err := syscall.Kill(w.child("gateway --child"), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, "the interrupt is taken", func() bool { return strings.Contains(w.stderr.String(), "interrupted") })
	}
	if got, want := w.wait(), report.ExitInterrupted; got != want {
		t.Errorf("exit code: got %d; want %d", got, want)
	}
	w.gone(pids)
}

// TestKilledWeirLeavesNothing kills weir with one child stopped, which can't see its standard input end.
func TestKilledWeirLeavesNothing(t *testing.T) {
	t.Parallel()
	w := startRun(t, strings.Replace(small, "duration: 5s", "duration: 10m", 1))
	w.measuring()
	pids := children(w.cmd.Process.Pid)
	if len(pids) < 2 {
		t.Fatalf("weir has %d children; want Kafka and the gateway", len(pids))
	}
	if err := syscall.Kill(w.child("gateway --child"), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	w.wait()
	w.gone(pids)

	again := startWeir(t, "report", w.dir)
	again.dir = w.dir
	// A partial run is an error, or invalid where this machine did not keep the schedule up to the kill.
	got := again.wait()
	if s := again.summary(); got != report.ExitError && !(got == report.ExitInvalid && testkit.LateAlone(s)) {
		t.Errorf("report of a killed run: exit code %d, reasons %q; want %d", got, s.Reasons, report.ExitError)
	}
	if s := again.summary(); s.Status != results.StatusPartial || s.Latency.E2E.Count == 0 {
		t.Errorf("got status %s with %d deliveries; want a partial run with some", s.Status, s.Latency.E2E.Count)
	}
}

// TestPortOfAStranger gives the gateway a port that is taken.
func TestPortOfAStranger(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := startRun(t, small, "--set", "gateway.listen="+l.Addr().String())
	if got, want := w.wait(), report.ExitError; got != want {
		t.Errorf("exit code: got %d; want %d", got, want)
	}
	if s := w.summary(); !strings.Contains(s.Run.Error, l.Addr().String()) {
		t.Errorf("error: got %q; want it to name %s", s.Run.Error, l.Addr())
	}
}

// TestTwoRunsAtOnce runs side by side: ports, topics and directories must not meet.
func TestTwoRunsAtOnce(t *testing.T) {
	short := strings.Replace(small, "duration: 5s", "duration: 1s", 1)
	here := t.TempDir() // both choose a directory in it by themselves
	start := func() *weir {
		file := filepath.Join(here, "scenario.yaml")
		if err := os.WriteFile(file, []byte(short), 0o600); err != nil {
			t.Fatal(err)
		}
		return startWeirIn(t, here, "run", file)
	}
	runs := []*weir{start(), start()}
	var started int64
	for _, w := range runs {
		w.wait()
	}
	dirs, err := filepath.Glob(filepath.Join(here, runner.RunsDir, "*"))
	if err != nil || len(dirs) != len(runs) {
		t.Fatalf("got the run directories %q, %v; want %d", dirs, err, len(runs))
	}
	for _, dir := range dirs {
		s, err := readSummary(dir)
		if err != nil {
			t.Fatal(err)
		}
		checkExact(t, s)
		// Two at once may be too much for the machine: whether the schedule was kept is not what this is about.
		if s.Exit != report.ExitPassed && !testkit.LateAlone(s) {
			t.Errorf("exit code: got %d, reasons %q; want %d", s.Exit, s.Reasons, report.ExitPassed)
		}
		overlap := started == 0 || (s.Run.StartedAtNS-started) < s.Run.DurationNS && (started-s.Run.StartedAtNS) < s.Run.DurationNS
		if started = s.Run.StartedAtNS; !overlap {
			t.Error("the runs were not made at the same time")
		}
	}
}

// TestUnwritableDirectory is told before anything is started.
func TestUnwritableDirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program(t), "run", "quickstart", "--out", filepath.Join(file, "run")).CombinedOutput()
	if err == nil || strings.Contains(string(out), "start") {
		t.Errorf("got %v, %q; want an error before anything starts", err, out)
	}
}

// TestReaderThatGoesAway: `weir run … 2>&1 | head -1` costs neither the run nor its verdict.
func TestReaderThatGoesAway(t *testing.T) {
	t.Parallel()
	runAccounted(t, func() *weir {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		defer writer.Close()
		dir := t.TempDir()
		file := filepath.Join(dir, "scenario.yaml")
		if err := os.WriteFile(file, []byte(strings.Replace(small, "duration: 5s", "duration: 1s", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		w := &weir{t: t, dir: filepath.Join(dir, "run"), cmd: exec.Command(program(t), "run", file, "--out", filepath.Join(dir, "run"))}
		w.cmd.Stdout, w.cmd.Stderr = writer, writer
		w.start()
		return w
	})
}
