package loadgen

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// outlet writes whole frames to one connection and never waits: what the kernel does not take at once is kept, in order,
// and written by a goroutine of the outlet's own. Everything that a publishing client sends goes through it, so that no
// frame begins inside another. It is safe for concurrent use; end waits for its goroutine.
type outlet struct {
	conn  net.Conn
	now   *nowWriter // nil where the connection can only be written to by waiting
	limit int        // bytes kept from which it is full

	mu      sync.Mutex
	waiting []byte // not taken yet; the flusher has more in its hands
	held    int    // bytes in waiting and in the flusher's hands
	ended   bool

	flusher sync.WaitGroup
}

// errOutletEnded means that nothing more can be written.
var errOutletEnded = errors.New("the connection has ended")

// newOutlet returns the outlet of a connection. limit is how many bytes may wait before it is full.
func newOutlet(conn net.Conn, limit int) *outlet {
	o := &outlet{conn: conn, limit: limit}
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			o.now = newNowWriter(raw)
		}
	}
	return o
}

// full reports whether as much waits as may wait. A frame may be written to an outlet that is not full, whatever its size.
func (o *outlet) full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.held >= o.limit
}

// Write sends a whole frame, or keeps what of it the kernel does not take. An error means that the connection is broken;
// the frame may have been sent in part.
func (o *outlet) Write(frame []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return 0, errOutletEnded
	}
	sent := 0
	if o.held == 0 && o.now != nil {
		var err error
		if sent, err = o.now.write(frame); err != nil {
			o.ended = true
			return sent, err
		}
	}
	if rest := frame[sent:]; len(rest) > 0 {
		o.waiting = append(o.waiting, rest...)
		if o.held == 0 {
			o.flusher.Go(o.flush)
		}
		o.held += len(rest)
	}
	return len(frame), nil
}

// flush writes what waits until nothing does.
func (o *outlet) flush() {
	var taken, spare []byte
	for {
		o.mu.Lock()
		o.held -= len(taken)
		if o.held == 0 || o.ended {
			o.held, o.waiting = 0, nil
			o.mu.Unlock()
			return
		}
		spare = taken
		taken, o.waiting = o.waiting, spare[:0]
		o.mu.Unlock()
		if _, err := o.conn.Write(taken); err != nil {
			o.mu.Lock()
			o.ended, o.held, o.waiting = true, 0, nil
			o.mu.Unlock()
			return
		}
	}
}

// cut gives up what has not been written, and all later writes with it, since half a frame may have gone out. Without
// anything waiting it does nothing.
func (o *outlet) cut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held > 0 {
		o.ended = true
		_ = o.conn.SetWriteDeadline(time.Unix(1, 0))
	}
}

// farewell sends a last frame, where that can be done without waiting and outside another frame, and closes the
// connection.
func (o *outlet) farewell(frame []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.ended && o.held == 0 {
		if o.now != nil {
			_, _ = o.now.write(frame)
		} else {
			_ = o.conn.SetWriteDeadline(time.Now().Add(farewellTime))
			_, _ = o.conn.Write(frame)
		}
	}
	o.ended = true
	_ = o.conn.Close()
}

// farewellTime bounds the wait for a close frame on connections that can only be written to by waiting.
const farewellTime = 100 * time.Millisecond

// end closes the connection and waits for the outlet's goroutine.
func (o *outlet) end() {
	o.mu.Lock()
	o.ended = true
	_ = o.conn.Close()
	o.mu.Unlock()
	o.flusher.Wait()
}
