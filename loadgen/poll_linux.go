package loadgen

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
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
	target netip.AddrPort
	// ended is called, without the worker's lock, when a connection has ended by itself, failed when a dial has.
	ended  func(c *client, why error)
	failed func(c *client, d *dialling, why error)
	epoll  int
	wake   int // an eventfd; readable once the poller is to end

	// The worker's mutex guards the rest.
	entries []polled
	free    []int32 // of entries
	overdue []overdue
	stopped bool
}

// polled is one connection of a poller, or an entry that is free.
type polled struct {
	client *client
	dial   *dialling // nil once the connection is open
	fd     int32
	turn   int32 // counts the connections that have had the entry: what is told of an earlier one means nothing
}

// pollerKnown tells that this system has pollers.
const pollerKnown = true

const (
	pollEvents = 128 // wake-ups that are taken from the kernel at once
	pollWake   = -1  // in place of an entry's number: the poller's end
)

// newPoller returns a worker's poller, whose run is still to be called.
func newPoller(w *worker, ended func(*client, error), failed func(*client, *dialling, error)) (*poller, error) {
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
	return &poller{worker: w, target: w.swarm.numeric, ended: ended, failed: failed, epoll: epoll, wake: wake}, nil
}

// pollPause is how long a poller waits at most before it looks for dials that took too long.
const pollPause = 500 * time.Millisecond

// run reads until the poller is stopped, and closes what it held.
func (p *poller) run() {
	events := make([]unix.EpollEvent, pollEvents)
	for {
		n, err := unix.EpollWait(p.epoll, events, int(pollPause/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			p.worker.swarm.fail(fmt.Errorf("wait for the clients' connections: %w", err))
			p.stop()
			p.close()
			return
		}
		for i := range max(n, 0) {
			if events[i].Fd == pollWake {
				p.close()
				return
			}
			if c, d, why := p.take(events[i].Fd, events[i].Pad); why != nil {
				p.over(c, d, why)
			}
		}
		p.expire(time.Now())
	}
}

func (p *poller) close() {
	_ = unix.Close(p.wake)
	_ = unix.Close(p.epoll)
}

// over tells that a connection has ended, or, where d is a dial whose session has not begun, failed.
func (p *poller) over(c *client, d *dialling, why error) {
	if d == nil || d.begun {
		p.ended(c, why)
		return
	}
	d.release()
	p.failed(c, d, why)
}

// take does what a connection is ready for, once. Where the connection has ended by that it says whose it was, and why.
func (p *poller) take(number, turn int32) (c *client, d *dialling, why error) {
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	e := &p.entries[number]
	if e.client == nil || e.turn != turn {
		return nil, nil, nil
	}
	c, d = e.client, e.dial
	var err error
	if d != nil {
		err = p.advance(number)
	} else {
		err = p.read(e)
	}
	if err != nil {
		p.remove(number)
	}
	return c, d, err
}

// read reads an open connection once and takes apart what it read.
func (p *poller) read(e *polled) error {
	w := p.worker
	n, kernelAt, err := w.space.read(int(e.fd))
	switch {
	case errors.Is(err, unix.EAGAIN):
		return nil
	case err != nil:
		return err
	case n == 0:
		return io.EOF
	}
	w.space.reply = fdWriter(e.fd)
	return w.takeRead(e.client, w.space.data[:n], kernelAt, time.Now().UnixNano(), &w.space.reply)
}

// add has the poller read a client's connection from now on. It takes the socket out of the hands of the Go runtime, which
// would go on waiting for it besides; conn is closed whatever comes of it.
func (p *poller) add(c *client, conn net.Conn) error {
	defer conn.Close()
	fd, err := duplicate(conn)
	if err != nil {
		return fmt.Errorf("take over the connection: %w", err)
	}
	if err := stampSocket(fd); err != nil {
		_ = unix.Close(fd)
		return err
	}
	return p.watch(c, fd, nil, unix.EPOLLIN)
}

// watch waits for a socket, which is closed where that fails.
func (p *poller) watch(c *client, fd int, d *dialling, events uint32) error {
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	if p.stopped {
		if d == nil {
			_, _ = unix.Write(fd, closeFrame)
		}
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
	e.client, e.dial, e.fd = c, d, int32(fd)
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: number, Pad: e.turn}); err != nil {
		p.remove(number)
		return fmt.Errorf("wait for the connection: %w", err)
	}
	if d != nil {
		p.overdue = append(p.overdue, overdue{number, e.turn, d.began.Add(handshakeTimeout)})
	}
	return nil
}

// await changes what a connection is waited for.
func (p *poller) await(number int32, events uint32) error {
	e := &p.entries[number]
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_MOD, int(e.fd), &unix.EpollEvent{Events: events, Fd: number, Pad: e.turn}); err != nil {
		return fmt.Errorf("wait for the connection: %w", err)
	}
	return nil
}

// remove closes a connection and frees its entry. The worker is locked.
func (p *poller) remove(number int32) {
	e := &p.entries[number]
	_ = unix.Close(int(e.fd)) // the only descriptor of the socket, so that epoll forgets it
	e.client, e.dial = nil, nil
	e.turn++
	p.free = append(p.free, number)
}

// stop says goodbye on all connections, closes them, and has run return. Nothing is read afterwards. Idempotent.
func (p *poller) stop() {
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	if p.stopped {
		return
	}
	p.stopped = true
	for i := range p.entries {
		e := &p.entries[i]
		if e.client == nil {
			continue
		}
		switch d := e.dial; {
		case d == nil:
			_, _ = unix.Write(int(e.fd), closeFrame)
			p.worker.swarm.linked.Add(-1)
		case d.begun:
			p.worker.swarm.linked.Add(-1)
		default:
			d.release()
		}
		p.remove(int32(i))
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
