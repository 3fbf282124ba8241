package loadgen

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poller reads the connections of one worker that do nothing but receive: one thread waits for all of them (epoll(7)) and
// reads those that have something, so that a connection which waits costs its socket and an entry of a table. Readiness is
// level-triggered: one read a wake-up is enough, since what that leaves, or the connection's end behind it, is told again.
type poller struct {
	worker *worker
	over   func(c *client, why error) // called without the worker's lock when a connection has ended by itself
	epoll  int
	wake   int // an eventfd; readable once the poller is to end

	// The worker's mutex guards the rest.
	entries []polled
	free    []int32 // of entries
	ended   bool
}

// polled is one connection of a poller, or an entry that is free.
type polled struct {
	client *client
	fd     int32
	turn   int32 // of the entry's connections this is the so manieth; what is told of an earlier one means nothing
}

// pollerKnown tells that this system has pollers.
const pollerKnown = true

const (
	pollEvents = 128 // wake-ups that are taken from the kernel at once
	pollWake   = -1  // in place of an entry's number: the poller's end
)

// newPoller returns a poller whose run is still to be called.
func newPoller(w *worker, over func(*client, error)) (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll instance: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: pollWake})
	}
	if err != nil {
		_ = unix.Close(wake)
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("make an epoll instance: %w", err)
	}
	return &poller{worker: w, over: over, epoll: epoll, wake: wake}, nil
}

// run reads until the poller has ended and closes what it held.
func (p *poller) run() {
	events := make([]unix.EpollEvent, pollEvents)
	for {
		n, err := unix.EpollWait(p.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			p.worker.swarm.fail(fmt.Errorf("wait for the clients' connections: %w", err))
			n = 0
		}
		for i := range max(n, 0) {
			if events[i].Fd == pollWake {
				_ = unix.Close(p.wake)
				_ = unix.Close(p.epoll)
				return
			}
			if c, why := p.take(events[i].Fd, events[i].Pad); why != nil {
				p.over(c, why)
			}
		}
	}
}

// take reads a connection once and takes apart what it read. Where the connection has ended by that it says whose it was,
// and why.
func (p *poller) take(number, turn int32) (c *client, why error) {
	w := p.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &p.entries[number]
	if e.client == nil || e.turn != turn {
		return nil, nil
	}
	c = e.client
	n, kernelAt, err := w.space.read(int(e.fd))
	switch {
	case errors.Is(err, unix.EAGAIN):
		return nil, nil
	case err == nil && n == 0:
		err = io.EOF
	case err == nil:
		w.space.reply = fdWriter(e.fd)
		err = w.takeRead(c, w.space.data[:n], kernelAt, time.Now().UnixNano(), &w.space.reply)
	default:
		err = &net.OpError{Op: "read", Net: "tcp", Err: err}
	}
	if err == nil {
		return nil, nil
	}
	p.remove(number)
	return c, err
}

// add has the poller read a client's connection from now on. It takes the socket out of the hands of the Go runtime, which
// would go on waiting for it besides; conn is closed whatever comes of it.
func (p *poller) add(c *client, conn net.Conn) error {
	defer conn.Close()
	fd, err := duplicate(conn)
	if err != nil {
		return fmt.Errorf("take over the connection: %w", err)
	}
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	if p.ended {
		_ = unix.Close(fd)
		return net.ErrClosed
	}
	if len(p.free) == 0 {
		p.free = append(p.free, int32(len(p.entries)))
		p.entries = append(p.entries, polled{})
	}
	number := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	e := &p.entries[number]
	e.client, e.fd = c, int32(fd)
	if err := stampSocket(fd); err != nil {
		p.remove(number)
		return err
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: number, Pad: e.turn}
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		p.remove(number)
		return fmt.Errorf("wait for the connection: %w", err)
	}
	return nil
}

// remove closes a connection and frees its entry. The worker is locked.
func (p *poller) remove(number int32) {
	e := &p.entries[number]
	_ = unix.Close(int(e.fd)) // the only descriptor of the socket, so that epoll forgets it
	e.client = nil
	e.turn++
	p.free = append(p.free, number)
}

// end says goodbye on all connections, closes them, and has run return. Nothing is read afterwards. Idempotent.
func (p *poller) end() {
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	for i := range p.entries {
		if p.entries[i].client == nil {
			continue
		}
		_, _ = unix.Write(int(p.entries[i].fd), closeFrame)
		p.remove(int32(i))
		p.worker.swarm.linked.Add(-1)
	}
	one := [8]byte{1}
	_, _ = unix.Write(p.wake, one[:])
}

// duplicate returns a descriptor of a connection's socket that the Go runtime does not know.
func duplicate(conn net.Conn) (fd int, err error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return -1, errors.New("it is no socket")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	var failed error
	err = raw.Control(func(own uintptr) {
		fd, failed = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0)
	})
	runtime.KeepAlive(conn)
	return fd, errors.Join(err, failed)
}
