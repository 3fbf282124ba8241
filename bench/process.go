package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program of the comparison. It is ended by its own id, in order and then for good, when ctx ends, when end is
// called, and by the kernel when the comparison itself dies.
type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser // its standard input; nil unless asked for
	done chan struct{}  // closed when it has ended
	err  error          // how it ended; read it after done
	log  string         // where its output is

	group       bool // what it starts is signalled with it
	interrupted sync.Once
}

const (
	endIn     = 20 * time.Second // for a program to end in order
	programIn = 30 * time.Minute // for a program at all: the longest is a first build
)

// start starts a program whose output goes to a file, but standard output to out where that is not nil.
func start(ctx context.Context, log string, out io.Writer, env []string, name string, args ...string) (*process, error) {
	return launch(ctx, &process{log: log}, out, env, name, args)
}

// startBuild starts a program whose children are told to end with it, as compilers are not by theirs.
func startBuild(ctx context.Context, log string, env []string, name string, args ...string) (*process, error) {
	return launch(ctx, &process{log: log, group: true}, nil, env, name, args)
}

func launch(ctx context.Context, p *process, out io.Writer, env []string, name string, args []string) (*process, error) {
	f, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(ctx, programIn)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = f, f, append(os.Environ(), env...)
	if out != nil {
		cmd.Stdout = out
	}
	cmd.SysProcAttr = diesWithParent()
	p.cmd, p.done = cmd, make(chan struct{})
	cmd.Cancel = p.interrupt
	cmd.WaitDelay = endIn
	if p.in, err = cmd.StdinPipe(); err != nil {
		cancel()
		return nil, err
	}
	started := make(chan error, 1)
	go func() {
		defer cancel()
		defer close(p.done)
		// The kernel's signal comes when the thread ends that started the program, and the runtime ends idle ones as it likes.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		<-p.done
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// interrupt tells the program to end, once: a second interrupt would have weir leave its work undone.
func (p *process) interrupt() (err error) {
	p.interrupted.Do(func() {
		if p.group {
			err = interruptGroup(p.cmd.Process)
		} else {
			err = p.cmd.Process.Signal(syscall.SIGINT)
		}
	})
	return err
}

// end interrupts the program, and kills it where it does not end by that.
func (p *process) end() {
	_ = p.interrupt() // it may have ended
	timer := time.NewTimer(endIn)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// failed is the error of a program that ended too early, with the end of its output.
func (p *process) failed(what string) error {
	text, _ := os.ReadFile(p.log) // what there is
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("%s ended too early: %s: %s (%s)", what, p.cmd.ProcessState, strings.Join(lines[max(0, len(lines)-3):], " / "), p.log)
}

// ended tells of the first of the programs that has ended, if any has.
func ended(what string, alive []*process) error {
	for _, p := range alive {
		select {
		case <-p.done:
			return p.failed(what)
		default:
		}
	}
	return nil
}

// await calls try every 50 ms until it says yes or fails, for so long at most and as long as the programs live.
func await(ctx context.Context, what string, atMost time.Duration, try func() (bool, error), alive ...*process) error {
	deadline := time.Now().Add(atMost)
	for {
		ok, err := try()
		if ok || err != nil {
			return err
		}
		if err := ended(what, alive); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %s", what, atMost)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}
