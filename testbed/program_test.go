package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirbench/weir/scenarios"
)

// targetMain is a program that weir did not write: it knows its port from its environment and ends with 3 at a signal.
func targetMain(mode string) error {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	fmt.Println("environment:", strings.Join(os.Environ(), " "))
	fmt.Fprintln(os.Stderr, "mode:", mode)
	address := "127.0.0.1:" + os.Getenv("PORT")
	switch mode {
	case "early":
		return fmt.Errorf("no such luck with %s", os.Getenv("TOKEN"))
	case "mute":
		<-asked
		return nil
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
	case "family": // a child that leaves the group, and whose parent goes
		if err := daemon(os.Environ(), "sleep"); err != nil {
			return err
		}
	case "daemonised": // what it does is done by one that has left it
		if err := daemon(os.Environ(), "burn"); err != nil {
			return err
		}
	case "burn":
		return burn(asked)
	case "yields", "loses": // a stranger takes the port, the first time or always
		if once := os.Getenv("ONCE"); once != "" {
			if f, err := os.OpenFile(once, os.O_CREATE|os.O_EXCL, 0o600); err != nil {
				break
			} else if err := f.Close(); err != nil {
				return err
			}
		}
		if err := daemon([]string{"PORT=" + os.Getenv("PORT")}, "briefly"); err != nil {
			return err
		}
		if mode == "loses" { // and it finds out by itself
			return awaitTaken(address)
		}
		<-asked
		return nil
	case "daemon": // the parent of what daemon starts
		child := exec.Command("/proc/self/exe", "test", "target", os.Getenv("DAEMON"))
		child.Env = append(os.Environ(), fmt.Sprintf("PARENT=%d", os.Getpid()))
		return child.Start()
	case "sleep":
		select {
		case <-asked:
		case <-time.After(time.Minute): // should the tests not end it
		}
		return nil
	case "briefly":
		time.AfterFunc(time.Minute, func() { os.Exit(0) })
		for tick := time.Tick(time.Millisecond); fmt.Sprint(os.Getppid()) == os.Getenv("PARENT"); <-tick { // until then it is of the tree
		}
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		<-asked
		os.Exit(3)
	}()
	fmt.Println("serving at", l.Addr())
	return http.Serve(l, programHandler(mode))
}

// awaitTaken returns the error of listening where somebody does already, once somebody does.
func awaitTaken(address string) error {
	for tick := time.Tick(time.Millisecond); ; <-tick {
		if c, err := net.Dial("tcp", address); err == nil { // to listen would take it from the other
			c.Close()
			_, err = net.Listen("tcp", address)
			return err
		}
	}
}

// What burn uses: processor time, memory and descriptors.
const (
	burnTime        = 300 * time.Millisecond
	burnBytes       = 64 << 20
	burnDescriptors = 100
)

// burn uses that and keeps what can be kept until it is asked to end.
func burn(asked <-chan os.Signal) error {
	var open []*os.File
	for range burnDescriptors {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return err
		}
		open = append(open, f)
	}
	memory := make([]byte, burnBytes)
	var use syscall.Rusage
	for syscall.Getrusage(syscall.RUSAGE_SELF, &use) == nil && time.Duration(use.Utime.Nano()+use.Stime.Nano()) < burnTime {
		for i := range memory {
			memory[i]++
		}
	}
	select {
	case <-asked:
	case <-time.After(time.Minute): // should the tests not end it
	}
	runtime.KeepAlive(open)
	runtime.KeepAlive(memory)
	return nil
}

func programHandler(mode string) http.Handler {
	mux := http.NewServeMux()
	upgrader := websocket.Upgrader{}
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		if mode == "unready" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if c, err := upgrader.Upgrade(w, r, nil); err == nil {
			_, _, _ = c.ReadMessage()
			c.Close()
		}
	})
	mux.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) {
		if mode == "unready" {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, "no partitions yet")
		}
	})
	return mux
}

// daemon starts a program whose parent ends at once, in a session of its own.
func daemon(env []string, mode string) error {
	c := exec.Command("/proc/self/exe", "test", "target", "daemon")
	c.Env = append(env, "DAEMON="+mode)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return c.Run()
}

// program is the command target that runs targetMain.
func program(t testing.TB, mode string) *scenarios.CommandTarget {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &scenarios.CommandTarget{Args: []string{exe, "test", "target", mode}, URL: "ws://127.0.0.1:{port}/ws"}
}

func commandPlan(c *scenarios.CommandTarget) scenarios.GatewayPlan {
	return scenarios.GatewayPlan{Target: scenarios.TargetCommand, Command: c, ReadyIn: time.Minute}
}

func startProgram(t *testing.T, c *scenarios.CommandTarget) (*Target, Options, error) {
	t.Helper()
	o := options(t)
	target, err := StartTarget(t.Context(), commandPlan(c), []string{"127.0.0.1:1", "127.0.0.1:2"}, []string{"a", "b"}, o)
	return target, o, err
}

// targetParentMain is a weir that starts a target and then waits to be killed.
func targetParentMain(kind scenarios.TargetKind, runID string) error {
	ctx, cancel := ChildContext(context.Background(), os.Stdin) // ends with the tests, too
	defer cancel()
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	plan := commandPlan(&scenarios.CommandTarget{Args: []string{exe, "test", "target", "family"}, URL: "ws://127.0.0.1:{port}/ws"})
	plan.Target = kind
	plan.Container = &scenarios.ContainerTarget{
		Image: testImage(), Args: []string{"sh", "-c", "echo up; exec sleep 600"}, Port: 8080, URL: "ws://127.0.0.1:{port}/ws",
		Ready: scenarios.Ready{Log: "^up$"},
	}
	target, err := StartTarget(ctx, plan, nil, nil, Options{Executable: exe, RunID: runID, Dir: os.Getenv(parentDir)})
	if err != nil {
		return err
	}
	line, err := json.Marshal(parentReport{Pids: target.Processes()})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	<-ctx.Done()
	return target.Stop(context.Background())
}
