package gateway

import (
	"sync"
	"time"
)

// queue is what waits for one client, and the bound of it. Everything that is
// sent passes through it, so that the order is one and the writer is alone.
//
// The bound counts frames, those that the writer has taken and not yet written
// included, and those of a replay not: they have a bound of their own. Records
// may be dropped, by the policy; replies and notices may not, and a client for
// which they alone exceed the bound is closed as slow. A frame is always admitted
// to an empty queue, however large.
type queue struct {
	bound    int
	counters *counters

	carriage carriage // nil where goroutines serve the client; set before anybody else knows it

	mu        sync.Mutex
	ready     *sync.Cond // there is something to write, or the queue closes; nil unless a goroutine waits for it
	scheduled bool       // a writer of the carriage has the queue, or will; or has ended
	// front holds what precedes the ring and may not be dropped: replies,
	// notices and replayed records that were passed when records behind them were
	// dropped. Keeping
	// them apart makes the oldest record the ring's first, however many drops
	// there are.
	front     []entry
	policy    SlowPolicy // constant, as bound and relief are; see fetch for why it is here
	ring      deque[entry]
	bytes     int // in front, in ring and with the writer
	oversized int // of these, what a frame larger than the bound may take
	epoch     uint64
	pong      *message // the last pong that waits, if any
	pongs     int      // how many do
	pinging   bool     // a ping waits

	// What the pacer goes by.
	relief  chan<- struct{} // told when pressed ends
	writes  uint64          // how often the writer has come back
	pressed bool            // more than half full; the fan-out may wait
	stuck   bool            // it has waited in vain, and does not until this ends

	// What tells a client that it is slow, before it is too late.
	slowTold   bool  // and it has not caught up since
	slowToldAt int64 // ns since the epoch, 0 for never

	total   *queueTotal // of all clients; nil where it is not bounded
	counted int         // of bytes, what the total knows
	// What a replay goes by.
	replayed      int           // of bytes, those of replayed records
	replayedTaken int           // of these, with the writer
	wantsRoom     bool          // it waits
	room          chan struct{} // capacity 1; nil for a client that has not resumed

	inFlight int  // publications without an answer
	draining bool // closes when there is none

	closing    bool // nothing more is admitted
	closeCode  CloseCode
	closeFrame []byte // to be sent last; nil for none
}

func (q *queue) init(bound int, policy SlowPolicy, c *counters, relief chan<- struct{}) {
	q.bound, q.policy, q.counters, q.relief = bound, policy, c, relief
}

// fetch brings a queue into the processor's cache, by a constant in each of its parts: whoever is about to look at many
// waits for memory once then, and not for one after the other. The sum means nothing; it is to be kept, since the compiler
// leaves out what is of no use.
func (q *queue) fetch() (sum int) {
	sum = q.bound + len(q.policy)
	if q.relief == nil {
		sum++
	}
	return sum
}

// fetchAhead is how many clients are fetched at once.
const fetchAhead = 16

// pushRecord queues a record that came by subscription m. It reports whether the
// client is still open, and whether this is the record that made the queue more
// than half full.
func (q *queue) pushRecord(msg *message, m *member) (open, pressed bool) {
	q.mu.Lock()
	defer q.unlock()
	if q.closing {
		return false, false
	}
	switch {
	case q.makeRoom(msg.size(), q.total.bound(q.bound, msg.size())):
		q.append(entry{msg: msg, member: m})
	case q.policy == SlowDropOldest:
		q.drop(msg, m)
		q.closeIfOver()
	default:
		q.counters.abandoned.Add(int64(msg.count()))
		q.closeSlow()
	}
	if q.live() <= q.bound/2 || q.closing {
		return true, false
	}
	if !q.slowTold {
		q.tellSlow(msg.queuedAt)
	}
	if q.pressed || q.stuck {
		return true, false
	}
	q.pressed = true
	return true, true
}

// pushReply queues what may not be dropped.
func (q *queue) pushReply(payload []byte) {
	q.mu.Lock()
	defer q.unlock()
	q.pushControl(&message{kind: kindReply, frame: appendFrame(nil, opText, payload)})
}

// waiting is how many bytes wait for the client.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

// pushPing queues a ping unless one waits already.
func (q *queue) pushPing() {
	q.mu.Lock()
	defer q.unlock()
	if !q.pinging {
		q.pinging = true
		q.pushControl(&message{kind: kindPing, frame: appendFrame(nil, opPing, nil)})
	}
}

// maxPongs is how many pongs wait for a client.
const maxPongs = 16

// pushPong answers a ping. Where many answers wait, the last is for the latest
// ping in place of the one it was for (RFC 6455, section 5.5.3), so that a client
// that floods does not fill its queue.
func (q *queue) pushPong(payload []byte) {
	frame := appendFrame(nil, opPong, payload)
	q.mu.Lock()
	defer q.unlock()
	if q.pong != nil && q.pongs == maxPongs {
		q.bytes += len(frame) - len(q.pong.frame)
		q.pong.frame = frame
		q.makeRoom(0, q.bound+q.oversized)
		q.closeIfOver()
		return
	}
	if q.closing {
		return
	}
	q.pong = &message{kind: kindPong, frame: frame}
	q.pongs++
	q.pushControl(q.pong)
}

func (q *queue) pushControl(msg *message) {
	if q.closing {
		return
	}
	q.makeRoom(len(msg.frame), q.bound+q.oversized)
	q.append(entry{msg: msg})
	q.closeIfOver()
}

func (q *queue) append(e entry) {
	size := e.msg.size()
	if size > q.bound && !e.replayed {
		q.oversized = size // it was let in because nothing else waits
	}
	q.ring.push(e)
	q.bytes += size
	q.wake()
}

// wake has a writer look at the queue.
func (q *queue) wake() {
	switch {
	case q.carriage == nil:
		if q.ready != nil {
			q.ready.Signal()
		}
	case !q.scheduled:
		q.scheduled = true
		q.carriage.schedule()
	}
}

func (q *queue) empty() bool { return len(q.front) == 0 && q.ring.n == 0 }

// makeRoom reports whether size more bytes fit the limit, having dropped the
// oldest records until they do where the policy is to.
func (q *queue) makeRoom(size, limit int) bool {
	for q.live() > 0 && q.live()+size > limit {
		if q.policy != SlowDropOldest || q.ring.n == 0 {
			return false
		}
		e := q.ring.pop()
		if e.msg.kind == kindRecord && !e.replayed {
			q.release(e.msg.size())
			q.drop(e.msg, e.member)
			continue
		}
		// What is replayed has a bound of its own: without it nothing is gained.
		q.front = append(q.front, e)
		if e.msg.kind == kindReply || e.replayed {
			// A notice must not speak, before an acknowledgement or a record, of
			// records that came after it.
			q.epoch++
		}
	}
	return true
}

// release takes n bytes out of the account.
func (q *queue) release(n int) {
	q.bytes -= n
	if q.live() <= q.bound {
		q.oversized = 0
	}
	if q.live() <= q.bound/2 {
		q.stuck = false
		q.relieve()
	}
	if q.live() < q.bound/4 {
		q.slowTold = false
	}
	q.makeReplayRoom()
}

// relieve ends the pressure on the fan-out.
func (q *queue) relieve() {
	if !q.pressed {
		return
	}
	q.pressed = false
	select {
	case q.relief <- struct{}{}:
	default: // it has yet to look since it was told last
	}
}

// progress tells the pacer whether to wait on, and how far the writer is.
func (q *queue) progress() (pressed bool, writes uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pressed, q.writes
}

// giveUp says that the fan-out no longer waits for this client.
func (q *queue) giveUp() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pressed, q.stuck = false, true
}

// slowNoticeInterval is the least time between two notices that a client is slow.
const slowNoticeInterval = time.Second

// tellSlow tells a client that its queue is more than half full: before what
// waits, since it comes too late behind it. A notice that does not fit is none
// that could help, and must not drop a record or close the client.
func (q *queue) tellSlow(now int64) {
	if q.slowToldAt != 0 && now-q.slowToldAt < int64(slowNoticeInterval) {
		return
	}
	var buf [128]byte
	frame := appendFrame(nil, opText, appendSlowNotice(buf[:0], q.live(), q.bound))
	if q.live()+len(frame) > q.bound {
		return
	}
	q.slowTold, q.slowToldAt = true, now
	q.counters.slowNotices.Add(1)
	q.front = append(q.front, entry{msg: &message{kind: kindReply, frame: frame}})
	q.bytes += len(frame)
	q.wake()
}
