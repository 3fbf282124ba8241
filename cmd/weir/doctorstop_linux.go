package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/weirbench/weir/internal/selftest"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

// loadBegins is in the line by which weir run says that all clients are there.
const loadBegins = "every subscription is in force"

// stoppedRunner makes runs whose generator is stopped.
func (b *bench) stoppedRunner() selftest.StoppedRunner { return b.runStopped }

// runStopped starts weir run, in a process group that no terminal's interrupt reaches, and stops it for a while. The kernel ends
// it with this process, since one that is stopped sees nothing else.
func (b *bench) runStopped(ctx context.Context, name, scenario string, after, stop time.Duration) (*selftest.Measured, error) {
	file, dir := filepath.Join(b.dir, name+".yaml"), filepath.Join(b.dir, name)
	if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
		return nil, err
	}
	child := exec.CommandContext(ctx, b.executable, "run", file, "--out", dir)
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	child.Cancel = func() error { return child.Process.Signal(os.Interrupt) } // it drains, and ends its own children
	child.WaitDelay = 10 * time.Second
	output, err := child.StderrPipe()
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread() // the kernel's signal comes when the thread ends that started the child
	defer runtime.UnlockOSThread()
	if err := child.Start(); err != nil {
		return nil, err
	}
	stopped, err := pauseAtLoad(ctx, child.Process, output, after, stop)
	_, _ = io.Copy(io.Discard, output) // to its end, which Wait needs
	ended := child.Wait()
	if err != nil {
		return nil, err
	}
	if _, exited := errors.AsType[*exec.ExitError](ended); ended != nil && !exited {
		return nil, ended
	}
	read, err := results.Open(dir)
	if err != nil {
		return nil, err
	}
	summary, err := report.Summarise(read)
	if err != nil {
		return nil, err
	}
	return &selftest.Measured{Summary: summary, Dir: dir, Stopped: stopped}, nil
}

// pauseAtLoad waits for the load's beginning and stops the process so long after it. It returns how long it was stopped.
func pauseAtLoad(ctx context.Context, process *os.Process, output io.Reader, after, stop time.Duration) (time.Duration, error) {
	lines := bufio.NewScanner(output)
	last := ""
	for !strings.Contains(last, loadBegins) {
		if !lines.Scan() {
			return 0, fmt.Errorf("the run ended before its load: %s", last)
		}
		last = lines.Text()
	}
	if !pauseFor(ctx, after) {
		return 0, context.Cause(ctx)
	}
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		return 0, fmt.Errorf("stop the generator: %w", err)
	}
	began := time.Now()
	pauseFor(ctx, stop)
	stopped := time.Since(began)
	if err := process.Signal(syscall.SIGCONT); err != nil {
		return 0, fmt.Errorf("let the generator go on: %w", err)
	}
	return stopped, nil
}

// pauseFor waits, and reports false if ctx ended.
func pauseFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
