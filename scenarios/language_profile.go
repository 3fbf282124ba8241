package scenarios

// The part of the language that describes how a target is spoken to.

var profileShape = &shape{
	name: "profile",
	about: "How a target is spoken to. In what is sent {client}, {topic}, {key}, {channel} and {channels} (a JSON array) stand for their values, " +
		"escaped as inside a JSON string; in path and query, as in a URL.",
	keys: []key{
		{name: "name", about: "What the reports call it.", want: "a name", depends: "custom, or the file's name", example: "my-gateway"},
		{name: "path", about: "Added to the target's URL.", want: "a path", depends: "none", example: "/stream/{topic}"},
		{name: "query", about: "Added to the URL; where a value holds {channel} it is repeated for each channel.", kind: kindMapping, shape: queryShape,
			depends: "none", example: "{channel: '{channel}'}"},
		{name: "headers", about: "Headers of the WebSocket handshake.", kind: kindMapping, shape: handshakeShape, depends: "none",
			example: "{Authorization: {env: TOKEN, prefix: 'Bearer '}}"},
		{name: "subprotocol", about: "The WebSocket subprotocol to ask for.", want: "a subprotocol", depends: "none", example: "v12.stomp"},
		{name: "channel", about: "The name of a whole topic to the target.", want: "a text", fallback: "'{topic}'", example: "'topics/{topic}'"},
		{name: "key_channel", about: "The name of one key of a topic to the target.", want: "a text", fallback: "'{topic}/{key}'", example: "'{topic}:{key}'"},
		{name: "greet", about: "Frames sent once connected, before subscribe.", kind: kindList, item: &key{want: "a frame"}, depends: "none",
			example: `['{"id":1,"connect":{}}']`},
		{name: "subscribe", about: "The frame that subscribes: with {channels} sent once, with {channel} once for each. Without it whoever is " +
			"connected is subscribed.", want: "a frame", depends: "none", example: `'{"op":"subscribe","to":{channels}}'`},
		{name: "binary", about: "Whether frames are sent as binary messages.", kind: kindBool, fallback: "false", example: "true"},
		{name: "separator", about: "What parts several messages in one frame.", want: "a text", depends: "one message a frame", example: `"\n"`},
		{name: "control", about: "Beginnings of messages without a stamp that are expected and mean nothing.", kind: kindList,
			item: &key{want: "a text"}, depends: "none", example: `['{"type":"hello"']`},
		{name: "refusal", about: "The beginning of a message that says that a request failed.", want: "a text", depends: "none", example: `'{"error"'`},
		{name: "notice", about: "The beginning of a message that tells of messages shed.", want: "a text", depends: "none", example: `'{"dropped"'`},
		{name: "ping", about: "A message of the target's that pong answers, where it does not use WebSocket's own.", want: "a text", depends: "none",
			example: "'{}'"},
		{name: "pong", about: "The answer to ping.", want: "a text", depends: "none", example: "'{}'"},
		{name: "publish", about: "How a client publishes.", kind: kindMapping, shape: publishProfileShape, depends: "it can't",
			example: `{frame: '{"id":{id},"to":"{channel}","value":"{value}"}', acked: '{"ok"', id: '"id":'}`},
		{name: "received_at", about: "What stands before the gateway's own time of receiving a message (Unix nanoseconds).", want: "a text",
			depends: "none", example: `'"received_at_ns":'`},
		{name: "queued_at", about: "What stands before the gateway's own time of queueing it.", want: "a text", depends: "none",
			example: `'"queued_at_ns":'`},
		{name: "tls", about: "Whom to trust at wss:// URLs and what to show; true trusts whom the system trusts, as does leaving it out.", kind: kindBool,
			fallback: "false", or: []key{{kind: kindMapping, shape: tlsShape}}, example: "{ca: ca.pem}"},
		{name: "deflate", about: "Whether permessage-deflate is offered.", kind: kindBool, fallback: "false", example: "true"},
		{name: "framing", about: "What the target wraps its messages in: STOMP 1.2, or Socket.IO (Engine.IO 4) over WebSocket alone. Both subscribe " +
			"by themselves to what channel and key_channel name.", kind: kindWord, words: []string{framingSTOMP, framingSocketIO}, depends: "nothing",
			example: framingSTOMP},
		{name: "event", about: "The Socket.IO event that subscribes, emitted with the channel's name; framing: socket.io only.", want: "an event's name",
			depends: "whoever is connected is subscribed", example: "subscribe"},
		{name: "value", about: "How values stand in a message where not as they are: json escaped inside a JSON string, base64 by the standard alphabet.",
			kind: kindWord, words: []string{valueJSON, valueBase64}, depends: "as they are", example: valueJSON},
		{name: "joined", about: "The beginning of the answer after which all that is sent on the client's channels is delivered. Without it a client has " +
			"joined when it has seen a join marker.", want: "a text", depends: "none", example: `'{"type":"subscribed"'`},
		{name: "acknowledge", about: "A frame sent for each message that arrives; {id} stands for what is behind acknowledge_id in it.", want: "a frame",
			depends: "none", example: `'{"ack":"{id}"}'`},
		{name: "acknowledge_id", about: "What stands before a message's id, in digits or as a text.", want: "a text", depends: "none", example: `'"id":'`},
		{name: "resume", about: "How a client that comes back says how far it was.", kind: kindMapping, shape: resumeProfileShape, depends: "it can't",
			example: `{subscribe: '{"from":{positions}}', partition: '"p":', offset: '"o":', field: positions, failed: '"resumed":false'}`},
		{name: "guarantees", about: "What a target that is spoken to so declares, where gateway.guarantees does not say.", kind: kindMapping,
			shape: guaranteesShape, depends: "none", example: "{ordered: false}"},
	},
}

var queryShape = &shape{
	name:   "query",
	secret: true,
	about:  "The query's names and values. One that looks like a secret is named by {env: NAME} or {file: PATH}.",
	called: "a name",
	each:   &key{about: "The value.", want: "a text", example: "v1", or: []key{{kind: kindMapping, shape: prefixedSecretShape}}},
}

var handshakeShape = &shape{
	name:   "handshake_headers",
	secret: true,
	about:  "The headers' names and values. One that looks like a secret is named by {env: NAME} or {file: PATH}.",
	called: "a header's name",
	each:   &key{about: "The value.", want: "a text", example: "v1", or: []key{{kind: kindMapping, shape: prefixedSecretShape}}},
}

var prefixedSecretShape = &shape{
	name:   "prefixed_secret",
	secret: true,
	about:  "Where a secret of the handshake is found, one of env and file, and what stands before it.",
	keys: []key{
		{name: "env", about: "An environment variable's name.", want: "a variable's name", form: variableForm.String(), depends: "none", example: "TOKEN"},
		{name: "file", about: "A file's path, relative to the file that names it.", want: "a file's path", depends: "none", example: "secrets/token"},
		{name: "prefix", about: "What stands before the secret.", want: "a text", depends: "nothing", example: "'Bearer '"},
	},
}

var publishProfileShape = &shape{
	name:  "publish_profile",
	about: "How a client publishes, and what the answers mean.",
	keys: []key{
		{name: "frame", about: "What is sent: {id} is a number that the answer repeats, {value} the message.", want: "a frame", required: true,
			example: `'{"id":{id},"to":"{channel}","value":"{value}"}'`},
		{name: "acked", about: "The beginning of the answer that Kafka has the message.", want: "a text", required: true, example: `'{"ok"'`},
		{name: "refused", about: "The beginning of the answer that it was not written.", want: "a text", depends: "none", example: `'{"refused"'`},
		{name: "failed", about: "The beginning of the answer that leaves it open.", want: "a text", depends: "none", example: `'{"timeout"'`},
		{name: "id", about: "What stands before the number in an answer.", want: "a text", required: true, example: `'"id":'`},
	},
}

var resumeProfileShape = &shape{
	name: "resume_profile",
	about: "How positions are learned and told. They are, for each topic, an epoch and the next offset of each partition, and stand in messages as " +
		`{"TOPIC":{"epoch":"…","next":{"0":17}}}.`,
	keys: []key{
		{name: "subscribe", about: "Takes subscribe's place for clients that resume; {positions} is the object, which is empty where there is nothing to resume.", want: "a frame", required: true,
			example: `'{"op":"subscribe","to":{channels},"from":{positions}}'`},
		{name: "partition", about: "What stands before the digits of a message's partition.", want: "a text", required: true, example: `'"partition":'`},
		{name: "offset", about: "What stands before the digits of its offset.", want: "a text", required: true, example: `'"offset":'`},
		{name: "positions", about: "The beginning of a message that tells positions; those of control may have field, too.", want: "a text", depends: "none",
			example: `'{"type":"positions"'`},
		{name: "field", about: "The field of such a message that holds the object.", want: "a field's name", required: true, example: "positions"},
		{name: "failed", about: "What stands in an answer that says that what was missed can't be given any more.", want: "a text", required: true,
			example: `'"resumed":false'`},
		{name: "caught_up", about: "The beginning of the message that says that what follows is live.", want: "a text", depends: "none",
			example: `'{"type":"caught_up"'`},
	},
}
