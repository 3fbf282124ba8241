package testbed

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
)

const (
	keptLines    = 20   // how many of the last lines an error may quote
	maxLineBytes = 8192 // longer lines are cut into pieces
)

// lineSink takes the lines of one child: it keeps the last ones for errors, and writes all to a file. Its
// memory is bounded by keptLines × maxLineBytes. Safe for concurrent use.
type lineSink struct {
	watch func(line string)        // sees each line first; nil for none; set before the first line
	hide  func(line string) string // takes secrets out of each line before all else; nil for none; set likewise

	mu   sync.Mutex
	last []string
	file *os.File // nil for none
}

// newLineSink opens the file at path for appending, or none when path is empty.
func newLineSink(path string) (*lineSink, error) {
	s := &lineSink{}
	if path == "" {
		return s, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err // names the file itself
	}
	s.file = f
	return s, nil
}

func (s *lineSink) add(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hide != nil {
		line = s.hide(line)
	}
	if len(s.last) == keptLines {
		s.last = slices.Delete(s.last, 0, 1)
	}
	s.last = append(s.last, line)
	if s.watch != nil {
		s.watch(line)
	}
	if s.file != nil {
		// A full disk must not stop the child: its last lines still reach the errors.
		_, _ = s.file.WriteString(line + "\n")
	}
}

// tail is the last lines as an error quotes them: empty, or starting with a line break.
func (s *lineSink) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.last) == 0 {
		return " (it wrote nothing)"
	}
	return "; its last lines:\n  " + strings.Join(s.last, "\n  ")
}

// close releases the file; lines that come later are still kept.
func (s *lineSink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}

// lineWriter cuts one stream into lines for a sink. One goroutine writes.
type lineWriter struct {
	line func(string)
	part []byte
}

var _ io.Writer = (*lineWriter)(nil)

func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		switch {
		case i >= 0:
			w.part = append(w.part, p[:i]...)
			p = p[i+1:]
			w.flush()
		default:
			w.part = append(w.part, p...)
			p = nil
			for len(w.part) >= maxLineBytes {
				w.line(string(w.part[:maxLineBytes]))
				w.part = append(w.part[:0], w.part[maxLineBytes:]...)
			}
		}
	}
	return n, nil
}

// flush hands over what has no line break yet, too.
func (w *lineWriter) flush() {
	line := strings.TrimRight(string(w.part), "\r")
	w.part = w.part[:0]
	for len(line) > maxLineBytes {
		w.line(line[:maxLineBytes])
		line = line[maxLineBytes:]
	}
	w.line(line)
}

// end hands over a last line without a line break.
func (w *lineWriter) end() {
	if len(w.part) > 0 {
		w.flush()
	}
}
