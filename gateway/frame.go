package gateway

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"unicode/utf8"
)

// opcode is a WebSocket frame's type (RFC 6455, section 5.2).
type opcode byte

const (
	opContinuation opcode = 0x0
	opText         opcode = 0x1
	opBinary       opcode = 0x2
	opClose        opcode = 0x8
	opPing         opcode = 0x9
	opPong         opcode = 0xA
)

const (
	finBit  = 0x80
	maskBit = 0x80
	// maxControlPayload is the longest payload of a control frame (RFC 6455,
	// section 5.5).
	maxControlPayload = 125
)

// appendFrame appends an unmasked, unfragmented frame, as a server sends it.
func appendFrame(b []byte, op opcode, payload []byte) []byte {
	return append(appendFrameHeader(b, op, len(payload)), payload...)
}

func appendFrameHeader(b []byte, op opcode, payloadLen int) []byte {
	b = append(b, finBit|byte(op))
	switch {
	case payloadLen <= 125:
		return append(b, byte(payloadLen))
	case payloadLen <= 0xFFFF:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(payloadLen))
	default:
		return binary.BigEndian.AppendUint64(append(b, 127), uint64(payloadLen))
	}
}

func frameHeaderLen(payloadLen int) int {
	switch {
	case payloadLen <= 125:
		return 2
	case payloadLen <= 0xFFFF:
		return 4
	default:
		return 10
	}
}

// closeFrame is a close frame with the code and its reason.
func closeFrame(code CloseCode) []byte {
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	return appendFrame(nil, opClose, append(payload, code.Reason()...))
}

// record is a Kafka record on its way to the hub, and what a record message
// says of it.
type record struct {
	partition  int32
	offset     int64
	key        []byte // nil where the record has none
	value      []byte
	receivedAt int64        // ns since the epoch: when the gateway had the fetch
	queuedAt   int64        // ns since the epoch: when the frame was built
	kafkaAt    int64        // ns since the epoch: its timestamp in Kafka; not told
	trace      *recordTrace // nil where it is not followed
	behind     bool         // many later ones of its partition wait in Kafka; not told
}

// recordEncoder builds the frames of record messages. It is not for concurrent
// use.
type recordEncoder struct {
	scratch []byte
}

// recordHeader is the constant beginning of a topic's record messages.
func recordHeader(topic string) []byte {
	b := appendJSONString([]byte(`{"type":"message","topic":`), topic)
	return append(b, `,"partition":`...)
}

// encode returns the frame of one record message: a line of JSON, a newline and
// the value as it is. It allocates the frame and nothing else.
func (e *recordEncoder) encode(header []byte, r *record) []byte {
	h := e.scratch[:0]
	h = append(h, header...)
	h = strconv.AppendInt(h, int64(r.partition), 10)
	h = append(h, `,"offset":`...)
	h = strconv.AppendInt(h, r.offset, 10)
	switch {
	case r.key == nil:
	case utf8.Valid(r.key):
		h = appendJSONString(append(h, `,"key":`...), r.key)
	default:
		h = base64.StdEncoding.AppendEncode(append(h, `,"key_base64":"`...), r.key)
		h = append(h, '"')
	}
	h = append(h, `,"received_at_ns":`...)
	h = strconv.AppendInt(h, r.receivedAt, 10)
	h = append(h, `,"queued_at_ns":`...)
	h = strconv.AppendInt(h, r.queuedAt, 10)
	h = append(h, '}', '\n')
	e.scratch = h

	op := opBinary
	if utf8.Valid(r.value) {
		op = opText
	}
	n := len(h) + len(r.value)
	frame := make([]byte, 0, frameHeaderLen(n)+n)
	frame = appendFrameHeader(frame, op, n)
	frame = append(frame, h...)
	return append(frame, r.value...)
}

// appendJSONString appends s, which is UTF-8, as a JSON string. Only what RFC
// 8259 says must be escaped is escaped.
func appendJSONString[S string | []byte](b []byte, s S) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	plain := 0 // s[plain:i] needs no escape and is not yet appended
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[plain:i]...)
		plain = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xF])
		}
	}
	return append(append(b, s[plain:]...), '"')
}
