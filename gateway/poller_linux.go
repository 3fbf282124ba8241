package gateway

import (
	"container/heap"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	pollEvents = 128      // that are taken from the kernel at once
	pollSpace  = 16 << 10 // that is read from a client at once
)

// poller waits for sockets, and for the times at which clients are to be looked at. Its goroutine waits for the epoll
// instance as for a connection, and keeps no thread. Readiness is level-triggered: one read a wake-up is enough,
// since what that leaves is told again. What has been read and not yet handled is not: who has such is in a list.
type poller struct {
	file      *os.File // the epoll instance; closed for run to return
	raw       syscall.RawConn
	startedAt time.Time

	// Of the poller's goroutine.
	events [pollEvents]unix.EpollEvent
	space  [pollSpace]byte
	again  []*polled // whose last turn left frames
	taken  []*polled // again's other half: empty between turns

	mu      sync.Mutex
	entries []pollEntry
	free    []int32 // of entries
	timers  timers
	waking  time.Duration // when the goroutine will look at the timers, after startedAt
}

// pollEntry is the place of one connection.
type pollEntry struct {
	link *polled // nil where it is free
	turn int32   // counts the connections that have had the place: what is told of an earlier one means nothing
}

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll instance: %w", err)
	}
	if err := unix.SetNonblock(epoll, true); err != nil { // else package os would not wait for it by the runtime's poller
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("make an epoll instance: %w", err)
	}
	p := &poller{file: os.NewFile(uintptr(epoll), "epoll"), startedAt: time.Now(), waking: never}
	if p.raw, err = p.file.SyscallConn(); err == nil {
		err = p.file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		_ = p.file.Close()
		return nil, fmt.Errorf("wait for an epoll instance: %w", err)
	}
	return p, nil
}

// now is the time after startedAt.
func (p *poller) now() time.Duration { return time.Since(p.startedAt) }

// run serves until the file is closed.
func (p *poller) run() {
	for p.turn() == nil {
	}
}

// turn gives each client that is ready, then each that was left with frames before, a turn of reading.
func (p *poller) turn() error {
	n, err := p.wait()
	if err != nil {
		return err
	}
	p.taken, p.again = p.again, p.taken
	for i := range n {
		e := &p.events[i]
		if l := p.at(e.Fd, e.Pad); l != nil {
			l.ready(e.Events, p.space[:])
		}
	}
	for _, l := range p.taken {
		l.readOn()
	}
	clear(p.taken)
	p.taken = p.taken[:0]
	p.expire()
	return nil
}

// wait returns with events, or without when a timer may be due or frames were left. Sockets are looked at before any timer:
// what has come while the gateway was stopped counts.
func (p *poller) wait() (n int, err error) {
	poll := func(fd uintptr) bool {
		var failed error
		if n, failed = unix.EpollWait(int(fd), p.events[:], 0); failed != nil {
			n = 0 // interrupted: to be asked again
			return errors.Is(failed, unix.EINTR)
		}
		return n > 0
	}
	if err = p.setAlarm(); err == nil && len(p.again) == 0 {
		err = p.raw.Read(poll)
	}
	if len(p.again) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		err = p.raw.Control(func(fd uintptr) { poll(fd) })
	}
	return n, err
}

// setAlarm has waiting end when the first timer is due.
func (p *poller) setAlarm() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.timers.next()
	if next == p.waking {
		return nil
	}
	p.waking = next
	var by time.Time
	if next != never {
		by = p.startedAt.Add(next)
	}
	return p.file.SetReadDeadline(by)
}

func (p *poller) at(number, turn int32) *polled {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := &p.entries[number]; e.turn == turn {
		return e.link
	}
	return nil
}

// add waits for a connection, to read it first of all.
func (p *poller) add(l *polled) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == 0 {
		p.free = append(p.free, int32(len(p.entries)))
		p.entries = append(p.entries, pollEntry{})
	}
	number := p.free[len(p.free)-1]
	e := &p.entries[number]
	l.number, l.turn = number, e.turn
	l.readBy = p.now() + l.client.cfg.Timeouts.Ping
	l.events = unix.EPOLLIN
	if err := p.control(unix.EPOLL_CTL_ADD, l); err != nil {
		return err
	}
	e.link = l
	p.free = p.free[:len(p.free)-1]
	l.timerAt = l.readBy
	p.push(timer{l.timerAt, l.number, l.turn})
	return nil
}

func (p *poller) control(op int, l *polled) (err error) {
	return errors.Join(p.raw.Control(func(epoll uintptr) {
		err = unix.EpollCtl(int(epoll), op, l.fd, &unix.EpollEvent{Events: l.events, Fd: l.number, Pad: l.turn})
	}), err)
}

// remove frees a connection's place.
func (p *poller) remove(l *polled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := &p.entries[l.number]
	e.link = nil
	e.turn++
	p.free = append(p.free, l.number)
}

// push sets a timer. The poller is locked.
func (p *poller) push(t timer) {
	heap.Push(&p.timers, t)
	if t.at < p.waking {
		p.waking = t.at
		_ = p.file.SetReadDeadline(p.startedAt.Add(t.at)) // fails only where the poller has ended
	}
}

// expire looks at the clients whose timers are due.
func (p *poller) expire() {
	now := p.now()
	for {
		p.mu.Lock()
		if p.timers.next() > now {
			p.mu.Unlock()
			return
		}
		t := heap.Pop(&p.timers).(timer)
		l := p.entries[t.number].link
		if p.entries[t.number].turn != t.turn {
			l = nil
		}
		p.mu.Unlock()
		if l != nil {
			l.due(t.at, now)
		}
	}
}

// never is later than all.
const never = time.Duration(1<<63 - 1)

// timer is a time at which a connection is to be looked at.
type timer struct {
	at           time.Duration // after the poller's startedAt
	number, turn int32
}

// timers is a heap of them, the earliest first.
type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at < t[j].at }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

func (t timers) next() time.Duration {
	if len(t) == 0 {
		return never
	}
	return t[0].at
}
