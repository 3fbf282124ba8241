package gateway

// replayBytes is how much of what a client missed waits for it at a time, or a
// quarter of its queue if that is less.
const replayBytes = 64 << 10

// pushReplayed queues records that the client has missed, as many as fit the
// bound that is theirs, and one at least if none waits, however large. It reports
// how many. Where it was not all, room tells when to go on.
//
// They do not count for the queue's own bound, so that a client is never slow for
// a replay's sake; and they wait while half of that is full, so that a replay
// does not add to what such a client has to take.
func (q *queue) pushReplayed(found []replayed) (n int, open bool) {
	q.mu.Lock()
	defer q.unlock()
	if q.closing {
		return 0, false
	}
	for _, f := range found {
		if !q.fitsReplayed(len(f.msg.frame)) {
			q.wantsRoom = true
			break
		}
		q.replayed += len(f.msg.frame)
		q.append(entry{msg: f.msg, member: f.member, replayed: true})
		n++
	}
	return n, true
}

func (q *queue) fitsReplayed(size int) bool {
	switch {
	case q.bytes == 0:
		return true
	case q.live() > q.bound/2:
		return false
	case q.total.exceededBy(int64(q.bytes-q.counted) + int64(size)):
		return false // as long as that is so, one comes after the other
	}
	return q.replayed == 0 || q.replayed+size <= q.replayBound()
}

func (q *queue) replayBound() int { return min(replayBytes, q.bound/4) }

// live is what waits but for replayed records.
func (q *queue) live() int { return q.bytes - q.replayed }

// makeReplayRoom tells the replay that waits, if there is room or no more need.
func (q *queue) makeReplayRoom() {
	if !q.wantsRoom || !q.closing && (q.replayed > q.replayBound()/2 || !q.fitsReplayed(0)) {
		return
	}
	q.wantsRoom = false
	select {
	case q.room <- struct{}{}:
	default: // it has yet to look since it was told last
	}
}

// exceededBy reports whether size more bytes would be more than all queues may
// hold. It may be called on nil, where there is no limit.
func (t *queueTotal) exceededBy(size int64) bool { return t != nil && t.bytes.Load()+size > t.limit }

// pushPositions queues the message if there is plenty of room: positions can
// wait, and must not make a client slow.
func (q *queue) pushPositions(payload []byte) bool {
	q.mu.Lock()
	defer q.unlock()
	if q.closing || q.live()+len(payload) > q.bound/2 {
		return false
	}
	q.pushControl(&message{kind: kindReply, frame: appendFrame(nil, opText, payload)})
	return true
}

// roomFor makes the queue one that replays can wait for.
func (q *queue) roomFor() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.room = make(chan struct{}, 1)
}
