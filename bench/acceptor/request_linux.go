package main

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455 names it
	"encoding/base64"
)

// maxHead bounds a request's header, in bytes.
const maxHead = 8 << 10

// acceptSuffix is appended to the key in the answer (RFC 6455, section 1.3).
const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

const (
	switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
	noKey     = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
	tooLarge  = "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)

var (
	headEnd = []byte("\r\n\r\n")
	lineEnd = []byte("\r\n")
	keyName = []byte("Sec-WebSocket-Key")
)

// request is what has come of a handshake's request whose header has not ended.
type request struct{ head []byte }

// take takes bytes of the request. answer is nil until the header has ended; what comes behind it is dropped. upgraded tells
// that the answer is not a refusal.
func (r *request) take(data []byte) (answer []byte, upgraded bool) {
	if len(r.head) > 0 {
		r.head = append(r.head, data...)
		data = r.head
	}
	end := bytes.Index(data, headEnd)
	switch {
	case end > maxHead, end < 0 && len(data) >= maxHead+len(headEnd):
		return []byte(tooLarge), false
	case end < 0:
		if len(r.head) == 0 {
			r.head = append(r.head, data...)
		}
		return nil, false
	}
	key := findKey(data[:end])
	if len(key) == 0 {
		return []byte(noKey), false
	}
	sum := sha1.Sum(append(key[:len(key):len(key)], acceptSuffix...)) //nolint:gosec // see above
	answer = append(make([]byte, 0, len(switching)+32), switching...)
	answer = base64.StdEncoding.AppendEncode(answer, sum[:])
	return append(answer, headEnd...), true
}

// findKey is the value of the first Sec-WebSocket-Key in a header, however the name is spelled; empty where there is none.
func findKey(head []byte) []byte {
	_, fields, _ := bytes.Cut(head, lineEnd) // the request's line is no field
	for len(fields) > 0 {
		var line []byte
		line, fields, _ = bytes.Cut(fields, lineEnd)
		name, value, found := bytes.Cut(line, []byte(":"))
		if found && bytes.EqualFold(name, keyName) {
			return bytes.Trim(value, " \t")
		}
	}
	return nil
}
