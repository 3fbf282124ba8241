package gateway

// pushReplayed queues records that the client has missed, as many as fit the
// part of the queue that is theirs, and reports how many. Where it was not all,
// room tells when to go on. They never fill the queue, so that a client is not
// slow for a replay's sake.
func (q *queue) pushReplayed(found []replayed) (n int, open bool) {
	q.mu.Lock()
	defer q.unlock()
	if q.closing {
		return 0, false
	}
	for _, f := range found {
		if q.bytes > 0 && q.bytes+len(f.msg.frame) > q.replayBound() {
			q.wantsRoom = true
			break
		}
		q.append(entry{f.msg, f.member})
		n++
	}
	return n, true
}

func (q *queue) replayBound() int { return min(replayBytes, q.bound/4) }

// makeReplayRoom tells the replay that waits, if there is room or no more need.
func (q *queue) makeReplayRoom() {
	if !q.wantsRoom || q.bytes > q.replayBound()/2 && !q.closing {
		return
	}
	q.wantsRoom = false
	select {
	case q.room <- struct{}{}:
	default: // it has yet to look since it was told last
	}
}

// pushPositions queues the message if there is plenty of room: positions can
// wait, and must not make a client slow.
func (q *queue) pushPositions(payload []byte) bool {
	q.mu.Lock()
	defer q.unlock()
	if q.closing || q.bytes+len(payload) > q.bound/2 {
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
