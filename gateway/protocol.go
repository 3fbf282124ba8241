package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// protocolVersion is the version of docs/PROTOCOL.md that hello announces.
const protocolVersion = 1

// ErrorCode is the stable code of an error message to a client. The connection
// goes on after an error.
type ErrorCode string

const (
	// ErrorBadRequest: a field is missing or of the wrong type.
	ErrorBadRequest ErrorCode = "bad_request"
	// ErrorUnknownType: the type of the message is not known.
	ErrorUnknownType ErrorCode = "unknown_type"
	// ErrorUnknownChannel: a channel's topic is not one that the gateway consumes.
	ErrorUnknownChannel ErrorCode = "unknown_channel"
	// ErrorTooManyChannels: the request would exceed Config.Limits.ChannelsPerClient.
	ErrorTooManyChannels ErrorCode = "too_many_channels"
	// ErrorForbidden: no permission allows it. Also of publish messages, and of
	// handshakes, with HTTP status 403.
	ErrorForbidden ErrorCode = "forbidden"
	// ErrorTooManyRequests: the client subscribes and unsubscribes more often than
	// Config.Limits.SubscribesPerSecond.
	ErrorTooManyRequests ErrorCode = "too_many_requests"
	// ErrorUnauthorized: the token is missing or not valid. Only as the answer to
	// an upgrade request, with HTTP status 401.
	ErrorUnauthorized ErrorCode = "unauthorized"
	// ErrorTooManyConnections: Config.Limits.Connections or ConnectionsPerSource
	// are open. Only as the answer to an upgrade request, with HTTP status 503 or
	// 429.
	ErrorTooManyConnections ErrorCode = "too_many_connections"
	// ErrorNotResumable: positions or a replay were asked for that can't be had.
	ErrorNotResumable ErrorCode = "not_resumable"
	// ErrorNotReady: the gateway is starting or draining. Only as the answer to
	// an upgrade request, with HTTP status 503.
	ErrorNotReady ErrorCode = "not_ready"
)

// Of the answers to publish messages, which have no error message, "refused" has
// these, ErrorBadRequest and ErrorForbidden, and "undetermined" the last two.
const (
	// ErrorNoIdentity: a message has an id, and where Config.Tokens are set the
	// client has not said who it is.
	ErrorNoIdentity ErrorCode = "no_identity"
	// ErrorNotOpen: the topic is not one of Config.PublishTopics.
	ErrorNotOpen ErrorCode = "not_open"
	// ErrorTooLarge: key and value together exceed what a record may have.
	ErrorTooLarge ErrorCode = "too_large"
	// ErrorTooManyInFlight: the client waits for Config.Publish.MaxInFlight
	// answers already.
	ErrorTooManyInFlight ErrorCode = "too_many_in_flight"
	// ErrorBufferFull: Config.Publish.BufferBytes wait for Kafka.
	ErrorBufferFull ErrorCode = "buffer_full"
	// ErrorKafka: Kafka said so, or the Kafka client. Of requests to resume too.
	ErrorKafka ErrorCode = "kafka"
	// ErrorShuttingDown: the gateway drains.
	ErrorShuttingDown ErrorCode = "shutting_down"
)

// The kinds of answers to publish messages.
const (
	answerPublished    = "published"
	answerRefused      = "refused"
	answerUndetermined = "undetermined"
)

// requestError is a request that is refused; it becomes an error message.
type requestError struct {
	code    ErrorCode
	message string
}

func (e *requestError) Error() string { return e.message }

// requestType is what a client asks for.
type requestType string

const (
	requestSubscribe   requestType = "subscribe"
	requestUnsubscribe requestType = "unsubscribe"
	requestPublish     requestType = "publish"
	requestPresence    requestType = "presence"
)

// request is a message from a client.
type request struct {
	Type     requestType `json:"type"`
	ID       *uint64     `json:"id"` // nil where the client gave none
	Channels []string    `json:"channels"`
	Patterns []string    `json:"patterns"`

	// Of a subscribe message.
	Positions bool                       `json:"positions"`
	Resume    map[string]resumePositions `json:"resume"` // by topic; nil where the client gave none

	// Of a publish message: strings, which are looked into elsewhere.
	Channel     json.RawMessage `json:"channel"`
	Value       json.RawMessage `json:"value"`
	ValueBase64 json.RawMessage `json:"value_base64"`
	MessageID   json.RawMessage `json:"message_id"`
}

// errNotObject is a text message that is no JSON object at all; the connection
// is closed, since what sent it does not speak the protocol.
var errNotObject = errors.New("message is not a JSON object")

// decodeRequest reads a message from a client. The error is errNotObject or a
// *requestError; with the latter the request carries the id if it could be read.
func decodeRequest(text []byte) (request, error) {
	var r request
	err := json.Unmarshal(text, &r)
	wrongType, isWrongType := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case isWrongType && wrongType.Field == "", err != nil && !isWrongType, !beginsObject(text):
		return request{}, errNotObject
	case isWrongType:
		if wrongType.Field == "id" {
			r.ID = nil
		}
		return r, &requestError{ErrorBadRequest, fmt.Sprintf("field %q: a %s does not belong there", wrongType.Field, wrongType.Value)}
	case r.Type == "":
		return r, &requestError{ErrorBadRequest, `field "type" is missing`}
	case r.Type == requestPublish:
		return r, nil
	case r.Type != requestSubscribe && r.Type != requestUnsubscribe && r.Type != requestPresence:
		return r, &requestError{ErrorUnknownType, fmt.Sprintf("type %.40q is unknown (write %q, %q, %q or %q)",
			r.Type, requestSubscribe, requestUnsubscribe, requestPresence, requestPublish)}
	case len(r.Channels) == 0 && (len(r.Patterns) == 0 || r.Type == requestPresence):
		return r, &requestError{ErrorBadRequest, `field "channels" is missing or empty`}
	}
	return r, checkPositions(r.Resume)
}

// beginsObject tells {…} from null, which json.Unmarshal takes for an empty
// struct.
func beginsObject(text []byte) bool {
	for _, c := range text {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c == '{'
		}
	}
	return false
}

// The messages to clients that are not records. They are built by hand since
// the order of their fields is promised.

func helloMessage(instanceID string) []byte {
	b := append([]byte(`{"type":"hello","protocol":`), strconv.Itoa(protocolVersion)...)
	b = appendJSONString(append(b, `,"instance":`...), instanceID)
	return append(b, '}')
}

// acknowledgement answers the request with kind "subscribed" or "unsubscribed".
func acknowledgement(kind string, id *uint64, channels, patterns []string) []byte {
	b := appendID(appendJSONString([]byte(`{"type":`), kind), id)
	b = appendStrings(append(b, `,"channels":`...), channels)
	if len(patterns) > 0 {
		b = appendStrings(append(b, `,"patterns":`...), patterns)
	}
	return append(b, '}')
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(b, s)
	}
	return append(b, ']')
}

func errorMessage(id *uint64, err *requestError) []byte {
	b := appendID([]byte(`{"type":"error"`), id)
	b = appendJSONString(append(b, `,"code":`...), string(err.code))
	b = appendJSONString(append(b, `,"message":`...), err.message)
	return append(b, '}')
}

func appendID(b []byte, id *uint64) []byte {
	if id == nil {
		return b
	}
	return strconv.AppendUint(append(b, `,"id":`...), *id, 10)
}

// noticeKind says why records of a channel do not come.
type noticeKind string

const (
	// noticeDropped: the drop-oldest policy dropped them.
	noticeDropped noticeKind = "dropped"
	// noticeGap: Kafka removed them before the gateway had read them.
	noticeGap noticeKind = "gap"
	// noticeTruncated: Kafka lost them after the gateway had read them; their
	// offsets are given to other records.
	noticeTruncated noticeKind = "truncated"
	// noticeSlow: none does not come yet, but the client's queue is more than half
	// full. Its message has fields of its own.
	noticeSlow noticeKind = "slow"
)

// notice tells a client of records that it does not get.
type notice struct {
	kind        noticeKind
	channel     *channel
	partition   int32
	firstOffset int64
	lastOffset  int64
	count       int64
}

func (n *notice) append(b []byte) []byte {
	b = appendJSONString(append(b, `{"type":"notice","kind":`...), string(n.kind))
	b = n.channel.appendName(b)
	b = strconv.AppendInt(append(b, `,"partition":`...), int64(n.partition), 10)
	b = strconv.AppendInt(append(b, `,"first_offset":`...), n.firstOffset, 10)
	b = strconv.AppendInt(append(b, `,"last_offset":`...), n.lastOffset, 10)
	b = strconv.AppendInt(append(b, `,"count":`...), n.count, 10)
	return append(b, '}')
}

// appendName adds the fields that say which channel a notice is about.
func (ch *channel) appendName(b []byte) []byte {
	field := `,"channel":`
	if ch.glob != nil {
		field = `,"pattern":`
	}
	b = appendJSONString(append(b, field...), ch.name)
	return appendJSONString(append(b, `,"topic":`...), ch.topic.name)
}

// appendSlowNotice tells a client how much waits for it and how much may.
func appendSlowNotice(b []byte, queued, limit int) []byte {
	b = appendJSONString(append(b, `{"type":"notice","kind":`...), string(noticeSlow))
	b = strconv.AppendInt(append(b, `,"queued_bytes":`...), int64(queued), 10)
	b = strconv.AppendInt(append(b, `,"limit_bytes":`...), int64(limit), 10)
	return append(b, '}')
}

// appendConflated adds to an acknowledgement at which intervals its topics are
// conflated.
func appendConflated(b []byte, intervals map[string]time.Duration) []byte {
	b = append(b[:len(b)-1], `,"conflated_ns":{`...)
	for i, topic := range slices.Sorted(maps.Keys(intervals)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendJSONString(b, topic), ':')
		b = strconv.AppendInt(b, int64(intervals[topic]), 10)
	}
	return append(b, "}}"...)
}
