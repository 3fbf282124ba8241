package testkit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

var errRequest = errors.New("not a request, or one that ends the connection")

// request takes a client's subscription and answers it, or what it publishes.
func (g *Gateway) request(conn *websocket.Conn, text []byte, later *[]publish) error {
	var r struct {
		Type     string           `json:"type"`
		ID       int              `json:"id"`
		Channels []string         `json:"channels"`
		Client   string           `json:"client"`
		Resume   map[string]place `json:"resume"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return errRequest
	}
	switch r.Type {
	case "publish":
		var p publish
		if err := json.Unmarshal(text, &p); err != nil {
			return errRequest
		}
		return g.takePublish(conn, p, later)
	case "subscribe":
	default:
		return errRequest
	}
	names, err := json.Marshal(r.Channels)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.resume != nil {
		return g.subscribeResuming(conn, r.ID, r.Client, r.Channels, r.Resume)
	}
	if err := write(conn, fmt.Appendf(nil, `{"type":"subscribed","id":%d,"channels":%s}`, r.ID, names)); err != nil {
		return err
	}
	g.arriveLocked(conn, r.Channels)
	return nil
}

const writeTimeout = 5 * time.Second

func write(conn *websocket.Conn, frame []byte) error {
	_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	kind := websocket.TextMessage
	if !utf8.Valid(frame) { // which a text frame must be (RFC 6455, section 5.6)
		kind = websocket.BinaryMessage
	}
	return conn.WriteMessage(kind, frame)
}

// frame is a record as a client gets it, with the given value.
func (g *Gateway) frame(r *record, value []byte) []byte {
	if g.options.Bare {
		return value
	}
	b := append([]byte(`{"type":"message","topic":`), strconv.Quote(r.Topic)...)
	b = fmt.Appendf(b, `,"partition":%d,"offset":%d`, r.Partition, r.Offset)
	if r.Key != nil {
		b = fmt.Appendf(b, `,"key":%q`, r.Key)
	}
	b = fmt.Appendf(b, `,"received_at_ns":%d,"queued_at_ns":%d}`, r.receivedAt, time.Now().UnixNano())
	return append(append(b, '\n'), value...)
}

func notice(r *record, count int64) []byte {
	return fmt.Appendf(nil, `{"type":"notice","kind":"dropped","channel":%q,"topic":%q,"partition":%d,"first_offset":%d,"last_offset":%d,"count":%d}`,
		r.channel, r.Topic, r.Partition, r.Offset, r.Offset+count-1, count)
}
