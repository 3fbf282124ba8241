package loadgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// profile is how a target is spoken to: how a client subscribes and what frames without a stamp mean. It is data.
type profile struct {
	name string
	// subscribe is a text frame sent once connected, with {channels} for a JSON array of names; empty for none.
	subscribe string
	// control are the beginnings of frames that carry no record and are none of the audit's business.
	control []string
	// refusal begins a frame that says that a request failed, notice one that tells of messages shed.
	refusal string
	notice  string
	// receivedAt and queuedAt stand in front of the gateway's own stamps, Unix nanoseconds in decimal digits, somewhere
	// before the record's value; empty where the target gives none.
	receivedAt string
	queuedAt   string
}

// profileOf returns the built-in profile of that name.
func profileOf(name string) (profile, error) {
	switch name {
	case "reference":
		return profile{
			name:       name,
			subscribe:  `{"type":"subscribe","id":1,"channels":{channels}}`,
			control:    []string{`{"type":"hello"`, `{"type":"subscribed"`, `{"type":"unsubscribed"`},
			refusal:    `{"type":"error"`,
			notice:     `{"type":"notice"`,
			receivedAt: `"received_at_ns":`,
			queuedAt:   `"queued_at_ns":`,
		}, nil
	case "bare":
		return profile{name: name}, nil
	}
	return profile{}, fmt.Errorf("no wire profile %q; there are reference and bare", name)
}

// greeting is what a client sends once connected; nil for nothing.
func (p *profile) greeting(channels []string) ([]byte, error) {
	if p.subscribe == "" || len(channels) == 0 {
		return nil, nil
	}
	names, err := json.Marshal(channels)
	if err != nil {
		return nil, fmt.Errorf("encode the channels: %w", err)
	}
	return []byte(strings.ReplaceAll(p.subscribe, "{channels}", string(names))), nil
}

// meaning is what a frame without a stamp is.
type meaning uint8

const (
	meansForeign meaning = iota
	meansControl
	meansRefusal
	meansNotice
)

func (p *profile) meaning(payload []byte) meaning {
	if p.refusal != "" && bytes.HasPrefix(payload, []byte(p.refusal)) {
		return meansRefusal
	}
	if p.notice != "" && bytes.HasPrefix(payload, []byte(p.notice)) {
		return meansNotice
	}
	for _, c := range p.control {
		if bytes.HasPrefix(payload, []byte(c)) {
			return meansControl
		}
	}
	return meansForeign
}

// notice is what a target says it dropped for one client.
type notice struct {
	Kind      string `json:"kind"`
	Channel   string `json:"channel"`
	Partition int    `json:"partition"`
	Count     int64  `json:"count"`
}

func parseNotice(payload []byte) (notice, error) {
	var n notice
	if err := json.Unmarshal(payload, &n); err != nil {
		return n, fmt.Errorf("parse a notice: %w", err)
	}
	return n, nil
}

// gatewayStamp reads the digits behind mark in head, or returns 0.
func gatewayStamp(head []byte, mark string) int64 {
	if mark == "" {
		return 0
	}
	at := bytes.Index(head, []byte(mark))
	if at < 0 {
		return 0
	}
	digits := head[at+len(mark):]
	end := 0
	for end < len(digits) && digits[end] >= '0' && digits[end] <= '9' {
		end++
	}
	ns, err := strconv.ParseInt(string(digits[:end]), 10, 64)
	if err != nil {
		return 0
	}
	return ns
}
