package gateway

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// polls serves clients on plain TCP without a goroutine or a buffer for each, so that one that waits costs its socket
// and what is known of it: a few pollers (epoll(7)) read, and a few writers write what the sockets take at once.
// Where a socket is full the rest stays with the client until a poller is told that there is room.
//
// A client passes between three hands: who reads (its poller, or the goroutine of a request that takes its time), who
// writes (the writer that took it from the list, alone as long as the queue is scheduled), and its poller's timer.
// The last of reader and writer to end forgets it.
type polls struct {
	hub     *hub
	pollers []*poller
	next    atomic.Uint32
	writers writers
}

// newPolls returns pollers and writers, whose run is yet to be called.
func newPolls(h *hub) (*polls, error) {
	p := &polls{hub: h}
	p.writers.init()
	for range runtime.GOMAXPROCS(0) {
		one, err := newPoller()
		if err != nil {
			p.closePollers()
			return nil, err
		}
		p.pollers = append(p.pollers, one)
	}
	return p, nil
}

// run serves until close is called, which is when no client is left. It may be called on nil.
func (p *polls) run() {
	if p == nil {
		return
	}
	var all sync.WaitGroup
	for _, one := range p.pollers {
		all.Go(one.run)
	}
	for range runtime.GOMAXPROCS(0) {
		all.Go(p.writers.run)
	}
	all.Wait()
}

// close has run return. It may be called on nil.
func (p *polls) close() {
	if p == nil {
		return
	}
	p.closePollers()
	p.writers.stop()
}

func (p *polls) closePollers() {
	for _, one := range p.pollers {
		_ = one.file.Close()
	}
}

// take serves the client from now on, and reports false where it can't: it takes nothing but TCP sockets, and no more
// than there are descriptors and memory for. The hub's mutex is held, and nobody else knows the client yet.
func (p *polls) take(c *client, handle func(opcode, []byte) bool) bool {
	if p == nil {
		return false
	}
	conn, ok := c.conn.(*net.TCPConn)
	if !ok {
		return false
	}
	fd, err := duplicate(conn)
	if err != nil {
		return false
	}
	l := &polled{
		client: c, hub: p.hub, handle: handle, writers: &p.writers,
		poller: p.pollers[p.next.Add(1)%uint32(len(p.pollers))], fd: fd, reading: true,
	}
	c.queue.carriage = l
	c.frames.src, c.conn = l, nil
	p.hub.clientsDone.Add(1)
	if err := l.poller.add(l); err != nil {
		p.hub.clientsDone.Done()
		c.queue.carriage = nil
		c.frames.src, c.conn = conn, conn
		_ = unix.Close(fd)
		return false
	}
	_ = conn.Close() // the socket stays open by the other descriptor
	l.setExpiry()
	c.queue.mu.Lock()
	defer c.queue.mu.Unlock()
	if !c.queue.empty() || c.queue.closing {
		c.queue.wake()
	}
	return true
}

// duplicate returns a descriptor of a connection's socket that the Go runtime does not know.
func duplicate(conn *net.TCPConn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var failed error
	err = raw.Control(func(own uintptr) {
		fd, failed = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0)
	})
	return fd, errors.Join(err, failed)
}

// send writes as much as the socket takes at once.
func send(fd int, b []byte) (n int, err error) {
	return transfer(unix.SYS_SENDTO, fd, b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// receive reads what there is.
func receive(fd int, b []byte) (n int, err error) {
	return transfer(unix.SYS_RECVFROM, fd, b, unix.MSG_DONTWAIT)
}

// transfer does not tell the Go scheduler of the system call, which never waits.
func transfer(call uintptr, fd int, b []byte, flags uintptr) (n int, err error) {
	for {
		r, _, errno := syscall.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0)
		switch errno {
		case 0:
			return int(r), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
