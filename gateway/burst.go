package gateway

import "time"

// burst is what a writer has taken from a queue.
type burst struct {
	frames  [][]byte
	unbuilt []unbuiltFrame // places in frames that are empty yet
	bytes   int            // as the queue counts them
	records int
	// replayed are the records that the client had missed. How old they are says nothing of the gateway.
	replayed int
	kafkaAt  int64 // of the first record that tells, ns since the epoch; 0 for none
	traces   []*recordTrace
	buf      []byte // for joining frames

	// Of writers that do not wait for the socket.
	rest     []byte // not written yet
	farewell bool   // it is the close frame
}

// unbuiltFrame is the place of a batch's frame.
type unbuiltFrame struct {
	at  int // in frames
	msg *message
}

// build builds the frames that are yet to be. No lock may be held.
func (b *burst) build(deflaters deflaters) {
	for _, u := range b.unbuilt {
		if u.msg.deflates {
			b.frames[u.at] = u.msg.batch.compressed(deflaters)
		} else {
			b.frames[u.at] = u.msg.batch.plain()
		}
	}
}

// join returns the burst's bytes: a frame that is alone as it is, several
// copied together. Copying is cheaper than a vector of hundreds of small pieces.
func (b *burst) join() []byte {
	if len(b.frames) == 1 {
		return b.frames[0]
	}
	b.buf = b.buf[:0]
	for _, f := range b.frames {
		b.buf = append(b.buf, f...)
	}
	return b.buf
}

// note keeps what is wanted of a message's records once they are written.
func (b *burst) note(msg *message) {
	b.records += msg.count()
	if msg.parts != nil {
		for _, r := range msg.parts.records {
			b.noteOne(r)
		}
		return
	}
	b.noteOne(msg)
}

func (b *burst) noteReplayed(msg *message) {
	b.records += msg.count()
	b.replayed += msg.count()
}

func (b *burst) noteOne(msg *message) {
	if b.kafkaAt == 0 {
		b.kafkaAt = msg.kafkaAt
	}
	if msg.trace != nil {
		b.traces = append(b.traces, msg.trace)
	}
}

// written tells of the records' write, which has just ended.
func (b *burst) written(latency *latencies) {
	if b.kafkaAt == 0 && len(b.traces) == 0 {
		return
	}
	now := time.Now().UnixNano()
	if b.kafkaAt != 0 {
		latency.observe(max(0, time.Duration(now-b.kafkaAt))) // clocks of two machines may differ
	}
	for _, t := range b.traces {
		t.wrote(now)
	}
}

func (b *burst) reset() {
	clear(b.frames)
	clear(b.unbuilt)
	b.unbuilt = b.unbuilt[:0]
	clear(b.traces)
	b.traces, b.kafkaAt = b.traces[:0], 0
	b.rest, b.farewell = nil, false
	b.frames, b.bytes, b.records, b.replayed = b.frames[:0], 0, 0, 0
}
