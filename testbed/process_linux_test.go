package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirbench/weir/scenarios"
)

// watchDeath takes hold of a process, so that its number can't come to mean another, and returns a wait for its end.
func watchDeath(t *testing.T, pid int) func(within time.Duration) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("process %d: %v", pid, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func(within time.Duration) {
		t.Helper()
		for deadline := time.Now().Add(within); ; {
			left := time.Until(deadline).Milliseconds()
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(left, 0)))
			if n == 1 {
				return
			}
			if !errors.Is(err, unix.EINTR) {
				t.Fatalf("process %d lives on after %v (%v)", pid, within, err)
			}
		}
	}
}

// TestChildDiesWithParent kills a parent with SIGKILL. A child that is stopped can't see its standard input end: only the
// kernel's parent-death signal ends it, which would fire too early or not at all from a thread that comes and goes.
func TestChildDiesWithParent(t *testing.T) {
	t.Parallel()
	for _, stopped := range []bool{false, true} {
		t.Run(fmt.Sprintf("stopped=%v", stopped), func(t *testing.T) {
			t.Parallel()
			parent, report := startParent(t, scenarios.ProviderEmbedded, "pdeath")
			await := watchDeath(t, report.Pids[0])
			if stopped {
				if err := syscall.Kill(report.Pids[0], syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			if err := parent.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			await(5 * time.Second)
		})
	}
}

// TestChildOutlivesStartersThread: the kernel sends the parent-death signal when the thread that started the child ends,
// though the process lives on. A goroutine that ends while locked takes its thread along, so that a child started by the
// caller itself would die here.
func TestChildOutlivesStartersThread(t *testing.T) {
	t.Parallel()
	var k *Kafka
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		k, err = StartKafka(t.Context(), scenarios.KafkaPlan{Provider: scenarios.ProviderEmbedded, Brokers: 1}, options(t))
	}()
	<-ended
	if err != nil {
		t.Fatal(err)
	}
	topics := []scenarios.Topic{{Name: "a", Partitions: 1, Replication: 1}}
	if err := k.EnsureTopics(t.Context(), topics, nil); err != nil {
		t.Error(err)
	}
	wantOpen(t, "Done", k.Done())
	if err := k.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestParentGroup: a Ctrl-C in the terminal goes to the foreground group, which the children must not be in.
func TestParentGroup(t *testing.T) {
	t.Parallel()
	k := startTestKafka(t, 1)
	group, err := syscall.Getpgid(k.Pids()[0])
	if err != nil {
		t.Fatal(err)
	}
	if group == syscall.Getpgrp() {
		t.Errorf("child is in our process group %d", group)
	}
}

func startTestGateway(t *testing.T, plan scenarios.GatewayPlan) (*Target, error) {
	t.Helper()
	plan.Target = scenarios.TargetReference
	if plan.ReadyIn == 0 {
		plan.ReadyIn = time.Minute
	}
	return StartTarget(t.Context(), plan, []string{"127.0.0.1:1", "127.0.0.1:2"}, []string{"a", "b"}, options(t))
}

func TestStopKillsDeafChild(t *testing.T) {
	t.Setenv(gatewayMode, "deaf")
	target, err := startTestGateway(t, scenarios.GatewayPlan{})
	if err != nil {
		t.Fatal(err)
	}
	await := watchDeath(t, target.Processes()[0])
	target.part.(*process).grace = 200 * time.Millisecond
	start := time.Now()
	err = target.Stop(t.Context())
	wantText(t, err, "stop gateway", "was killed")
	await(0)
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("Stop took %v", d)
	}
	if again := target.Stop(t.Context()); again != err {
		t.Errorf("got %v from the second Stop; want %v", again, err)
	}
}

func TestStopKillsStoppedChildWhenContextEnds(t *testing.T) {
	t.Parallel()
	k, err := StartKafka(t.Context(), scenarios.KafkaPlan{Provider: scenarios.ProviderEmbedded, Brokers: 1}, options(t))
	if err != nil {
		t.Fatal(err)
	}
	k.child.grace = time.Minute
	await := watchDeath(t, k.Pids()[0])
	if err := syscall.Kill(k.Pids()[0], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantText(t, k.Stop(ctx), "was killed")
	await(0)
}

func TestStopEndsGrandchildren(t *testing.T) {
	t.Setenv(gatewayMode, "family")
	target, err := startTestGateway(t, scenarios.GatewayPlan{})
	if err != nil {
		t.Fatal(err)
	}
	child := target.Processes()[0]
	both, err := Usage([]int{child})
	if err != nil {
		t.Fatal(err)
	}
	one, err := readStat(child)
	if err != nil {
		t.Fatal(err)
	}
	if alone := one.pages * int64(os.Getpagesize()); both.RSSBytes <= alone || both.Descriptors <= openDescriptors(fmt.Sprintf("/proc/%d/fd", child)) {
		t.Errorf("got %+v for the tree; want more than its root's %d bytes and descriptors", both, alone)
	}
	await := watchDeath(t, childOf(t, child))
	if err := target.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(time.Second)
}

// childOf finds the one child of a process, whichever of its threads started it.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			t.Fatal(err)
		}
		if child, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			return child
		}
	}
	t.Fatalf("process %d has no child", pid)
	return 0
}
