// Command epoll is the barest client in Go that the comparisons have: a thread a processor, each with an epoll instance and
// one buffer for all its connections, and a parser that works in place. It counts the records that come: no audit, no
// latencies, no receive timestamps.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/weirbench/weir/bench/clientline"
)

func main() { clientline.Main("epoll", hold) }

// hold starts the threads and opens the connections, which it shares out among them.
func hold(o clientline.Options, counts *clientline.Counts) error {
	readers := make([]*reader, min(runtime.NumCPU(), o.Connections))
	for i := range readers {
		r, err := newReader(counts, i, o.Connections)
		if err != nil {
			return err
		}
		readers[i] = r
		go r.run()
	}
	var dials errgroup.Group
	dials.SetLimit(o.Dialling)
	for i := range o.Connections {
		dials.Go(func() error {
			fd, early, err := dial(o, i)
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			counts.Open.Add(1)
			return readers[i%len(readers)].add(fd, early)
		})
	}
	return dials.Wait()
}

// dial opens a connection and takes its socket out of the Go runtime's hands. early is what came behind the answer.
func dial(o clientline.Options, i int) (fd int, early []byte, err error) {
	conn, err := net.Dial("tcp", o.URL.Host)
	if err != nil {
		return -1, nil, err
	}
	defer conn.Close()
	req, err := http.NewRequest(http.MethodGet, o.ChannelURL(i), nil)
	if err != nil {
		return -1, nil, err
	}
	for name, value := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		req.Header.Set(name, value)
	}
	if err := req.Write(conn); err != nil {
		return -1, nil, err
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		return -1, nil, err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return -1, nil, fmt.Errorf("the gateway says %s", resp.Status)
	}
	early, err = in.Peek(in.Buffered())
	if err != nil {
		return -1, nil, err
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return -1, nil, err
	}
	var failed error
	err = raw.Control(func(own uintptr) { fd, failed = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, early, errors.Join(err, failed)
}

// reader is one thread and the connections that it reads.
type reader struct {
	epoll  int
	counts *clientline.Counts
	taken  *clientline.Taken
	// rest holds what a read left of an unfinished frame, by descriptor; the entry is set before the descriptor is waited for.
	rest []atomic.Pointer[[]byte]
}

// Descriptors are small numbers: so many beside the connections' own are allowed for.
const otherDescriptors = 1024

func newReader(counts *clientline.Counts, i, connections int) (*reader, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll instance: %w", err)
	}
	return &reader{epoll: epoll, counts: counts, taken: counts.Of(i), rest: make([]atomic.Pointer[[]byte], connections+otherDescriptors)}, nil
}

func (r *reader) add(fd int, early []byte) error {
	if fd >= len(r.rest) {
		return fmt.Errorf("descriptor %d is beyond the %d of the table", fd, len(r.rest))
	}
	if left := r.frames(fd, early); len(left) > 0 {
		kept := append([]byte(nil), left...)
		r.rest[fd].Store(&kept)
	}
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("wait for the connection: %w", err)
	}
	return nil
}

func (r *reader) run() {
	runtime.LockOSThread()
	events := make([]unix.EpollEvent, 128)
	buffer := make([]byte, 64<<10)
	for {
		n, err := unix.EpollWait(r.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			fmt.Fprintln(os.Stderr, "epoll: wait for the connections:", err)
			os.Exit(1)
		}
		for i := range max(n, 0) {
			if err := r.read(int(events[i].Fd), buffer); err != nil {
				_ = unix.Close(int(events[i].Fd))
				r.counts.Ended.Add(1)
			}
		}
	}
}

var errEnded = errors.New("the connection has ended")

// read reads a connection once.
func (r *reader) read(fd int, buffer []byte) error {
	kept := 0
	if rest := r.rest[fd].Swap(nil); rest != nil {
		kept = copy(buffer, *rest)
	}
	n, err := unix.Read(fd, buffer[kept:])
	switch {
	case errors.Is(err, unix.EAGAIN):
		n = 0
	case err != nil || n == 0:
		return errEnded
	}
	left := r.frames(fd, buffer[:kept+n])
	if len(left) == len(buffer) {
		return errEnded // a frame beyond the buffer is no record of these comparisons
	}
	if len(left) > 0 {
		copied := append([]byte(nil), left...)
		r.rest[fd].Store(&copied)
	}
	return nil
}

// frames takes whole frames off data and returns what is left of an unfinished one.
func (r *reader) frames(fd int, data []byte) []byte {
	for {
		op, payload, rest, ok := frame(data)
		if !ok {
			return data
		}
		data = rest
		switch op {
		case opText, opBinary:
			r.taken.Took(payload)
		case opPing:
			_, _ = unix.Write(fd, pong(payload)) // a connection that is gone shows when it is read
		}
	}
}
