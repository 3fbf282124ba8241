package gateway

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
)

// Compression is permessage-deflate (RFC 7692) without context takeover in either direction: no message refers to one
// before it. So a record is compressed once for all who take it so, and no state is kept for a connection.

const (
	rsv1Bit = 0x40 // of a frame's first byte: the message is compressed
	// minDeflated is the least payload that is compressed, in bytes.
	minDeflated = 128
	// deflateTail ends each compressed message and is not sent (RFC 7692, section 7.2.1).
	deflateTail = "\x00\x00\xff\xff"
	// finalBlock is an empty last block, without which the inflater would wait for more.
	finalBlock = "\x01\x00\x00\xff\xff"
)

// deflateTerms are what was agreed on with a client.
type deflateTerms struct {
	// windowBits is the base-2 logarithm of how far back the gateway's messages may refer; 0 where nothing was said,
	// which is 15.
	windowBits int
}

// String is the handshake's answer.
func (t *deflateTerms) String() string {
	s := "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	if t.windowBits != 0 {
		s += "; server_max_window_bits=" + strconv.Itoa(t.windowBits)
	}
	return s
}

// maxPayload is the longest payload that can be compressed within the window: the deflater's own is the largest, and a
// message that is not longer than the window can't refer farther back.
func (t *deflateTerms) maxPayload() int {
	if t.windowBits == 0 {
		return math.MaxInt
	}
	return 1 << t.windowBits
}

// negotiateDeflate accepts the first offer of permessage-deflate that can be kept to, or returns nil (RFC 7692, section
// 5). headers are the values of Sec-WebSocket-Extensions.
func negotiateDeflate(headers []string) *deflateTerms {
	for _, header := range headers {
		for offer := range strings.SplitSeq(header, ",") {
			name, params, _ := strings.Cut(offer, ";")
			if !strings.EqualFold(strings.TrimSpace(name), "permessage-deflate") {
				continue
			}
			if terms, ok := deflateOffer(params); ok {
				return terms
			}
		}
	}
	return nil
}

// deflateOffer reads the parameters of an offer. One with a parameter that is unknown, given twice or has a wrong value
// is declined (section 7).
func deflateOffer(params string) (*deflateTerms, bool) {
	terms := &deflateTerms{}
	seen := make(map[string]bool)
	for param := range strings.SplitSeq(params, ";") {
		param = strings.TrimSpace(param)
		if param == "" && strings.TrimSpace(params) == "" {
			break
		}
		name, value, hasValue := strings.Cut(param, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.Trim(strings.TrimSpace(value), `"`)
		if seen[name] {
			return nil, false
		}
		seen[name] = true
		bits, isBits := windowBits(value)
		switch {
		case (name == "server_no_context_takeover" || name == "client_no_context_takeover") && !hasValue:
		case name == "client_max_window_bits" && (!hasValue || isBits): // what comes is inflated with the largest
		case name == "server_max_window_bits" && isBits:
			terms.windowBits = bits
		default:
			return nil, false
		}
	}
	return terms, true
}

func windowBits(value string) (bits int, ok bool) {
	bits, err := strconv.Atoi(value)
	return bits, err == nil && bits >= 8 && bits <= 15 && strconv.Itoa(bits) == value
}

// useDeflate makes the client one with which compression was agreed on. It is for clients that do not run yet.
func (c *client) useDeflate(terms *deflateTerms) {
	if terms == nil {
		return
	}
	c.deflateMax = terms.maxPayload()
	c.frames.inflaters = &c.hub.inflaters
}

// forClient returns the record's message as the client takes it. The compressed one is made when the first client needs
// it; the hub's mutex guards that, and once queued it changes no more. A batch is compressed by the first
// writer that takes it.
func (h *hub) forClient(msg *message, c *client) *message {
	if c.deflateMax == 0 {
		return msg
	}
	if n := msg.payloadLen(); n < minDeflated || n > c.deflateMax {
		return msg
	}
	if msg.deflated == nil && msg.batch != nil {
		deflated := *msg
		deflated.deflates = true
		msg.deflated = &deflated
	}
	if msg.deflated == nil {
		msg.deflated = msg
		header := sentHeaderLen(msg.frame)
		if frame := h.deflater.frame(opcode(msg.frame[0]&0x0F), msg.frame[header:]); len(frame) < len(msg.frame) {
			deflated := *msg
			deflated.frame = frame
			msg.deflated = &deflated
		}
	}
	return msg.deflated
}

// sentHeaderLen is the length of the header of a frame that appendFrame made.
func sentHeaderLen(frame []byte) int {
	switch frame[1] {
	case 126:
		return 4
	case 127:
		return 10
	}
	return 2
}

// payloadLen is the length of the payload that goes to who takes nothing compressed.
func (m *message) payloadLen() int {
	if m.batch != nil {
		return m.batch.payload
	}
	return len(m.frame) - sentHeaderLen(m.frame)
}

// deflaters are those of the writers, each of which takes one for as long as it compresses. They are as many as can be
// busy at a time, so that thousands of clients do not take a megabyte each.
type deflaters chan *deflater

func newDeflaters() deflaters {
	d := make(deflaters, runtime.GOMAXPROCS(0))
	for range cap(d) {
		d <- new(deflater)
	}
	return d
}

// deflater compresses messages. It is not for concurrent use. The zero value is ready, and takes its memory, about a
// megabyte, when it is first used.
type deflater struct {
	writer *flate.Writer
	out    bytes.Buffer
	batch  []byte // one that is to be compressed
}

// frame returns a compressed message as one frame.
func (d *deflater) frame(op opcode, payload []byte) []byte {
	d.out.Reset()
	if d.writer == nil {
		d.writer, _ = flate.NewWriter(&d.out, flate.BestSpeed) // fails only for a level that does not exist
	} else {
		d.writer.Reset(&d.out)
	}
	_, _ = d.writer.Write(payload) // a buffer takes all
	_ = d.writer.Flush()
	deflated := bytes.TrimSuffix(d.out.Bytes(), []byte(deflateTail))
	frame := appendFrameHeader(make([]byte, 0, frameHeaderLen(len(deflated))+len(deflated)), op, len(deflated))
	frame[0] |= rsv1Bit
	return append(frame, deflated...)
}

// inflater decompresses messages, one at a time.
type inflater struct {
	src bytes.Reader
	r   io.ReadCloser // a flate.Resetter
}

func newInflater() any { return &inflater{r: flate.NewReader(nil)} }

// inflate returns a message's payload in memory of its own, of which it takes no more than the limit. The error is a
// *frameError.
func (in *inflater) inflate(payload []byte, limit int) ([]byte, error) {
	defer in.src.Reset(nil)
	// What follows the payload in its buffer is the next frame and must stay.
	in.src.Reset(append(payload[:len(payload):len(payload)], deflateTail+finalBlock...))
	_ = in.r.(flate.Resetter).Reset(&in.src, nil) // never fails without a dictionary
	out := make([]byte, 0, min(limit+1, max(idleBuffer, 4*len(payload))))
	for {
		n, err := in.r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case len(out) > limit:
			return nil, &frameError{CloseTooBig, "message exceeds the limit when inflated"}
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, &frameError{CloseProtocolError, "compressed message is broken"}
		case len(out) == cap(out):
			grown := make([]byte, len(out), min(limit+1, 2*cap(out)))
			copy(grown, out)
			out = grown
		}
	}
}

// deflatedLimit bounds a compressed message before it is inflated: what can't be compressed grows a little.
func deflatedLimit(limit int) int { return limit + limit/256 + 64 }
