package loadgen

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/scenarios"
)

// headers makes the headers of one producer's records. It is immutable and safe for concurrent use.
type headers struct {
	fixed   []kgo.RecordHeader // all of them, where none differs from message to message
	parts   [][]textPart       // of each header's value otherwise
	names   []string
	largest int // bytes that the headers of a record do not exceed
}

// headerRoom holds one record's headers, so that they can be made without an allocation once it has been used.
type headerRoom struct {
	headers []kgo.RecordHeader
	text    []byte
}

func newHeaders(from scenarios.Producer) *headers {
	h := &headers{}
	differ := false
	for _, header := range from.Headers {
		parts := parseText(header.Value, headerPlaceholders)
		seqs, keys := count(parts, seqHere), count(parts, keyHere)
		differ = differ || seqs+keys > 0
		h.parts, h.names = append(h.parts, parts), append(h.names, header.Name)
		h.fixed = append(h.fixed, kgo.RecordHeader{Key: header.Name, Value: []byte(header.Value)})
		h.largest += len(header.Name) + len(header.Value) + seqs*maxDigits + keys*len(scenarios.KeyName(from.Keys.Count))
	}
	if differ {
		h.fixed = nil
	}
	return h
}

// of returns the headers of message seq, in room where they are its own. They must not be changed.
func (h *headers) of(room *headerRoom, seq uint64, key []byte) []kgo.RecordHeader {
	if h.fixed != nil || len(h.parts) == 0 {
		return h.fixed
	}
	room.headers, room.text = room.headers[:0], room.text[:0]
	for i, parts := range h.parts {
		begin := len(room.text)
		for _, part := range parts {
			switch part.kind {
			case seqHere:
				room.text = strconv.AppendUint(room.text, seq, 10)
			case keyHere:
				room.text = append(room.text, key...)
			default:
				room.text = append(room.text, part.text...)
			}
		}
		// Where the text moves as it grows, the values before keep what they had.
		end := len(room.text)
		room.headers = append(room.headers, kgo.RecordHeader{Key: h.names[i], Value: room.text[begin:end:end]})
	}
	return room.headers
}
