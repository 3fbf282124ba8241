package gateway

import "sync"

const (
	// maxBurstBytes bounds what a writer takes at once: enough to make the
	// system call cheap per frame, little enough that what can no longer be
	// dropped stays small and that thousands of stuck writers hold little memory.
	maxBurstBytes = 16 << 10
	// minBurstsInQueue keeps a burst a small part of a small queue.
	minBurstsInQueue = 4
)

// wait returns after done bytes have been written, when there is something to
// take. It returns false when nothing is left and nothing more will come. It is for a writer that is the queue's own.
func (q *queue) wait(done int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wrote(done)
	for q.empty() {
		if q.closing {
			return false
		}
		if q.ready == nil {
			q.ready = sync.NewCond(&q.mu)
		}
		q.ready.Wait()
	}
	return true
}

// wrote takes what has been written out of the account.
func (q *queue) wrote(done int) {
	q.writes++
	q.replayed -= q.replayedTaken
	q.replayedTaken = 0
	q.release(done)
	q.count()
}

// queueState is what a writer of many finds.
type queueState uint8

const (
	queueIdle queueState = iota // nothing waits, and the queue is scheduled no more
	queueFull                   // something did, and was taken
	queueOver                   // nothing waits, and nothing more will come
)

// takeTurn takes a burst, if anything waits.
func (q *queue) takeTurn(b *burst) queueState {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case !q.empty():
		q.takeLocked(b)
		return queueFull
	case q.closing:
		return queueOver
	}
	q.scheduled = false
	return queueIdle
}

// endTurn returns after a burst of so many bytes has been written, and reports whether the writer is to come again.
// Until it does, if it is, the queue stays scheduled.
func (q *queue) endTurn(done int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wrote(done)
	q.scheduled = !q.empty() || q.closing
	return q.scheduled
}

// take moves the next frames into b: as many as fit a burst, and one at least
// if there is one.
func (q *queue) take(b *burst) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.takeLocked(b)
}

func (q *queue) takeLocked(b *burst) {
	limit := min(maxBurstBytes, q.bound/minBurstsInQueue)
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

// takeOne adds the entry to the burst if it fits.
func (q *queue) takeOne(b *burst, e entry, limit int) bool {
	size := e.msg.size()
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
		if e.msg.batch != nil {
			b.unbuilt = append(b.unbuilt, unbuiltFrame{len(b.frames), e.msg})
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
