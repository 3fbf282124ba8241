package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

// weir is the program under test: this test binary under weir's name, in a process group of its own.
type weir struct {
	t      *testing.T
	cmd    *exec.Cmd
	dir    string // the run directory
	stdout syncBuffer
	stderr syncBuffer
	ended  chan struct{} // closed when the process has ended
	limit  time.Duration // of wait; 0 is testkit.Patience
}

// syncBuffer is a buffer that the process's output goes to while the test looks at it.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// small is a scenario that a busy machine carries easily; the stops and kills of the tests are what is long in it. Its drain
// ends when all has come.
const small = `
version: 1
name: small
kafka:
  provider: embedded
  brokers: 1
  topics: [{name: prices, partitions: 2}]
gateway: {target: reference}
producers:
  - {name: feed, topic: prices, rate: 200/s, size: 256B, keys: {kind: round-robin, count: 10}}
clients:
  - {name: viewers, count: 50, subscribe: {topic: prices, keys: 1}}
phases:
  warm-up: 200ms
  measure: [{name: steady, duration: 5s}]
  drain: {deadline: 2m}
thresholds: [audit.lost == 0]
`

// startRun starts `weir run` on a scenario's text.
func startRun(t *testing.T, scenario string, args ...string) *weir {
	t.Helper()
	return startRunWith(t, nil, scenario, args...)
}

// startRunWith is startRun with variables beside the test's own.
func startRunWith(t *testing.T, env []string, scenario string, args ...string) *weir {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "scenario.yaml")
	if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "run")
	w := startCommand(t, "", program(t), env, append([]string{"run", file, "--out", out}, args...)...)
	w.dir = out
	return w
}

// program is the path of weir.
func program(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("weir")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func startWeir(t *testing.T, args ...string) *weir {
	t.Helper()
	return startWeirIn(t, "", args...)
}

// startWeirIn starts weir in a directory.
func startWeirIn(t *testing.T, dir string, args ...string) *weir {
	t.Helper()
	return startCommand(t, dir, program(t), nil, args...)
}

// startCommand starts a program in a directory, with variables beside the test's own.
func startCommand(t *testing.T, dir, path string, env []string, args ...string) *weir {
	t.Helper()
	w := &weir{t: t, cmd: exec.Command(path, args...)}
	w.cmd.Dir = dir
	w.cmd.Env = append(os.Environ(), env...)
	w.cmd.Stdout, w.cmd.Stderr = &w.stdout, &w.stderr
	w.start()
	return w
}

// start starts the command in a process group of its own. It ends with the test.
func (w *weir) start() {
	w.t.Helper()
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	w.cmd.WaitDelay = testkit.Patience
	if err := w.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.ended = make(chan struct{})
	go func() {
		defer close(w.ended)
		_ = w.cmd.Wait() // the state says how it ended
	}()
	w.t.Cleanup(func() {
		_ = w.cmd.Process.Kill() // fails where it has ended
		<-w.ended
		if w.t.Failed() {
			w.t.Logf("weir's stdout:\n%s\nstderr:\n%s", w.stdout.String(), w.stderr.String())
		}
	})
}

// wait returns the exit code.
func (w *weir) wait() int {
	w.t.Helper()
	limit := cmp.Or(w.limit, testkit.Patience)
	select {
	case <-w.ended:
		return w.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		w.t.Fatalf("weir hangs: it did not end within %v", limit)
		return 0
	}
}

// measuring waits until the measure phase has gone on for some time.
func (w *weir) measuring() {
	w.t.Helper()
	testkit.Eventually(w.t, "the run measures", func() bool {
		run, err := results.Open(w.dir)
		if err != nil {
			return false
		}
		n := 0
		for iv, err := range run.Intervals() {
			if err == nil && iv.Phase == "steady" {
				n++
			}
		}
		return n >= 1
	})
}

// child returns the pid of weir's child whose command line holds word.
func (w *weir) child(word string) int {
	w.t.Helper()
	for _, pid := range children(w.cmd.Process.Pid) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), word) {
			return pid
		}
	}
	w.t.Fatalf("weir has no child %q", word)
	return 0
}

// children lists the direct children of a process.
func children(parent int) []int {
	var pids []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		f := strings.Fields(rest)
		if len(f) > 1 && f[1] == strconv.Itoa(parent) && f[0] != "Z" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// gone waits until none of the processes is left.
func (w *weir) gone(pids []int) {
	w.t.Helper()
	testkit.Eventually(w.t, "weir's children are gone", func() bool {
		for _, pid := range pids {
			if alive(pid) {
				return false
			}
		}
		return true
	})
}

// stopFor stops a process, and lets it go on after d and after meanwhile: the one wait in these tests that is the fault
// itself.
func stopFor(t *testing.T, pid int, d time.Duration, meanwhile func()) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	over := time.After(d)
	meanwhile()
	<-over
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// summary reads the run's summary.json.
func (w *weir) summary() *report.Summary {
	w.t.Helper()
	s, err := readSummary(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func readSummary(dir string) (*report.Summary, error) {
	data, err := os.ReadFile(filepath.Join(dir, report.SummaryName))
	if err != nil {
		return nil, err
	}
	var s report.Summary
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	return &s, nil
}
