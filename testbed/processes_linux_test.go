package testbed

import (
	"context"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// TestUsageOfADaemon: what a target does in a process that has left its group, its session and its parent is in its figures,
// and stays in them when that process ends.
func TestUsageOfADaemon(t *testing.T) {
	t.Parallel()
	target, o, err := startProgram(t, program(t, "daemonised"))
	if err != nil {
		t.Fatal(err)
	}
	daemon := escaped(t, o.RunID, target.Processes()[0])
	alone, err := Usage(target.Processes())
	if err != nil {
		t.Fatal(err)
	}
	use := awaitUse(t, target, func(use ResourceUse) bool {
		return use.CPUSeconds >= burnTime.Seconds() && use.RSSBytes > burnBytes && use.Descriptors > burnDescriptors
	})
	if alone.RSSBytes > burnBytes || alone.Descriptors > burnDescriptors {
		t.Errorf("got %+v for the target's own tree; want the daemon not to be in it", alone)
	}
	gone := watchDeath(t, daemon)
	if err := syscall.Kill(daemon, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone(5 * time.Second)
	after, err := target.Usage()
	if err != nil || after.CPUSeconds < use.CPUSeconds || after.RSSBytes > burnBytes {
		t.Errorf("got %+v, %v after the daemon's end; want its memory gone and the processor time kept: %+v", after, err, use)
	}
	if err := target.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// awaitUse reads until the use is as wanted.
func awaitUse(t *testing.T, target *Target, is func(ResourceUse) bool) ResourceUse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for tick := time.Tick(10 * time.Millisecond); ; {
		use, err := target.Usage()
		if err != nil {
			t.Fatal(err)
		}
		if is(use) {
			return use
		}
		select {
		case <-tick:
		case <-ctx.Done():
			t.Fatalf("got the use %+v", use)
		}
	}
}

// TestFollowedEnds: a process that ended, even one that nobody has waited for, and a number that means another process by
// now, are told of and not read.
func TestFollowedEnds(t *testing.T) {
	t.Parallel()
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	byPids, err := StartTarget(t.Context(), externalPlan(t, &scenarios.UsageSource{Pids: []int{child.Process.Pid}}), nil, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if use, err := byPids.Usage(); err != nil || use.Descriptors == 0 {
		t.Errorf("got %+v, %v; want the use of a running program", use, err)
	}
	start := byPids.procs.roots[0].start
	byPids.procs.roots[0].start++ // as if the number had come again
	if _, err := byPids.Usage(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v for another process of the same number; want that it has ended", err)
	}
	byPids.procs.roots[0].start = start
	_ = child.Process.Kill()
	if !awaitZombie(child.Process.Pid) {
		t.Fatal("it did not end")
	}
	_, err = byPids.Usage()
	wantText(t, err, "it has ended")
	_, err = StartTarget(t.Context(), externalPlan(t, &scenarios.UsageSource{Pids: []int{child.Process.Pid}}), nil, nil, Options{})
	wantText(t, err, "it has ended", "mend gateway.usage.pids")
	_ = child.Wait()
	if _, err := byPids.Usage(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v; want that it has ended", err)
	}
}

// TestUsagePidsOfAnother: pids are of this machine, the target is not; and none of them is who takes the connections.
func TestUsagePidsOfAnother(t *testing.T) {
	t.Parallel()
	var target Target
	err := target.usePids(t.Context(), "ws://192.0.2.1:8080/ws", []int{os.Getpid()}, Options{})
	wantText(t, err, "are processes of this machine, and 192.0.2.1 is another", "metrics")
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	}()
	var said []string
	o := Options{Log: func(line string) { said = append(said, line) }}
	address := webSocket(t, 0)
	if err := target.usePids(t.Context(), address, []int{child.Process.Pid}, o); err != nil {
		t.Fatal(err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "none of gateway.usage.pids listens at 127.0.0.1:") || !strings.Contains(said[0], processName(os.Getpid())) {
		t.Errorf("got %q; want a warning that names this process", said)
	}
	said = nil
	if err := target.usePids(t.Context(), address, []int{child.Process.Pid, os.Getpid()}, o); err != nil || len(said) > 0 {
		t.Errorf("got %v, %q; want no warning for the process that listens", err, said)
	}
}

// TestPagesOverTLS: a page that says ready, or what the target uses, may be of https, trusted as the profile says.
func TestPagesOverTLS(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(page)) }))
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c := program(t, "ok")
	c.Ready = scenarios.Ready{URL: srv.URL + "/ready"}
	plan := commandPlan(c)
	plan.Profile.TLS = &scenarios.TLS{CAFile: ca}
	r, err := newReadiness("ws://127.0.0.1:1/ws", c.Ready, &plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.askPage(t.Context()); err != nil {
		t.Errorf("got %v; want the page's 200", err)
	}
	var target Target
	u := &scenarios.UsageSource{Metrics: srv.URL}
	if err := target.use(t.Context(), "ws://127.0.0.1:1/ws", u, r.trust, Options{}); err != nil {
		t.Errorf("got %v; want the page's figures", err)
	} else {
		target.meter.close()
	}
	wantText(t, (&Target{}).use(t.Context(), "ws://127.0.0.1:1/ws", u, nil, Options{}), "gateway.usage.metrics", "certificate")
	plan.Profile.TLS = nil
	if r, err = newReadiness("ws://127.0.0.1:1/ws", c.Ready, &plan, nil); err != nil {
		t.Fatal(err)
	}
	wantText(t, r.askPage(t.Context()), "certificate")
}
