package loadgen

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// nowWriter writes to a socket without waiting and without an allocation. It is not safe for concurrent use.
type nowWriter struct {
	raw   syscall.RawConn
	do    func(fd uintptr) // writes left, made once
	left  []byte
	taken int
	err   error
}

func newNowWriter(raw syscall.RawConn) *nowWriter {
	w := &nowWriter{raw: raw}
	w.do = func(fd uintptr) {
		for {
			w.taken, w.err = unix.Write(int(fd), w.left)
			if !errors.Is(w.err, unix.EINTR) {
				return
			}
		}
	}
	return w
}

// write writes as much as the socket takes; n tells how much that was.
func (w *nowWriter) write(p []byte) (n int, err error) {
	w.left, w.taken, w.err = p, 0, nil
	err = w.raw.Control(w.do)
	w.left = nil
	switch {
	case err == nil && errors.Is(w.err, unix.EAGAIN):
		return 0, nil
	case err == nil:
		err = w.err
	}
	if err != nil {
		return 0, fmt.Errorf("write to the target: %w", err)
	}
	return w.taken, nil
}
