package loadgen

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// WebSocket opcodes (RFC 6455, section 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

// maxFrame bounds a message that a client puts together, so that a mad target can't fill the generator's memory.
const maxFrame = 32 << 20

var errFrame = errors.New("the target broke the WebSocket protocol")

// frameReader cuts the bytes that a server sends into messages. It keeps only what is left of an unfinished frame
// between reads, so that an idle connection costs two words. Messages that lie whole in the bytes read are handed on
// without a copy.
type frameReader struct {
	unfinished *unfinished // nil where nothing is
	opcode     byte        // of the fragmented message; 0 for none
	// deflate tells that messages may be compressed; compressed that the fragmented one is.
	deflate, compressed bool
}

// unfinished is what a read left: bytes of one frame, and payloads of a fragmented message.
type unfinished struct{ rest, message []byte }

// frame is one whole message or control frame. Its payload is valid until who it is handed to returns.
type frame struct {
	opcode     byte
	compressed bool // by permessage-deflate, which the reader leaves alone
	payload    []byte
}

// The reserved bits of a frame's first byte. The first says that a message is compressed (RFC 7692, section 6).
const (
	reservedBits  = 0x70
	compressedBit = 0x40
)

// feed takes the bytes of one read and calls each for every message that they complete. last tells that the message ends
// where the bytes do: only then is the read's time its own. What is unfinished is kept in memory from stock. The reader is
// dead after an error.
func (r *frameReader) feed(p []byte, stock *leftovers, each func(f frame, last bool) error) error {
	p, err := r.complete(p, stock, each)
	if err != nil {
		return err
	}
	at := 0
	for {
		f, fin, size, err := parseFrame(p[at:], r.deflate)
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		at += size
		if err := r.hand(f, fin, at == len(p), stock, each); err != nil {
			return err
		}
	}
	r.keep(p[at:], stock)
	return nil
}

// hand passes on what a frame completes.
func (r *frameReader) hand(f frame, fin, last bool, stock *leftovers, each func(f frame, last bool) error) error {
	whole, ok, err := r.assemble(f, fin, stock)
	if err != nil || !ok {
		return err
	}
	return each(whole, last)
}

// complete takes from p what the unfinished frame still lacks, and returns what stands behind it.
func (r *frameReader) complete(p []byte, stock *leftovers, each func(f frame, last bool) error) (left []byte, err error) {
	u := r.unfinished
	for u != nil && len(u.rest) > 0 && len(p) > 0 {
		whole := frameLength(u.rest)
		n := min(whole-len(u.rest), len(p))
		u.rest = append(withRoom(u.rest, n, whole), p[:n]...)
		p = p[n:]
		f, fin, size, err := parseFrame(u.rest, r.deflate)
		if err != nil {
			return nil, err
		}
		if size == 0 {
			continue
		}
		u.rest = u.rest[:0] // its bytes stand until something is put there
		if err := r.hand(f, fin, len(p) == 0, stock, each); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// keep stores what is left of an unfinished frame, or gives back what nothing stands in any more.
func (r *frameReader) keep(left []byte, stock *leftovers) {
	if len(left) > 0 {
		u := r.open(stock)
		u.rest = append(withRoom(u.rest, len(left), frameLength(left)), left...)
	}
	if u := r.unfinished; u != nil && len(u.rest) == 0 && r.opcode == 0 {
		stock.put(u)
		r.unfinished = nil
	}
}

// open returns what is unfinished, to be added to.
func (r *frameReader) open(stock *leftovers) *unfinished {
	if r.unfinished == nil {
		r.unfinished = stock.get()
	}
	return r.unfinished
}

// assemble joins fragments. ok is false while a message is unfinished.
func (r *frameReader) assemble(f frame, fin bool, stock *leftovers) (whole frame, ok bool, err error) {
	switch {
	case f.compressed && (f.opcode >= opClose || f.opcode == opContinuation):
		return frame{}, false, fmt.Errorf("%w: a frame that is not a message's first says that it is compressed", errFrame)
	case f.opcode >= opClose:
		if !fin || len(f.payload) > 125 {
			return frame{}, false, fmt.Errorf("%w: a control frame is fragmented or longer than 125 bytes", errFrame)
		}
		return f, true, nil
	case f.opcode == opContinuation && r.opcode == 0:
		return frame{}, false, fmt.Errorf("%w: a continuation of nothing", errFrame)
	case f.opcode != opContinuation && r.opcode != 0:
		return frame{}, false, fmt.Errorf("%w: a new message inside a fragmented one", errFrame)
	case f.opcode != opContinuation && fin:
		return f, true, nil
	}
	if f.opcode != opContinuation {
		r.opcode, r.compressed = f.opcode, f.compressed
		u := r.open(stock)
		u.message = u.message[:0]
	}
	u := r.unfinished
	if len(u.message)+len(f.payload) > maxFrame {
		return frame{}, false, fmt.Errorf("%w: a message of more than %d bytes", errFrame, maxFrame)
	}
	u.message = append(u.message, f.payload...)
	if !fin {
		return frame{}, false, nil
	}
	whole = frame{r.opcode, r.compressed, u.message}
	r.opcode = 0
	return whole, true, nil
}

// parseFrame reads the frame at the beginning of data. size is 0 where it is not there to its end yet.
func parseFrame(data []byte, deflate bool) (f frame, fin bool, size int, err error) {
	if len(data) < 2 {
		return frame{}, false, 0, nil
	}
	f.compressed = deflate && data[0]&compressedBit != 0
	if reserved := data[0] & reservedBits; reserved != 0 && (!f.compressed || reserved != compressedBit) {
		return frame{}, false, 0, fmt.Errorf("%w: reserved bits are set and no extension was agreed", errFrame)
	}
	if data[1]&0x80 != 0 {
		return frame{}, false, 0, fmt.Errorf("%w: a server's frame is masked", errFrame)
	}
	f.opcode = data[0] & 0x0f
	if f.opcode > opBinary && f.opcode < opClose || f.opcode > opPong {
		return frame{}, false, 0, fmt.Errorf("%w: unknown opcode %#x", errFrame, f.opcode)
	}
	head, length := frameHead(data)
	if length > maxFrame {
		return frame{}, false, 0, fmt.Errorf("%w: a frame of %d bytes", errFrame, length)
	}
	size = head + int(length)
	if len(data) < size {
		return frame{}, false, 0, nil
	}
	f.payload = data[head:size:size]
	return f, data[0]&0x80 != 0, size, nil
}

// frameHead is how long the header of a frame and the payload behind it are, which two bytes or more begin; the payload 0
// where not all of the header is there. A server's frame has no mask.
func frameHead(data []byte) (head int, length uint64) {
	switch length = uint64(data[1] & 0x7f); {
	case length == 126 && len(data) < 4:
		return 4, 0
	case length == 126:
		return 4, uint64(binary.BigEndian.Uint16(data[2:]))
	case length == 127 && len(data) < 10:
		return 10, 0
	case length == 127:
		return 10, binary.BigEndian.Uint64(data[2:])
	}
	return 2, length
}

// appendClientFrame appends a final, masked frame as a client sends it. The mask is fixed: it protects intermediaries
// from hostile scripts, and there are neither here.
func appendClientFrame(dst []byte, opcode byte, payload []byte) []byte {
	mask := [4]byte{0x77, 0x65, 0x69, 0x72}
	dst = append(dst, 0x80|opcode)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n <= 0xffff:
		dst = append(dst, 0x80|126, byte(n>>8), byte(n))
	default:
		dst = append(dst, 0x80|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	dst = append(dst, mask[:]...)
	for i, b := range payload {
		dst = append(dst, b^mask[i&3])
	}
	return dst
}
