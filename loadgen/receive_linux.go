package loadgen

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ReceiveStamps says what a read time is on this system: when the kernel had the bytes.
const ReceiveStamps = "kernel"

// receiveSpace is what one worker reads into: one for all its connections, guarded by the worker's mutex.
type receiveSpace struct {
	data    [64 << 10]byte
	control [128]byte
	vector  unix.Iovec
	header  unix.Msghdr
	reply   fdWriter
}

// receive reads conn until it ends, calling handle for each read with the worker locked. kernelAt is when the kernel
// had the newest of the bytes (0 where it does not say), readAt when the program had them, reply sends bytes without
// waiting. It returns io.EOF when the peer closed, handle's error, or the connection's.
//
// The bytes are read inside the readiness callback, non-blocking and into the worker's own space, so that a connection
// that waits holds no buffer. They are read until the socket says that it is empty: a short read is no sign of that,
// since the connection's end may stand behind the bytes, and the event that told of both has been.
func receive(conn net.Conn, lock sync.Locker, space *receiveSpace, handle receiver) error {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return receivePortable(conn, lock, handle)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return fmt.Errorf("reach the socket: %w", err)
	}
	if err := stampReads(raw); err != nil {
		return err
	}
	var failed error
	take := func(fd uintptr) (empty bool) {
		lock.Lock()
		defer lock.Unlock()
		n, kernelAt, err := space.read(int(fd))
		switch {
		case errors.Is(err, unix.EAGAIN):
			return true
		case err == nil && n == 0:
			failed = io.EOF
		case err == nil:
			space.reply = fdWriter(fd)
			failed = handle(space.data[:n], kernelAt, time.Now().UnixNano(), &space.reply)
		default:
			failed = err
		}
		return false
	}
	err = raw.Read(func(fd uintptr) bool {
		for failed == nil {
			if take(fd) {
				return false
			}
		}
		return true
	})
	if failed != nil {
		return failed
	}
	return err
}

// stampReads asks the kernel for software receive timestamps.
func stampReads(raw syscall.RawConn) error {
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = stampSocket(int(fd)) }); err != nil {
		return fmt.Errorf("ask for receive timestamps: %w", err)
	}
	return failed
}

// stampSocket asks for them on a socket.
func stampSocket(fd int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, unix.SOF_TIMESTAMPING_RX_SOFTWARE|unix.SOF_TIMESTAMPING_SOFTWARE)
	if err != nil {
		return fmt.Errorf("ask for receive timestamps: %w", err)
	}
	return nil
}

// read is recvmsg without waiting and without an allocation.
func (s *receiveSpace) read(fd int) (n int, kernelAt int64, err error) {
	s.vector.Base = &s.data[0]
	s.vector.SetLen(len(s.data))
	s.header = unix.Msghdr{Iov: &s.vector, Iovlen: 1, Control: &s.control[0]}
	s.header.SetControllen(len(s.control))
	for {
		r, _, errno := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&s.header)), unix.MSG_DONTWAIT)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, 0, errno
		}
		return int(r), s.kernelTime(), nil
	}
}

// kernelTime finds the software timestamp in the control data: struct scm_timestamping holds three timespecs, of which
// the first is it (Documentation/networking/timestamping.rst).
func (s *receiveSpace) kernelTime() int64 {
	control := s.control[:s.header.Controllen]
	for len(control) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		size := int(h.Len)
		if size < unix.SizeofCmsghdr || size > len(control) {
			return 0
		}
		at := unix.CmsgLen(0)
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPING && size >= at+int(unsafe.Sizeof(unix.Timespec{})) {
			return (*unix.Timespec)(unsafe.Pointer(&control[at])).Nano()
		}
		control = control[min(unix.CmsgSpace(size-at), len(control)):]
	}
	return 0
}

// fdWriter writes to a socket without waiting. It is valid inside the callback that it was made for.
type fdWriter uintptr

// Write fails with EAGAIN where the socket takes nothing, and with io.ErrShortWrite where it takes a part.
func (w *fdWriter) Write(p []byte) (int, error) {
	n, err := unix.Write(int(*w), p)
	if err != nil {
		return 0, fmt.Errorf("write to the target: %w", err)
	}
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}
