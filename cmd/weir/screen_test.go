package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/runner"
)

// drawn is a screen on an emulated terminal whose size and clock the test sets.
type drawn struct {
	*screen
	terminal      *emulator
	columns, rows int
	at            time.Time
}

func newDrawn(columns, rows int) *drawn {
	d := &drawn{terminal: newEmulator(columns), columns: columns, rows: rows, at: time.Unix(0, 0)}
	d.screen = newScreen(d.terminal, func() (int, int) { return d.columns, d.rows })
	d.now = func() time.Time { return d.at }
	return d
}

func (d *drawn) figures(f runner.Figures) {
	d.at = d.at.Add(time.Second)
	d.show(&f)
}

// whole requires that the terminal is fit to be left as it is.
func (d *drawn) whole(t *testing.T, want string) {
	t.Helper()
	if got := d.terminal.String(); got != want {
		t.Errorf("the terminal shows\n%s\nwant\n%s", got, want)
	}
	if d.terminal.hidden || d.terminal.column != 0 || d.terminal.row < len(d.terminal.rows) || len(d.terminal.unknown) > 0 {
		t.Errorf("got the cursor hidden %v at row %d of %d, column %d, unknown sequences %q; want it shown, below everything, at the left",
			d.terminal.hidden, d.terminal.row, len(d.terminal.rows), d.terminal.column, d.terminal.unknown)
	}
}

var midway = runner.Figures{
	Phase: "steady", Elapsed: 12 * time.Second, Length: 20 * time.Second, Measured: true, Clients: 498, Planned: 500,
	SentPerSecond: 1000.4, DeliveredPerSecond: 10004, P99: 22_034_000, Deliveries: 120_340, Missing: 120, Warnings: 2,
}

const midwayBlock = `  steady     [############--------] 12s of 20s, 8s left
  clients    498 of 500 connected; 2 warnings
  rates      1,000/s sent, 10,004/s delivered
  e2e        p99 22ms so far of 120,340 deliveries; missing 120`

// TestBlockIsDrawnInPlace: figures replace figures, lines scroll by above, and nothing of the block stays.
func TestBlockIsDrawnInPlace(t *testing.T) {
	d := newDrawn(80, 24)
	fmt.Fprintln(d, "start Kafka")
	d.figures(runner.Figures{Phase: "connect", Elapsed: time.Second, Length: 45 * time.Second, Clients: 250, Planned: 500})
	d.whole(t, `start Kafka
  connect    [##########----------] 1s, at most 45s
  clients    250 of 500 connected
  rates      0/s sent, 0/s delivered
  e2e        p99 -, nothing measured yet; missing 0`)
	d.figures(midway)
	d.whole(t, "start Kafka\n"+midwayBlock)
	fmt.Fprintln(d, "interrupted")
	d.whole(t, "start Kafka\ninterrupted\n"+midwayBlock)
	d.close()
	d.whole(t, "start Kafka\ninterrupted")
	d.figures(midway)
	fmt.Fprintln(d, "done")
	d.close()
	d.whole(t, "start Kafka\ninterrupted\ndone")
}

// TestEachWriteLeavesTheTerminalWhole: whatever ends the program between two writes, there is nothing to restore.
func TestEachWriteLeavesTheTerminalWhole(t *testing.T) {
	d := newDrawn(80, 24)
	var writes int
	d.out = writerFunc(func(p []byte) (int, error) {
		writes++
		n, err := d.terminal.Write(p)
		if d.terminal.hidden || d.terminal.column != 0 {
			t.Errorf("write %d leaves the cursor hidden %v in column %d", writes, d.terminal.hidden, d.terminal.column)
		}
		return n, err
	})
	for range 3 {
		d.figures(midway)
		fmt.Fprintln(d, "a line")
	}
	d.close()
	if want := 7; writes != want {
		t.Errorf("got %d writes; want %d, one a change", writes, want)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestRedrawsAreBounded: at most five a second.
func TestRedrawsAreBounded(t *testing.T) {
	d := newDrawn(80, 24)
	for range 1000 {
		d.at = d.at.Add(5 * time.Millisecond)
		d.show(&midway)
	}
	if got, want := d.terminal.ups, 5*5; got > want || got < want-1 {
		t.Errorf("got %d redraws in 5 s; want %d", got, want)
	}
}

// TestNarrowAndLowTerminals: each line is cut to the columns, and a low terminal gets the first line alone.
func TestNarrowAndLowTerminals(t *testing.T) {
	d := newDrawn(21, 24)
	d.figures(midway)
	d.whole(t, "  steady\n  clients    498 of\n  rates      1,000/s\n  e2e        p99")
	d = newDrawn(80, 4)
	d.figures(midway)
	d.whole(t, strings.Split(midwayBlock, "\n")[0])
	for columns := range 5 { // as a terminal that is being made says
		d = newDrawn(max(columns, 1), 24)
		d.columns = columns
		d.figures(midway)
		d.figures(midway)
		d.close()
	}
}

// TestFortyColumns: no line ends within a word.
func TestFortyColumns(t *testing.T) {
	d := newDrawn(40, 24)
	d.figures(midway)
	d.whole(t, `  steady     [############--------] 12s
  clients    498 of 500 connected; 2
  rates      1,000/s sent, 10,004/s
  e2e        p99 22ms so far of 120,340`)
}

// TestClosing: clients that weir closes itself are not told as clients that are not connected.
func TestClosing(t *testing.T) {
	d := newDrawn(80, 24)
	f := midway
	f.Phase, f.Elapsed, f.Length, f.Clients, f.Closing, f.Warnings = "drain", time.Second, 10*time.Second, 3, true, 0
	d.figures(f)
	d.whole(t, `  drain      [##------------------] 1s, at most 10s
  clients    closing
  rates      1,000/s sent, 10,004/s delivered
  e2e        p99 22ms so far of 120,340 deliveries; missing 120`)
}

// TestResize: a terminal that was made narrower has broken the block's lines, and all of them go.
func TestResize(t *testing.T) {
	d := newDrawn(80, 24)
	fmt.Fprintln(d, "start")
	d.figures(midway)
	d.terminal.resize(30)
	d.columns = 30
	d.figures(midway)
	d.whole(t, "start\n  steady\n  clients    498 of 500\n  rates      1,000/s sent\n  e2e        p99 22ms so far")
	d.terminal.resize(100)
	d.columns = 100
	d.figures(midway)
	d.whole(t, "start\n"+midwayBlock)
	d.close()
	d.whole(t, "start")
}

// TestHostileNamesAreNotObeyed: a phase's name or a line can't move the cursor.
func TestHostileNamesAreNotObeyed(t *testing.T) {
	d := newDrawn(80, 24)
	f := midway
	f.Phase = "\x1b[2J\nx\u009b1A\xff"
	d.figures(f)
	printLine(d, "a\x1b[5Ab\nc")
	if d.terminal.ups != 1 || d.terminal.unknown != nil { // the one of the line above the block
		t.Errorf("got %d moves up, unknown sequences %q; want 1 and none", d.terminal.ups, d.terminal.unknown)
	}
}

// TestTerminalThatHasGone: an error of the terminal is nobody's.
func TestTerminalThatHasGone(t *testing.T) {
	d := newDrawn(80, 24)
	d.out = writerFunc(func([]byte) (int, error) { return 0, errors.New("input/output error") })
	d.figures(midway)
	d.figures(midway)
	printLine(d, "a line")
	d.close()
}

// TestPlainLines: what is no terminal gets lines, and no control sequence.
func TestPlainLines(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&b, false)
	p.show(runner.Progress{Line: "start \x1b[31m Kafka"})
	p.show(runner.Progress{Figures: &midway})
	p.show(runner.Progress{Figures: &midway, Line: "steady 498 clients"})
	p.close()
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], "  start ?[31m Kafka") || !strings.HasSuffix(lines[1], "  steady 498 clients") || strings.Contains(b.String(), "\x1b") {
		t.Errorf("got %q; want two lines and no control sequence", b.String())
	}
	if quiet := newProgress(&b, true); quiet.show != nil {
		t.Error("a quiet run shows progress")
	}
}
