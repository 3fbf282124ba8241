package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	defaultGrace = 3 * time.Second // between the steps of a stop
	outputGrace  = time.Second     // for output that a grandchild still holds open
)

// processSpec is what a child is started from.
type processSpec struct {
	name       string // as errors name it: "embedded kafka"
	executable string
	args       []string
	logPath    string              // "" keeps no file
	grace      time.Duration       // between the steps of a stop; 0 is defaultGrace
	dir        string              // "" is weir's own
	env        []string            // nil is weir's own
	hide       func(string) string // takes secrets out of each line; nil for none
	watch      func(string)        // sees each line; nil for none
	// foreign is for programs that are not weir: all of their output are lines, the stop begins with the signal, and any end
	// after it is fine.
	foreign bool
	signal  syscall.Signal
	// outlive is for the reaper and the guard: a session of its own, not killed with weir, standard error straight to the file,
	// since a pipe's reader dies with weir.
	outlive bool
}

// process is one supervised child. It has a process group of its own, so that a Ctrl-C in the terminal doesn't reach it
// (weir orders the shutdown) and its own children die with it. One goroutine keeps it and ends after it.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  *lineSink
	first  chan string // the first line of standard output
	grace  time.Duration
	signal syscall.Signal // that a stop begins with; 0: the end of standard input
	exited chan struct{}  // closed when the child is dead, reaped and its output read
	died   chan struct{}  // closed when that happened unasked

	mu     sync.Mutex
	asked  bool // Stop has been called
	reaped bool // the pid may be another process's by now
	err    error

	stop    sync.Once
	stopErr error
}

// startProcess starts a child and, unless ready is nil, decodes the first line of its standard output into it as JSON
// within readyIn. On an error nothing is left running. ctx bounds the start alone.
func startProcess(ctx context.Context, s processSpec, readyIn time.Duration, ready any) (*process, error) {
	p, err := launch(s)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	if ready == nil {
		return p, nil
	}
	if err := p.awaitReady(ctx, readyIn, ready); err != nil {
		_ = p.kill() // the first error says more
		return nil, err
	}
	return p, nil
}

func launch(s processSpec) (*process, error) {
	path := s.logPath
	if s.outlive {
		path = ""
	}
	lines, err := newLineSink(path)
	if err != nil {
		return nil, err
	}
	lines.hide, lines.watch = s.hide, s.watch
	p := &process{
		name: s.name, cmd: exec.Command(s.executable, s.args...), lines: lines, grace: s.grace, signal: s.signal,
		first: make(chan string, 1), exited: make(chan struct{}), died: make(chan struct{}),
	}
	p.cmd.Dir, p.cmd.Env = s.dir, s.env
	if p.grace == 0 {
		p.grace = defaultGrace
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		lines.close()
		return nil, err
	}
	closeOutput, err := p.wireOutput(s)
	if err != nil {
		lines.close()
		return nil, errors.Join(err, p.stdin.Close())
	}
	started := make(chan error, 1)
	go p.keep(started, closeOutput)
	return p, <-started
}

// wireOutput connects the child's output and returns what is to be called after its end.
func (p *process) wireOutput(s processSpec) (func(), error) {
	p.cmd.SysProcAttr = sysProcAttr(s.outlive)
	if s.outlive {
		if s.logPath == "" {
			return func() {}, nil
		}
		f, err := os.OpenFile(s.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, err
		}
		p.cmd.Stderr = f
		return func() { _ = f.Close() }, nil
	}
	isFirst := !s.foreign
	out := &lineWriter{line: func(line string) {
		if isFirst {
			isFirst = false
			p.first <- line
			return
		}
		p.lines.add(line)
	}}
	errs := &lineWriter{line: p.lines.add}
	p.cmd.Stdout, p.cmd.Stderr = out, errs
	p.cmd.WaitDelay = outputGrace
	return func() { out.end(); errs.end() }, nil
}

// keep starts the child and stays with it until it is dead.
//
// The goroutine is locked to its thread from before the start until after the end: Linux sends the parent-death signal
// when the *thread* that started the child ends, and the runtime ends idle threads whenever it likes.
func (p *process) keep(started chan<- error, closeOutput func()) {
	defer close(p.exited)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		closeOutput()
		p.lines.close()
		started <- err
		return
	}
	started <- nil

	// 1. The child ends, and stays a zombie, so that its number and its group's are still its own.
	// 2. What is left of its group is killed: nothing that the child started outlives it.
	// 3. It is reaped; from here on no signal may be sent.
	// 4. Its output is read to the end, or for outputGrace if something escaped the group and holds it open.
	if awaitZombie(p.cmd.Process.Pid) {
		p.mu.Lock()
		_ = killGroup(p.cmd.Process)
		p.reaped = true
		p.mu.Unlock()
	}
	waitErr := p.cmd.Wait()
	closeOutput()
	p.lines.close()

	p.mu.Lock()
	defer p.mu.Unlock()
	p.reaped = true
	if !p.asked {
		p.err = fmt.Errorf("%s (pid %d) ended unasked: %s%s",
			p.name, p.cmd.Process.Pid, exitText(p.cmd.ProcessState, waitErr), p.lines.tail())
		close(p.died)
	}
}

func exitText(state *os.ProcessState, err error) string {
	if state == nil {
		return err.Error()
	}
	return state.String()
}

func (p *process) awaitReady(ctx context.Context, within time.Duration, ready any) error {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case line := <-p.first:
		if err := json.Unmarshal([]byte(line), ready); err != nil {
			return fmt.Errorf("start %s: its first line is no ready line: %q (is %s the weir binary?)", p.name, cut(line, 200), p.cmd.Path)
		}
		return nil
	case <-p.exited:
		return fmt.Errorf("start %s: %w", p.name, p.endedEarly())
	case <-t.C:
		return fmt.Errorf("start %s: not ready within %v%s", p.name, within, p.lines.tail())
	case <-ctx.Done():
		return fmt.Errorf("start %s: %w", p.name, context.Cause(ctx))
	}
}

// pid is the child's process id.
func (p *process) pid() int { return p.cmd.Process.Pid }

// Err is why the child ended, nil while it runs or when it was asked to.
func (p *process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Done is closed when the child ended unasked.
func (p *process) Done() <-chan struct{} { return p.died }

// Stop ends the child and waits for its end: 1. its standard input is closed, which asks it to end; 2. after the grace
// SIGTERM; 3. after another grace SIGKILL. The end of ctx goes straight to SIGKILL. Idempotent: every call returns the
// first one's result. A child that had to be killed, or that ended with a failure of its own, is an error. A foreign
// program is sent its signal, and after the grace SIGKILL; only that it had to be killed is an error.
func (p *process) Stop(ctx context.Context) error {
	p.stop.Do(func() { p.stopErr = p.shutDown(ctx) })
	return p.stopErr
}

func (p *process) shutDown(ctx context.Context) error {
	if !p.ask() {
		return nil // it had died before, which Err tells
	}
	if p.signal != 0 {
		return p.shutDownForeign(ctx)
	}
	_ = p.stdin.Close()
	if p.endsWithin(ctx, p.grace) {
		if code := p.cmd.ProcessState.ExitCode(); code > 0 {
			return fmt.Errorf("stop %s: %s%s", p.name, p.cmd.ProcessState, p.lines.tail())
		}
		return nil
	}
	p.signalGroup(terminateGroup)
	if p.endsWithin(ctx, p.grace) {
		return nil
	}
	p.signalGroup(killGroup)
	<-p.exited
	return fmt.Errorf("stop %s: it answered neither the end of its input nor SIGTERM and was killed", p.name)
}

func (p *process) shutDownForeign(ctx context.Context) error {
	p.signalGroup(func(child *os.Process) error { return signalGroup(child, p.signal) })
	if p.endsWithin(ctx, p.grace) {
		return nil
	}
	p.signalGroup(killGroup)
	<-p.exited
	return fmt.Errorf("stop %s: it did not end within %v of %s and was killed%s", p.name, p.grace, signalName(p.signal), p.lines.tail())
}

// kill ends the child at once and waits for it.
func (p *process) kill() error {
	p.stop.Do(func() {
		if p.ask() {
			p.signalGroup(killGroup)
			_ = p.stdin.Close()
		}
		<-p.exited
	})
	return p.stopErr
}

// ask records that the end is wanted; false when the child is dead already.
func (p *process) ask() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = true
	return p.err == nil
}

func (p *process) endsWithin(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.exited:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

func (p *process) signalGroup(send func(*os.Process) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = send(p.cmd.Process) // fails only where it has ended meanwhile
	}
}

// cut shortens a text that is quoted in an error.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}

// endedEarly is the error for a child that ended while it was waited for.
func (p *process) endedEarly() error {
	<-p.exited
	return fmt.Errorf("it ended before it was ready: %s%s", p.cmd.ProcessState, p.lines.tail())
}
