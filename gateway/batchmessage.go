package gateway

import (
	"bytes"
	"strconv"
)

// batchEncoder builds the frames of batches. It is not for concurrent use.
type batchEncoder struct {
	head, body []byte
}

// message joins the records in one, whose queued_at_ns is now. A record that is
// alone is a message of its own.
func (e *batchEncoder) message(p *parts, now int64) *message {
	first := p.records[0]
	msg := &message{partition: first.partition, offset: first.offset, queuedAt: now, kafkaAt: first.kafkaAt}
	alone := len(p.records) == 1
	head := e.head[:0]
	if !alone {
		msg.parts = p
		head = strconv.AppendInt(append(head, `{"type":"batch","count":`...), int64(len(p.records)), 10)
		head = append(head, `,"sizes":[`...)
	}
	body, op := e.body[:0], opText
	for i, r := range p.records {
		if opcode(r.frame[0]&0x0F) == opBinary {
			op = opBinary
		}
		before := len(body)
		body = appendQueuedNow(body, r.frame[sentHeaderLen(r.frame):], now)
		r.trace.queued(now)
		if alone {
			break
		}
		if i > 0 {
			head = append(head, ',')
		}
		head = strconv.AppendInt(head, int64(len(body)-before), 10)
	}
	if alone {
		msg.trace = first.trace
	} else {
		head = append(head, "]}\n"...)
	}
	e.head, e.body = head, body
	n := len(head) + len(body)
	frame := appendFrameHeader(make([]byte, 0, frameHeaderLen(n)+n), op, n)
	msg.frame = append(append(frame, head...), body...)
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
