package loadgen

import (
	"errors"
	"fmt"
	"io"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller reads the connections of one worker that do nothing but receive: one thread waits for all of them (epoll(7)) and
// reads those that have something, so that a connection which waits costs its socket and an entry of a table. An open
// connection is told of once for what arrives (edge-triggered): the kernel does not look at it again to find it empty. A read
// that does not fill the buffer has emptied the socket, since what comes later is told; only the connection's end may stand
// behind it that was told with it, and that is said.
//
// The thread has a descriptor table of its own where the system allows it. So whatever is done with a connection is done
// there: what others want of the poller they put into its inbox.
type poller struct {
	worker *worker
	// ended is called, without the worker's lock, when a connection has ended by itself, failed when a dial has.
	ended  func(c *client, why error)
	failed func(d *dialling, why error)
	wake   int // an eventfd, which stands in both tables; readable while there is something in the inbox

	// Of the thread.
	epoll   int
	queue   []*dialling // taken out of the inbox
	rest    rest
	span    unix.Timespec // of a rest
	looked  time.Time     // when the last look at what is ready ended
	fetched int64         // so that fetch is not taken for idle

	// The worker's mutex guards the rest.
	inbox    []*dialling // dials that are to begin
	entries  []polled
	free     []int32 // of entries
	overdue  []overdue
	opening  int  // of the entries, those whose dial has not ended
	held     int  // descriptors of the thread's own table beside the connections; 0 where it has none
	stopping bool // nothing goes into the inbox any more
	thread   int  // its number; 0 while there is none
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
	pollDials  = 16  // dials that are begun between two looks at what can be read
	pollReads  = 16  // of a connection, before the others' turn
	pollFetch  = 16  // connections whose state is brought into the processor's cache at once
	pollWake   = -1  // in place of an entry's number: the inbox
)

// An open connection is waited for so; pollEnd are the events that its end may stand behind.
const (
	pollOpen = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	pollEnd  = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
)

// newPoller returns a worker's poller, whose run is still to be called.
func newPoller(w *worker, ended func(*client, error), failed func(*dialling, error)) (*poller, error) {
	_, _ = runtimePolling() // before there are others of their kind; who leaves the process's table is told of an error
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make a poller: %w", err)
	}
	return &poller{worker: w, ended: ended, failed: failed, wake: wake}, nil
}

// pollPause is how long a poller waits at most before it looks for dials that took too long.
const pollPause = 500 * time.Millisecond

// run reads until the poller is stopped, and closes what it held. begun is called once, when connections are taken: with the
// reason where the thread shares the process's table after all, or with why nothing is read at all, which ends run.
func (p *poller) run(begun func(shared, failed error)) {
	onOwnThread(func() {
		shared := p.leaveTable()
		if err := p.open(); err != nil {
			begun(shared, err)
			return
		}
		begun(shared, nil)
		p.loop()
		_ = unix.Close(p.epoll)
	})
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	p.stopping, p.held, p.thread = true, 0, 0
	_ = unix.Close(p.wake) // in this table; the thread's has gone with it
}

// leaveTable gives the thread a table of its own, or says why it has none.
func (p *poller) leaveTable() error {
	held, err := 0, errShared
	if !p.worker.swarm.sharesTable {
		held, err = ownTable(p.wake)
	}
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	p.held, p.thread = held, unix.Gettid()
	return err
}

// errShared is a poller that is to share the process's table.
var errShared = errors.New("the process's descriptor table is shared")

// open makes what the thread waits with.
func (p *poller) open() (err error) {
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make an epoll instance: %w", err)
	}
	err = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, p.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: pollWake})
	if err != nil {
		_ = unix.Close(p.epoll)
		return fmt.Errorf("wait for what is asked of a poller: %w", err)
	}
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	if p.held > 0 {
		p.held++
	}
	return nil
}

// loop reads until the poller is stopped.
func (p *poller) loop() {
	events := make([]unix.EpollEvent, pollEvents)
	for rested := false; ; {
		n, err := p.wait(events, rested)
		if err != nil && !errors.Is(err, unix.EINTR) {
			p.worker.swarm.fail(fmt.Errorf("wait for the clients' connections: %w", err))
			p.leave()
			return
		}
		n, p.looked = max(n, 0), time.Now()
		for i := range n {
			if i%pollFetch == 0 {
				p.fetch(events[i:min(i+pollFetch, n)])
			}
			if events[i].Fd == pollWake {
				if p.empty() {
					p.leave()
					return
				}
			} else if c, d, why := p.take(events[i]); why != nil {
				p.over(c, d, why)
			}
		}
		p.beginDials()
		p.expire(p.looked)
		rested = p.relax(n)
	}
}

// fetch brings what is kept of ready connections into the processor's cache. Between two messages of one client thousands of
// others come, so that each read would wait for memory several times in turn; here the processor waits for all at once.
func (p *poller) fetch(ready []unix.EpollEvent) {
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	var clients [pollFetch]*client
	for i := range ready {
		if number := ready[i].Fd; number != pollWake {
			clients[i] = p.entries[number].client
		}
	}
	fetched := int64(0)
	for _, c := range clients {
		if c != nil {
			fetched += c.stats.count + c.backAt + int64(len(c.trackers))
		}
	}
	for _, c := range clients {
		if c != nil && len(c.trackers) > 0 {
			fetched += int64(c.trackers[0].gaps)
		}
	}
	p.fetched = fetched
}

// wait waits until connections are ready. A look right after a rest is tried without giving the thread's processor of the Go
// runtime back, as the rest was: to hand it over and to get it again costs more than the look, and makes the runtime's monitor
// wake up every 20 µs.
func (p *poller) wait(events []unix.EpollEvent, rested bool) (n int, err error) {
	pause := pollPause
	switch {
	case len(p.queue) > 0:
		pause = 0
	case rested:
		ready, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
		if errno == 0 && ready > 0 {
			return int(ready), nil
		}
	}
	return unix.EpollWait(p.epoll, events, int(pause/time.Millisecond))
}

// restAfter is how long to rest after a look that found so many connections ready: not while there are dials, which are timed.
func (p *poller) restAfter(found int) time.Duration {
	p.worker.mu.Lock()
	coalesced, dials := p.worker.coalesced, p.opening+len(p.queue)+len(p.inbox)
	p.worker.mu.Unlock()
	if length := p.rest.after(found, pollEvents, coalesced); dials == 0 {
		return length
	}
	return 0
}

// relax rests after such a look and reports whether it did. A signal, as the garbage collector sends, cuts the rest short.
func (p *poller) relax(found int) (rested bool) {
	length := p.restAfter(found)
	if length == 0 {
		return false
	}
	p.span = unix.NsecToTimespec(int64(length))
	_, _, _ = unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&p.span)), 0, 0, 0)
	return true
}

// empty takes what is in the inbox and reports whether the poller is to end.
func (p *poller) empty() (end bool) {
	var count [8]byte
	_, _ = unix.Read(p.wake, count[:]) // else it would stay readable
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	p.queue = append(p.queue, p.inbox...)
	clear(p.inbox)
	p.inbox = p.inbox[:0]
	return p.stopping
}

// over tells that a connection has ended, or, where d is a dial whose session has not begun, failed.
func (p *poller) over(c *client, d *dialling, why error) {
	switch {
	case d == nil || d.begun:
		p.ended(c, why)
	case d.elsewhere(why):
		p.queue = append(p.queue, d)
	default:
		d.release()
		p.failed(d, why)
	}
}

// take does what a connection is ready for. Where the connection has ended by that it says whose it was, and why.
func (p *poller) take(told unix.EpollEvent) (c *client, d *dialling, why error) {
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	number := told.Fd
	e := &p.entries[number]
	if e.client == nil || e.turn != told.Pad {
		return nil, nil, nil
	}
	c, d = e.client, e.dial
	var err error
	if d != nil {
		err = p.advance(number)
	} else {
		err = p.read(number, told.Events)
	}
	if err != nil {
		p.remove(number)
	}
	return c, d, err
}

// read reads what an open connection has, of which so much was told, and takes it apart. Where that is much the others come
// first.
func (p *poller) read(number int32, told uint32) error {
	w, e := p.worker, &p.entries[number]
	for range pollReads {
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
		err = w.takeRead(e.client, w.space.data[:n], kernelAt, p.now(), &w.space.reply)
		if err != nil || n < len(w.space.data) && told&pollEnd == 0 {
			return err
		}
	}
	return p.await(number, pollOpen) // what is left is told again
}

// now is the time, Unix ns: what the wall clock said after the last look, and the monotonic one since. It costs half of
// time.Now, which reads both.
func (p *poller) now() int64 { return p.looked.UnixNano() + int64(time.Since(p.looked)) }

// watch waits for the socket of a dial, which is closed where that fails.
func (p *poller) watch(d *dialling, fd int, events uint32) error {
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	if len(p.free) == 0 {
		p.free = append(p.free, int32(len(p.entries)))
		p.entries = append(p.entries, polled{})
	}
	number := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	e := &p.entries[number]
	e.client, e.dial, e.fd = d.client, d, int32(fd)
	p.opening++
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: number, Pad: e.turn}); err != nil {
		p.remove(number)
		return fmt.Errorf("wait for the connection: %w", err)
	}
	p.overdue = append(p.overdue, overdue{number, e.turn, d.began.Add(handshakeTimeout)})
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
	if e.dial != nil {
		p.opening--
	}
	e.client, e.dial = nil, nil
	e.turn++
	p.free = append(p.free, number)
}

// dial has the poller begin a dial. release is called once, when the dial has ended or the session has begun.
func (p *poller) dial(d *dialling) {
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	if p.stopping {
		d.release()
		return
	}
	p.inbox = append(p.inbox, d)
	if len(p.inbox) == 1 {
		p.call()
	}
}

// stop has the poller say goodbye on all connections, close them and end. Idempotent.
func (p *poller) stop() {
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	if !p.stopping {
		p.stopping = true
		p.call()
	}
}

// call wakes the thread. The worker is locked.
func (p *poller) call() {
	one := [8]byte{1}
	_, _ = unix.Write(p.wake, one[:]) // it fails only where there is a call already
}

// leave says goodbye on all connections, closes them and gives up what was to be dialled. Nothing is read afterwards.
func (p *poller) leave() {
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	p.stopping = true
	for _, d := range append(p.queue, p.inbox...) {
		d.release()
	}
	p.queue, p.inbox = nil, nil
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
}

// descriptors is how many stand in the thread's own table; 0 where it has none.
func (p *poller) descriptors() int {
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	if p.held == 0 {
		return 0
	}
	return p.held + len(p.entries) - len(p.free)
}
