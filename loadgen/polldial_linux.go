package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirbench/weir/internal/hosts"
)

// overdue is a dial that is to have ended by a time.
type overdue struct {
	number, turn int32
	by           time.Time
}

// beginDials begins some of the dials that are asked for.
func (p *poller) beginDials() {
	n := min(len(p.queue), pollDials)
	for i := range n {
		d := p.queue[i]
		if err := p.begin(d); err != nil {
			p.over(d.client, d, err)
		}
		p.queue[i] = nil
	}
	p.queue = p.queue[n:]
}

// begin connects to the next address of a dial and sends the handshake's request, if it can at once.
func (p *poller) begin(d *dialling) error {
	if !d.tried { // what it waited for until here is the generator's
		d.tried, d.began = true, time.Now()
	}
	fd, err := p.worker.swarm.dialer.socket(d)
	if err != nil {
		return err
	}
	d.sent = 0
	events := uint32(unix.EPOLLIN)
	switch rest, err := writeSome(fd, d.up.request); {
	case err != nil:
		_ = unix.Close(fd)
		return sourceError(d.to.from, dialFailure("connect", d.target, err))
	case len(rest) > 0:
		events = unix.EPOLLOUT
		d.sent = len(d.up.request) - len(rest)
	default:
		d.sent = len(d.up.request)
	}
	return p.watch(d, fd, events)
}

// elsewhere reports whether a dial that has failed is to go on at another address of the target's name.
func (d *dialling) elsewhere(why error) bool {
	if d.sent > 0 || len(d.addresses) < 2 || errors.Is(why, context.DeadlineExceeded) {
		return false
	}
	d.addresses = d.addresses[1:]
	return true
}

// socket makes the socket of a dial and has it connect to the first of the addresses.
func (d *dialer) socket(of *dialling) (fd int, err error) {
	of.target = of.addresses[0]
	if err := hosts.Permit(of.host, of.target.String(), d.allowed); err != nil {
		return -1, err
	}
	family, to := sockaddr(of.target)
	for attempt := 1; ; attempt++ {
		if fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			return -1, dialFailure("socket", of.target, err)
		}
		if err = setUp(fd, of.to); err == nil {
			err = unix.Connect(fd, to)
			if err == nil || errors.Is(err, unix.EINPROGRESS) {
				if !toItself(fd, of.target) {
					return fd, nil
				}
				err = unix.ECONNREFUSED
			}
			err = dialFailure("connect", of.target, err)
		}
		_ = unix.Close(fd)
		if of.to.from != "" || !errors.Is(err, unix.EADDRNOTAVAIL) || attempt == connectAttempts {
			return -1, sourceError(of.to.from, err)
		}
	}
}

// connectAttempts is how often a connection is tried for which the kernel, as it may at times, finds no port; package net
// does as much.
const connectAttempts = 3

// toItself reports whether a socket that connects to an address has that address itself, which the kernel may choose where
// nobody listens at a port of those that it chooses from.
func toItself(fd int, target netip.AddrPort) bool {
	local, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	switch at := local.(type) {
	case *unix.SockaddrInet4:
		return at.Port == int(target.Port()) && netip.AddrFrom4(at.Addr) == target.Addr().Unmap()
	case *unix.SockaddrInet6:
		return at.Port == int(target.Port()) && netip.AddrFrom16(at.Addr).Unmap() == target.Addr().Unmap()
	}
	return false
}

// setUp gives a socket its options and its source address.
func setUp(fd int, to call) error {
	if err := prepareSocket(uintptr(fd), to.from != "", to.receiveBuffer); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if to.from == "" {
		return nil
	}
	from, err := netip.ParseAddr(to.from)
	if err != nil {
		return err
	}
	_, local := sockaddr(netip.AddrPortFrom(from, 0))
	return os.NewSyscallError("bind", unix.Bind(fd, local))
}

// sockaddr is an address as the kernel takes it.
func sockaddr(a netip.AddrPort) (family int, to unix.Sockaddr) {
	if ip := a.Addr().Unmap(); ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zoneID(a.Addr().Zone())}
}

// zoneID is the number of the interface that a zone is.
func zoneID(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	in, err := net.InterfaceByName(zone)
	if err != nil {
		return 0 // connecting fails then
	}
	return uint32(in.Index)
}

// dialFailure is the error that package net gives.
func dialFailure(call string, target netip.AddrPort, err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(target), Err: os.NewSyscallError(call, err)}
}

// advance takes a dial as far as it goes now. Once the connection is open, e.dial is nil. The worker is locked.
func (p *poller) advance(number int32) error {
	e := &p.entries[number]
	d := e.dial
	if d.sent < len(d.up.request) {
		return p.request(number)
	}
	if !d.begun {
		if done, err := p.answer(e); err != nil || !done {
			return err
		}
	}
	rest, err := writeSome(int(e.fd), d.greeting)
	if err != nil {
		return fmt.Errorf("subscribe: %w", ioFailure("write", d.target, err))
	}
	if d.greeting = rest; len(rest) > 0 {
		return p.await(number, unix.EPOLLOUT)
	}
	if err := p.await(number, pollOpen); err != nil {
		return err
	}
	e.dial = nil
	p.opening--
	return p.hand(e, d)
}

// request sends the handshake's request once the socket is connected.
func (p *poller) request(number int32) error {
	e := &p.entries[number]
	d := e.dial
	code, err := unix.GetsockoptInt(int(e.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err != nil {
		return sourceError(d.to.from, dialFailure("connect", d.target, err))
	}
	rest, err := writeSome(int(e.fd), d.up.request[d.sent:])
	if err != nil {
		return ioFailure("write", d.target, err)
	}
	if d.sent = len(d.up.request) - len(rest); len(rest) > 0 {
		return nil
	}
	return p.await(number, unix.EPOLLIN)
}

// answer reads what there is of the handshake's answer. When it is whole the session begins.
func (p *poller) answer(e *polled) (done bool, err error) {
	d, w, c := e.dial, p.worker, e.client
	n, err := unix.Read(int(e.fd), w.space.data[:])
	switch {
	case errors.Is(err, unix.EAGAIN):
		return false, nil
	case err != nil:
		return false, ioFailure("read", d.target, err)
	case n == 0:
		return false, io.ErrUnexpectedEOF // before the header has ended
	}
	done, early, terms, err := d.up.take(w.space.data[:n])
	if err != nil || !done {
		return false, err
	}
	c.deflate, d.early, d.begun = terms, early, true
	d.release()
	w.connected(c, d.began)
	w.swarm.beginLocked(c)
	d.askedAt = time.Now().UnixNano()
	d.greeting = w.swarm.greeting(c)
	return true, nil
}

// hand hands a connection over whose client has subscribed.
func (p *poller) hand(e *polled, d *dialling) error {
	w, c := p.worker, e.client
	if err := stampSocket(int(e.fd)); err != nil {
		return err
	}
	w.swarm.openedLocked(c, nil)
	w.space.reply = fdWriter(e.fd)
	return w.swarm.takeEarlyLocked(c, d.askedAt, d.early, func(b []byte) error {
		return w.takeRead(c, b, 0, time.Now().UnixNano(), &w.space.reply)
	})
}

// expire ends the dials that took too long. A session that has begun may take its time to subscribe.
func (p *poller) expire(now time.Time) {
	for {
		p.worker.mu.Lock()
		if len(p.overdue) == 0 || now.Before(p.overdue[0].by) {
			p.worker.mu.Unlock()
			return
		}
		late := p.overdue[0]
		p.overdue = p.overdue[1:]
		e := &p.entries[late.number]
		c, d := e.client, e.dial
		ended := c != nil && e.turn == late.turn && d != nil && !d.begun
		if ended {
			p.remove(late.number)
		}
		p.worker.mu.Unlock()
		if ended {
			p.over(c, d, context.DeadlineExceeded)
		}
	}
}

// ioFailure is the error that package net gives.
func ioFailure(call string, target netip.AddrPort, err error) error {
	return &net.OpError{Op: call, Net: "tcp", Addr: net.TCPAddrFromAddrPort(target), Err: os.NewSyscallError(call, err)}
}

// writeSome writes as much as the socket takes and returns the rest.
func writeSome(fd int, b []byte) (rest []byte, err error) {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return b, nil
		case err != nil:
			return b, err
		}
		b = b[n:]
	}
	return nil, nil
}
