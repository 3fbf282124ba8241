package gateway

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// publishRequest is a client's request to write one record.
type publishRequest struct {
	id      *uint64 // nil where the client gave none
	channel string  // TOPIC or TOPIC/KEY
	value   []byte  // never nil
	// messageID is the client's name of the message, "" where it has none.
	messageID string
}

// publishFields are the fields of a publish message as they stand in its text:
// nil where they are missing, strings with their quotes.
type publishFields struct {
	id                         *uint64
	channel, value, valueBytes []byte
	messageID                  []byte
}

// scanPublish reads a publish message in one pass: {"type":"publish",…} with the
// fields that the protocol knows, each once, in any order, nothing nested. It
// reports false for all else, valid or not, which decodeRequest is to judge: the
// two agree on what both take. The fields are parts of text.
func scanPublish(text []byte) (f publishFields, ok bool) {
	s := scanner{text: text}
	if !s.take('{') {
		return f, false
	}
	var kind []byte
	for {
		name, ok := s.str()
		if !ok || !s.take(':') {
			return f, false
		}
		switch field := &kind; string(name) {
		case `"id"`:
			if f.id, ok = s.id(f.id); !ok {
				return f, false
			}
		case `"type"`, `"channel"`, `"value"`, `"value_base64"`, `"message_id"`:
			switch string(name) {
			case `"channel"`:
				field = &f.channel
			case `"value"`:
				field = &f.value
			case `"value_base64"`:
				field = &f.valueBytes
			case `"message_id"`:
				field = &f.messageID
			}
			if *field != nil {
				return f, false
			}
			if *field, ok = s.str(); !ok {
				return f, false
			}
		default:
			return f, false
		}
		if s.take(',') {
			continue
		}
		return f, s.take('}') && s.end() && string(kind) == `"publish"`
	}
}

// scanner is a place in a JSON text that is valid UTF-8.
type scanner struct {
	text []byte
	at   int
}

// space passes over white space.
func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// take passes over c and the space before it, if c is next.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) end() bool {
	s.space()
	return s.at == len(s.text)
}

// str returns a string with its quotes.
func (s *scanner) str() ([]byte, bool) {
	if !s.take('"') {
		return nil, false
	}
	begin := s.at - 1
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.text[begin:s.at], true
		case c < ' ':
			return nil, false
		case c == '\\':
			n := escapeLen(s.text[s.at:])
			if n == 0 {
				return nil, false
			}
			s.at += n
		default:
			s.at++
		}
	}
	return nil, false
}

// id returns an integer that surely fits, where there was none before.
func (s *scanner) id(before *uint64) (*uint64, bool) {
	const maxDigits = 19 // of which any number fits a uint64
	s.space()
	begin, n := s.at, uint64(0)
	for s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9' && s.at-begin <= maxDigits {
		n = n*10 + uint64(s.text[s.at]-'0')
		s.at++
	}
	digits := s.at - begin
	if before != nil || digits == 0 || digits > maxDigits || digits > 1 && s.text[begin] == '0' {
		return nil, false
	}
	return &n, true
}

// escapeLen is the length of the escape that b begins with, 0 if it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hexUnit(b); ok {
			return 6
		}
	}
	return 0
}

// hexUnit reads the UTF-16 unit of an escape \uXXXX that b begins with.
func hexUnit(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// request makes the request of the fields, or says what is wrong with them. The
// request holds copies.
func (f publishFields) request() (r publishRequest, refused *requestError) {
	bad := func(format string, args ...any) (publishRequest, *requestError) {
		return publishRequest{id: f.id}, &requestError{ErrorBadRequest, fmt.Sprintf(format, args...)}
	}
	r.id = f.id
	switch {
	case f.channel == nil:
		return bad(`field "channel" is missing`)
	case f.value == nil && f.valueBytes == nil:
		return bad(`field "value" is missing (or "value_base64", for bytes)`)
	case f.value != nil && f.valueBytes != nil:
		return bad(`fields "value" and "value_base64" are both there`)
	}
	channel, err := unquote(f.channel)
	if err != "" {
		return bad("field \"channel\" %s", err)
	}
	r.channel = string(channel)
	if f.messageID != nil {
		id, err := unquote(f.messageID)
		if err == "" && (len(id) == 0 || len(id) > maxMessageID) {
			err = fmt.Sprintf("has %d bytes (from 1 to %d)", len(id), maxMessageID)
		}
		if err != "" {
			return bad("field \"message_id\" %s", err)
		}
		r.messageID = string(id)
	}
	if f.value != nil {
		if r.value, err = unquote(f.value); err != "" {
			return bad("field \"value\" %s", err)
		}
		return r, nil
	}
	encoded, err := unquote(f.valueBytes)
	if err != "" {
		return bad("field \"value_base64\" %s", err)
	}
	decoded, fault := base64.StdEncoding.Strict().AppendDecode(make([]byte, 0, len(encoded)*3/4), encoded)
	// The decoder passes over line ends, which are not the alphabet's.
	if fault != nil || strings.ContainsAny(string(encoded), "\r\n") {
		return bad(`field "value_base64" is not standard base64 with padding`)
	}
	r.value = decoded
	return r, nil
}

// unquote copies a valid JSON string without its quotes and escapes. What is
// wrong is the end of a sentence that begins with the field.
func unquote(quoted []byte) (text []byte, wrong string) {
	if quoted[0] != '"' {
		return nil, "is not a string"
	}
	b := quoted[1 : len(quoted)-1]
	text = make([]byte, 0, len(b))
	plain := 0 // b[plain:i] needs no change and is not yet appended
	for i := 0; i < len(b); {
		if b[i] != '\\' {
			i++
			continue
		}
		text = append(text, b[plain:i]...)
		n := escapeLen(b[i:])
		switch c := b[i+1]; c {
		case 'b':
			text = append(text, '\b')
		case 'f':
			text = append(text, '\f')
		case 'n':
			text = append(text, '\n')
		case 'r':
			text = append(text, '\r')
		case 't':
			text = append(text, '\t')
		case 'u':
			r, _ := hexUnit(b[i:])
			if utf16.IsSurrogate(r) {
				low, _ := hexUnit(b[i+6:])
				if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
					return nil, fmt.Sprintf("holds half a surrogate pair, %s, which is no text (send bytes as \"value_base64\")", b[i:i+6])
				}
				n = 12
			}
			text = utf8.AppendRune(text, r)
		default:
			text = append(text, c)
		}
		i += n
		plain = i
	}
	return append(text, b[plain:]...), ""
}

// publishFields are the same, of a message that scanPublish left.
func (r *request) publishFields() publishFields {
	return publishFields{id: r.ID, channel: present(r.Channel), value: present(r.Value), valueBytes: present(r.ValueBase64),
		messageID: present(r.MessageID)}
}

// present takes null for a field that is missing, as elsewhere.
func present(field json.RawMessage) []byte {
	if string(field) == "null" {
		return nil
	}
	return field
}

// The answers to a publish request. They are built by hand since the order of
// their fields is promised.

func appendPublished(b []byte, id *uint64, partition int32, offset int64) []byte {
	b = appendID(append(b, `{"type":"published"`...), id)
	b = strconv.AppendInt(append(b, `,"partition":`...), int64(partition), 10)
	b = strconv.AppendInt(append(b, `,"offset":`...), offset, 10)
	return append(b, '}')
}

// appendUnpublished is the answer of kind "refused" or "undetermined".
func appendUnpublished(b []byte, kind string, id *uint64, err *requestError) []byte {
	b = appendID(appendJSONString(append(b, `{"type":`...), kind), id)
	b = appendJSONString(append(b, `,"code":`...), string(err.code))
	b = appendJSONString(append(b, `,"message":`...), strings.ToValidUTF8(err.message, "\uFFFD"))
	return append(b, '}')
}
