package scenarios

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// The limits of the files that a scenario names.
const (
	maxLinesBytes = 16 << 20
	maxLineBytes  = 1 << 20
	maxReadBytes  = 64 << 20 // all files that a scenario names together
)

// reads is the files that a scenario names, as far as they are read when it is loaded.
type reads struct {
	lines   map[string]linesFile
	schemas map[string]string
	spent   int64
}

// linesFile is what is known of a file of lines.
type linesFile struct {
	lines    int
	min, max int
	mean     float64
	err      error
}

// beside returns the path of a file that the scenario names, relative to the scenario's own.
func (r *reporter) beside(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(r.source.name), path)
}

// open opens a regular file of at most the given size. Others, which might never end, are refused.
func open(path string, most int64) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no such file")
	case err != nil:
		return nil, fmt.Errorf("can't be read: %w", reason(err))
	case info.IsDir():
		return nil, errors.New("is a directory")
	case !info.Mode().IsRegular():
		return nil, errors.New("is no regular file")
	case info.Size() > most:
		return nil, fmt.Errorf("is larger than %s", formatSize(most))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("can't be read: %w", reason(err))
	}
	return f, nil
}

// readWhole returns the bytes of a regular file of at most the given size.
func readWhole(path string, most int64) ([]byte, error) {
	f, err := open(path, most)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing is lost by a failing close
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("can't be read: %w", reason(err))
	}
	if int64(len(data)) > most { // it grew, or is of a kind that tells no size
		return nil, fmt.Errorf("is larger than %s", formatSize(most))
	}
	return data, nil
}

// linesOf measures a file of lines, once.
func (r *reads) linesOf(path string) linesFile {
	if known, ok := r.lines[path]; ok {
		return known
	}
	measured := r.measure(path)
	if r.lines == nil {
		r.lines = map[string]linesFile{}
	}
	r.lines[path] = measured
	return measured
}

func (r *reads) measure(path string) linesFile {
	f, err := open(path, maxLinesBytes)
	if err != nil {
		return linesFile{err: err}
	}
	defer f.Close() // read only: nothing is lost by a failing close
	out, total := linesFile{}, int64(0)
	scanner := bufio.NewScanner(io.LimitReader(f, maxLinesBytes+1))
	scanner.Buffer(make([]byte, 0, 64<<10), maxLineBytes+2)
	for scanner.Scan() {
		n := len(scanner.Bytes())
		if n == 0 {
			return linesFile{err: fmt.Errorf("line %d is empty (remove it)", out.lines+1)}
		}
		if out.lines == 0 || n < out.min {
			out.min = n
		}
		out.lines, out.max, total = out.lines+1, max(out.max, n), total+int64(n)
	}
	r.spent += total
	switch {
	case errors.Is(scanner.Err(), bufio.ErrTooLong) || out.max > maxLineBytes:
		return linesFile{err: fmt.Errorf("line %d is longer than %s", out.lines+1, formatSize(maxLineBytes))}
	case scanner.Err() != nil:
		return linesFile{err: fmt.Errorf("can't be read: %w", reason(scanner.Err()))}
	case r.spent > maxReadBytes:
		return linesFile{err: fmt.Errorf("makes more than %s of files of lines", formatSize(maxReadBytes))}
	case out.lines == 0:
		return linesFile{err: errors.New("has no lines")}
	}
	out.mean = float64(total) / float64(out.lines)
	return out
}
