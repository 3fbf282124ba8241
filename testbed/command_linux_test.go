package testbed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// TestCommandTarget: what the program is told, what is kept of it, and its end.
func TestCommandTarget(t *testing.T) {
	t.Setenv("WEIR_TEST_LEAK", "not for the target")
	t.Setenv("WEIR_TEST_TOKEN", `se"cret`)
	c := program(t, "ok")
	c.Env = []scenarios.EnvVar{
		{Name: "TOKEN", Value: "Bearer ", Secret: &scenarios.Secret{Env: "WEIR_TEST_TOKEN"}},
		{Name: "AT", Value: "{port} {seeds} {topics} {run}"}, {Name: "LANG", Value: "C"},
	}
	target, o, err := startProgram(t, c)
	if err != nil {
		t.Fatal(err)
	}
	port := regexp.MustCompile(`^ws://127\.0\.0\.1:(\d+)/ws$`).FindStringSubmatch(target.URL)
	if port == nil {
		t.Fatalf("got URL %s", target.URL)
	}
	if want := "command " + strings.Join(c.Args, " "); target.Description != want {
		t.Errorf("got description %q; want %q", target.Description, want)
	}
	use, err := target.Usage()
	if err != nil || use.RSSBytes < 1<<20 || use.Descriptors < 3 || time.Since(use.At) > time.Minute {
		t.Errorf("got use %+v, %v; want that of a running program", use, err)
	}
	wantOpen(t, "Done", target.Done())
	if err := target.Stop(t.Context()); err != nil {
		t.Errorf("stop: %v; an end of the program's own by the signal is fine, whatever its status", err)
	}
	wantOpen(t, "Done", target.Done())
	text, err := os.ReadFile(filepath.Join(o.Dir, "gateway.log"))
	if err != nil {
		t.Fatal(err)
	}
	log := string(text)
	for _, want := range []string{
		"TOKEN=Bearer [secret]", "AT=" + port[1] + " 127.0.0.1:1,127.0.0.1:2 a,b " + o.RunID, "PORT=" + port[1],
		"KAFKA_SEEDS=127.0.0.1:1,127.0.0.1:2", "KAFKA_TOPICS=a,b", "WEIR_RUN=" + o.RunID, "PATH=", "LANG=C", "mode: ok",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("got log %q; want %q in it", log, want)
		}
	}
	if strings.Contains(log, `se"cret`) || strings.Contains(log, "WEIR_TEST") {
		t.Errorf("got log %q; want neither the secret nor other variables", log)
	}
}

// TestCommandReady: each way of being ready.
func TestCommandReady(t *testing.T) {
	t.Parallel()
	for name, ready := range map[string]scenarios.Ready{
		"handshake": {}, "port": {Port: true}, "log": {Log: `^serving at 127\.0\.0\.1:\d+$`}, "page": {URL: "http://127.0.0.1:{port}/ready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := program(t, "ok")
			c.Ready = ready
			target, _, err := startProgram(t, c)
			if err != nil {
				t.Fatal(err)
			}
			if err := target.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCommandTrouble(t *testing.T) {
	t.Setenv("WEIR_TEST_TOKEN", "hush-hush")
	change := func(mode string, how func(*scenarios.CommandTarget)) *scenarios.CommandTarget {
		c := program(t, mode)
		how(c)
		return c
	}
	ready := func(r scenarios.Ready) func(*scenarios.CommandTarget) {
		return func(c *scenarios.CommandTarget) { c.Ready = r }
	}
	tests := []struct {
		name    string
		command *scenarios.CommandTarget
		want    []string
	}{
		{"ends early", change("early", func(c *scenarios.CommandTarget) {
			c.Env = []scenarios.EnvVar{{Name: "TOKEN", Secret: &scenarios.Secret{Env: "WEIR_TEST_TOKEN"}}}
		}), []string{"ended before it was ready: exit status 1", "its last lines", "no such luck with [secret]"}},
		{"never listens", program(t, "mute"), []string{"not ready within 2s", "does not listen at port", "mode: mute"}},
		{"no answer of 200", change("unready", ready(scenarios.Ready{URL: "http://127.0.0.1:{port}/ready"})), []string{"not ready within 2s", "503", "no partitions yet"}},
		{"no handshake", program(t, "unready"), []string{"not ready within 2s", "HTTP 503"}},
		{"no such line", change("ok", ready(scenarios.Ready{Log: "^ready$"})), []string{"not ready within 2s", `no line of its output matches "^ready$"`, "serving at"}},
		{"no such program", &scenarios.CommandTarget{Args: []string{"no-such-program"}, URL: "ws://127.0.0.1:{port}/"}, []string{"no-such-program", "not found", "install"}},
		{"no such path", &scenarios.CommandTarget{Args: []string{"./no-such"}, Dir: os.TempDir(), URL: "ws://127.0.0.1:{port}/"}, []string{"no such file", "relative to dir"}},
		{"no such folder", &scenarios.CommandTarget{Args: []string{"sh"}, Dir: "/no-such-folder", URL: "ws://127.0.0.1:{port}/"}, []string{"no folder /no-such-folder", "gateway.command.dir"}},
		{"no program", &scenarios.CommandTarget{}, []string{"gateway.command.args"}},
		{"no port", change("ok", func(c *scenarios.CommandTarget) { c.URL = "ws://127.0.0.1/ws" }), []string{"no WebSocket address with a port"}},
		{"elsewhere", change("ok", func(c *scenarios.CommandTarget) { c.URL = "ws://192.0.2.1:{port}/ws" }), []string{"192.0.2.1 is not a loopback address"}},
		{"bad page", change("ok", ready(scenarios.Ready{URL: "127.0.0.1:{port}"})), []string{"ready.url"}},
		{"page elsewhere", change("ok", ready(scenarios.Ready{URL: "http://192.0.2.1/"})), []string{"192.0.2.1 is not a loopback address"}},
		{"bad line", change("ok", ready(scenarios.Ready{Log: "("})), []string{"ready.log", "regular expression"}},
		{"bad signal", change("ok", func(c *scenarios.CommandTarget) { c.StopSignal = "SIGKILL" }), []string{"stop_signal", "SIGTERM, SIGINT"}},
		{"no secret", change("ok", func(c *scenarios.CommandTarget) {
			c.Env = []scenarios.EnvVar{{Name: "TOKEN", Secret: &scenarios.Secret{Env: "WEIR_TEST_UNSET"}}}
		}), []string{"set the variable TOKEN", "WEIR_TEST_UNSET"}},
		{"weir's variable", change("ok", func(c *scenarios.CommandTarget) {
			c.Env = []scenarios.EnvVar{{Name: "WEIR_RUN", Value: "mine"}}
		}), []string{"WEIR_RUN is weir's"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan := commandPlan(tt.command)
			if strings.Contains(tt.want[0], "not ready within 2s") {
				plan.ReadyIn = 2 * time.Second // time for the child to start and to say what the error quotes
			}
			o := options(t)
			_, err := StartTarget(t.Context(), plan, nil, nil, o)
			wantText(t, err, append(tt.want, "start ")...)
			if left := sweep(o.RunID, 0, 0); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestCommandPortTaken: the port that the plan names is another's.
func TestCommandPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := program(t, "ok")
	c.URL = "ws://" + l.Addr().String() + "/ws"
	_, _, err = startProgram(t, c)
	wantText(t, err, "start command", l.Addr().String()+" is taken by process "+strconv.Itoa(os.Getpid()), "{port}")
}

// TestCommandStranger: somebody takes the port, which the plan has chosen, between the look at it and the program's start.
func TestCommandStranger(t *testing.T) {
	t.Parallel()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	c := program(t, "yields")
	c.URL = fmt.Sprintf("ws://127.0.0.1:%d/ws", port)
	c.Env = []scenarios.EnvVar{{Name: "PORT", Value: strconv.Itoa(port)}}
	_, _, err = startProgram(t, c)
	wantText(t, err, "start command", fmt.Sprintf("a stranger listens at port %d", port), "which the target did not start", "mode: yields")
	endStranger(t, err.Error())
}

// TestCommandPortLost: a port that weir has chosen and lost is given up for another one, as the reference gateway's and a
// container's are.
func TestCommandPortLost(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"yields", "loses"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			c := program(t, mode)
			c.Env = []scenarios.EnvVar{{Name: "ONCE", Value: filepath.Join(t.TempDir(), "once")}}
			var said []string
			o := options(t)
			o.Log = func(line string) { said = append(said, line) }
			target, err := StartTarget(t.Context(), commandPlan(c), nil, nil, o)
			if err != nil {
				t.Fatal(err)
			}
			taken := regexp.MustCompile(`port (\d+) was taken before the target had it`).FindStringSubmatch(strings.Join(said, " "))
			if taken == nil || strings.Contains(target.URL, ":"+taken[1]+"/") {
				t.Fatalf("got %q and the URL %s; want another port than the one that was lost", said, target.URL)
			}
			port, _ := strconv.Atoi(taken[1])
			for _, s := range listeningAt(port) {
				endStranger(t, processName(inodeOwner(s.inode)))
			}
			if err := target.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// endStranger ends the process that a text names.
func endStranger(t *testing.T, text string) {
	t.Helper()
	found := regexp.MustCompile(`process (\d+) \(`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("got %v; want it to name the process", text)
	}
	pid, _ := strconv.Atoi(found[1])
	await := watchDeath(t, pid)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(5 * time.Second)
}

// TestListened: whose a port is follows from who has the socket open.
func TestListened(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const nobody = 1 << 30 // above all process ids
	port := l.Addr().(*net.TCPAddr).Port
	if ours, err := listened("127.0.0.1", port, os.Getpid(), ""); !ours || err != nil {
		t.Errorf("got %v, %v for our own process; want it to be ours", ours, err)
	}
	var stranger *strangerError
	if ours, err := listened("localhost", port, nobody, "none"); ours || !errors.As(err, &stranger) || stranger.pid != os.Getpid() {
		t.Errorf("got %v, %v for another's tree; want process %d as a stranger", ours, err, os.Getpid())
	}
	if ours, err := listened("127.0.0.2", port, nobody, "none"); ours || err != nil {
		t.Errorf("got %v, %v at another address; want nobody there", ours, err)
	}
	// A target that died while its port was looked up was told of as a stranger, a process of another user.
	seen := listeningAt(port)
	if err := l.Close(); err != nil || len(seen) == 0 {
		t.Fatalf("got %v, %v; want the socket, and it closed", seen, err)
	}
	if ours, err := owned(seen, port, nobody, "none"); ours || err != nil {
		t.Errorf("got %v, %v of a socket that is closed; want nobody there", ours, err)
	}
}

func TestProcAddr(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0100007F": "127.0.0.1", "00000000": "0.0.0.0", "00000000000000000000000001000000": "::1",
		"0000000000000000FFFF00000100007F": "127.0.0.1", "xyz": "", "01": "",
	} {
		got, ok := procAddr(text)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: got %v, %v; want %s", text, got, ok, want)
		}
	}
}

// TestCommandKilled: a target that ends by itself is a failure that has its last lines.
func TestCommandKilled(t *testing.T) {
	t.Parallel()
	target, _, err := startProgram(t, program(t, "ok"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(target.Processes()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, "Done after the program was killed", target.Done(), 5*time.Second)
	wantText(t, target.Err(), "ended unasked", "signal: killed", "mode: ok")
	if err := target.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCommandDeaf(t *testing.T) {
	t.Parallel()
	c := program(t, "deaf")
	c.StopIn = 200 * time.Millisecond
	target, _, err := startProgram(t, c)
	if err != nil {
		t.Fatal(err)
	}
	await := watchDeath(t, target.Processes()[0])
	wantText(t, target.Stop(t.Context()), "did not end within 200ms of SIGTERM and was killed")
	await(0)
}

// TestCommandLeavesNobody: a grandchild that has left the group and lost its parent ends with the target, and is told of.
func TestCommandLeavesNobody(t *testing.T) {
	t.Parallel()
	target, o, err := startProgram(t, program(t, "family"))
	if err != nil {
		t.Fatal(err)
	}
	await := watchDeath(t, escaped(t, o.RunID, target.Processes()[0]))
	wantText(t, target.Stop(t.Context()), "left processes behind, which were killed: process ")
	await(0)
}

// escaped finds the process of the run that is not in the target's tree.
func escaped(t *testing.T, runID string, root int) int {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	tree := map[int]bool{}
	for _, pid := range processTree(root) {
		tree[pid] = true
	}
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if !tree[pid] && carries(pid, runID) {
			return pid
		}
	}
	t.Fatal("nobody has left the target's tree")
	return 0
}

// TestCommandDiesWithParent kills a weir with SIGKILL: the target, what has left its group, and the guard go.
func TestCommandDiesWithParent(t *testing.T) {
	o := options(t)
	runID, dir := o.RunID, o.Dir
	t.Setenv(parentDir, dir)
	parent, report := startParent(t, scenarios.KafkaProvider(scenarios.TargetCommand), runID)
	target, stray := report.Pids[0], escaped(t, runID, report.Pids[0])
	watched := []func(time.Duration){watchDeath(t, target), watchDeath(t, stray)}
	for _, pid := range processTree(parent.Process.Pid)[1:] {
		watched = append(watched, watchDeath(t, pid)) // the guard is among them
	}
	if len(watched) < 4 {
		t.Errorf("got %d processes; want the target, the one that left, and the guard", len(watched))
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, await := range watched {
		await(10 * time.Second)
	}
	wantFile(t, filepath.Join(dir, "guard.log"), "killed process ")
}

// TestCommandInterrupted: the end of the context ends the start and leaves nothing.
func TestCommandInterrupted(t *testing.T) {
	t.Parallel()
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	o := options(t)
	time.AfterFunc(200*time.Millisecond, func() { cancel(cause) })
	_, err := StartTarget(ctx, commandPlan(program(t, "mute")), nil, nil, o)
	if !errors.Is(err, cause) {
		t.Errorf("got %v; want the context's cause", err)
	}
	if left := sweep(o.RunID, 0, 0); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestPlaceholdersOfAReadyLine(t *testing.T) {
	t.Parallel()
	p := placing{port: 8123, published: 9, run: "a.b"}
	if got, want := p.ready(scenarios.Ready{Log: `^listening on {port} \(run {run}\)$`}).Log, `^listening on 8123 \(run a\.b\)$`; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}
