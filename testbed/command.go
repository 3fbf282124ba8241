package testbed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weirbench/weir/internal/hosts"
	"github.com/weirbench/weir/scenarios"
)

const (
	defaultStopIn     = 10 * time.Second // where the plan says nothing
	defaultStopSignal = "SIGTERM"
)

// startCommand starts the plan's program with the placeholders filled in and makes sure that it is this one that answers.
// describe is what the record says that the target is; files are written for it first. Where weir's choice of a port is lost
// to somebody else before the program has it, another one is chosen.
func startCommand(ctx context.Context, plan *scenarios.GatewayPlan, describe string, files map[string]string, seeds, topics []string, o Options) (*Target, error) {
	c := plan.Command
	if c == nil || len(c.Args) == 0 {
		return nil, errors.New("start command: no program is named (set gateway.command.args)")
	}
	name := "command (" + filepath.Base(c.Args[0]) + ")"
	for try := 1; ; try++ {
		port, err := freePort()
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", name, err)
		}
		t, err := startCommandAt(ctx, port, name, plan, files, seeds, topics, o)
		if err == nil {
			t.Description = describe
			return t, nil
		}
		if try == portTries || !lostTo(err, port) {
			return nil, err
		}
		o.log(fmt.Sprintf("port %d was taken before the target had it: trying another one", port))
	}
}

// lostTo reports whether the error is that the port is another's.
func lostTo(err error, port int) bool {
	var lost *portLostError
	var stranger *strangerError
	return errors.As(err, &lost) && lost.port == port || errors.As(err, &stranger) && stranger.port == port
}

// portLostError is a port that is another's by the time that the target wants it.
type portLostError struct {
	port int
	error
}

// Unwrap returns what came of it.
func (e *portLostError) Unwrap() error { return e.error }

// startCommandAt does so at one port. A *portLostError is one whose port is another's.
func startCommandAt(ctx context.Context, port int, name string, plan *scenarios.GatewayPlan, files map[string]string, seeds, topics []string, o Options) (*Target, error) {
	c := plan.Command
	fail := func(err error) (*Target, error) { return nil, fmt.Errorf("start %s: %w", name, err) }
	p, err := writeFiles(files, placing{port: port, published: port, seeds: seeds, topics: topics, run: o.RunID}, o)
	if err != nil {
		return fail(err)
	}
	spec, err := commandSpec(name, c, p, o)
	if err != nil {
		return fail(err)
	}
	ready, err := newReadiness(p.fillURL(c.URL), p.ready(c.Ready), plan, o.AllowTargets)
	if err != nil {
		return fail(err)
	}
	if err := checkOwnPort(ready.url); err != nil {
		return fail(err)
	}
	spec.watch = ready.watch
	g, err := startGuarded(ctx, spec, o)
	if err != nil {
		return nil, startTrouble(c, err)
	}
	ready.ended, ready.tail = g.child.exited, g.child.lines.tail
	ready.endedEarly = func() error { return g.endedEarly(ready.url) }
	ready.listened = func(host string, port int) (bool, error) { return listened(host, port, g.child.pid(), o.RunID) }
	var procs *processes
	if err = ready.await(ctx); err == nil {
		procs, err = follow([]int{g.child.pid()}, o.RunID)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), g.kill())
	}
	return &Target{URL: ready.url.String(), part: g, procs: procs, stopIn: spec.grace + 2*defaultGrace}, nil
}

// commandSpec is what the program is started from.
func commandSpec(name string, c *scenarios.CommandTarget, p placing, o Options) (processSpec, error) {
	env, err := newTargetEnv(c.Env, p)
	if err != nil {
		return processSpec{}, err
	}
	signal := c.StopSignal
	if signal == "" {
		signal = defaultStopSignal
	}
	args := p.fillAll(c.Args)
	spec := processSpec{
		name: name, executable: args[0], args: args[1:], logPath: o.logPath("gateway" + o.instance), grace: c.StopIn,
		dir: c.Dir, env: env.list(), hide: env.hide, foreign: true, signal: signalNumber(signal),
	}
	if spec.signal == 0 {
		return spec, fmt.Errorf("its stop_signal %q is unknown (SIGTERM, SIGINT, SIGQUIT or SIGHUP)", signal)
	}
	if spec.grace <= 0 {
		spec.grace = defaultStopIn
	}
	return spec, nil
}

// checkOwnPort refuses a port that somebody listens at before the program is started: one that weir chose was free a moment
// ago, one that stands in the plan may be anybody's.
func checkOwnPort(u *url.URL) error {
	if !hosts.Loopback(u.Hostname()) {
		return nil
	}
	err := portFree(u.Host, "end that process, or write {port} for a free port")
	if errors.Is(err, syscall.EADDRINUSE) {
		return lostPort(u, err)
	}
	return err
}

// lostPort is the error of a port that is another's.
func lostPort(u *url.URL, err error) error {
	port, parseErr := strconv.Atoi(u.Port())
	if parseErr != nil {
		return err
	}
	return &portLostError{port, err}
}

// startTrouble says what a program that could not be started most likely lacks.
func startTrouble(c *scenarios.CommandTarget, err error) error {
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w (install %s, or name it with its path)", err, c.Args[0])
	case errors.Is(err, fs.ErrNotExist) && c.Dir != "":
		if _, missing := os.Stat(c.Dir); missing != nil {
			return fmt.Errorf("%w (there is no folder %s to work in; it is relative to the scenario's file: mend gateway.command.dir)", err, c.Dir)
		}
		return fmt.Errorf("%w (the program's path is relative to dir: %s)", err, c.Dir)
	}
	return err
}

// endedEarly says how the program ended before it was ready, and who has its port, where it is another's.
func (g *guarded) endedEarly(u *url.URL) error {
	err := g.child.endedEarly()
	if owner := portOwner(u.Port()); owner != "" && hosts.Loopback(u.Hostname()) {
		return lostPort(u, fmt.Errorf("port %s is taken%s: %w", u.Port(), owner, err))
	}
	return err
}

// describeCommand is the program as the plan has it, which holds no secret.
func describeCommand(c *scenarios.CommandTarget) string {
	if c == nil {
		return ""
	}
	return "command " + cut(strings.Join(c.Args, " "), 200)
}
