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
	}
}

// BareProfile is a target that sends values as they are to whoever connects.
func BareProfile() WireProfile {
	return WireProfile{Name: "bare", Channel: "{topic}", KeyChannel: "{topic}/{key}"}
}
