package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

// openTerminal opens a pseudo-terminal of that size: pty(7).
func openTerminal(t *testing.T, columns, rows int) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this system gives no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { ours.Close() })
	fd := int(ours.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(columns), Row: uint16(rows)}); err != nil {
		t.Fatal(err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	return ours, theirs
}

// onTerminal is weir with its standard error, or both outputs, on a terminal.
type onTerminal struct {
	*weir
	shown *syncBuffer
	tty   *os.File      // a hold on weir's end, until release
	done  chan struct{} // closed when the terminal has given all
}

// startOnTerminal runs a scenario; TERM is env's, xterm unless it says otherwise.
func startOnTerminal(t *testing.T, scenario string, env []string, args ...string) *onTerminal {
	t.Helper()
	ours, theirs := openTerminal(t, 80, 24)
	dir := t.TempDir()
	file := filepath.Join(dir, "scenario.yaml")
	if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &onTerminal{weir: &weir{t: t, dir: filepath.Join(dir, "run")}, shown: &syncBuffer{}, done: make(chan struct{})}
	w.cmd = exec.Command(program(t), append([]string{"run", file, "--out", w.dir}, args...)...)
	w.cmd.Env = append(append(os.Environ(), "TERM=xterm", "NO_COLOR="), env...)
	w.cmd.Stdout, w.cmd.Stderr = theirs, theirs
	w.start()
	w.tty = theirs
	go func() {
		defer close(w.done)
		buffer := make([]byte, 4096)
		for {
			n, err := ours.Read(buffer)
			_, _ = w.shown.Write(buffer[:n])
			if err != nil { // EIO when the last of them has closed its end
				return
			}
		}
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the terminal got %q", w.shown.String())
		}
	})
	return w
}

// wait returns the exit code and what the terminal shows at the end.
func (w *onTerminal) wait() (exit int, screen *emulator) {
	w.t.Helper()
	exit = w.weir.wait()
	w.tty.Close()
	select {
	case <-w.done:
	case <-time.After(testkit.Patience):
		w.t.Fatal("something still holds the terminal")
	}
	screen = newEmulator(80)
	_, _ = screen.Write([]byte(w.shown.String()))
	if screen.hidden || screen.column != 0 || len(screen.unknown) > 0 {
		w.t.Errorf("got the cursor hidden %v, in column %d, unknown sequences %q; want a clean terminal", screen.hidden, screen.column, screen.unknown)
	}
	for _, left := range []string{"connected", "so far of", "[#"} {
		if strings.Contains(screen.String(), left) {
			w.t.Errorf("the figures are left on the terminal:\n%s", screen)
		}
	}
	return exit, screen
}

var brief = strings.Replace(small, "duration: 5s", "duration: 2s", 1)

// TestProgressOnATerminal: figures are redrawn while the run goes on, and only steps and the summary stay.
func TestProgressOnATerminal(t *testing.T) {
	var last *onTerminal
	runMeasured(t, func() *weir {
		last = startOnTerminal(t, brief, nil)
		return last.weir
	})
	last.tty.Close()
	<-last.done
	screen := newEmulator(80)
	_, _ = screen.Write([]byte(last.shown.String()))
	if screen.ups < 2 || !strings.Contains(last.shown.String(), "  steady     [") {
		t.Errorf("got %d redraws; want the figures of each interval", screen.ups)
	}
	shown := screen.String()
	for _, want := range []string{"  start embedded Kafka\n", "  drain\n", "PASSED"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the terminal does not show %q:\n%s", want, shown)
		}
	}
	if strings.Contains(shown, "sent/s") || strings.Contains(shown, "connected") || screen.hidden || screen.column != 0 || len(screen.unknown) > 0 {
		t.Errorf("the terminal is not left clean:\n%s", shown)
	}
	if !strings.Contains(last.shown.String(), "\x1b[1;32m") {
		t.Error("a terminal that takes colours got none")
	}
}

// TestTerminalsWithoutRedraws: none that is dumb or unknown gets a control sequence, and NO_COLOR means colours alone.
func TestTerminalsWithoutRedraws(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		env      []string
		args     []string
		lasts    string
		controls bool
	}{
		{"dumb", []string{"TERM=dumb"}, nil, "300ms", false},
		{"unknown", []string{"TERM="}, nil, "300ms", false},
		{"quiet without colours", []string{"NO_COLOR=1"}, []string{"--quiet"}, "300ms", false},
		{"without colours", []string{"NO_COLOR=1"}, nil, "2s", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startOnTerminal(t, strings.Replace(small, "duration: 5s", "duration: "+c.lasts, 1), c.env, c.args...)
			w.wait()
			if got := strings.Contains(w.shown.String(), "\x1b["); got != c.controls {
				t.Errorf("got control sequences %v; want %v", got, c.controls)
			}
			if strings.Contains(w.shown.String(), "\x1b[1;") {
				t.Error("got colours; want none")
			}
		})
	}
}

// TestInterruptOnATerminal: the first interrupt leaves a clean terminal.
func TestInterruptOnATerminal(t *testing.T) {
	t.Parallel()
	w := startOnTerminal(t, strings.Replace(small, "duration: 5s", "duration: 10m", 1), nil)
	w.measuring()
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	exit, screen := w.wait()
	if exit != report.ExitInterrupted || !strings.Contains(screen.String(), "weir: interrupted; draining") {
		t.Errorf("got exit code %d; want %d, and the interrupt told:\n%s", exit, report.ExitInterrupted, screen)
	}
}

// TestSecondInterruptOnATerminal leaves one to go on with.
func TestSecondInterruptOnATerminal(t *testing.T) {
	t.Parallel()
	w := startOnTerminal(t, strings.Replace(small, "duration: 5s", "duration: 10m", 1), nil)
	w.measuring()
	for range 2 {
		if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, "the interrupt is told", func() bool { return strings.Contains(w.shown.String(), "interrupted;") })
	}
	if exit := w.weir.wait(); exit != report.ExitInterrupted {
		t.Errorf("exit code: got %d; want %d", exit, report.ExitInterrupted)
	}
	screen := newEmulator(80)
	w.tty.Close()
	<-w.done
	_, _ = screen.Write([]byte(w.shown.String()))
	if screen.hidden || screen.column != 0 {
		t.Errorf("got the cursor hidden %v in column %d; want a terminal to go on with", screen.hidden, screen.column)
	}
}

// TestLostTerminal: the run ends as by an interrupt, and its report is written.
func TestLostTerminal(t *testing.T) {
	t.Parallel()
	if signal.Ignored(syscall.SIGHUP) {
		t.Skip("the tests run under nohup, to which weir keeps")
	}
	w := startOnTerminal(t, strings.Replace(small, "duration: 5s", "duration: 10m", 1), nil)
	w.measuring()
	if err := w.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if exit, _ := w.wait(); exit != report.ExitInterrupted {
		t.Errorf("exit code: got %d; want %d", exit, report.ExitInterrupted)
	}
	w.checkClean()
}

const off, on = 0, 1 // TCOOFF and TCOON, tcflow(3)

// TestStoppedTerminal: one that takes nothing (control-S) holds up no run.
func TestStoppedTerminal(t *testing.T) {
	t.Parallel()
	w := startOnTerminal(t, brief, nil)
	if err := unix.IoctlSetInt(int(w.tty.Fd()), unix.TCXONC, off); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the report is written", func() bool {
		s, err := readSummary(w.dir)
		return err == nil && s.Status == results.StatusComplete
	})
	if err := unix.IoctlSetInt(int(w.tty.Fd()), unix.TCXONC, on); err != nil {
		t.Fatal(err)
	}
	if _, screen := w.wait(); !strings.Contains(screen.String(), "thresholds") {
		t.Errorf("the terminal does not show the summary:\n%s", screen)
	}
	w.checkClean()
}

// TestInterruptsOnAStoppedTerminal: two end weir on one that takes nothing.
func TestInterruptsOnAStoppedTerminal(t *testing.T) {
	t.Parallel()
	w := startOnTerminal(t, strings.Replace(small, "duration: 5s", "duration: 10m", 1), nil)
	w.measuring()
	if err := unix.IoctlSetInt(int(w.tty.Fd()), unix.TCXONC, off); err != nil {
		t.Fatal(err)
	}
	interrupts := time.NewTicker(100 * time.Millisecond)
	defer interrupts.Stop()
	limit := time.After(testkit.Patience)
	for {
		select {
		case <-interrupts.C:
			_ = w.cmd.Process.Signal(os.Interrupt) // it may have ended
			continue
		case <-limit:
			t.Error("two interrupts do not end weir on a terminal that takes nothing")
			_ = w.cmd.Process.Kill()
			<-w.ended
		case <-w.ended:
		}
		break
	}
	if got := w.cmd.ProcessState.ExitCode(); got != report.ExitInterrupted {
		t.Errorf("exit code: got %d; want %d", got, report.ExitInterrupted)
	}
}
