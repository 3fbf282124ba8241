package gateway

import "fmt"

// How a queue ends: publications have their answers first where it is drained, and what waits is written or abandoned.

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
	q.wake()
}

// abandon forgets what waits. What the writer has taken stays counted.
func (q *queue) abandon() {
	var records int64
	for _, e := range q.front {
		q.bytes -= e.msg.size()
		if e.msg.kind == kindRecord {
			records += int64(e.msg.count())
		}
	}
	for q.ring.n > 0 {
		e := q.ring.pop()
		q.bytes -= e.msg.size()
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
