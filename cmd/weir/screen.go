package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/weirbench/weir/internal/thousands"
	"github.com/weirbench/weir/runner"
	"github.com/weirbench/weir/scenarios"
)

// screen is a terminal whose last lines are a block of figures that is drawn again as they change; everything else that
// is written to it scrolls by above. Each write to the terminal leaves it whole: the cursor shown, at the beginning of
// the line below the block. So there is nothing to restore, whatever ends the program.
type screen struct {
	size func() (columns, rows int)
	now  func() time.Time

	mu      sync.Mutex // guards what follows
	out     io.Writer
	block   []string // as it stands on the terminal
	drawnAt time.Time
	closed  bool
}

// redrawEvery is the shortest time between two drawings of the block.
const redrawEvery = 200 * time.Millisecond

// Control sequences, ECMA-48 and xterm's private modes.
const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	eraseBelow = "\x1b[J"
)

// newScreen takes a terminal. size is asked at each drawing, so that a resize shows at the next.
func newScreen(out io.Writer, size func() (columns, rows int)) *screen {
	return &screen{size: size, now: time.Now, out: out}
}

// Write prints text, which ends with a newline, above the block.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.draw(string(p), s.block); err != nil {
		return 0, err
	}
	return len(p), nil
}

// show draws the figures, unless that was done just now.
func (s *screen) show(f *runner.Figures) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.closed || now.Sub(s.drawnAt) < redrawEvery {
		return
	}
	s.drawnAt = now
	columns, rows := s.size()
	_ = s.draw("", figureLines(f, columns, rows)) // a terminal that has gone needs no figures
}

// close takes the block away for good.
func (s *screen) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if len(s.block) > 0 {
		_ = s.draw("", nil)
	}
}

// draw replaces the block by text and another block, in one write. A terminal that was made narrower since has broken
// the old lines, so that they take more rows.
func (s *screen) draw(text string, block []string) error {
	var b bytes.Buffer
	if len(s.block) > 0 {
		columns, _ := s.size()
		b.WriteString(hideCursor)
		fmt.Fprintf(&b, "\x1b[%dA\r%s", rowsOf(s.block, columns), eraseBelow)
	}
	b.WriteString(text)
	for _, line := range block {
		b.WriteString(line + "\n")
	}
	if len(s.block) > 0 {
		b.WriteString(showCursor)
	}
	s.block = block
	_, err := s.out.Write(b.Bytes())
	return err
}

// rowsOf is how many rows lines take on a terminal of so many columns.
func rowsOf(lines []string, columns int) int {
	rows := 0
	for _, line := range lines {
		n := utf8.RuneCountInString(line)
		if columns <= 0 || n == 0 {
			rows++
			continue
		}
		rows += (n + columns - 1) / columns
	}
	return rows
}

// figureLines is the block: four lines, the first alone on a terminal of few rows, each cut to the columns there are.
func figureLines(f *runner.Figures, columns, rows int) []string {
	if columns <= 0 {
		columns = 80
	}
	lines := []string{
		fmt.Sprintf("  %-10s %s %s", f.Phase, bar(f, 20), timeLeft(f)),
		"  clients    " + connected(f),
		fmt.Sprintf("  rates      %s/s sent, %s/s delivered", thousands.Of(int64(f.SentPerSecond)), thousands.Of(int64(f.DeliveredPerSecond))),
		"  e2e        " + latencySoFar(f),
	}
	if f.Warnings > 0 {
		lines[1] += fmt.Sprintf("; %s warnings", thousands.Of(f.Warnings))
	}
	if rows > 0 && rows < 2*len(lines) {
		lines = lines[:1]
	}
	for i, line := range lines {
		lines[i] = cutAtWord(line, columns-1)
	}
	return lines
}

// connected is how many clients are connected; at the end of the drain weir closes their connections itself.
func connected(f *runner.Figures) string {
	if f.Closing {
		return "closing"
	}
	return fmt.Sprintf("%s of %s connected", thousands.Of(int64(f.Clients)), thousands.Of(int64(f.Planned)))
}

// latencySoFar is what the measure phases have had.
func latencySoFar(f *runner.Figures) string {
	if f.Deliveries == 0 {
		return fmt.Sprintf("p99 -, nothing measured yet; missing %s", thousands.Of(f.Missing))
	}
	return fmt.Sprintf("p99 %v so far of %s deliveries; missing %s", roundDuration(f.P99), thousands.Of(f.Deliveries), thousands.Of(f.Missing))
}

// bar draws how much of the phase is over: of its time, or while clients connect of them.
func bar(f *runner.Figures, width int) string {
	share := 0.0
	switch {
	case f.Phase == scenarios.PhaseConnect && f.Planned > 0:
		share = float64(f.Clients) / float64(f.Planned)
	case f.Length > 0:
		share = f.Elapsed.Seconds() / f.Length.Seconds()
	}
	full := int(min(max(share, 0), 1) * float64(width))
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "]"
}

// timeLeft says how long a load phase still goes on, and of one that ends when its work is done how long it may.
func timeLeft(f *runner.Figures) string {
	elapsed := f.Elapsed.Round(time.Second)
	switch {
	case f.Length <= 0:
		return fmt.Sprintf("%v", elapsed)
	case f.Phase == scenarios.PhaseConnect || f.Phase == scenarios.PhaseDrain:
		return fmt.Sprintf("%v, at most %v", elapsed, f.Length.Round(time.Second))
	}
	return fmt.Sprintf("%v of %v, %v left", elapsed, f.Length.Round(time.Second), max(f.Length.Round(time.Second)-elapsed, 0))
}

// roundDuration keeps three digits or so.
func roundDuration(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}

// cut shortens a line to so many characters and leaves out what is none.
func cut(line string, columns int) string {
	runes := []rune(printable(line))
	if len(runes) > columns {
		runes = runes[:max(columns, 0)]
	}
	return string(runes)
}

// cutAtWord shortens a line as cut does, in front of the word or the bar that does not fit.
func cutAtWord(line string, columns int) string {
	whole := []rune(printable(line))
	short := cut(line, columns)
	if len(whole) <= max(columns, 0) || short == "" || strings.HasSuffix(short, " ") || whole[len([]rune(short))] == ' ' {
		return strings.TrimRight(short, " ")
	}
	if at := strings.LastIndex(strings.TrimRight(short, " "), " "); at >= 0 && strings.TrimSpace(short[:at]) != "" {
		short = short[:at]
	}
	return strings.TrimRight(short, " ,;")
}

// printable replaces control characters, which a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}
