package gateway

import "strconv"

// CloseCode is the status code of a WebSocket close frame (RFC 6455, section
// 7.4). The values are promised: clients, counters and logs rely on them.
type CloseCode uint16

const (
	// CloseNormal answers a client that closed; the answer repeats the client's
	// own code.
	CloseNormal CloseCode = 1000
	// CloseProtocolError: the client broke RFC 6455, or RFC 7692.
	CloseProtocolError CloseCode = 1002
	// CloseUnsupportedData: the client sent a binary message.
	CloseUnsupportedData CloseCode = 1003
	// CloseAbnormal: the connection ended without a close frame. Never sent.
	CloseAbnormal CloseCode = 1006
	// CloseInvalidPayload: a text message or close reason is not UTF-8.
	CloseInvalidPayload CloseCode = 1007
	// CloseTooBig: a message exceeds Config.Limits.MessageBytes.
	CloseTooBig CloseCode = 1009
	// CloseServiceRestart: the gateway shuts down; reconnect.
	CloseServiceRestart CloseCode = 1012
	// CloseSlowClient: the client's queue is full and the policy is to
	// disconnect, or nothing in it may be dropped.
	CloseSlowClient CloseCode = 4001
	// CloseBadMessage: a text message is not a JSON object.
	CloseBadMessage CloseCode = 4002
	// CloseNoPong: the client has not been heard of for more than two ping
	// intervals.
	CloseNoPong CloseCode = 4003
	// CloseWriteTimeout: a write to the client did not end in time. Never seen
	// on the wire, since the write was cut short inside a frame.
	CloseWriteTimeout CloseCode = 4004
	// CloseTokenExpired: the token that the client came with is no longer valid.
	CloseTokenExpired CloseCode = 4005
	// CloseTooManyFrames: the client sends more frames than
	// Config.Limits.FramesPerSecond.
	CloseTooManyFrames CloseCode = 4006
)

// closeCodes is every code with its name in /stats and its reason on the wire.
// The order is that of the counters.
var closeCodes = [...]struct {
	code         CloseCode
	name, reason string
}{
	{CloseNormal, "normal", ""},
	{CloseProtocolError, "protocol_error", "websocket protocol error"},
	{CloseUnsupportedData, "unsupported_data", "binary messages are not supported"},
	{CloseAbnormal, "abnormal", ""},
	{CloseInvalidPayload, "invalid_payload", "text is not UTF-8"},
	{CloseTooBig, "too_big", "message too big"},
	{CloseServiceRestart, "service_restart", "service restart"},
	{CloseSlowClient, "slow_client", "slow client"},
	{CloseBadMessage, "bad_message", "message is not a JSON object"},
	{CloseNoPong, "no_pong", "no pong"},
	{CloseWriteTimeout, "write_timeout", ""},
	{CloseTokenExpired, "token_expired", "token has expired"},
	{CloseTooManyFrames, "too_many_frames", "too many frames"},
}

// index is the code's place in closeCodes, or -1.
func (c CloseCode) index() int {
	for i := range closeCodes {
		if closeCodes[i].code == c {
			return i
		}
	}
	return -1
}

// String is the code's name in /stats, or the number of a code that is not the
// gateway's own.
func (c CloseCode) String() string {
	if i := c.index(); i >= 0 {
		return closeCodes[i].name
	}
	return strconv.Itoa(int(c))
}

// Reason is the text that follows the code in the close frame.
func (c CloseCode) Reason() string {
	if i := c.index(); i >= 0 {
		return closeCodes[i].reason
	}
	return ""
}

// onWire reports whether a close frame may carry the code.
func (c CloseCode) onWire() bool {
	return c != CloseAbnormal && c != CloseWriteTimeout
}
