package gateway

import (
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// errTurnOver ends a turn of reading: what else there is, is told again.
var errTurnOver = errors.New("nothing more is read now")

// polled is the connection of a client that polls serves.
type polled struct {
	client  *client
	hub     *hub
	handle  func(opcode, []byte) bool
	poller  *poller
	writers *writers
	fd      int // closed when both who reads and who writes have ended; others look at closed first

	// Of who reads.
	silent     int    // intervals without a sign of life
	spent      bool   // this turn's read has been made
	more       bool   // the turn ended with its work done, and frames may be left in the buffer
	discarding bool   // what comes can no longer be understood
	paused     func() // runs before reading goes on; nil for none

	// Of who writes.
	pending *burst // what the socket did not take; nil for nothing
	timed   bool   // writeBy is of the burst in hand; written under mu

	mu           sync.Mutex
	number, turn int32  // the place at the poller; constant
	events       uint32 // that are waited for
	reading      bool   // the poller reads
	blocked      bool   // a writer waits for room in the socket
	timedOut     bool   // the burst in hand has waited for too long
	overdue      bool   // the reader's timer came while it could not be heeded
	readerOver   bool
	writerOver   bool
	closed       bool
	expiry       *time.Timer // of the client's token; nil where it has none

	readBy, writeBy, timerAt time.Duration // by the poller's clock, 0 for none; the last is of the timer that counts
}

// ready does what the socket is ready for. It is called by the poller's goroutine alone.
func (l *polled) ready(events uint32, space []byte) {
	l.mu.Lock()
	if l.blocked && events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		l.unblock()
	}
	reads := l.reading && events&(unix.EPOLLIN|unix.EPOLLERR|unix.EPOLLHUP) != 0
	l.mu.Unlock()
	if reads && !l.more { // else it has its turn with those that are in the poller's list
		l.readTurn(space)
	}
}

// readTurn has a turn of reading, and puts the client into the poller's list if frames are left.
func (l *polled) readTurn(space []byte) {
	if l.read(space) && l.more {
		l.poller.again = append(l.poller.again, l)
	}
}

// readOn goes on with what an earlier turn has left. It is called by the poller's goroutine alone.
func (l *polled) readOn() {
	l.mu.Lock()
	reads := l.reading
	l.mu.Unlock()
	if reads {
		l.readTurn(nil)
	}
}

// Read reads from the socket, once a turn: it is the frames' source.
func (l *polled) Read(b []byte) (int, error) {
	if l.spent {
		return 0, errTurnOver
	}
	l.spent = true
	n, err := receive(l.fd, b)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return 0, errTurnOver
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// read takes one turn of what the client sends, and reports whether there may be others. The poller lends it space;
// without it there is what was read before, and nothing else.
func (l *polled) read(space []byte) (goesOn bool) {
	c := l.client
	l.spent, l.more = space == nil, false
	if l.discarding {
		return l.discard(space)
	}
	c.frames.lend(space)
	over, standing := l.readFrames()
	c.frames.keep()
	if over {
		l.endReading(standing)
		return false
	}
	if f := l.takePause(); f != nil {
		go func() { // which keeps the reader from being over, and with it the hub from being done with the client
			f()
			l.resume()
		}()
		return false
	}
	return true
}

const (
	turnFrames   = 64        // that are handled in a turn
	turnInflated = 256 << 10 // bytes; no message is begun beyond
)

// readFrames does for a turn what client.read does, and reports whether the reader is over, and the connection still
// stands. What is read at once bounds the turn's bytes, not its work: compressed, these may be many times as much.
func (l *polled) readFrames() (over, standing bool) {
	c := l.client
	c.frames.inflated = 0
	for n := 0; ; n++ {
		if n == turnFrames || c.frames.inflated >= turnInflated {
			l.more = c.frames.r < c.frames.w
			return false, true
		}
		op, payload, err := c.frames.next()
		switch breach, isBreach := errors.AsType[*frameError](err); {
		case err == nil:
			l.silent = 0
			if !l.handle(op, payload) {
				return true, true
			}
			if l.paused != nil {
				return false, true
			}
		case isBreach:
			c.close(breach.code)
			l.discarding = true
			l.setReadDeadline(c.cfg.Timeouts.Close)
			return false, true
		case errors.Is(err, errTurnOver):
			return false, true
		default:
			c.queue.close(CloseAbnormal, nil, false)
			return true, false
		}
	}
}

// discard reads what is of no interest, until the client closes.
func (l *polled) discard(space []byte) (goesOn bool) {
	if _, err := l.Read(space); err != nil && !errors.Is(err, errTurnOver) {
		l.endReading(true)
		return false
	}
	return true
}

// due is told that a timer has come. It is called by the poller's goroutine alone.
func (l *polled) due(at, now time.Duration) {
	l.mu.Lock()
	if at != l.timerAt || l.closed {
		l.mu.Unlock()
		return
	}
	l.timerAt = 0
	if l.writeBy != 0 && l.writeBy <= now {
		l.writeBy, l.timedOut = 0, true // a writer that has the burst in hand sees it when the socket is full again
		if l.blocked {
			l.unblock()
		}
	}
	silence := l.readBy != 0 && l.readBy <= now
	if silence {
		l.readBy = 0
		if !l.reading {
			l.overdue, silence = true, false
		}
	}
	l.setTimer()
	l.mu.Unlock()
	if silence {
		l.hearNothing()
	}
}

// hearNothing is what client.read does when its deadline has passed.
func (l *polled) hearNothing() {
	c := l.client
	if l.discarding || c.closing() {
		l.endReading(true)
		return
	}
	if l.silent++; !c.probe(l.silent, l.setReadDeadline) {
		c.close(CloseNoPong)
		l.endReading(true)
	}
}

// setReadDeadline sets when silence is next noted: d from now, or Timeouts.Close from now once the client is being
// closed. The writer sets it after closing was set, so that whichever of reader and writer comes last, it is the short
// one.
func (l *polled) setReadDeadline(d time.Duration) {
	l.setReadBy(d)
	if l.client.closing() {
		l.setReadBy(l.client.cfg.Timeouts.Close)
	}
}

func (l *polled) setReadBy(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readerOver {
		return
	}
	l.overdue, l.readBy = false, l.poller.now()+d
	l.setTimer()
}

// setTimer makes sure that a timer comes when it is to. l is locked.
func (l *polled) setTimer() {
	by := l.readBy
	if by == 0 || l.writeBy != 0 && l.writeBy < by {
		by = l.writeBy
	}
	if by == 0 || l.timerAt != 0 && l.timerAt <= by {
		return
	}
	l.timerAt = by
	l.poller.mu.Lock()
	defer l.poller.mu.Unlock()
	l.poller.push(timer{by, l.number, l.turn})
}

// pause is called within handle.
func (l *polled) pause(f func()) { l.paused = f }

// takePause returns what is to run before reading goes on, if anything, and has the poller read no more.
func (l *polled) takePause() func() {
	f := l.paused
	if f == nil {
		return nil
	}
	l.paused = nil
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading = false
	l.watch()
	return f
}

// resume takes what was read before the pause, then has the poller read again.
func (l *polled) resume() {
	for l.more = true; l.more; {
		if !l.read(nil) {
			return
		}
	}
	var grace time.Duration
	if l.discarding || l.client.closing() {
		grace = l.client.cfg.Timeouts.Close // for the client's close frame
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading = true
	l.watch()
	if l.overdue {
		l.overdue, l.readBy = false, l.poller.now()+grace
		l.setTimer()
	}
}

// watch tells the kernel what is waited for. l is locked.
func (l *polled) watch() {
	var events uint32
	if l.reading {
		events |= unix.EPOLLIN
	}
	if l.blocked {
		events |= unix.EPOLLOUT
	}
	if events == 0 {
		events = unix.EPOLLET // an error is told though nobody asks for it, and so only once
	}
	if events != l.events && !l.closed {
		l.events = events
		_ = l.poller.control(unix.EPOLL_CTL_MOD, l) // fails only for what is not there
	}
}

// endReading is the reader's last act, which says whether the connection still stands.
func (l *polled) endReading(standing bool) {
	l.mu.Lock()
	l.readerOver, l.reading, l.readBy = true, false, 0 // the writer's time bounds the rest
	if !standing {
		l.shutDown()
	}
	l.watch()
	over := l.endIfOver()
	l.mu.Unlock()
	if over {
		l.forget()
	}
}

// endWriting is the writer's last act.
func (l *polled) endWriting() {
	l.mu.Lock()
	l.writerOver = true
	over := l.endIfOver()
	l.mu.Unlock()
	if over {
		l.forget()
	}
}

// endIfOver closes the socket when both have ended. l is locked.
func (l *polled) endIfOver() bool {
	if !l.readerOver || !l.writerOver {
		return false
	}
	l.closed = true
	l.poller.remove(l)
	_ = unix.Close(l.fd) // the only descriptor, so that epoll forgets it
	return true
}

// forget ends what is left of the client. No lock is held.
func (l *polled) forget() {
	l.stopExpiry()
	l.client.leave()
	l.hub.remove(l.client)
	l.hub.clientsDone.Done()
}

// setExpiry has the client closed when its token expires.
func (l *polled) setExpiry() {
	c := l.client
	if c.who.expiresAt.IsZero() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.expiry = time.AfterFunc(time.Until(c.who.expiresAt), func() { c.close(CloseTokenExpired) })
	}
}

func (l *polled) stopExpiry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.expiry != nil {
		l.expiry.Stop()
	}
}

func (l *polled) schedule() { l.writers.push(l) }

func (l *polled) fetch() (sum int) { return l.fd }

func (l *polled) sever() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shutDown()
}

// shutDown ends the connection under both reader and writer. l is locked.
func (l *polled) shutDown() {
	if l.closed {
		return
	}
	_ = unix.Shutdown(l.fd, unix.SHUT_RDWR) // fails where the client has gone
	if l.blocked {
		l.unblock()
	}
}

// unblock gives the client back to the writers. l is locked.
func (l *polled) unblock() {
	l.blocked = false
	l.watch()
	l.writers.push(l)
}
