package testbed

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirbench/weir/scenarios"
)

func startThree(t *testing.T) (*Target, Options) {
	t.Helper()
	o := options(t)
	plan := scenarios.GatewayPlan{Target: scenarios.TargetReference, Instances: 3, QueueBytes: 4096, ReadyIn: time.Minute}
	target, err := StartTarget(t.Context(), plan, []string{"127.0.0.1:1"}, []string{"a"}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Stop(t.Context()) })
	return target, o
}

// gone waits until none of the processes is there.
func gone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if _, err := readStat(pid); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d is left: %v", pid, err)
		}
	}
}

// TestInstances: each has an address, a process and files of its own, and their use is summed.
func TestInstances(t *testing.T) {
	t.Parallel()
	target, o := startThree(t)
	urls, pids := target.URLs(), target.Processes()
	slices.Sort(urls)
	if len(slices.Compact(urls)) != 3 || len(pids) != 3 || target.Description != "reference gateway, 3 instances" {
		t.Errorf("got %v, %d processes, %q; want three of each", urls, len(pids), target.Description)
	}
	use, err := target.Usage()
	if err != nil {
		t.Fatal(err)
	}
	var each []ResourceUse
	for _, pid := range pids {
		one, err := Usage([]int{pid})
		if err != nil {
			t.Fatal(err)
		}
		each = append(each, one)
	}
	least := slices.MinFunc(each, func(a, b ResourceUse) int { return int(a.RSSBytes - b.RSSBytes) })
	if use.RSSBytes < 2*least.RSSBytes || use.Descriptors < 3 || use.Descriptors > each[0].Descriptors+each[1].Descriptors || use.At.IsZero() {
		t.Errorf("got use %+v; want the sum of %+v, and the fullest one's descriptors", use, each)
	}
	if err := target.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	wantOpen(t, "Done", target.Done())
	gone(t, pids)
	for _, name := range []string{"gateway-1.log", "gateway-2.log", "gateway-3.log", "gateway-1.yaml", "gateway-3.yaml"} {
		if _, err := os.Stat(filepath.Join(o.Dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// TestInstanceDies: the target has ended when one of its instances has, and the error says which.
func TestInstanceDies(t *testing.T) {
	t.Parallel()
	target, _ := startThree(t)
	pids := target.Processes()
	if err := syscall.Kill(pids[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-target.Done()
	wantText(t, target.Err(), "instance 2: gateway-2 (pid ", "ended unasked: signal: killed")
	if _, err := target.Usage(); err == nil || !strings.Contains(err.Error(), "instance 2: ") {
		t.Errorf("use: got %v; want the one that can't be read named", err)
	}
	if err := target.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	gone(t, pids)
}

// TestInstanceDoesNotStart: those that have started end again, and the error says which did not.
func TestInstanceDoesNotStart(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	plan := scenarios.GatewayPlan{Target: scenarios.TargetReference, Instances: 2, Listen: address, ReadyIn: time.Minute}
	_, err = StartTarget(t.Context(), plan, []string{"127.0.0.1:1"}, []string{"a"}, options(t))
	wantText(t, err, "instance 2 of 2: start gateway: "+address+" is taken")
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("the first instance is left: %v", err)
	}
	_ = again.Close()
}

// onePart is a target that ends when told to.
type onePart struct {
	died     chan struct{}
	stopped  bool
	deadline time.Time
}

func (p *onePart) Done() <-chan struct{} { return p.died }
func (p *onePart) Err() error            { return errors.New("ended unasked") }
func (p *onePart) Stop(ctx context.Context) error {
	p.deadline, _ = ctx.Deadline()
	p.stopped = true
	return nil
}

// TestInstanceDiesDuringStart: the start of the next is cancelled, the error says which has died, and the rest is given the
// time that it may take to end.
func TestInstanceDiesDuringStart(t *testing.T) {
	t.Parallel()
	first, slow := &onePart{died: make(chan struct{})}, &onePart{died: make(chan struct{})}
	began, starts := time.Now(), 0
	_, err := startInstances(t.Context(), 4, options(t), func(ctx context.Context, _ Options) (*Target, error) {
		switch starts++; starts {
		case 1:
			return &Target{part: first}, nil
		case 2:
			return &Target{part: slow, stopIn: time.Hour}, nil
		}
		close(first.died)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	wantText(t, err, "start 4 instances: instance 1: ended unasked")
	if starts != 3 || !first.stopped || !slow.stopped || slow.deadline.Before(began.Add(time.Hour)) {
		t.Errorf("got %d starts, stopped %v and %v until %v; want 3, both, in an hour", starts, first.stopped, slow.stopped, slow.deadline)
	}
}

// TestCommandInstances: each program is told of its own port and name, and their use is summed once.
func TestCommandInstances(t *testing.T) {
	t.Parallel()
	o := options(t)
	c := program(t, "ok")
	c.Env = []scenarios.EnvVar{{Name: "AT", Value: "{port} {run}"}}
	target, err := StartTarget(t.Context(), scenarios.GatewayPlan{Target: scenarios.TargetCommand, Instances: 2, Command: c, Profile: scenarios.BareProfile(), ReadyIn: time.Minute},
		[]string{"127.0.0.1:1"}, []string{"a"}, o)
	if err != nil {
		t.Fatal(err)
	}
	pids := target.Processes()
	use, err := target.Usage()
	both, bothErr := Usage(pids)
	if err != nil || bothErr != nil || use.RSSBytes > both.RSSBytes*3/2 {
		t.Errorf("got use %+v, %v; want each counted once: %+v, %v", use, err, both, bothErr)
	}
	if err := target.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	gone(t, pids)
	for i, url := range target.URLs() {
		name := string(rune('1' + i))
		port := strings.TrimSuffix(strings.TrimPrefix(url, "ws://127.0.0.1:"), "/ws")
		text, err := os.ReadFile(filepath.Join(o.Dir, "gateway-"+name+".log"))
		if want := "AT=" + port + " " + o.RunID + "-" + name; err != nil || !strings.Contains(string(text), want) {
			t.Errorf("instance %s: got log %q, %v; want %q in it", name, text, err, want)
		}
	}
}
