package gateway

import (
	"errors"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// writersTurn is how many clients a writer takes at a time at most. Where more wait, another writer is woken.
const writersTurn = 64

// writers write for the clients of polls, each for as many as there are. A client is in their list once however much
// is put into its queue, and leaves it with what fits a burst; if there is more then, it goes to the end. Writers
// that are busy are not woken, so that a fan-out to thousands costs a wake-up for each of a few goroutines.
type writers struct {
	mu      sync.Mutex
	list    deque[*polled] // keeps its room, 8 bytes a client
	idle    int            // goroutines that wait and are not yet woken
	wake    sync.Cond      // by mu
	stopped bool
	fetched int // see queue.fetch
}

func (w *writers) init() { w.wake.L = &w.mu }

// push puts a client, whose queue is scheduled, at the end of the list.
func (w *writers) push(l *polled) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list.push(l)
	if w.idle > 0 && (w.list.n == 1 || w.list.n%writersTurn == 0) {
		w.idle--
		w.wake.Signal()
	}
}

// take takes the first of the list, once there are any, into turn and returns how many; 0 when the writers are to end. It
// leaves the writers that are idle their share, and wakes one for it, which does the same.
func (w *writers) take(turn *[writersTurn]*polled) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.list.n == 0 {
		if w.stopped {
			return 0
		}
		w.idle++
		w.wake.Wait()
	}
	n = min(max(1, w.list.n/(w.idle+1)), writersTurn)
	for i := range n {
		turn[i] = w.list.pop()
	}
	if w.list.n > 0 && w.idle > 0 {
		w.idle--
		w.wake.Signal()
	}
	return n
}

func (w *writers) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.wake.Broadcast()
}

// run writes until the writers are stopped.
func (w *writers) run() {
	var turn [writersTurn]*polled
	fetched := 0
	for n := w.take(&turn); n > 0; n = w.take(&turn) {
		for i, l := range turn[:n] {
			if i%fetchAhead == 0 {
				fetched += fetchLines(turn[i:min(i+fetchAhead, n)])
			}
			l.write()
		}
		clear(turn[:n])
		runtime.Gosched() // since the system calls did not
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetched += fetched
}

// fetchLines does what queue.fetch does for clients that are about to be written for, and that nobody else writes for.
func fetchLines(lines []*polled) (sum int) {
	for _, l := range lines {
		if sum += l.client.queue.fetch(); l.pending != nil {
			sum++
		}
	}
	return sum
}

// write writes what one burst holds, or what is left of the last. Whoever calls it has the client to itself, and
// gives it back: to nobody when the queue is empty, to the list when it is not, to the poller when the socket is
// full.
func (l *polled) write() {
	c := l.client
	b := l.pending
	if b == nil {
		b = l.hub.bursts.Get().(*burst)
		switch c.queue.takeTurn(b) {
		case queueIdle:
			l.release(b)
			return
		case queueOver:
			code, frame, _ := c.queue.closed()
			if frame == nil || !code.onWire() {
				l.release(b)
				l.endWriting()
				return
			}
			b.rest, b.farewell = frame, true
		case queueFull:
			b.build(l.hub.deflaters)
			b.rest = b.join()
		}
	}
	l.pending = nil
	err := l.send(b)
	switch {
	case err == nil:
		l.wrote(b)
	case errors.Is(err, unix.EAGAIN) && l.block(b):
	default:
		l.writeFailed(b, err)
	}
}

// send writes what the socket takes of the burst. The error is EAGAIN where it is full.
func (l *polled) send(b *burst) error {
	counters := l.hub.counters
	for len(b.rest) > 0 {
		n, err := send(l.fd, b.rest)
		counters.bytesWritten.Add(int64(n))
		b.rest = b.rest[n:]
		if err == nil || !errors.Is(err, unix.EAGAIN) {
			counters.writes.Add(1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// wrote is told that all of a burst was written.
func (l *polled) wrote(b *burst) {
	c := l.client
	if l.timed {
		l.untime()
	}
	if b.farewell {
		l.release(b)
		l.setReadDeadline(c.cfg.Timeouts.Close)
		_ = unix.Shutdown(l.fd, unix.SHUT_WR) // as client.write does; fails where the client has gone
		l.endWriting()
		return
	}
	c.burstWritten(b)
	more := c.queue.endTurn(b.bytes)
	l.release(b)
	if more {
		l.writers.push(l)
	}
}

// block waits for room in the socket, for Timeouts.Write at most since the burst found it full. It reports false
// where that is over.
func (l *polled) block(b *burst) bool {
	l.pending = b
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timedOut {
		return false
	}
	if !l.timed {
		l.timed, l.writeBy = true, l.poller.now()+l.client.cfg.Timeouts.Write
		l.setTimer()
	}
	l.blocked = true
	l.watch()
	return true
}

// untime ends the time that a burst has.
func (l *polled) untime() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timed, l.timedOut, l.writeBy = false, false, 0
}

// writeFailed ends a connection whose stream may be cut inside a frame.
func (l *polled) writeFailed(b *burst, err error) {
	c := l.client
	l.pending = nil
	if errors.Is(err, unix.EAGAIN) {
		err = os.ErrDeadlineExceeded
	}
	l.hub.counters.abandoned.Add(int64(b.records))
	l.release(b)
	c.queue.close(failureCode(err), nil, false)
	l.sever()
	l.endWriting()
}

// release gives a burst back.
func (l *polled) release(b *burst) {
	b.reset()
	l.hub.bursts.Put(b)
}
