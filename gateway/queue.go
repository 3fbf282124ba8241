package gateway

import (
	"fmt"
	"sync"
	"time"
)

const (
	// maxBatchBytes bounds what a writer takes at once: enough to make the
	// system call cheap per frame, little enough that what can no longer be
	// dropped stays small and that thousands of stuck writers hold little memory.
	maxBatchBytes = 16 << 10
	// minBatchesInQueue keeps a batch a small part of a small queue.
	minBatchesInQueue = 4
)

// message is a frame on its way to clients. That of a record is shared by all
// who receive it and never changes; so is a batch of records. A nil notice and a
// zero kind is a record, or, with parts, a batch.
type message struct {
	frame     []byte
	kind      messageKind
	partition int32 // of a record
	offset    int64 // of a record
	queuedAt  int64 // of a record, ns since the epoch
	kafkaAt   int64 // of a record, ns since the epoch; 0 where it is not known
	trace     *recordTrace
	drops     *dropRun
	parts     *parts   // of a batch, which has the partition and offset of its first record
	deflated  *message // the same record, compressed, or itself where that does not pay; nil while nobody needed it
}

type messageKind uint8

const (
	kindRecord messageKind = iota
	kindReply              // hello, acknowledgements, answers, errors, other notices
	kindPing
	kindPong
	kindDrops // a notice of dropped records, built when it is taken
)

// dropRun is a notice of dropped records that still grows. Its place in the
// queue is where the records were.
type dropRun struct {
	notice
	epoch     uint64 // the queue's when it was begun
	taken     bool   // by the writer; it grows no more
	sizeBytes int    // what the queue counts for it: its frame at most
}

// entry is a place in a queue.
type entry struct {
	msg    *message
	member *member // the subscription by which a record came; nil for others
	// replayed: a record that the client had missed. It has a bound of its own, and its age is no latency.
	replayed bool
}

// queue is what waits for one client, and the bound of it. Everything that is
// sent passes through it, so that the order is one and the writer is alone.
//
// The bound counts frames, those that the writer has taken and not yet written
// included, and those of a replay not: they have a bound of their own. Records may be dropped, by the policy; replies and notices may not,
// and a client for which they alone exceed the bound is closed as slow. A frame
// is always admitted to an empty queue, however large.
type queue struct {
	bound    int
	policy   SlowPolicy
	counters *counters

	mu    sync.Mutex
	ready sync.Cond // there is something to write, or the queue closes
	// front holds what precedes the ring and may not be dropped: replies and
	// notices that were passed when records behind them were dropped. Keeping
	// them apart makes the oldest record the ring's first, however many drops
	// there are.
	front     []entry
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
	q.ready.L = &q.mu
}

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
	case q.makeRoom(len(msg.frame), q.total.bound(q.bound, len(msg.frame))):
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
	q.ready.Signal()
}

// beginPublish counts a publication in flight. It is refused where most are
// already or the gateway shuts down, and not admitted where the client would no
// longer get an answer.
func (q *queue) beginPublish(most int) (admitted bool, refused *requestError) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closing:
		return false, nil
	case q.draining:
		return false, errShuttingDown
	case q.inFlight >= most:
		return false, &requestError{ErrorTooManyInFlight, fmt.Sprintf("%d messages wait for their answers already", q.inFlight)}
	}
	q.inFlight++
	return true, nil
}

// endPublish queues the answer.
func (q *queue) endPublish(answer []byte) {
	q.mu.Lock()
	defer q.unlock()
	q.inFlight--
	q.pushControl(&message{kind: kindReply, frame: appendFrame(nil, opText, answer)})
	q.closeIfDrained()
}

// drain closes the queue, what waits being written first, as soon as no
// publication is in flight.
func (q *queue) drain() {
	q.mu.Lock()
	defer q.unlock()
	q.draining = true
	q.closeIfDrained()
}

func (q *queue) closeIfDrained() {
	if q.draining && q.inFlight == 0 {
		q.closeLocked(CloseServiceRestart, closeFrame(CloseServiceRestart), true)
	}
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
	size := len(e.msg.frame)
	if size > q.bound && !e.replayed {
		q.oversized = size // it was let in because nothing else waits
	}
	q.ring.push(e)
	q.bytes += size
	q.ready.Signal()
}

// makeRoom reports whether size more bytes fit the limit, having dropped the
// oldest records until they do where the policy is to.
func (q *queue) makeRoom(size, limit int) bool {
	for q.live() > 0 && q.live()+size > limit {
		if q.policy != SlowDropOldest || q.ring.n == 0 {
			return false
		}
		e := q.ring.pop()
		if e.msg.kind == kindRecord {
			if e.replayed {
				q.replayed -= len(e.msg.frame)
			}
			q.release(len(e.msg.frame))
			q.drop(e.msg, e.member)
			continue
		}
		q.front = append(q.front, e)
		if e.msg.kind == kindReply {
			// A notice must not speak, before an acknowledgement, of records
			// that came after it.
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

// drop notes that a record or a batch, which all in front precedes and which
// nothing that is still droppable precedes, is not delivered.
func (q *queue) drop(msg *message, m *member) {
	q.counters.dropped.Add(int64(msg.count()))
	if msg.parts == nil {
		q.noteDrop(msg, m)
		return
	}
	for i, r := range msg.parts.records {
		q.noteDrop(r, msg.parts.member(i, m))
	}
}

func (q *queue) noteDrop(msg *message, m *member) {
	if run := m.run(msg.partition); run != nil && run.epoch == q.epoch && !run.taken {
		run.lastOffset = msg.offset
		run.count++
		return
	}
	run := &dropRun{
		notice: notice{
			kind: noticeDropped, channel: m.channel, partition: msg.partition,
			firstOffset: msg.offset, lastOffset: msg.offset, count: 1,
		},
		epoch: q.epoch,
		// The numbers may grow, and what is counted must not.
		sizeBytes: m.channel.noticeBytes,
	}
	m.setRun(msg.partition, run)
	q.front = append(q.front, entry{msg: &message{kind: kindDrops, drops: run}})
	q.bytes += run.sizeBytes
	q.ready.Signal()
}

// closeIfOver closes a client as slow for which too much waits that may not be
// dropped.
func (q *queue) closeIfOver() {
	if q.live() > q.bound+q.oversized {
		q.closeSlow()
	}
}

func (q *queue) closeSlow() {
	q.closeLocked(CloseSlowClient, closeFrame(CloseSlowClient), false)
}

// wait returns after done bytes have been written, when there is something to
// take. It returns false when nothing is left and nothing more will come.
func (q *queue) wait(done int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writes++
	q.replayed -= q.replayedTaken
	q.replayedTaken = 0
	q.release(done)
	q.count()
	for len(q.front) == 0 && q.ring.n == 0 {
		if q.closing {
			return false
		}
		q.ready.Wait()
	}
	return true
}

// take moves the next frames into b: as many as fit a batch, and one at least
// if there is one.
func (q *queue) take(b *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	limit := min(maxBatchBytes, q.bound/minBatchesInQueue)
	taken := 0
	for _, e := range q.front {
		if !q.takeOne(b, e, limit) {
			break
		}
		taken++
	}
	q.front = append(q.front[:0], q.front[taken:]...)
	if len(q.front) > 0 {
		return
	}
	q.front = nil
	for q.ring.n > 0 && q.takeOne(b, *q.ring.at(0), limit) {
		q.ring.pop()
	}
	q.ring.release()
}

// takeOne adds the entry to the batch if it fits.
func (q *queue) takeOne(b *batch, e entry, limit int) bool {
	size := len(e.msg.frame)
	if e.msg.kind == kindDrops {
		size = e.msg.drops.sizeBytes
	}
	if len(b.frames) > 0 && b.bytes+size > limit {
		return false
	}
	frame := e.msg.frame
	switch e.msg.kind {
	case kindRecord:
		if e.replayed {
			q.replayedTaken += size
			b.noteReplayed(e.msg)
		} else {
			b.note(e.msg)
		}
	case kindPing:
		q.pinging = false
	case kindPong:
		if q.pongs--; q.pongs == 0 {
			q.pong = nil
		}
	case kindDrops:
		e.msg.drops.taken = true
		frame = appendFrame(nil, opText, e.msg.drops.append(nil))
	case kindReply:
	}
	b.frames = append(b.frames, frame)
	b.bytes += size
	return true
}

// close ends the queue with code and the frame that tells the client, if any.
// With flush, what waits is written first; without, it is abandoned. The first
// close counts, except that one without flush cuts short one with.
func (q *queue) close(code CloseCode, frame []byte, flush bool) {
	q.mu.Lock()
	defer q.unlock()
	q.closeLocked(code, frame, flush)
}

func (q *queue) closeLocked(code CloseCode, frame []byte, flush bool) {
	if !q.closing {
		q.closing, q.closeCode, q.closeFrame = true, code, frame
		q.counters.closed(code)
		q.relieve()
		q.makeReplayRoom()
	}
	if !flush {
		q.abandon()
	}
	q.ready.Signal()
}

// abandon forgets what waits. What the writer has taken stays counted.
func (q *queue) abandon() {
	for _, e := range q.front {
		if e.msg.kind == kindDrops {
			q.bytes -= e.msg.drops.sizeBytes
		} else {
			q.bytes -= len(e.msg.frame)
		}
	}
	var records int64
	for q.ring.n > 0 {
		e := q.ring.pop()
		q.bytes -= len(e.msg.frame)
		if e.msg.kind == kindRecord {
			records += int64(e.msg.count())
		}
	}
	q.front, q.ring, q.pong, q.pongs = nil, deque[entry]{}, nil, 0
	q.replayed = q.replayedTaken
	q.counters.abandoned.Add(records)
}

// closed reports how the queue was closed, if it was.
func (q *queue) closed() (code CloseCode, frame []byte, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closeCode, q.closeFrame, q.closing
}
