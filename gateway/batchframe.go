package gateway

import (
	"bytes"
	"strconv"
	"sync"
)

// batchFrame is the frame of records that go to clients together. How long it is, is known from the beginning; it is
// built by the first writer that takes it, and compressed by the first that takes it so, since neither may be waited for
// by whoever holds the hub or a queue. All who get it share it.
type batchFrame struct {
	records  []*message
	queuedAt int64 // ns since the epoch
	payload  int   // bytes, not compressed
	size     int   // of the frame, header included, not compressed

	plainOnce, deflatedOnce sync.Once
	plainFrame, deflated    []byte
}

const (
	batchHead     = `{"type":"batch","count":`
	batchSizes    = `,"sizes":[`
	batchHeadEnd  = "]}\n"
	batchHeadRest = len(batchHead) + len(batchSizes) + len(batchHeadEnd)
)

func newBatchFrame(records []*message, now int64) *batchFrame {
	f := &batchFrame{records: records, queuedAt: now}
	f.payload = f.payloadLen()
	f.size = frameHeaderLen(f.payload) + f.payload
	return f
}

// payloadLen is the length of the frame's payload. A record that is alone is a message of its own.
func (f *batchFrame) payloadLen() int {
	if len(f.records) == 1 {
		return f.recordLen(f.records[0])
	}
	commas := len(f.records) - 1
	n := batchHeadRest + decimalLen(int64(len(f.records))) + commas
	for _, r := range f.records {
		size := f.recordLen(r)
		n += decimalLen(int64(size)) + size
	}
	return n
}

// recordLen is the length of a record's message with another queued_at_ns.
func (f *batchFrame) recordLen(r *message) int {
	return len(r.frame) - sentHeaderLen(r.frame) - decimalLen(r.queuedAt) + decimalLen(f.queuedAt)
}

// decimalLen is how many digits a number that is not negative has.
func decimalLen(n int64) int {
	digits := 1
	for ; n >= 10; n /= 10 {
		digits++
	}
	return digits
}

// append builds the frame.
func (f *batchFrame) append(b []byte) []byte {
	op := opText
	for _, r := range f.records {
		if opcode(r.frame[0]&0x0F) == opBinary {
			op = opBinary
		}
	}
	b = appendFrameHeader(b, op, f.payload)
	if len(f.records) > 1 {
		b = strconv.AppendInt(append(b, batchHead...), int64(len(f.records)), 10)
		b = append(b, batchSizes...)
		for i, r := range f.records {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(f.recordLen(r)), 10)
		}
		b = append(b, batchHeadEnd...)
	}
	for _, r := range f.records {
		b = appendQueuedNow(b, r.frame[sentHeaderLen(r.frame):], f.queuedAt)
	}
	return b
}

// plain is the frame as it is.
func (f *batchFrame) plain() []byte {
	f.plainOnce.Do(func() { f.plainFrame = f.append(make([]byte, 0, f.size)) })
	return f.plainFrame
}

// compressed is the frame compressed, or as it is where that does not pay.
func (f *batchFrame) compressed(deflaters deflaters) []byte {
	f.deflatedOnce.Do(func() {
		d := <-deflaters
		defer func() { deflaters <- d }()
		d.batch = f.append(d.batch[:0])
		f.deflated = d.frame(opcode(d.batch[0]&0x0F), d.batch[sentHeaderLen(d.batch):])
	})
	if len(f.deflated) >= f.size {
		return f.plain()
	}
	return f.deflated
}

// message is what goes into the queues of those who get the records.
func (p *parts) message(now int64) *message {
	first := p.records[0]
	msg := &message{
		batch: newBatchFrame(p.records, now), partition: first.partition, offset: first.offset, queuedAt: now, kafkaAt: first.kafkaAt,
	}
	for _, r := range p.records {
		r.trace.queued(now)
	}
	if len(p.records) == 1 {
		msg.trace = first.trace
	} else {
		msg.parts = p
	}
	return msg
}

// appendQueuedNow appends a record message with another queued_at_ns, which is
// the last field of its header.
func appendQueuedNow(b, payload []byte, now int64) []byte {
	end := bytes.IndexByte(payload, '\n') - len("}")
	value := bytes.LastIndexByte(payload[:end], ':') + 1
	b = append(b, payload[:value]...)
	b = strconv.AppendInt(b, now, 10)
	return append(b, payload[end:]...)
}

// count is how many records the message has: 1 for what is none.
func (m *message) count() int {
	if m.parts == nil {
		return 1
	}
	return len(m.parts.records)
}
