package gateway

import "time"

// batch is what a writer has taken from a queue.
type batch struct {
	frames  [][]byte
	bytes   int // as the queue counts them
	records int
	// replayed are the records that the client had missed. How old they are says nothing of the gateway.
	replayed int
	kafkaAt  int64 // of the first record that tells, ns since the epoch; 0 for none
	traces   []*recordTrace
	buf      []byte // for joining frames
}

// join returns the batch's bytes: a frame that is alone as it is, several
// copied together. Copying is cheaper than a vector of hundreds of small pieces.
func (b *batch) join() []byte {
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
func (b *batch) note(msg *message) {
	b.records += msg.count()
	if msg.parts != nil {
		for _, r := range msg.parts.records {
			b.noteOne(r)
		}
		return
	}
	b.noteOne(msg)
}

func (b *batch) noteReplayed(msg *message) {
	b.records += msg.count()
	b.replayed += msg.count()
}

func (b *batch) noteOne(msg *message) {
	if b.kafkaAt == 0 {
		b.kafkaAt = msg.kafkaAt
	}
	if msg.trace != nil {
		b.traces = append(b.traces, msg.trace)
	}
}

// written tells of the records' write, which has just ended.
func (b *batch) written(latency *latencies) {
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

func (b *batch) reset() {
	clear(b.frames)
	clear(b.traces)
	b.traces, b.kafkaAt = b.traces[:0], 0
	b.frames, b.bytes, b.records, b.replayed = b.frames[:0], 0, 0, 0
}
