package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// syncEvery is the shortest time between two forced writes to the disk: what a crash of the machine may cost.
const syncEvery = time.Second

// Writer appends a run's records to its log. It has one caller, the collector, never the hot path: a record is
// encoded and written before its method returns, and at most once a second an interval waits for the disk
// (fdatasync: about a millisecond on an SSD, tens on a busy or spinning disk).
//
// A record goes to the file in one write, so what a method has returned from outlives a SIGKILL of the process; a
// crash of the machine loses what came after the last fdatasync. A record that could not be written leaves the log as
// it was; the method's error says why, and later records may still be tried. Only if the log could not be restored,
// or the disk failed to take what was written, is everything after refused. A run that lacks a record cannot be ended
// as complete.
type Writer struct {
	out      sink
	closeOut func() error
	now      func() time.Time
	buf      bytes.Buffer
	encoder  *encoder // made with the first interval
	limit    int      // of a record's payload
	end      int64    // of the last whole record
	unsynced bool
	syncedAt time.Time
	lost     error // the first record that was not written
	refusing error // why nothing more is written
}

// sink is the log's file.
type sink interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error
}

// logFile is a sink whose Sync leaves out what only concerns the file's times.
type logFile struct{ *os.File }

func (f logFile) Sync() error { return syncData(f.File) }

// Create makes dir, with its parents, and an empty log in it, which is on the disk when it returns: what would keep a
// run from being recorded shows before any load starts. It refuses a dir that holds a run. The caller closes the
// writer; Plan is to be the first record, since a log without one cannot be opened.
func Create(dir string) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("create run directory %s: %w%s", dir, err, mendDir(err))
	}
	path := filepath.Join(dir, LogName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create run %s: the directory holds a run already (choose another, or delete it)", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("create run %s: %w%s", dir, err, mendDir(err))
	}
	w, err := newWriter(logFile{f}, f.Close, time.Now)
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		f.Close()
		os.Remove(path) // holds nothing, and would refuse the next try
		return nil, fmt.Errorf("create run %s: %w%s", dir, err, mendDir(err))
	}
	return w, nil
}

// mendDir says what to do about an error of making or writing a directory.
func mendDir(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return " (choose a directory that you may write to)"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return " (a file is in the way: choose another directory)"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return " (free some space, or choose another disk)"
	}
	return ""
}

// syncDir puts a new file's name on the disk. File systems that cannot sync a directory need not.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

func newWriter(out sink, closeOut func() error, now func() time.Time) (*Writer, error) {
	w := &Writer{out: out, closeOut: closeOut, now: now, limit: maxPayload}
	if err := w.append(appendHeader(nil)); err != nil {
		return nil, err
	}
	return w, w.sync()
}

// Plan writes the plan that the run executes. It comes first.
func (w *Writer) Plan(p *scenarios.Plan) error { return write(w, kindPlan, p) }

// Environment writes what the run was made with.
func (w *Writer) Environment(e *Environment) error { return write(w, kindEnv, e) }

// Interval writes an interval, and forces the log to the disk if that was not done within the last second. The
// interval stays the caller's and may be changed afterwards. It takes 0.3 to 0.5 ms a histogram.
func (w *Writer) Interval(in *Interval) error {
	if in == nil {
		return w.lose(kindIvl, errNothing)
	}
	if w.encoder == nil {
		w.encoder = newEncoder()
	}
	stored, err := w.encoder.interval(in)
	if err != nil {
		return w.lose(kindIvl, err)
	}
	if err := write(w, kindIvl, stored); err != nil {
		return err
	}
	if w.now().Sub(w.syncedAt) < syncEvery {
		return nil
	}
	return w.sync()
}

// Event writes an event. Bytes in its text that are not UTF-8 are replaced.
func (w *Writer) Event(e *Event) error { return write(w, kindEvent, e) }

// Audit writes the account of the run's messages.
func (w *Writer) Audit(a *Audit) error { return write(w, kindAudit, a) }

// Health writes what the generator knows about itself.
func (w *Writer) Health(h *Health) error { return write(w, kindHealth, h) }

// End writes the run's last record and forces the log to the disk; after it the writer takes nothing more. It refuses
// to end a run as complete of which a record was not written.
func (w *Writer) End(e *End) error {
	if e != nil && e.Status == StatusComplete && w.lost != nil {
		return fmt.Errorf("write end: the run is not complete: %w", w.lost)
	}
	if err := write(w, kindEnd, e); err != nil {
		return err
	}
	if err := w.sync(); err != nil {
		return err
	}
	w.refusing = errors.New("the run has ended")
	return nil
}

// Close forces the log to the disk and closes it; a log without End opens as partial. Closing again does nothing.
func (w *Writer) Close() error {
	if w.closeOut == nil {
		return nil
	}
	var err error
	if w.unsynced && !errors.Is(w.refusing, errUnsynced) {
		err = w.sync()
	}
	err = errors.Join(err, w.closeOut())
	w.closeOut = nil
	w.refusing = errors.New("the log is closed")
	return err
}

var (
	errNothing  = errors.New("nothing given (nil)")
	errUnsynced = errors.New("the disk did not take what was written")
)

// write appends one record.
func write[T any](w *Writer, k kind, v *T) error {
	if v == nil {
		return w.lose(k, errNothing)
	}
	if w.refusing != nil {
		return w.lose(k, w.refusing)
	}
	w.buf.Reset()
	w.buf.Write(make([]byte, frameSize))
	enc := json.NewEncoder(&w.buf)
	enc.SetEscapeHTML(false) // "p99 < 50ms" is for humans too
	if err := enc.Encode(v); err != nil {
		return w.lose(k, err)
	}
	record := w.buf.Bytes()
	if size := len(record) - frameSize; size > w.limit {
		return w.lose(k, fmt.Errorf("%d bytes are more than the %d that a record may have", size, w.limit))
	}
	sealFrame(record, k)
	if err := w.append(record); err != nil {
		return w.lose(k, err)
	}
	return nil
}

// lose notes that a record is missing from the log.
func (w *Writer) lose(k kind, err error) error {
	err = fmt.Errorf("write %s: %w%s", k, err, mendDir(err))
	if w.lost == nil {
		w.lost = err
	}
	return err
}

// append writes b behind the last whole record. What a failed write left of it is cut off again, since a torn record
// hides all that follow; where that fails too, the writer takes nothing more.
func (w *Writer) append(b []byte) error {
	n, err := w.out.WriteAt(b, w.end)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		if cut := w.out.Truncate(w.end); cut != nil {
			w.refusing = fmt.Errorf("the log ends in a torn record since an earlier write failed: %w", err)
		}
		return err
	}
	w.end += int64(len(b))
	w.unsynced = true
	return nil
}

// sync forces the log to the disk. After a failure the kernel may have dropped what it could not write and would
// report the next try as a success (Rebello et al., "Can Applications Recover from fsync Failures?", 2020), so the
// writer takes nothing more.
func (w *Writer) sync() error {
	if err := w.out.Sync(); err != nil {
		w.refusing = fmt.Errorf("%w: %w%s", errUnsynced, err, mendDir(err))
		if w.lost == nil {
			w.lost = w.refusing
		}
		return fmt.Errorf("sync log: %w", w.refusing)
	}
	w.unsynced = false
	w.syncedAt = w.now()
	return nil
}
