package loadgen

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/scenarios"
)

// The child processes of these tests are told what to do by variables.
const (
	childURL   = "WEIR_TEST_TABLES_URL"
	childSeeds = "WEIR_TEST_TABLES_SEEDS"
)

// lowLimit is the children's RLIMIT_NOFILE.
const lowLimit = 300

// inChild runs a test of this package in a process of its own against a gateway of this one.
func inChild(t *testing.T, test string) {
	t.Helper()
	kafka := testkit.Kafka(t, 1, "t")
	gateway := testkit.StartGateway(t, testkit.Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1})
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v", "-test.timeout=5m")
	child.Env = append(os.Environ(), childURL+"="+gateway.URL(), childSeeds+"="+strings.Join(kafka.ListenAddrs(), ","))
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+test) {
		t.Errorf("%s: %v\n%s", test, err, out)
	}
}

// childPlan is the plan of a child, whose descriptors are limited from here on.
func childPlan(t *testing.T, clients int) *scenarios.Plan {
	t.Helper()
	if os.Getenv(childURL) == "" {
		t.Skip("it is a part of another test, in a process of its own")
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: lowLimit, Max: lowLimit}); err != nil {
		t.Fatal(err)
	}
	plan := enginePlan(os.Getenv(childURL), strings.Split(os.Getenv(childSeeds), ","))
	plan.Clients[0].Count, plan.Clients[0].ConnectRate = clients, 5000
	plan.Producers[0].Rate = scenarios.Hold(20)
	return plan
}

// runChild runs the plan and requires an exact account. While all are connected it calls connected.
func runChild(t *testing.T, plan *scenarios.Plan, connected func(e *Engine)) {
	t.Helper()
	audit, health := runJoined(t, plan, connected)
	if len(audit.Defects) > 0 {
		t.Fatalf("defects %q", audit.Defects)
	}
	sent := audit.Reference[0].Sent
	row := audit.Rows[0]
	if want := sent * int64(plan.ClientCount()); sent == 0 || row.Expected != want || row.Delivered != want {
		t.Errorf("got %+v; want %d expected and delivered", row, want)
	}
	if health.DescriptorsLimit != lowLimit {
		t.Errorf("got the limit %d; want %d", health.DescriptorsLimit, lowLimit)
	}
}

// tables counts the descriptors of each thread's table.
func tables(t *testing.T) map[int]int {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	open := map[int]int{}
	for _, thread := range threads {
		all, err := os.ReadDir("/proc/self/task/" + thread.Name() + "/fd")
		if err != nil {
			continue // it has ended
		}
		id, _ := strconv.Atoi(thread.Name())
		open[id] = len(all)
	}
	return open
}

// TestSeveralTables: a process that may have 300 descriptors holds 1,000 clients, and their account is exact.
func TestSeveralTables(t *testing.T) {
	t.Parallel()
	inChild(t, "TestChildOfSeveralTables")
}

func TestChildOfSeveralTables(t *testing.T) {
	const clients = 1000
	plan := childPlan(t, clients)
	runChild(t, plan, func(e *Engine) {
		if got, want := len(e.swarm.workers), max(processors, 5); got != want {
			t.Errorf("got %d workers; want %d", got, want)
		}
		open, held := tables(t), 0
		for _, w := range e.swarm.workers {
			own := w.poller.descriptors()
			if got := open[w.poller.thread]; own == 0 || got != own {
				t.Errorf("a poller's table holds %d by the kernel, %d by the poller", got, own)
			}
			if len(w.poller.entries)-len(w.poller.free)+spareDescriptors < own {
				t.Errorf("beside %d connections a poller's table holds %d", len(w.poller.entries)-len(w.poller.free), own)
			}
			held += len(w.poller.entries) - len(w.poller.free)
		}
		if held != clients || open[os.Getpid()] > lowLimit/2 {
			t.Errorf("the pollers hold %d connections, and the process's table has %d descriptors; want %d, and few", held, open[os.Getpid()], clients)
		}
		if got, want := e.swarm.descriptors(), clients/max(processors, 5); got < want || got > lowLimit {
			t.Errorf("the fullest table holds %d; want %d connections, and what else stands in it", got, want)
		}
	})
	if got := Spread(plan, []string{plan.Gateway.URL})["descriptor_tables"]; got != fmt.Sprintf("%d, of 223 connections at most", max(processors, 5)) {
		t.Errorf("the record says %q", got)
	}
	own := tables(t)[os.Getpid()]
	testkit.Eventually(t, "no thread has a table of its own any more", func() bool {
		for _, n := range tables(t) {
			if n > own+2 { // what is read with
				return false
			}
		}
		return true
	})
}

// TestTablesRefused: where the kernel refuses a table of their own the pollers share the process's, and the record says so.
func TestTablesRefused(t *testing.T) {
	t.Parallel()
	inChild(t, "TestChildOfTablesRefused")
}

func TestChildOfTablesRefused(t *testing.T) {
	const clients = 100
	plan := childPlan(t, clients)
	refuseTables(t)
	if err := TryTable(); !errors.Is(err, unix.EPERM) {
		t.Fatalf("got %v; want it refused", err)
	}
	runChild(t, plan, func(e *Engine) {
		if got := tables(t)[os.Getpid()]; got < clients || e.swarm.descriptors() != 0 {
			t.Errorf("the process's table holds %d, tables of the pollers' own %d; want all in the one", got, e.swarm.descriptors())
		}
		for _, w := range e.swarm.workers {
			w.mu.Lock()
			told := byCount(w.remarks.all)
			w.mu.Unlock()
			if len(told) != 1 || !strings.HasPrefix(told[0], "a reader of connections shares the process's 300 descriptors") || !strings.Contains(told[0], "operation not permitted") {
				t.Errorf("the events say %q; want that and why", told)
			}
		}
	})
	got := Spread(plan, []string{plan.Gateway.URL})["descriptor_tables"]
	if !strings.HasPrefix(got, "one, of 300 descriptors: ") || !strings.Contains(got, "operation not permitted") {
		t.Errorf("the record says %q", got)
	}
}

// refuseTables has the kernel refuse close_range(2) to all threads of this process, as a container's seccomp profile may.
func refuseTables(t *testing.T) {
	t.Helper()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLOSE_RANGE, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x00050000 | uint32(unix.EPERM)}, // SECCOMP_RET_ERRNO
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x7fff0000},                      // SECCOMP_RET_ALLOW
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	const modeFilter, allThreads = 1, 1
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Skipf("no filter can be set: %v", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, modeFilter, allThreads, uintptr(unsafe.Pointer(&program))); errno != 0 {
		t.Skipf("no filter can be set: %v", errno)
	}
}

// TestOwnTableHoldsNothingElse: a connection of the process that ends while pollers run ends for its peer, although they began
// with copies of all descriptors.
func TestOwnTableHoldsNothingElse(t *testing.T) {
	peer, conn := testkit.TCPPair(t)
	url := pollTarget(t, func(c net.Conn, r *bufio.Reader, accept string) {
		_, _ = io.WriteString(c, switching(accept))
		go func() { _, _ = io.Copy(io.Discard, r); _ = c.Close() }()
	})
	s, _, _ := polledSwarm(t, url, scenarios.BareProfile(), true)
	awaitLocked(t, s, "it is connected", func() bool { return s.linked.Load() == 1 })
	if s.workers[0].poller.descriptors() == 0 {
		t.Skip("threads have no descriptor tables of their own here")
	}
	_ = conn.Close()
	_ = peer.SetReadDeadline(time.Now().Add(30 * time.Second))
	if n, err := peer.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the peer read %d bytes, %v; want the connection's end", n, err)
	}
}

// TestPollerStopsWithDialsWaiting: all places are given back, whatever has become of the dials.
func TestPollerStopsWithDialsWaiting(t *testing.T) {
	var mu sync.Mutex
	var served []net.Conn
	url := pollTarget(t, func(c net.Conn, _ *bufio.Reader, _ string) {
		mu.Lock()
		defer mu.Unlock()
		served = append(served, c)
	})
	s, _, end := polledSwarm(t, url, scenarios.BareProfile(), true)
	const dials = 10 * pollDials
	gate := make(chan struct{}, dials)
	for range dials {
		s.dialParked(t.Context(), s.clients[0], gate, 0)
	}
	end()
	if len(gate) != 0 || counter(s.workers[0], countConnectFail) != 0 || s.linked.Load() != 0 {
		t.Errorf("got %d dials under way, %d failed, %d linked; want none", len(gate), counter(s.workers[0], countConnectFail), s.linked.Load())
	}
	s.dialParked(t.Context(), s.clients[0], gate, 0)
	if len(gate) != 0 {
		t.Error("a dial that comes later keeps its place")
	}
	mu.Lock()
	defer mu.Unlock()
	for _, c := range served {
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("the target read %d bytes, %v; want the connection's end", n, err)
		}
		_ = c.Close()
	}
}

// TestClientsAreSpread: over all instances evenly, and over as many source addresses as their ports take.
func TestClientsAreSpread(t *testing.T) {
	type pair struct {
		instance int
		from     string
	}
	var mu sync.Mutex
	got := map[pair]int{}
	target := func(n int) string {
		return pollTarget(t, func(c net.Conn, r *bufio.Reader, accept string) {
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			mu.Lock()
			got[pair{n, host}]++
			mu.Unlock()
			_, _ = io.WriteString(c, switching(accept))
			go func() { _, _ = io.Copy(io.Discard, r); _ = c.Close() }()
		})
	}
	s, gate, _ := polledSwarm(t, target(0), scenarios.BareProfile(), false)
	awaitLocked(t, s, "the first is connected", func() bool { return s.linked.Load() == 1 })
	mu.Lock()
	clear(got)
	mu.Unlock()
	s.instances = newInstances([]string{s.instances[0].url, target(1)}, 12, 8)
	for i := range 12 {
		s.dialParked(t.Context(), &client{worker: s.workers[0], index: i}, gate, 0)
	}
	awaitLocked(t, s, "all are connected", func() bool { return s.linked.Load() == 13 })
	mu.Lock()
	defer mu.Unlock()
	want := map[pair]int{{0, "127.0.0.1"}: 3, {0, "127.0.0.2"}: 3, {1, "127.0.0.1"}: 3, {1, "127.0.0.2"}: 3}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v; want %v", got, want)
	}
}

func TestSources(t *testing.T) {
	loopback, other := numericTarget("ws://127.0.0.1:1/"), numericTarget("ws://192.0.2.1:1/")
	got := []int{
		sourcesFor(12_704, 28_232, loopback), sourcesFor(12_705, 28_232, loopback), sourcesFor(25_408, 28_232, loopback), sourcesFor(25_409, 28_232, loopback),
		sourcesFor(60_000, 28_232, other), sourcesFor(60_000, 28_232, numericTarget("ws://[::1]:1/")), sourcesFor(60_000, 0, loopback),
		sourcesFor(60_000, 28_232, numericTarget("ws://localhost:1/")),
	}
	if want := []int{0, 2, 2, 3, 0, 0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v source addresses; want %v", got, want)
	}
	if got, want := []int{workersFor(50_000, 19_968), workersFor(1, 19_968), workersFor(50_000, 0)}, []int{max(3, processors), processors, processors}; !slices.Equal(got, want) {
		t.Errorf("got %v workers; want %v", got, want)
	}
	shape := make([]groupShape, 1)
	s := &swarm{topo: &topology{groups: shape}, groups: make([]group, 1), instances: newInstances([]string{"ws://127.0.0.1:1/", "ws://127.0.0.1:2/"}, 10, 8)}
	for i := range 10 {
		s.clients = append(s.clients, &client{index: i})
	}
	if got := s.crowd(); got != 3 {
		t.Errorf("got %d between one pair of addresses; want 3", got)
	}
	shape[0].plan.SourceAddresses = []string{"127.0.0.8", "127.0.0.9"} // as many as instances
	if got := s.crowd(); got != 3 {
		t.Errorf("got %d between one pair of addresses, of the user's; want 3", got)
	}
}

// TestGroupsAreSpreadTogether: the clients of groups of one are not all in one place.
func TestGroupsAreSpreadTogether(t *testing.T) {
	plan := enginePlan("ws://127.0.0.1:1/", nil)
	for _, name := range []string{"g", "h", "g", "i"} { // two of one name
		g := plan.Clients[0]
		g.Name, g.Count, g.SourceAddresses = name, 1, []string{"127.0.0.8", "127.0.0.9"}
		plan.Clients = append(plan.Clients, g)
	}
	plan.Clients = plan.Clients[1:]
	s := profiledSwarm(t, plan)
	s.instances = newInstances([]string{"ws://127.0.0.1:1/", "ws://127.0.0.1:2/"}, 4, 0)
	got := map[string]int{}
	for _, c := range s.clients {
		got[s.instanceOf(c).url+" "+s.sourceOf(c)]++
	}
	if len(got) != 4 {
		t.Errorf("got %v; want each of the four pairs once", got)
	}
}

// TestOwnTableHasNoWakesOfOthers: whatever number of pollers there is.
func TestOwnTableHasNoWakesOfOthers(t *testing.T) {
	if err := TryTable(); err != nil {
		t.Skipf("threads have no descriptor tables of their own here: %v", err)
	}
	var wakes []int
	for range 2 * spareDescriptors {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		wakes = append(wakes, fd)
	}
	var held int
	var err error
	onOwnThread(func() { held, err = ownTable(wakes[len(wakes)-1]) })
	const want = 3 + 1 + 2 // the standard ones, the wake, and the runtime's
	if err != nil || held != want {
		t.Errorf("got %d descriptors, %v; want %d", held, err, want)
	}
}

// TestTablesAreNeverDoubtful: a full table has less in use than the share beyond which health is doubtful.
func TestTablesAreNeverDoubtful(t *testing.T) {
	const doubtful = 0.90
	if most := ConnectionsPerTable() + spareDescriptors; tableLimit() == 0 || float64(most) > doubtful*float64(tableLimit()) {
		t.Errorf("%d descriptors of %d are used", most, tableLimit())
	}
}
