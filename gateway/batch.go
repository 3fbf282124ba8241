package gateway

// batch is what a writer has taken from a queue.
type batch struct {
	frames  [][]byte
	bytes   int // as the queue counts them
	records int
	buf     []byte // for joining frames
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

func (b *batch) reset() {
	clear(b.frames)
	b.frames, b.bytes, b.records = b.frames[:0], 0, 0
}
