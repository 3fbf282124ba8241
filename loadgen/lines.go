package loadgen

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxLineFile bounds a file of values: all of it stays in memory.
const maxLineFile = 16 << 20

// lineFile makes values from the lines of a file, each with the stamp in it.
type lineFile struct {
	data     []byte
	lines    []line
	shortest uint64 // the line that makes the shortest value
}

// line says where in the file a value's text stands, and where in it the stamp goes.
type line struct {
	from, cut  uint32 // what stands before the stamp
	resume, to uint32 // what stands behind it
	form       lineForm
}

// lineForm is what surrounds the stamp in a line that has no place for it.
type lineForm uint8

const (
	formPlaced    lineForm = iota // nothing: the line said where it is to stand
	formFront                     // a space behind it
	formField                     // it is the first field of a JSON object, and others follow
	formOnlyField                 // it is the only field
)

// stampField is the name of the field that a JSON object's stamp stands in.
const stampField = `"weir":"`

func (f lineForm) around() (before, after string) {
	switch f {
	case formFront:
		return "", " "
	case formField:
		return stampField, `",`
	case formOnlyField:
		return stampField, `"`
	}
	return "", ""
}

// readLines reads a file of values. Empty lines are none.
func readLines(name string) (*lineFile, error) {
	data, err := readLineFile(name)
	if err != nil {
		return nil, err
	}
	f := &lineFile{data: data}
	number := 0
	for from := 0; from < len(data); {
		number++
		to := len(data)
		if n := bytes.IndexByte(data[from:], '\n'); n >= 0 {
			to = from + n
		}
		next := to + 1
		if to > from && data[to-1] == '\r' {
			to--
		}
		if bytes.Contains(data[from:to], startMarkBytes) {
			return nil, fmt.Errorf("%s, line %d has %s, with which stamps begin, so its own would not be found (take it out)", name, number, startMark)
		}
		if to > from {
			f.add(lineOf(data[from:to], from))
		}
		from = next
	}
	if len(f.lines) == 0 {
		return nil, fmt.Errorf("%s holds no line (write a message in each)", name)
	}
	return f, nil
}

func (f *lineFile) add(l line) {
	f.lines = append(f.lines, l)
	_, size := l.measure()
	if _, shortest := f.lines[f.shortest].measure(); size < shortest {
		f.shortest = uint64(len(f.lines) - 1)
	}
}

// readLineFile returns the whole of a regular file within the bound.
func readLineFile(name string) ([]byte, error) {
	const mend = "name a file with a message in each line"
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s (%s)", name, mend)
	case err != nil:
		return nil, fmt.Errorf("read the lines: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file (%s)", name, mend)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the lines: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxLineFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the lines of %s: %w", name, err)
	}
	if len(data) > maxLineFile {
		return nil, fmt.Errorf("%s is larger than %d MiB (take a part of its lines)", name, maxLineFile>>20)
	}
	return data, nil
}

// lineOf finds the stamp's place in a line that begins at from in its file.
func lineOf(text []byte, from int) line {
	const here = "{stamp}"
	cut, resume, form := 0, 0, formFront
	if at := bytes.Index(text, []byte(here)); at >= 0 {
		cut, resume, form = at, at+len(here), formPlaced
	} else if at := fieldPlace(text); at > 0 {
		cut, resume, form = at, at, formField
		if rest := bytes.TrimLeft(text[at:], " \t"); rest[0] == '}' {
			form = formOnlyField
		}
	}
	return line{uint32(from), uint32(from + cut), uint32(from + resume), uint32(from + len(text)), form}
}

// fieldPlace is where the first field of a JSON object belongs, or 0 where the text is none.
func fieldPlace(text []byte) int {
	open := len(text) - len(bytes.TrimLeft(text, " \t"))
	if open == len(text) || text[open] != '{' || !json.Valid(text) {
		return 0
	}
	return open + 1
}

// measure returns where in the line's value the stamp stands, and the value's length.
func (l *line) measure() (stampAt, size int) {
	before, after := l.form.around()
	stampAt = int(l.cut-l.from) + len(before)
	return stampAt, stampAt + StampSize + len(after) + int(l.to-l.resume)
}

// furthest returns the furthest that a stamp stands, and the longest that a value is.
func (f *lineFile) furthest() (stampAt, size int) {
	for i := range f.lines {
		at, n := f.lines[i].measure()
		stampAt, size = max(stampAt, at), max(size, n)
	}
	return stampAt, size
}

// compose writes the value; see [values.compose].
func (f *lineFile) compose(buf []byte, seq uint64) (value []byte, stampAt int) {
	l := &f.lines[seq%uint64(len(f.lines))]
	before, after := l.form.around()
	stampAt, size := l.measure()
	value = sized(buf, size)
	at := copy(value, f.data[l.from:l.cut])
	copy(value[at:], before)
	at = stampAt + StampSize
	at += copy(value[at:], after)
	copy(value[at:], f.data[l.resume:l.to])
	return value, stampAt
}
