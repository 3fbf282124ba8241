// Package autobahn runs the Autobahn testsuite for WebSockets in tests, in either direction, and judges what it found. It
// starts the suite by run.sh, which installs it where it is not; where that can't be, the test is skipped and says so.
//
// WEIR_AUTOBAHN says what is run: "quick" the cases without compression, "full" all; without it the tests are skipped.
package autobahn

import (
	"context"
	_ "embed" // the script and what it installs
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

//go:embed run.sh
var script []byte

//go:embed requirements.txt
var requirements []byte

// exitNoPython is run.sh's status where there is no Python 2.7.
const exitNoPython = 77

// The numbers of cases that the suite has, by what is run.
const (
	quickCases = 301
	fullCases  = 517
)

// Level is what is to be run.
type Level struct {
	Cases    int      // how many there are
	Excluded []string // patterns of those that are not run
	// Declined are what the names begin with of those that may find that a client has not offered what they try.
	Declined []string
}

// Asked returns what the environment asks for, and skips the test where it asks for nothing or there is no Python 2.7.
func Asked(t testing.TB) Level {
	t.Helper()
	var level Level
	switch asked := os.Getenv("WEIR_AUTOBAHN"); asked {
	case "":
		t.Skip("the Autobahn testsuite runs with WEIR_AUTOBAHN=quick or full")
	case "quick":
		level = Level{Cases: quickCases, Excluded: []string{"12.*", "13.*"}}
	case "full":
		level = Level{Cases: fullCases}
	default:
		t.Fatalf("WEIR_AUTOBAHN: %q is unknown (write quick or full)", asked)
	}
	install := suite(t, t.Context(), "install")
	if err := install.Run(); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if ok && exit.ExitCode() == exitNoPython {
			t.Skip("the Autobahn testsuite is not run: it needs Python 2.7, which is not here")
		}
		t.Fatalf("install the Autobahn testsuite: %v", err)
	}
	return level
}

// FuzzServer lets the suite's client try the server at url, ws://host:port/path, and returns its verdicts.
func (l Level) FuzzServer(t testing.TB, url string) Verdicts {
	t.Helper()
	out := t.TempDir()
	if err := suite(t, t.Context(), "client", append([]string{out, url}, l.Excluded...)...).Run(); err != nil {
		t.Fatalf("run the fuzzing client: %v", err)
	}
	return ReadVerdicts(t, out)
}

// FuzzClient starts the suite's server, and returns its URL and where the verdicts are to be read from. The client
// connects to /getCaseCount, to /runCase?case=N&agent=weir for each, and to /updateReports?agent=weir at the end. The
// server is stopped when the test ends.
func (l Level) FuzzClient(t testing.TB) (url, out string) {
	t.Helper()
	out = t.TempDir()
	addr := freePort(t)
	ctx, cancel := context.WithCancel(context.Background())
	server := suite(t, ctx, "server", append([]string{out, "ws://" + addr}, l.Excluded...)...)
	if err := server.Start(); err != nil {
		t.Fatalf("run the fuzzing server: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Wait() // it is killed
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	awaitPort(t, addr, ended)
	return "ws://" + addr, out
}

// suite is run.sh with the arguments, its complaints going to the test's log.
func suite(t testing.TB, ctx context.Context, mode string, args ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "run.sh")
	for name, content := range map[string][]byte{path: script, filepath.Join(dir, "requirements.txt"): requirements} {
		if err := os.WriteFile(name, content, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(ctx, "sh", append([]string{path, mode}, args...)...)
	cmd.Stderr = t.Output()
	return cmd
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startPatience bounds the wait for the fuzzing server, which takes seconds to load.
const startPatience = time.Minute

func awaitPort(t testing.TB, addr string, ended <-chan struct{}) {
	t.Helper()
	late := time.After(startPatience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ended:
			t.Fatal("the fuzzing server has ended")
		case <-late:
			t.Fatalf("the fuzzing server does not listen after %s", startPatience)
		}
	}
}

// Verdict is what the suite says of one case: of the frames, and of how the connection was closed.
type Verdict struct {
	Behavior      string `json:"behavior"`
	BehaviorClose string `json:"behaviorClose"`
}

// Verdicts are those of all cases, by number.
type Verdicts map[string]Verdict

// ReadVerdicts reads the index of reports in the folder.
func ReadVerdicts(t testing.TB, out string) Verdicts {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := parseVerdicts(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func parseVerdicts(text []byte) (Verdicts, error) {
	var agents map[string]Verdicts
	if err := json.Unmarshal(text, &agents); err != nil {
		return nil, fmt.Errorf("read the suite's index: %w", err)
	}
	if len(agents) != 1 {
		return nil, fmt.Errorf("the suite's index has %d agents, want 1", len(agents))
	}
	for _, v := range agents {
		return v, nil
	}
	return nil, nil
}

// Judge returns what there is to know: the cases that are neither strictly right nor wrong, and, as an error, those that
// failed and those that are missing.
func (l Level) Judge(v Verdicts) (remarks []string, err error) {
	var failed []string
	for _, name := range slices.Sorted(maps.Keys(v)) {
		got := v[name]
		line := fmt.Sprintf("%s: %s, close %s", name, got.Behavior, got.BehaviorClose)
		switch {
		case got.Behavior == "UNIMPLEMENTED" && tolerable(got.BehaviorClose) && l.declines(name):
			remarks = append(remarks, line)
		case !tolerable(got.Behavior) || !tolerable(got.BehaviorClose):
			failed = append(failed, line)
		case got.Behavior != "OK" || got.BehaviorClose != "OK":
			remarks = append(remarks, line)
		}
	}
	if len(v) != l.Cases {
		failed = append(failed, fmt.Sprintf("%d cases were run, want %d", len(v), l.Cases))
	}
	if len(failed) > 0 {
		return remarks, errors.New(strings.Join(failed, "\n"))
	}
	return remarks, nil
}

func (l Level) declines(name string) bool {
	return slices.ContainsFunc(l.Declined, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

func tolerable(behavior string) bool {
	return slices.Contains([]string{"OK", "NON-STRICT", "INFORMATIONAL"}, behavior)
}

// Check judges, logs the remarks and fails the test where a case failed.
func (l Level) Check(t testing.TB, v Verdicts) {
	t.Helper()
	remarks, err := l.Judge(v)
	t.Logf("%d cases, of which %d are not plainly OK:\n%s", len(v), len(remarks), strings.Join(remarks, "\n"))
	if err != nil {
		t.Errorf("the Autobahn testsuite found:\n%v", err)
	}
}
