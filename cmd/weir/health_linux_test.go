package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

// netns is a network namespace of a test's own, so that the kernel's counts of TCP and the ports are nobody else's.
type netns struct {
	t         *testing.T
	own, back int // descriptors of it and of the one that the test's threads are in
}

// newNetns makes one whose loopback is up. Where the test may not it is skipped.
func newNetns(t *testing.T) *netns {
	t.Helper()
	runtime.LockOSThread()
	n := &netns{t: t}
	var err error
	if n.back, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		runtime.UnlockOSThread()
		t.Skipf("skipped: no network namespaces here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Close(n.back) })
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		t.Skipf("skipped: a network namespace takes root: %v", err)
	}
	n.own, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	err = errors.Join(err, loopbackUp())
	n.leave()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(n.own) })
	return n
}

// in runs f on a thread that is in the namespace: the sockets and the processes that f makes are too.
func (n *netns) in(f func()) {
	n.t.Helper()
	runtime.LockOSThread()
	if err := unix.Setns(n.own, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		n.t.Fatal(err)
	}
	defer n.leave()
	f()
}

// leave takes the thread back. One that can't go back stays locked, and ends with its goroutine.
func (n *netns) leave() {
	if err := unix.Setns(n.back, unix.CLONE_NEWNET); err != nil {
		n.t.Errorf("leave the network namespace: %v", err)
		return
	}
	runtime.UnlockOSThread()
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// startIn starts a run in the namespace.
func (n *netns) startIn(env []string, scenario string) (w *weir) {
	n.in(func() { w = startRunWith(n.t, env, scenario) })
	return w
}

// socket is closed with the test.
func (n *netns) socket(flags int) int {
	n.t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// listen listens on a port of its own choice.
func (n *netns) listen(backlog, receiveBuffer int) (fd int, at unix.Sockaddr) {
	n.t.Helper()
	fd = n.socket(0)
	var err error
	if receiveBuffer > 0 {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	err = errors.Join(err, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, backlog))
	if err == nil {
		at, err = unix.Getsockname(fd)
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return fd, at
}

// endless is small without an end: the test ends it once the fault has shown.
var endless = strings.Replace(small, "duration: 5s", "duration: 10m", 1)

// endOnce interrupts an endless run once the counts of its measure phase, by the gauges' names, are enough.
func (w *weir) endOnce(what string, enough func(count func(gauge string) float64) bool) {
	w.t.Helper()
	testkit.Eventually(w.t, what, func() bool {
		run, err := results.Open(w.dir)
		if err != nil {
			return false
		}
		counts := map[string]float64{}
		for iv, err := range run.Intervals() {
			if err != nil || iv.Phase != "steady" {
				continue
			}
			for name, rate := range iv.Gauges {
				counts[name] += rate * float64(iv.EndAt-iv.StartAt) / 1e9
			}
		}
		return enough(func(gauge string) float64 { return counts[gauge] })
	})
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		w.t.Fatal(err)
	}
}

// doubted requires that the run is doubtful for the reason, and returns its summary.
func doubted(t *testing.T, w *weir, codes ...string) *report.Summary {
	t.Helper()
	w.wait()
	s := w.summary()
	for _, code := range codes {
		if !slices.ContainsFunc(s.Health.Reasons, func(r report.HealthReason) bool { return r.Code == code && r.State == report.HealthDoubtful }) {
			t.Errorf("health: got %+v, figures %+v; want %s among the doubts", s.Health.Reasons, s.Health.Figures, code)
		}
	}
	return s
}

// TestBusyNeighbourShows: processes that spin on all processors are told apart from the pipeline.
func TestBusyNeighbourShows(t *testing.T) {
	for range runtime.NumCPU() {
		spin := exec.Command("timeout", "120", "sh", "-c", "while :; do :; done")
		spin.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := spin.Start(); err != nil {
			t.Skipf("skipped: %v", err)
		}
		t.Cleanup(func() {
			_ = syscall.Kill(-spin.Process.Pid, syscall.SIGKILL) // its own group
			_ = spin.Wait()
		})
	}
	s := doubted(t, startRun(t, small), "foreign_cpu", "machine_busy")
	if got := s.Health.Figures.ForeignCPU; got == nil || *got < 0.3 {
		t.Errorf("others' CPU: got %v; want most of the machine", got)
	}
}

// TestShortlyStoppedGeneratorIsInvalid: what is due in 300 ms of a few seconds goes out late, and is far more
// than one message in a hundred.
func TestShortlyStoppedGeneratorIsInvalid(t *testing.T) {
	t.Parallel()
	w := startRun(t, endless)
	w.measuring()
	stopFor(t, w.cmd.Process.Pid, 300*time.Millisecond, func() {})
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	w.wait()
	s := w.summary()
	if s.Health.State != report.HealthInvalid || s.Health.Reasons[0].Code != "send_lag" {
		t.Errorf("health: got %s, %+v; want invalid for send_lag", s.Health.State, s.Health.Reasons)
	}
}

// TestTinyGCLimitShows: below its limit of memory the collector runs all the time. The user's setting wins, the record says so and has
// each collection.
func TestTinyGCLimitShows(t *testing.T) {
	w := startRunWith(t, []string{"GOMEMLIMIT=1MiB"}, small)
	s := doubted(t, w)
	// The runtime's estimate counts waiting for a processor as using it, so that a busy neighbour dilutes the share.
	told := slices.ContainsFunc(s.Health.Reasons, func(r report.HealthReason) bool { return r.Code == "gc_cpu" })
	if f := s.Health.Figures.ForeignCPU; !told && (f == nil || *f < 0.5) {
		t.Errorf("health: got %+v; want gc_cpu among the doubts", s.Health.Reasons)
	}
	gc := s.Health.Figures.Record.GC
	t.Logf("the collector took %.0f%% of the generator's processor time", 100**s.Health.Figures.GCOfCPU)
	if gc == nil || gc.Bound != "GOMEMLIMIT" || gc.Measured == 0 || gc.MeasuredPauseMaxNS <= 0 || gc.MeasuredPauseMaxAtNS == 0 {
		t.Fatalf("the record: got %+v; want collections bound by GOMEMLIMIT", gc)
	}
	run, err := results.Open(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	var logged int64
	for _, e := range run.Events {
		if e.Kind == results.EventGC && e.Phase == "steady" {
			logged += max(e.Count, 1)
		}
	}
	if logged != gc.Measured {
		t.Errorf("the log has %d collections of the measure phase; the record counts %d", logged, gc.Measured)
	}
}

// TestFewPortsShow: clients that take nearly all ports of the one address that the scenario gives them.
func TestFewPortsShow(t *testing.T) {
	n := newNetns(t)
	const ports, clients = 128, 118
	n.in(func() {
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", fmt.Appendf(nil, "%d %d", 40000, 40000+ports-1), 0); err != nil {
			t.Skipf("skipped: %v", err)
		}
	})
	s := doubted(t, n.startIn(nil, strings.Replace(small, "count: 50", fmt.Sprintf("count: %d, source_addresses: [127.0.0.1]", clients), 1)), "ports")
	if got := s.Health.Figures.Record; got.PortsUsed != clients || got.PortsLimit != ports {
		t.Errorf("got %d of %d ports; want %d of %d", got.PortsUsed, got.PortsLimit, clients, ports)
	}
}

// TestFullListenerShows: a listener that takes nobody drops those who come while its queue is full, and they try again.
func TestFullListenerShows(t *testing.T) {
	n := newNetns(t)
	w := n.startIn(nil, endless)
	w.measuring()
	n.in(func() {
		_, at := n.listen(0, 0)
		for range 60 {
			if err := unix.Connect(n.socket(unix.SOCK_NONBLOCK), at); err != nil && !errors.Is(err, unix.EINPROGRESS) {
				t.Fatal(err)
			}
		}
	})
	w.endOnce("connections are dropped and tried again", func(count func(string) float64) bool {
		again := count(results.GaugeRetransmits)
		return count(results.GaugeListenOverflows) > 55 && again > 20 && again > 0.002*count(results.GaugeSegments)
	})
	s := doubted(t, w, "listen_overflow", "retransmits")
	if tcp := s.Health.Figures.TCP; tcp == nil || tcp.ListenOverflows < 50 {
		t.Errorf("got %+v; want that nearly 60 connections were dropped", tcp)
	}
}

// TestFullReceiveBuffersShow: somebody writes to a reader with a small buffer who comes only once it is full.
func TestFullReceiveBuffersShow(t *testing.T) {
	n := newNetns(t)
	w := n.startIn(nil, endless)
	w.measuring()
	n.in(func() {
		listener, at := n.listen(1, 64<<10)
		writer := n.socket(0)
		if err := unix.Connect(writer, at); err != nil {
			t.Fatal(err)
		}
		reader, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(reader)
		stop := time.NewTimer(2 * time.Second)
		defer stop.Stop()
		for data := make([]byte, 64<<10); ; {
			for { // until the window is closed and the send buffer full
				if _, err := unix.SendmsgN(writer, data, nil, nil, unix.MSG_DONTWAIT); err != nil {
					break
				}
			}
			for { // all that has come by now
				if got, err := unix.Read(reader, data); err != nil || got == 0 {
					break
				}
			}
			select {
			case <-stop.C:
				return
			default:
			}
		}
	})
	w.endOnce("receive buffers were full", func(count func(string) float64) bool {
		full := count(results.GaugeFullReceiveBuffers)
		return full > 20 && full > 0.002*count(results.GaugeSegments)
	})
	doubted(t, w, "receive_buffers")
}

// TestHealthIsSilentOnAQuietRun: in a network namespace of its own nothing but this machine's other work may raise a doubt.
// Where that does, the run is made again, as runMeasured does.
func TestHealthIsSilentOnAQuietRun(t *testing.T) {
	n := newNetns(t)
	machines := []string{"send_lag", "send_lag_tail", "machine_busy", "foreign_cpu", "run_queue", "pacing_wait", "gc_pause", "retransmits"}
	var late lateRuns
	for !late.spent() {
		w := n.startIn(nil, small)
		w.wait()
		s := w.summary()
		checkExact(t, s)
		f := s.Health.Figures
		// Others' processor time is not known where the kernel's accounts of the machine and of processes disagree.
		if f.GeneratorOfCores == nil || f.RunQueue == nil || f.PacingWait == nil || f.GCOfCPU == nil || f.TCP == nil || f.TCP.Segments == 0 || f.Record.GC == nil {
			t.Fatalf("got %+v; want every other figure recorded", f)
		}
		if gc := f.Record.GC; gc.Bound != "memory limit" || gc.LimitBytes < 64<<20 || gc.Measured != 0 {
			t.Errorf("the collector: got %+v; want none in the measure phase, bound by memory", gc)
		}
		for _, r := range s.Health.Reasons {
			if !slices.Contains(machines, r.Code) {
				t.Fatalf("got %s, %q; want it silent", r.Code, r.Text)
			}
		}
		if len(s.Health.Reasons) == 0 {
			return
		}
		t.Logf("attempt: %+v", s.Health.Reasons)
		late.add(s)
	}
	late.giveUp(t.Skip, t.Fatal)
}
