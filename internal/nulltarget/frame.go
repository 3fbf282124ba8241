package nulltarget

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The first byte of a frame: the final one of a text or binary message (RFC 6455, section 5.2).
const (
	textFrame   = 0x81
	binaryFrame = 0x82
)

// appendFrame appends a server's frame, which is not masked.
func appendFrame(b []byte, first byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	switch b = append(b, first); {
	case n <= 125:
		b = append(b, byte(n))
	case n <= 0xFFFF:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// text is the frame of one JSON message.
func text(message []byte) []byte { return appendFrame(nil, textFrame, message) }

// record is a Kafka record on its way to the clients.
type record struct {
	topic, key string
	keyed      bool
	data       bool // a data message of weir's, and no marker
	frame      []byte
	readAt     time.Time // when its fetch was there
}

// encoder makes frames. It is for one goroutine.
type encoder struct{ header []byte }

func (e *encoder) record(r *kgo.Record, readAt time.Time) record {
	h := appendJSON(append(e.header[:0], `{"type":"message","topic":`...), r.Topic)
	h = strconv.AppendInt(append(h, `,"partition":`...), int64(r.Partition), 10)
	h = strconv.AppendInt(append(h, `,"offset":`...), r.Offset, 10)
	out := record{topic: r.Topic, data: isData(r.Value), readAt: readAt}
	switch {
	case r.Key == nil:
	case utf8.Valid(r.Key):
		out.keyed, out.key = true, string(r.Key)
		h = appendJSON(append(h, `,"key":`...), out.key)
	default: // nobody can subscribe to it
		encoded, _ := json.Marshal(r.Key) // bytes become base64
		h = append(append(h, `,"key_base64":`...), encoded...)
	}
	h = strconv.AppendInt(append(h, `,"received_at_ns":`...), readAt.UnixNano(), 10)
	h = strconv.AppendInt(append(h, `,"queued_at_ns":`...), time.Now().UnixNano(), 10)
	h = append(h, "}\n"...)
	e.header = h
	first := byte(binaryFrame)
	if utf8.Valid(r.Value) {
		first = textFrame
	}
	out.frame = appendFrame(make([]byte, 0, len(h)+len(r.Value)+10), first, h, r.Value)
	return out
}

// appendJSON appends a JSON string. Names and keys are mostly plain.
func appendJSON(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			encoded, _ := json.Marshal(s) // a string always can be
			return append(b, encoded...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// stampMark begins weir's stamp in a value, and dataKind behind it says that the message is no marker.
const (
	stampMark = "~W1"
	dataKind  = 'd'
)

// isData reports whether the value is a data message's.
func isData(value []byte) bool {
	at := bytes.Index(value, []byte(stampMark))
	kind := at + len(stampMark)
	return at >= 0 && kind < len(value) && value[kind] == dataKind
}
