package scenarios

// WireProfile is how a target is spoken to, as data: how a client subscribes and publishes, and what the target's frames
// mean. Frames with a stamp are messages whatever the profile says.
//
// The texts that are sent may hold placeholders: {client} (group and number: viewers-17), {topic} (its name in Kafka),
// {key}, {channel} and {channels} (a JSON array of the names). All but {channels} are escaped as inside a JSON string,
// without its quotes; in Path and Query they are escaped for URLs.
type WireProfile struct {
	Name string `json:"name"`
	// Path and Query are added to the target's URL. A query whose value holds {channel} is repeated for each channel.
	Path    string            `json:"path,omitempty"`
	Query   []Pair            `json:"query,omitempty"`
	Headers []HandshakeHeader `json:"headers,omitempty"`
	// Subprotocol is asked for in the handshake; empty for none.
	Subprotocol string `json:"subprotocol,omitempty"`
	// Channel and KeyChannel name a whole topic and a key of one: {topic}, {topic}/{key}.
	Channel    string `json:"channel,omitempty"`
	KeyChannel string `json:"key_channel,omitempty"`
	// Greet are frames sent once connected, before Subscribe; Subscribe is sent once with {channels}, or where it holds
	// {channel} once for each. Empty: a client that is connected is subscribed.
	Greet     []string `json:"greet,omitempty"`
	Subscribe string   `json:"subscribe,omitempty"`
	// Binary sends frames as binary messages.
	Binary bool `json:"binary,omitempty"`
	// Separator parts several messages in one frame, where the target sends them so: "\n".
	Separator string `json:"separator,omitempty"`
	// Control are the beginnings of messages without a stamp that are expected and mean nothing; Refusal begins one that
	// says that a request failed, Notice one that tells of messages shed.
	Control []string `json:"control,omitempty"`
	Refusal string   `json:"refusal,omitempty"`
	Notice  string   `json:"notice,omitempty"`
	// Ping is a message of the target's that Pong answers, where it does not use WebSocket's own.
	Ping string `json:"ping,omitempty"`
	Pong string `json:"pong,omitempty"`
	// Publish is how a client sends a message; nil where it can't.
	Publish *PublishProfile `json:"publish,omitempty"`
	// ReceivedAt and QueuedAt stand before the gateway's own times, Unix nanoseconds in digits, in front of a message's value.
	ReceivedAt string `json:"received_at,omitempty"`
	QueuedAt   string `json:"queued_at,omitempty"`

	// TLS is how wss:// targets are trusted; nil trusts the system's authorities.
	TLS *TLS `json:"tls,omitempty"`
	// Deflate offers permessage-deflate.
	Deflate bool `json:"deflate,omitempty"`
	// Framing is what the target wraps its messages in: "" (nothing), stomp (1.2) or socket.io (Engine.IO 4 over WebSocket
	// alone). The framing knows how to subscribe, and Channel and KeyChannel name the destination (STOMP) or what Event is
	// emitted with (Socket.IO). Greet adds headers to STOMP's CONNECT (login:guest), or is the one object that Socket.IO's
	// CONNECT carries. What is published is, with STOMP, Publish.Frame, or without it the value as it is, acknowledged by a
	// receipt; with Socket.IO Frame is the array of an event's arguments, and Acked, Refused and Failed begin the array of its
	// acknowledgement (without Acked any other one acknowledges).
	Framing string `json:"framing,omitempty"`
	// Event is the Socket.IO event that subscribes: it is emitted with the channel's name.
	Event string `json:"event,omitempty"`
	// Value is how values stand in a message: "" (as they are), json (escaped, inside a JSON string) or base64 (standard
	// alphabet, with or without padding).
	Value string `json:"value,omitempty"`
	// Joined begins the answer after which everything that is sent on the client's channels is delivered. Without it a
	// client has joined when it has seen a join marker.
	Joined string `json:"joined,omitempty"`
	// Acknowledge is sent for each message that arrives; {id} stands for the digits or the text behind AcknowledgeID in it.
	// With STOMP it is the mode of the subscriptions, client or client-individual, and each MESSAGE that has an ack header is
	// answered by an ACK; with Socket.IO the array that each event with a number is acknowledged with.
	Acknowledge   string `json:"acknowledge,omitempty"`
	AcknowledgeID string `json:"acknowledge_id,omitempty"`
	// Resume is how a client that comes back says how far it was; nil where it can't.
	Resume *ResumeProfile `json:"resume,omitempty"`
}

// ResumeProfile is how positions are learned and told. Positions are, for each topic, an epoch and the next offset of each
// partition. In the messages from the target they stand as a JSON object {"TOPIC":{"epoch":"…","next":{"0":17}}}.
type ResumeProfile struct {
	// Subscribe takes WireProfile.Subscribe's place for clients that resume; {positions} is the object, which is empty where
	// there is nothing to resume.
	Subscribe string `json:"subscribe"`
	// Partition and Offset stand before the digits of a message's partition and offset.
	Partition string `json:"partition"`
	Offset    string `json:"offset"`
	// Positions begins the messages that tell positions; Field is the field of theirs that holds the object. Those of
	// WireProfile.Control may have the field too.
	Positions string `json:"positions,omitempty"`
	Field     string `json:"field"`
	// Failed stands in an answer that says that what was missed can't be given any more; CaughtUp begins the message that
	// says that what follows is live.
	Failed   string `json:"failed"`
	CaughtUp string `json:"caught_up,omitempty"`
}

// Pair is a name and a value of a URL's query. With Secret the value is Value followed by the secret.
type Pair struct {
	Name   string  `json:"name"`
	Value  string  `json:"value"`
	Secret *Secret `json:"secret,omitempty"`
}

// HandshakeHeader is a header of the WebSocket handshake. With Secret its value is Value followed by the secret: Value
// "Bearer " and a token.
type HandshakeHeader struct {
	Name   string  `json:"name"`
	Value  string  `json:"value,omitempty"`
	Secret *Secret `json:"secret,omitempty"`
}

// PublishProfile is how a client publishes. Frame also knows {id}, a number that the answer repeats, and {value}.
type PublishProfile struct {
	Frame string `json:"frame"`
	// Acked begins the answer that Kafka has the message, Refused the one that it was not written, Failed the one that
	// leaves it open. Behind ID stands the answer's number.
	Acked   string `json:"acked"`
	Refused string `json:"refused,omitempty"`
	Failed  string `json:"failed,omitempty"`
	ID      string `json:"id"`
}

// ReferenceProfile is that of weir's own gateway: docs/PROTOCOL.md.
func ReferenceProfile() WireProfile {
	return WireProfile{
		Name:       "reference",
		Channel:    "{topic}",
		KeyChannel: "{topic}/{key}",
		Subscribe:  `{"type":"subscribe","id":1,"channels":{channels}}`,
		Control:    []string{`{"type":"hello"`, `{"type":"subscribed"`, `{"type":"unsubscribed"`},
		Refusal:    `{"type":"error"`,
		Notice:     `{"type":"notice"`,
		Publish: &PublishProfile{
			Frame:   `{"type":"publish","id":{id},"channel":"{channel}","value":"{value}"}`,
			Acked:   `{"type":"published"`,
			Refused: `{"type":"refused"`,
			Failed:  `{"type":"undetermined"`,
			ID:      `"id":`,
		},
		ReceivedAt: `"received_at_ns":`,
		QueuedAt:   `"queued_at_ns":`,
		Resume: &ResumeProfile{
			Subscribe: `{"type":"subscribe","id":1,"channels":{channels},"resume":{positions}}`,
			Partition: `"partition":`,
			Offset:    `"offset":`,
			Positions: `{"type":"positions"`,
			Field:     "positions",
			Failed:    `"resumed":false`,
			CaughtUp:  `{"type":"caught_up"`,
		},
	}
}

// BareProfile is a target that sends values as they are to whoever connects.
func BareProfile() WireProfile {
	return WireProfile{Name: "bare", Channel: "{topic}", KeyChannel: "{topic}/{key}"}
}
