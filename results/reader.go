package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/weirbench/weir/scenarios"
)

// Run is a run read back. Plan is always there; Environment, Audit, Health and End are nil where the log has none. It
// holds no file open, and its intervals stay in the file until they are asked for.
type Run struct {
	Dir         string
	Plan        *scenarios.Plan
	Environment *Environment
	Events      []Event
	Audit       *Audit
	Health      *Health
	End         *End
	// Damage says what of the log was left out and why; empty where the log is whole. A log that a kill cut off between
	// two records is whole, and partial.
	Damage string

	path      string
	intervals []span
	// open gives the log's content for one pass over the intervals; the caller closes it.
	open func() (log, error)
}

// span is where an interval's record stands in the log.
type span struct {
	at   int64
	size int // head and payload
}

// log is a log opened for reading.
type log interface {
	io.ReaderAt
	io.Closer
}

// Open reads the run in dir, or in the directory of the log that dir names. It reads the whole log once, checks every
// record, and gives what stands before the first one that is torn or damaged; Damage says what it left out. The error
// says what to do where there is no run to give: nothing there, not a run's directory, a log of another version, or
// one without a plan. A log may be opened while it is written.
func Open(dir string) (*Run, error) {
	path, err := locate(dir)
	if err != nil {
		return nil, fmt.Errorf("open run %s: %w", dir, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open run %s: %w", dir, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open run %s: %w", dir, err)
	}
	r := &Run{Dir: filepath.Dir(path), path: path}
	r.open = func() (log, error) { return os.Open(path) }
	if err := r.read(f, info.Size()); err != nil {
		return nil, fmt.Errorf("open run %s: %w", dir, err)
	}
	return r, nil
}

const mendPath = "give the directory that weir run --out wrote"

// locate returns the log's path.
func locate(dir string) (string, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w (%s)", fs.ErrNotExist, mendPath)
	case err != nil:
		return "", err
	case !info.IsDir():
		return dir, nil
	}
	path := filepath.Join(dir, LogName)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, nil // another error shows when it is opened
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if len(entries) == 0 {
		return "", fmt.Errorf("the directory is empty: no run was recorded in it (%s)", mendPath)
	}
	return "", fmt.Errorf("the directory holds no run: it has no %s (%s)", LogName, mendPath)
}

// read fills in r from a log of that size.
func (r *Run) read(in io.ReaderAt, size int64) error {
	head := make([]byte, min(size, int64(headerSize)))
	if _, err := in.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := checkHeader(head); err != nil {
		return err
	}
	s := &scanner{in: in, size: size, at: int64(headerSize)}
	for s.next() {
		if err := r.take(s); err != nil {
			return err
		}
	}
	if s.err != nil {
		return s.err
	}
	if s.damaged {
		r.Damage = describeDamage(in, s.at, size)
	}
	if r.Plan == nil {
		return noPlan(r.Damage)
	}
	return nil
}

func noPlan(damage string) error {
	if damage != "" {
		return fmt.Errorf("the log has no plan, without which nothing in it can be judged: %s", damage)
	}
	return errors.New("the log has no plan, without which nothing in it can be judged: the run ended before it began")
}

// take keeps the record that the scanner is at. Of a kind that comes once the first stands.
func (r *Run) take(s *scanner) error {
	switch s.kind {
	case kindPlan:
		return decodeOnce(s, &r.Plan)
	case kindEnv:
		return decodeOnce(s, &r.Environment)
	case kindAudit:
		return decodeOnce(s, &r.Audit)
	case kindHealth:
		return decodeOnce(s, &r.Health)
	case kindEnd:
		return decodeOnce(s, &r.End)
	case kindIvl:
		r.intervals = append(r.intervals, span{at: s.start, size: frameSize + len(s.payload)})
	case kindEvent:
		var e *Event
		if err := decodeOnce(s, &e); err != nil {
			return err
		}
		r.Events = append(r.Events, *e)
	}
	return nil // a kind of a later weir: its checksum held
}

// decodeOnce decodes the scanner's record into *dst unless that is there already. A payload whose checksum holds and
// that is no JSON was not written by a weir.
func decodeOnce[T any](s *scanner, dst **T) error {
	if *dst != nil {
		return nil
	}
	v := new(T)
	if err := json.Unmarshal(s.payload, v); err != nil {
		return fmt.Errorf("decode the %s record at byte %d: %w", s.kind, s.start, err)
	}
	*dst = v
	return nil
}

// Status says how far the run came: End's status, and StatusPartial without End.
func (r *Run) Status() Status {
	if r.End == nil || r.End.Status == "" {
		return StatusPartial
	}
	return r.End.Status
}

// IntervalCount is the number of intervals that Intervals gives.
func (r *Run) IntervalCount() int { return len(r.intervals) }

// Intervals iterates over the run's intervals in the order in which they were written, and may be ranged over any
// number of times. Each interval is read and decoded when its turn comes (about 0.1 ms a histogram) and is the
// caller's own; one the caller drops is not kept. An error, which names the interval, is the last element.
func (r *Run) Intervals() iter.Seq2[*Interval, error] {
	return func(yield func(*Interval, error) bool) {
		for payload, err := range r.payloads() {
			var in *Interval
			if err == nil {
				in, err = decodeInterval(payload)
			}
			if err != nil {
				yield(nil, fmt.Errorf("read run %s: %w", r.Dir, err))
				return
			}
			if !yield(in, nil) {
				return
			}
		}
	}
}

// payloads iterates over the intervals' payloads, each valid until the next. An error is the last element.
func (r *Run) payloads() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if len(r.intervals) == 0 {
			return
		}
		in, err := r.open()
		if err != nil {
			yield(nil, err)
			return
		}
		defer in.Close()
		var buf []byte
		for _, s := range r.intervals {
			buf = resize(buf, s.size)
			if err := readRecord(in, s, buf); err != nil {
				yield(nil, err)
				return
			}
			if !yield(buf[frameSize:], nil) {
				return
			}
		}
	}
}

// readRecord reads the record at s into buf and checks it again, since the file may have changed since Open.
func readRecord(in io.ReaderAt, s span, buf []byte) error {
	if _, err := in.ReadAt(buf, s.at); err != nil {
		return fmt.Errorf("read the record at byte %d: %w", s.at, err)
	}
	f := parseFrame(buf)
	if f.checksum != frameChecksum(buf, buf[frameSize:]) {
		return fmt.Errorf("the record at byte %d changed since the run was opened", s.at)
	}
	return nil
}

// resize returns a slice of n bytes, buf's own where it is large enough.
func resize(buf []byte, n int) []byte {
	if cap(buf) < n {
		return make([]byte, n)
	}
	return buf[:n]
}
