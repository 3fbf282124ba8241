package gateway

import (
	"encoding/binary"
	"io"
	"sync"
	"unicode/utf8"
)

const (
	// idleBuffer is what a client's reader keeps between messages. Most clients
	// send a subscription and pongs.
	idleBuffer = 512
	// maxFrameHeader is the longest header of a masked frame.
	maxFrameHeader = 14
)

// frameError is a client's breach of RFC 6455, or of a limit. It ends the
// connection.
type frameError struct {
	code    CloseCode
	message string
}

func (e *frameError) Error() string { return e.message }

// frameReader reads a client's messages from src into bounded memory. After an
// error of src, such as a deadline, it goes on where it was. It never writes:
// what is to be answered is the caller's, who sends it through the queue.
type frameReader struct {
	src   io.Reader
	limit int // of one message, in bytes, compressed or not

	buf        []byte // buf[r:w] is read and not yet used; made when it is needed
	r, w       int
	lent       bool   // buf is somebody else's
	own        []byte // kept for an unfinished frame while buf is lent
	inflated   int    // bytes, since it was last set to zero
	fragments  []byte // the message so far, while it comes in fragments
	fragmentOp opcode // opText or opBinary while it does, else 0
	deflated   bool   // the message is compressed

	inflaters *sync.Pool // of *inflater; nil where compression was not negotiated
	rate      *bucket    // of frames
}

func newFrameReader(src io.Reader, limit int) *frameReader {
	return &frameReader{src: src, limit: limit}
}

// next returns the next complete message or control frame. The payload is valid
// until the next call. The error is a *frameError or one of src.
func (f *frameReader) next() (opcode, []byte, error) {
	for {
		h, err := f.header()
		if err != nil {
			return 0, nil, err
		}
		if err := f.fill(h.length + h.payloadLen); err != nil {
			return 0, nil, err
		}
		payload := f.buf[f.r+h.length : f.r+h.length+h.payloadLen]
		f.r += h.length + h.payloadLen
		unmask(payload, h.mask)
		if !f.rate.take(1) {
			return 0, nil, &frameError{CloseTooManyFrames, "more frames than the limit allows"}
		}
		if h.op >= opClose {
			return h.op, payload, nil
		}
		if op, message, err := f.assemble(h, payload); err != nil || op != 0 {
			return op, message, err
		}
	}
}

// assemble adds a data frame to the message it belongs to. It returns opcode 0
// while the message is not complete.
func (f *frameReader) assemble(h frameHeader, payload []byte) (opcode, []byte, error) {
	op, message := h.op, payload
	if f.fragmentOp == 0 {
		f.deflated = h.deflated
	}
	if f.fragmentOp != 0 || !h.fin {
		if f.fragmentOp == 0 {
			f.fragmentOp = h.op
		}
		f.fragments = append(f.fragments, payload...)
		if !h.fin {
			return 0, nil, nil
		}
		op, message = f.fragmentOp, f.fragments
		f.fragmentOp, f.fragments = 0, nil
	}
	if f.deflated {
		in := f.inflaters.Get().(*inflater)
		defer f.inflaters.Put(in)
		var err error
		if message, err = in.inflate(message, f.limit); err != nil {
			return 0, nil, err
		}
		f.inflated += len(message)
	}
	if op == opText && !utf8.Valid(message) {
		return 0, nil, &frameError{CloseInvalidPayload, "text message is not UTF-8"}
	}
	return op, message, nil
}

type frameHeader struct {
	op         opcode
	fin        bool
	deflated   bool // the message that begins here is compressed
	mask       [4]byte
	length     int // of the header itself
	payloadLen int
}

// header reads a frame's header, leaves it in the buffer, and checks it, the
// limit included, before anything of the payload is read.
func (f *frameReader) header() (frameHeader, error) {
	if err := f.fill(2); err != nil {
		return frameHeader{}, err
	}
	b0, b1 := f.buf[f.r], f.buf[f.r+1]
	h := frameHeader{op: opcode(b0 & 0x0F), fin: b0&finBit != 0, deflated: b0&rsv1Bit != 0, length: 6}
	short := b1 &^ maskBit
	if err := f.checkStart(h, b0, b1, short); err != nil {
		return frameHeader{}, err
	}

	switch short {
	case 126:
		h.length += 2
	case 127:
		h.length += 8
	}
	if err := f.fill(h.length); err != nil {
		return frameHeader{}, err
	}
	p := f.buf[f.r+2 : f.r+h.length]
	length := uint64(short)
	switch short {
	case 126:
		length = uint64(binary.BigEndian.Uint16(p))
	case 127:
		length = binary.BigEndian.Uint64(p)
	}
	if (short == 126 && length <= 125) || (short == 127 && (length <= 0xFFFF || length>>63 != 0)) {
		return frameHeader{}, &frameError{CloseProtocolError, "length is not in its shortest form"}
	}
	if h.op < opClose && length > uint64(f.wireLimit(h)-len(f.fragments)) {
		return frameHeader{}, &frameError{CloseTooBig, "message exceeds the limit"}
	}
	copy(h.mask[:], p[len(p)-4:])
	h.payloadLen = int(length)
	return h, nil
}

// wireLimit bounds what comes of the message that the frame belongs to.
func (f *frameReader) wireLimit(h frameHeader) int {
	if h.deflated || f.deflated && f.fragmentOp != 0 {
		return deflatedLimit(f.limit)
	}
	return f.limit
}

// checkStart judges a frame by its first two bytes.
func (f *frameReader) checkStart(h frameHeader, b0, b1, short byte) error {
	var breach string
	switch control := h.op >= opClose; {
	case b0&0x30 != 0, h.deflated && (f.inflaters == nil || h.op != opText && h.op != opBinary):
		breach = "reserved bits are set"
	case b1&maskBit == 0:
		breach = "frame is not masked"
	case control && h.op > opPong, !control && h.op > opBinary:
		breach = "opcode is reserved"
	case control && (!h.fin || short > maxControlPayload):
		breach = "control frame is fragmented or too long"
	case h.op == opContinuation && f.fragmentOp == 0:
		breach = "continuation of nothing"
	case !control && h.op != opContinuation && f.fragmentOp != 0:
		breach = "new message inside a fragmented one"
	default:
		return nil
	}
	return &frameError{CloseProtocolError, breach}
}

// fill reads until n bytes are buffered.
func (f *frameReader) fill(n int) error {
	if f.w-f.r >= n {
		return nil
	}
	f.makeSpace(n)
	for f.w-f.r < n {
		m, err := f.src.Read(f.buf[f.w:])
		f.w += m
		if err != nil && f.w-f.r < n {
			return err
		}
	}
	return nil
}

// makeSpace makes n bytes from r on fit the buffer. A buffer that has grown is
// given back with the message that it was grown for.
func (f *frameReader) makeSpace(n int) {
	if f.r+n <= len(f.buf) && f.r < f.w {
		return
	}
	size := max(n, idleBuffer, f.w-f.r)
	if size == len(f.buf) || f.lent && n <= len(f.buf) {
		copy(f.buf, f.buf[f.r:f.w])
	} else {
		grown := make([]byte, size)
		copy(grown, f.buf[f.r:f.w])
		f.buf, f.own, f.lent = grown, nil, false
	}
	f.r, f.w = 0, f.w-f.r
}

// lend has the reader use space, until keep is called, unless so much waits already that copying it would not pay, or
// the frame that comes does not fit.
func (f *frameReader) lend(space []byte) {
	waiting := f.buf[f.r:f.w]
	if len(waiting) > len(space)/4 || len(f.buf) > len(space) {
		return
	}
	copy(space, waiting)
	f.buf, f.own, f.lent = space, f.buf, true
	f.r, f.w = 0, len(waiting)
}

// keep gives memory that was lent back, and keeps of its own what an incomplete message needs: the same for as long as
// it suffices, so that a client that sends byte by byte does not have memory made for each.
func (f *frameReader) keep() {
	switch {
	case f.r == f.w:
		f.buf = nil
	case f.lent:
		f.buf = append(f.own[:0], f.buf[f.r:f.w]...)
	default:
		return
	}
	f.own, f.lent = nil, false
	f.r, f.w = 0, len(f.buf)
}

func unmask(b []byte, mask [4]byte) {
	for i := range b {
		b[i] ^= mask[i&3]
	}
}

// closePayload reads a close frame's payload: the code to answer with, or the
// breach that it is (RFC 6455, sections 5.5.1 and 7.4).
func closePayload(p []byte) (CloseCode, error) {
	if len(p) == 0 {
		return CloseNormal, nil
	}
	if len(p) == 1 {
		return 0, &frameError{CloseProtocolError, "close frame holds half a code"}
	}
	code := CloseCode(binary.BigEndian.Uint16(p))
	switch {
	case code < 1000, code == 1004, code == 1005, code == 1006, code > 1014 && code < 3000, code > 4999:
		return 0, &frameError{CloseProtocolError, "close code is reserved"}
	case !utf8.Valid(p[2:]):
		return 0, &frameError{CloseInvalidPayload, "close reason is not UTF-8"}
	}
	return code, nil
}
