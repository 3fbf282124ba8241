package testbed

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

const (
	// A container that was being created when weir died appears after a first look: the reaper looks on for this long.
	reapFor   = 8 * time.Second
	reapEvery = 200 * time.Millisecond
	reapGrace = 10 * time.Second // for a reaper that weir dismisses: it looks once
	labelKey  = "weir.run"
)

// reaperOrder is a line on the reaper's standard input. The first says what is to be removed; one with Done says that
// weir has removed everything itself.
type reaperOrder struct {
	Label      string `json:"label"`       // key=value
	DockerHost string `json:"docker_host"` // as testcontainers found it
	Done       bool   `json:"done"`
}

// startReaper starts the child that removes what carries the run's label once weir is gone, and gives it its order. The
// order is in the pipe before the first container exists, and a pipe outlives its writer.
func startReaper(ctx context.Context, o Options, dockerHost string) (*process, error) {
	return startReaperOf(ctx, o, labelKey+"="+o.RunID, dockerHost)
}

// startReaperOf does so for another label.
func startReaperOf(ctx context.Context, o Options, label, dockerHost string) (*process, error) {
	p, err := startProcess(ctx, processSpec{
		name: "reaper", executable: o.Executable, args: []string{"child", "reaper"},
		logPath: o.logPath("reaper"), grace: reapGrace, outlive: true,
	}, 0, nil)
	if err != nil {
		return nil, err
	}
	if err := tellReaper(p, reaperOrder{Label: label, DockerHost: dockerHost}); err != nil {
		_ = p.kill()
		return nil, fmt.Errorf("start reaper: %w", err)
	}
	return p, nil
}

func tellReaper(p *process, order reaperOrder) error {
	line, err := json.Marshal(order)
	if err != nil {
		return err
	}
	_, err = p.stdin.Write(append(line, '\n'))
	return err
}

// ServeReaper runs the reaper in this process: it reads its order from stdin, waits for stdin's end and then removes
// all containers and networks of the run, looking again for eight seconds; after weir's word that nothing is left it
// looks once. It ignores SIGINT, SIGTERM and SIGHUP: it must outlive weir, and ends a few seconds after it. It writes
// nothing before its end, since nobody may be left to read.
func ServeReaper(ctx context.Context, stdin io.Reader) error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	order, err := readOrders(stdin)
	if err != nil {
		return fmt.Errorf("run reaper: %w", err)
	}
	cli, err := client.New(client.FromEnv, client.WithHost(order.DockerHost))
	if err != nil {
		return fmt.Errorf("run reaper: %w", err)
	}
	defer cli.Close()
	ctx, cancel := context.WithTimeout(ctx, reapFor)
	defer cancel()
	return reap(ctx, cli, order)
}

// readOrders returns the first order, with Done if a later one has it, when stdin has ended.
func readOrders(stdin io.Reader) (reaperOrder, error) {
	var order reaperOrder
	lines := bufio.NewScanner(stdin)
	for first := true; lines.Scan(); first = false {
		var o reaperOrder
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return order, fmt.Errorf("read order %q: %w", cut(lines.Text(), 200), err)
		}
		if first {
			order = o
		}
		order.Done = order.Done || o.Done
	}
	if order.Label == "" {
		return order, errors.New("read order: no label (the reaper is started by weir, not by hand)")
	}
	return order, nil
}

// reap removes and looks again until ctx ends, or until nothing is left and weir said that it is done.
func reap(ctx context.Context, cli *client.Client, order reaperOrder) error {
	tick := time.NewTicker(reapEvery)
	defer tick.Stop()
	for {
		left, err := removeLabelled(ctx, cli, order.Label)
		if order.Done && left == 0 && err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if left == 0 {
				return nil
			}
			return fmt.Errorf("remove what carries label %s: %d left: %w", order.Label, left, err)
		}
	}
}

// removeLabelled removes the containers with the label, running or not, all at once, and then the networks. It returns
// how many of both it saw: zero says that nothing was left.
func removeLabelled(ctx context.Context, cli *client.Client, label string) (seen int, _ error) {
	filters := client.Filters{}.Add("label", label)
	containers, err := cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return 0, fmt.Errorf("list containers: %w", err)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(containers.Items))
	for i, c := range containers.Items {
		wg.Go(func() {
			_, err := cli.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			errs[i] = unlessGone(err)
		})
	}
	wg.Wait()
	networks, err := cli.NetworkList(ctx, client.NetworkListOptions{Filters: filters})
	if err != nil {
		return len(containers.Items), errors.Join(append(errs, fmt.Errorf("list networks: %w", err))...)
	}
	for _, n := range networks.Items {
		_, err := cli.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		errs = append(errs, unlessGone(err))
	}
	return len(containers.Items) + len(networks.Items), errors.Join(errs...)
}

// unlessGone drops the errors of removing what is gone or going.
func unlessGone(err error) error {
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}
	return err
}
