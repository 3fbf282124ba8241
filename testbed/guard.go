package testbed

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
)

// guardOrder is a line on the guard's standard input: whose processes it is to end once weir has gone. Done says that weir
// has ended them itself.
type guardOrder struct {
	Run     string `json:"run"`
	Group   int    `json:"group,omitempty"`
	Session int    `json:"session,omitempty"`
	Done    bool   `json:"done,omitempty"`
}

// ServeGuard waits until stdin ends, as it does when weir dies, however it dies, and then kills what a target left: its
// process group, and on Linux all that carry the run's name in their environment. The kernel ends the target's first
// process alone with weir.
// What it killed it names on standard error.
func ServeGuard(ctx context.Context, stdin io.Reader) error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP) // weir ends it, by the end of its input
	var order guardOrder
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		if err := json.Unmarshal(lines.Bytes(), &order); err != nil {
			return fmt.Errorf("read the guard's order: %w", err)
		}
	}
	if order.Run == "" {
		return errors.New("read the guard's order: none came (weir starts it; it isn't for use by hand)")
	}
	if order.Done {
		return nil
	}
	for _, name := range sweep(order.Run, order.Group, order.Session) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fmt.Fprintln(os.Stderr, "killed", name)
	}
	return nil
}

// guarded is a program that is not weir's, and the guard that outlives weir for it.
type guarded struct {
	child *process
	guard *process
	name  string
	run   string

	stop    sync.Once
	stopErr error
}

// startGuarded starts the guard and then the program, whose environment must hold the run's name. On an error nothing is
// left running.
func startGuarded(ctx context.Context, s processSpec, o Options) (*guarded, error) {
	guard, err := startProcess(ctx, processSpec{
		name: "guard", executable: o.Executable, args: []string{"child", "guard"},
		logPath: o.logPath("guard"), grace: reapGrace, outlive: true,
	}, 0, nil)
	if err != nil {
		return nil, err
	}
	g := &guarded{guard: guard, name: s.name, run: o.RunID}
	// The order is in the pipe before the program exists, and a pipe outlives its writer.
	err = g.tell(guardOrder{Run: o.RunID})
	if err == nil {
		g.child, err = startProcess(ctx, s, 0, nil)
	}
	if err == nil {
		err = g.tell(guardOrder{Run: o.RunID, Group: g.child.pid(), Session: ownSession()})
	}
	if err != nil {
		_ = g.kill() // the first error says more
		return nil, err
	}
	return g, nil
}

func (g *guarded) tell(order guardOrder) error {
	line, err := json.Marshal(order)
	if err != nil {
		return err
	}
	if _, err = g.guard.stdin.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("start guard: %w", err)
	}
	return nil
}

// Done is closed when the program ended unasked.
func (g *guarded) Done() <-chan struct{} { return g.child.died }

// Err says how.
func (g *guarded) Err() error { return g.child.Err() }

// Stop ends the program by its signal and then all that it left: 1. the program, and its group with it; 2. what has left
// the group, which is an error; 3. the guard. Idempotent.
func (g *guarded) Stop(ctx context.Context) error {
	g.stop.Do(func() { g.stopErr = g.end(ctx, g.child.Stop(ctx)) })
	return g.stopErr
}

// kill does so at once.
func (g *guarded) kill() error {
	g.stop.Do(func() {
		var err error
		if g.child != nil {
			err = g.child.kill()
		}
		g.stopErr = g.end(context.Background(), err)
	})
	return g.stopErr
}

func (g *guarded) end(ctx context.Context, err error) error {
	if left := sweep(g.run, 0, 0); len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("stop %s: it left processes behind, which were killed: %s", g.name, strings.Join(left, ", ")))
	}
	_ = g.tell(guardOrder{Run: g.run, Done: true}) // fails where it has died
	return errors.Join(err, g.guard.Stop(context.WithoutCancel(ctx)))
}
