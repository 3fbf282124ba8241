package scenarios

import "time"

// The part of the language that says what weir's own gateway is set to: gateway.config of a scenario, and the file that
// weir gateway reads. The keys are the same in both.

// unlimited is the word for a bound that is lifted; the settings say −1.
const unlimited = "unlimited"

var gatewayConfigShape = &shape{
	name:  "gateway_config",
	about: "What weir's own gateway is set to beside its queue and its policy for slow clients. docs/GATEWAY.md tells the same keys of a file.",
	keys:  settingsKeys(publishSettingsShape),
}

// settingsKeys are the keys that set the gateway. Publishing has one more in a file of the gateway's own.
func settingsKeys(publish *shape) []key {
	return []key{
		{name: "compression", about: "Whether permessage-deflate is offered, without context takeover.", kind: kindBool, fallback: "false", example: "true"},
		{name: "resume", about: "How clients that come back get what they missed.", kind: kindMapping, shape: resumeSettingsShape, depends: "as below",
			example: "{memory: 256MiB}"},
		{name: "consume", about: "How the topics are read.", kind: kindMapping, shape: consumeShape, depends: "all partitions, without a group",
			example: "{group: dashboards, routed: true}"},
		{name: "batch", about: "Topics whose records are written to a client together, several to a frame.", kind: kindMapping, shape: batchShape, depends: "none",
			example: "{prices: {interval: 20ms, size: 16KiB}}"},
		{name: "publish", about: "How clients' records are written.", kind: kindMapping, shape: publish, depends: "as below", example: "{linger: 5ms}"},
		{name: "limits", about: "What clients may cost.", kind: kindMapping, shape: limitsShape, depends: "as below", example: "{connections: 5000}"},
		{name: "timeouts", about: "How long is waited.", kind: kindMapping, shape: timeoutsShape, depends: "as below", example: "{drain: 30s, drain_spread: 20s}"},
		{name: "origins", about: "Which browser pages may connect.", kind: kindMapping, shape: originsShape, depends: "the gateway's own",
			example: "{allow: ['https://app.example.org']}"},
		{name: "tls", about: "The certificate that the gateway shows; with it clients connect to wss://.", kind: kindMapping, shape: servedTLSShape,
			depends: "plain text", example: "{cert_file: gateway.pem, key_file: gateway.key}"},
		{name: "tokens", about: "How clients say who they are: by a JWT, as Authorization: Bearer or in the query token.", kind: kindMapping, shape: tokensShape,
			depends: "nobody is asked", example: "{jwks_url: 'https://id.example.org/jwks.json', audience: dashboards}"},
		{name: "permissions", about: "Who may use which channels. With any of them, what none allows is refused.", kind: kindList,
			item: &key{kind: kindMapping, shape: permissionShape}, depends: "all is allowed", example: "[{channels: ['prices/*'], allow: [subscribe]}]"},
		{name: "trace", about: "Traces sampled messages from Kafka to the write.", kind: kindMapping, shape: traceShape, depends: "none",
			example: "{endpoint: 'http://127.0.0.1:4318', ratio: 0.001}"},
		{name: "pprof", about: "An address that profiles are served at, and nothing else.", want: "host:port", depends: "none", example: "127.0.0.1:6060"},
	}
}

var resumeSettingsShape = &shape{
	name: "gateway_resume", about: "How clients that come back get what they missed.", keys: []key{
		{name: "enabled", about: "Whether they do.", kind: kindBool, fallback: "true", example: "false"},
		{name: "memory", about: "How much of all topics' recent records is kept for them; what is older is read from Kafka.", kind: kindSize, low: 1 << 20, high: 1 << 34,
			depends: "64MiB", example: "256MiB"},
		{name: "replays", about: "How many clients are given what they missed at a time; the others wait.", kind: kindInt, low: 1, high: 100_000, depends: "64",
			example: "16"},
		{name: "positions_every", about: "How often a client is told how far it is.", kind: kindDuration, low: 10 * int64(time.Millisecond), high: 3600 * second,
			depends: "10s", example: "2s"},
	},
}

var consumeShape = &shape{
	name: "gateway_consume", about: "How the topics are read.", keys: []key{
		{name: "group", about: "A consumer group that shares the partitions.", want: "a group's name", depends: "none: all partitions are read", example: "dashboards"},
		{name: "member", about: "The group's static member id.", want: "a name", depends: "a dynamic member", example: "gateway-1"},
		{name: "protocol", about: "The group's protocol: classic, consumer (KIP-848), or auto, which is consumer where the brokers have it.", kind: kindWord,
			words: []string{"auto", "classic", "consumer"}, depends: "auto", example: "classic"},
		{name: "routed", about: "Declares that clients are routed to the gateway that has their partitions; without it a gateway that is not alone in the " +
			"group refuses to serve.", kind: kindBool, fallback: "false", example: "true"},
	},
}

var batchShape = &shape{
	name: "gateway_batch", about: "How each such topic's records are gathered.", called: "a topic's name",
	each: &key{about: "How long a record waits for others, and for how many.", kind: kindMapping, shape: batchTopicShape, example: "{interval: 20ms}"},
}

var batchTopicShape = &shape{
	name: "gateway_batch_topic", about: "How a topic's records are gathered.", keys: []key{
		{name: "interval", about: "How long a record waits for others.", kind: kindDuration, low: int64(time.Millisecond), high: 10 * second, required: true,
			example: "20ms"},
		{name: "size", about: "A frame of so much is not waited with; a quarter of what is kept for a slow client at most, and by default too where that is less.",
			kind: kindSize, low: 1 << 10, high: 16 << 20, depends: "16KiB", example: "64KiB"},
	},
}

var publishSettingsShape = &shape{
	name: "gateway_publish", about: "How clients' records are written.", keys: []key{
		{name: "max_in_flight", about: "How many of a client's messages may have no answer yet.", kind: kindInt, low: 1, high: 1_000_000, depends: "256",
			example: "1000"},
		{name: "buffer", about: "How much of all clients may wait for Kafka's acknowledgement, 512 bytes a record besides.", kind: kindSize, low: 1 << 20, high: 1 << 31,
			depends: "64MiB", example: "128MiB"},
		{name: "linger", about: "How long a record waits for others to go with it.", kind: kindDuration, low: 0, high: second, fallback: "0s", example: "5ms"},
		{name: "deduplicate", about: "How long the ids of clients' messages are remembered, so that one sent again is written once.", kind: kindDuration,
			low: second, high: day, depends: "2m", example: "10m"},
		{name: "keys", about: "Keys of topics whose records get the same key whatever the client says.", kind: kindMapping, shape: publishKeysShape, depends: "the client's",
			example: "{chat: '{subject}'}"},
	},
}

var publishKeysShape = &shape{
	name: "gateway_publish_keys", about: "The key of each such topic's records.", called: "a topic's name",
	each: &key{about: "The key; {subject} stands for who the client is.", want: "a text", example: "'{subject}'"},
}

// limitKey takes a bound, or unlimited.
func limitKey(k key) key {
	k.words = []string{unlimited}
	return k
}

var limitsShape = &shape{
	name: "gateway_limits", about: "What clients may cost.", keys: []key{
		limitKey(key{name: "connections", about: "Connections in all.", kind: kindInt, low: 1, high: 10_000_000, depends: unlimited, example: "5000"}),
		limitKey(key{name: "connections_per_source", about: "Connections of one IP address.", kind: kindInt, low: 1, high: 10_000_000, depends: unlimited,
			example: "100"}),
		{name: "channels_per_client", about: "Subscriptions of one client.", kind: kindInt, low: 1, high: 1_000_000, depends: "1000", example: "50"},
		{name: "patterns_per_client", about: "Of these, patterns of keys. Each has 256 bytes behind the topic and 8 * at most.", kind: kindInt, low: 1, high: 1_000_000, depends: "100", example: "10"},
		{name: "message", about: "A message from a client, after inflation.", kind: kindSize, low: 128, high: 64 << 20, depends: "64KiB", example: "4KiB"},
		limitKey(key{name: "frames", about: "Frames from one client, control frames included; whole ones a second.", kind: kindRate, low: 1, high: maxRate,
			depends: "10000/s", example: "100/s"}),
		limitKey(key{name: "subscribes", about: "Channels that one client subscribes to, leaves or asks the presence of; whole ones a second.", kind: kindRate, low: 1, high: maxRate,
			depends: "10000/s", example: "50/s"}),
		limitKey(key{name: "queue_total", about: "What waits for all clients together; at least what may wait for one.", kind: kindSize, low: 1 << 10, high: 1 << 40,
			depends: unlimited, example: "1GiB"}),
	},
}

// timeoutKey is how long the gateway waits for something.
func timeoutKey(name, about, usual, example string) key {
	return key{name: name, about: about, kind: kindDuration, low: int64(time.Millisecond), high: 3600 * second, depends: usual, example: example}
}

var timeoutsShape = &shape{
	name: "gateway_timeouts", about: "How long is waited.", keys: []key{
		timeoutKey("handshake", "For a request's headers, and the handshake.", "10s", "5s"),
		timeoutKey("write", "For a client to take what is written.", "10s", "5s"),
		timeoutKey("ping", "How long a client may say nothing before it is pinged; after three times as long and a quarter, with two pings unanswered, it is closed.", "25s", "10s"),
		timeoutKey("close", "For a client to answer a close.", "1s", "3s"),
		timeoutKey("drain", "For queues to be written out at shutdown.", "10s", "30s"),
		{name: "drain_spread", about: "Over how long clients are closed at shutdown, evenly; 0s closes all at once.", kind: kindDuration, low: 0, high: 3600 * second,
			fallback: "0s", example: "20s"},
	},
}

var originsShape = &shape{
	name: "gateway_origins", about: "Which browser pages may connect.", keys: []key{
		{name: "allow", about: `Origins beside the gateway's own, https://*.example.org for all hosts below one; "*" for all.`, kind: kindList, item: &key{want: "an origin", example: "https://app.example.org"},
			depends: "none", example: "['https://app.example.org']"},
		{name: "without", about: "What becomes of requests without an Origin, which no browser sends.", kind: kindWord, words: []string{"allow", "refuse"},
			fallback: "allow", example: "refuse"},
	},
}

var servedTLSShape = &shape{
	name: "gateway_tls", about: "The certificate that the gateway shows. The files are PEM and are read again when they change; paths are relative to this file.",
	keys: []key{
		{name: "cert_file", about: "The certificate, with those that lead to its authority.", want: "a file's path", required: true, example: "gateway.pem"},
		{name: "key_file", about: "Its key.", want: "a file's path", required: true, example: "gateway.key"},
	},
}

var tokensShape = &shape{
	name: "gateway_tokens", secret: true, whole: "{jwks_file: jwks.json}", about: "How clients say who they are. Exactly one of the first three keys is given; no secret is.", keys: []key{
		{name: "hmac_file", about: "A file with the secret of HS256, HS384 and HS512.", want: "a file's path", depends: "none", example: "secrets/hmac"},
		{name: "jwks_file", about: "A key set (RFC 7517), read again when it changes.", want: "a file's path", depends: "none", example: "jwks.json"},
		{name: "jwks_url", about: "A key set, fetched again when a key is not in it.", want: "a URL such as https://id.example.org/jwks.json", form: "^https?://",
			depends: "none", example: "'https://id.example.org/jwks.json'"},
		{name: "issuer", about: "What iss must be.", want: "a text", depends: "anything", example: "'https://id.example.org'"},
		{name: "audience", about: "What aud must hold.", want: "a text", depends: "anything", example: "dashboards"},
		{name: "anonymous", about: "Whether clients without a token are let in, as nobody.", kind: kindBool, fallback: "false", example: "true"},
	},
}

var permissionShape = &shape{
	name: "gateway_permission", about: "Lets clients use channels.", keys: []key{
		{name: "channels", about: "Patterns of channels' names: * stands for any part without a slash, ** for any, {subject} for who the client is.", kind: kindList,
			item: &key{want: "a pattern", example: "'prices/*'"}, required: true, example: "['prices/*', 'chat/{subject}']"},
		{name: "claim", about: "A claim that the client's token must have.", want: "a claim's name", depends: "anybody", example: "roles"},
		{name: "value", about: "The value that the claim must have, or hold in its list.", want: "a text", depends: "anybody", example: "trader"},
		{name: "allow", about: "What is allowed. resume, beside subscribe, is to be given what Kafka has kept of the channels, from any position on; " +
			"without it resuming is refused.", kind: kindList, item: &key{kind: kindWord, words: permissionWords, example: "subscribe"}, required: true,
			example: "[subscribe, presence]"},
	},
}

var permissionWords = []string{"subscribe", "publish", "presence", "resume"}

var traceShape = &shape{
	name: "gateway_trace", about: "Traces sampled messages.", keys: []key{
		{name: "endpoint", about: "Where traces are sent: OTLP over HTTP.", want: "a URL such as http://127.0.0.1:4318", form: "^https?://", required: true,
			example: "'http://127.0.0.1:4318'"},
		{name: "ratio", about: "The share of records, by their traceparent header where they have one.", kind: kindShare, want: "a share such as 0.001", required: true,
			example: "0.001"},
	},
}
