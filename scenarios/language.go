package scenarios

import (
	"strings"
	"time"
)

//go:generate go test . -run "TestSchema$|TestGuide$" -update

// shape describes a mapping of the language. The decoder takes the keys, words, bounds and examples from it; the schema
// and docs/SCENARIOS.md are written from it: it is the one description there is.
type shape struct {
	name  string // of the schema's definition
	about string
	keys  []key
	// each describes the values of a mapping whose keys the user chooses; called is what those keys are.
	each   *key
	called string
	// choice is a mapping of which exactly one key is given.
	choice bool
	secret bool   // what a user may have written out here is not repeated in messages
	of     string // of mappings that may stand in one place: the key that this is told by
	whole  string // an example of the whole, where that of the required keys does not do
}

// key describes one key of a mapping, or an item of a list (without a name).
type key struct {
	name     string
	about    string
	kind     kind
	want     string   // a text: what it must be, for messages
	form     string   // a text: the regular expression that it must match, where it has one
	words    []string // the words of kindWord; the words that other kinds take beside their values
	low      int64    // bounds, in the kind's base unit: bytes, nanoseconds, messages a second
	high     int64
	required bool
	example  string
	fallback string // the default as it could be written; empty where there is none
	depends  string // the default in words, where it depends on something
	shape    *shape // of kindMapping
	item     *key   // of kindList
	or       []key  // further forms of the value
	reserved bool
	empty    bool // of kindList: it may be
}

// kind is what a value is.
type kind int

const (
	kindText kind = iota
	kindWord
	kindInt
	kindBool
	kindNumber
	kindShare
	kindDuration
	kindRate
	kindSize
	kindMapping
	kindList
)

// key returns the description of a key.
func (s *shape) key(name string) (key, bool) {
	if s.each != nil {
		return *s.each, true
	}
	for _, k := range s.keys {
		if k.name == name {
			return k, true
		}
	}
	return key{}, false
}

// mend is an example of the whole mapping, for messages.
func (s *shape) mend() string {
	if s.whole != "" {
		return s.whole
	}
	var parts []string
	for _, k := range s.keys {
		if k.required || s.choice && len(parts) == 0 {
			parts = append(parts, k.name+": "+k.example)
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (s *shape) names() []string {
	var names []string
	for _, k := range s.keys {
		names = append(names, k.name)
	}
	return names
}

const (
	second = int64(time.Second)
	day    = int64(maxDuration)
)

var scenarioShape = &shape{
	name:  "scenario",
	about: "A scenario says what is stood up, what load it gets, for how long, and what must hold.",
	keys: []key{
		{name: "version", about: "The version of the language.", kind: kindInt, low: 1, high: 1, required: true, example: "1"},
		{name: "name", about: "The scenario's name, of a–z, 0–9 and -.", want: "a name", form: nameForm.String(), required: true, example: "my-scenario"},
		{name: "description", about: "What the scenario is for, in a sentence.", want: "a text", depends: "none", example: "Prices to 500 dashboards."},
		{name: "seed", about: "What everything random is drawn from: the same seed gives the same messages at the same times.",
			kind: kindInt, low: 0, high: 1<<63 - 1, fallback: "1", example: "42"},
		{name: "kafka", about: "The brokers and the topics.", kind: kindMapping, shape: kafkaShape, required: true, example: "{topics: [{name: prices}]}"},
		{name: "gateway", about: "What stands between Kafka and the clients: the system under test.", kind: kindMapping, shape: gatewayShape,
			depends: "weir's own gateway", example: "{target: reference}"},
		{name: "producers", about: "What writes to Kafka, each an open loop. Required where no clients publish.", kind: kindList,
			item: &key{kind: kindMapping, shape: producerShape}, depends: "none", example: "[{name: feed, topic: prices, rate: 1000/s}]"},
		{name: "clients", about: "Groups of WebSocket clients that behave alike.", kind: kindList,
			item: &key{kind: kindMapping, shape: clientShape}, required: true, example: "[{name: viewers, count: 500, subscribe: {topic: prices}}]"},
		{name: "hops", about: "Kept for a later version.", reserved: true},
		{name: "phases", about: "The course of the run.", kind: kindMapping, shape: phasesShape, required: true,
			example: "{measure: [{name: steady, duration: 20s}]}"},
		{name: "faults", about: "Kept for a later version.", reserved: true},
		{name: "thresholds", about: "What must hold for the run to pass.", kind: kindList, item: &thresholdKey, empty: true, depends: "none",
			example: "[e2e.p99 < 50ms]"},
	},
}

var thresholdKey = key{about: "A condition of the verdict.", want: `a threshold such as "e2e.p99 < 50ms"`, example: "e2e.p99 < 50ms",
	or: []key{{kind: kindMapping, shape: thresholdShape}}}

var thresholdShape = &shape{
	name:  "threshold",
	about: "A threshold with what is to happen where it fails.",
	keys: []key{
		{name: "check", about: "The threshold.", want: `a threshold such as "e2e.p99 < 50ms"`, required: true, example: `"e2e.p99 < 50ms"`},
		{name: "abort", about: "Whether the run stops as soon as the threshold can no longer hold.", kind: kindBool, fallback: "false", example: "true"},
	},
}

var kafkaShape = &shape{
	name:  "kafka",
	about: "The brokers and the topics.",
	keys: []key{
		{name: "provider", about: "Who supplies the brokers: embedded is a Kafka in a child process that needs nothing, docker is Apache " +
			"Kafka in containers, external a cluster that is there already.", kind: kindWord,
			words: []string{string(ProviderEmbedded), string(ProviderDocker), string(ProviderExternal)}, fallback: "embedded", example: "docker"},
		{name: "brokers", about: "How many brokers to start; not for the external provider.", kind: kindInt, low: 1, high: maxBrokers,
			depends: "3 embedded, 1 in Docker", example: "3"},
		{name: "image", about: "The image of the brokers; docker only.", want: "an image such as apache/kafka:4.3.1",
			depends: defaultImage + " in Docker", example: "apache/kafka:4.3.1"},
		{name: "final_read", about: "Whether the topics are read back after the drain, so that what Kafka lost is told from what the gateway did.",
			kind: kindBool, fallback: "true", example: "false"},
		{name: "isolation", about: "Which records the observer beside the clients reads.", kind: kindWord,
			words: []string{isolationCommitted, isolationUncommitted}, fallback: isolationCommitted, example: isolationUncommitted},
		{name: "seeds", about: "The addresses of an external cluster; required there, and only there.", kind: kindList,
			item: &key{want: "host:port", example: "127.0.0.1:9092"}, depends: "none", example: "[127.0.0.1:9092]"},
		{name: "tls", about: "TLS towards an external cluster; true trusts whom the system trusts.", kind: kindBool, fallback: "false",
			or: []key{{kind: kindMapping, shape: tlsShape}}, example: "{ca: ca.pem}"},
		{name: "sasl", about: "Who weir is to an external cluster.", kind: kindMapping, shape: saslShape, depends: "no authentication",
			example: "{mechanism: SCRAM-SHA-512, username: weir, password: {env: KAFKA_PASSWORD}}"},
		{name: "registry", about: "Where the schemas of avro and protobuf payloads are registered.", kind: kindMapping, shape: registryShape, depends: "nowhere",
			example: "{url: 'http://127.0.0.1:8081'}"},
		{name: "topics", about: "The topics. Those that weir creates get a suffix of the run's, and are deleted after it.", kind: kindList,
			item: &key{kind: kindMapping, shape: topicShape}, required: true, example: "[{name: prices, partitions: 6}]"},
	},
}

var tlsShape = &shape{
	name:  "tls",
	about: "Whom to trust and, with cert and key, what to show. The files are PEM; their paths are relative to the file that names them.",
	keys: []key{
		{name: "ca", about: "The certificates of the authorities to trust.", want: "a file's path", depends: "the system's", example: "ca.pem"},
		{name: "cert", about: "weir's own certificate (mTLS).", want: "a file's path", depends: "none", example: "weir.pem"},
		{name: "key", about: "The key of cert.", want: "a file's path", depends: "none", example: "weir.key"},
		{name: "server_name", about: "The name that the other side's certificate must bear.", want: "a host's name", depends: "the host that is dialled",
			example: "kafka.example.org"},
	},
}

var saslShape = &shape{
	name:   "sasl",
	secret: true,
	about:  "Who weir is to the cluster.",
	whole:  "{mechanism: SCRAM-SHA-512, username: weir, password: {env: KAFKA_PASSWORD}}",
	keys: []key{
		{name: "mechanism", about: "How weir proves who it is.", kind: kindWord,
			words: []string{SASLPlain, SASLScramSHA256, SASLScramSHA512, SASLOAuthBearer}, required: true, example: SASLScramSHA512},
		{name: "username", about: "The user's name, or with token_url the client id; required but for a token that is named.", want: "a user's name",
			depends: "none", example: "weir"},
		{name: "password", about: "Where the password, or the client secret, is found; required with username. It is never written out.", kind: kindMapping,
			shape: secretShape, depends: "none", example: "{env: KAFKA_PASSWORD}"},
		{name: "token", about: "OAUTHBEARER: where a token is found. It is read again whenever the cluster asks for it.", kind: kindMapping, shape: secretShape,
			depends: "none", example: "{env: KAFKA_TOKEN}"},
		{name: "token_url", about: "OAUTHBEARER: where a token is got for username and password (OAuth 2.0 client credentials).",
			want: "a URL such as https://id.example.org/token", form: "^https?://", depends: "none", example: "'https://id.example.org/token'"},
		{name: "scope", about: "OAUTHBEARER: the scope that is asked for at token_url.", want: "a text", depends: "none", example: "kafka"},
	},
}

var registryShape = &shape{
	name: "registry", about: "A schema registry (Confluent's API).", keys: []key{
		{name: "url", about: "Its address.", want: "a URL such as http://127.0.0.1:8081", form: "^https?://", required: true, example: "'http://127.0.0.1:8081'"},
		{name: "username", about: "Who weir is to it.", want: "a user's name", depends: "nobody", example: "weir"},
		{name: "password", about: "Where the password is found; required with username.", kind: kindMapping, shape: secretShape, depends: "none",
			example: "{env: REGISTRY_PASSWORD}"},
		{name: "ca_file", about: "The certificates of the authorities to trust at https.", want: "a file's path", depends: "the system's", example: "ca.pem"},
	},
}

var secretShape = &shape{
	name:   "secret",
	secret: true,
	about:  "Where a secret is found. It is read where it is used and stands in no plan, log or report.",
	choice: true,
	keys: []key{
		{name: "env", about: "An environment variable's name.", want: "a variable's name", form: variableForm.String(), example: "KAFKA_PASSWORD"},
		{name: "file", about: "A file's path, relative to the file that names it.", want: "a file's path", example: "secrets/kafka"},
	},
}

var topicShape = &shape{
	name:  "topic",
	about: "A topic of the pipeline.",
	keys: []key{
		{name: "name", about: "The topic's name, which the rest of the scenario knows it by.", want: "a topic's name", form: topicForm.String(),
			required: true, example: "prices"},
		{name: "partitions", about: "How many partitions it has; required for an existing topic.", kind: kindInt, low: 1, high: maxPartitions,
			fallback: "6", example: "12"},
		{name: "replication", about: "How many brokers hold each partition.", kind: kindInt, low: 1, high: maxBrokers,
			depends: "3, or as many as there are brokers; 1 on an external cluster", example: "3"},
		{name: "min_isr", about: "How many replicas must have a record before it is acknowledged to acks: all.", kind: kindInt, low: 1, high: maxBrokers,
			depends: "2 of 3 replicas and more, else 1", example: "2"},
		{name: "existing", about: "The topic is there already: it is used under its own name and neither created nor deleted; external only.",
			kind: kindBool, fallback: "false", example: "true"},
		{name: "retention", about: "How much of a partition the embedded Kafka keeps.", kind: kindSize, low: 1 << 20, high: maxRetention,
			depends: "64MiB", example: "256MiB"},
	},
}

var gatewayShape = &shape{
	name:  "gateway",
	about: "The system under test.",
	keys: []key{
		{name: "target", about: "reference is weir's own gateway, external one that runs already; command is a program and container an image " +
			"that weir starts; node-ws, spring-boot and centrifugo are gateways that weir brings along.", kind: kindWord,
			words: targetKinds, fallback: string(TargetReference), example: string(TargetNodeWS)},
		{name: "variant", about: "Which form of node-ws: naive has a consumer for each connection, shared one for all.", kind: kindWord,
			words: []string{variantNaive, variantShared}, depends: "shared for node-ws", example: variantNaive},
		{name: "listen", about: "Where weir's own gateway listens; port 0 picks a free one.", want: "host:port", depends: defaultListen, example: "127.0.0.1:8080"},
		{name: "url", about: "Where an external gateway is; required there, and only there.", want: "a URL such as ws://127.0.0.1:8080/ws",
			form: "^wss?://", depends: "none", example: "ws://127.0.0.1:8080/ws"},
		{name: "command", about: "The program of target: command; required there, and only there.", kind: kindMapping, shape: commandShape, depends: "none",
			example: `{args: [node, server.js], url: 'ws://127.0.0.1:{port}/ws'}`},
		{name: "container", about: "The container of target: container; required there, and only there.", kind: kindMapping, shape: containerShape,
			depends: "none", example: `{image: 'my-gateway:1.0', port: 8080, url: 'ws://127.0.0.1:{port}/ws'}`},
		{name: "usage", about: "Where an external gateway's processor time and memory are read.", kind: kindMapping, shape: usageShape,
			depends: "nowhere", example: "{pids: [4711]}"},
		{name: "instances", about: "How many gateways weir starts, with target: reference and command. Each is a process of its own with a port of its own and " +
			"reads all topics; the clients are spread over them evenly, and one that comes back comes to the same. A program is told of " +
			"itself alone: its {run} and WEIR_RUN are the run's name with -1, -2 … behind.", kind: kindInt, low: 1, high: maxInstances, fallback: "1", example: "3"},
		{name: "profile", about: "How the target is spoken to: a built-in profile's name, a profile written out, or the path of a .yaml file " +
			"that holds one.", want: "a profile's name, a file's path or a profile written out", words: profileNames,
			depends: "the target's own; bare for external, command and container", example: "bare", or: []key{{kind: kindMapping, shape: profileShape}}},
		{name: "queue", about: "How much weir's own gateway keeps for a client that reads slowly.", kind: kindSize, low: 1 << 10, high: maxQueueBytes,
			depends: "1MiB", example: "4MiB"},
		{name: "slow_clients", about: "What weir's own gateway does with a client whose queue is full.", kind: kindWord,
			words: []string{slowDisconnect, slowDropOldest}, depends: slowDisconnect, example: slowDropOldest},
		{name: "config", about: "What else weir's own gateway is set to.", kind: kindMapping, shape: gatewayConfigShape, depends: "as docs/GATEWAY.md says",
			example: "{compression: true, limits: {connections: 5000}}"},
		{name: "conflate", about: "Topics of which each client gets only the newest value of each key, at most once in the interval. An " +
			"external target is declared to do so.", kind: kindMapping, shape: conflateShape, depends: "none", example: "{prices: 100ms}"},
		{name: "ready_in", about: "How long the target may take to become ready.", kind: kindDuration, low: int64(time.Millisecond), high: day,
			fallback: "30s", example: "2m"},
		{name: "build_in", about: "How long weir may take to make what it starts: to pull or build the image of target: container, or to build one of " +
			"node-ws, spring-boot and centrifugo.", kind: kindDuration, low: int64(time.Millisecond), high: day, depends: "10m", example: "30m"},
		{name: "guarantees", about: "What the target declares; the audit judges it by that.", kind: kindMapping, shape: guaranteesShape, depends: "as below",
			example: "{delivery: at-least-once}"},
	},
}

var conflateShape = &shape{
	name:   "conflate",
	about:  "The interval of each conflated topic.",
	called: "a topic's name",
	each: &key{about: "At most one value of each key is passed on in so long.", kind: kindDuration, low: int64(time.Millisecond), high: 3600 * second,
		example: "100ms"},
}

var guaranteesShape = &shape{
	name:  "guarantees",
	about: "What the target declares.",
	keys: []key{
		{name: "delivery", about: "Either forbids loss within a session.", kind: kindWord, words: []string{deliveryAtMostOnce, deliveryAtLeastOnce},
			depends: "the profile's, or " + deliveryAtMostOnce, example: deliveryAtLeastOnce},
		{name: "ordered", about: "Whether each stream arrives in order.", kind: kindBool, depends: "the profile's, or true", example: "false"},
		{name: "sheds", about: "Whether it may drop messages of slow clients, up to what it reports.", kind: kindBool,
			depends: "the profile's, or true for slow_clients: drop-oldest", example: "true"},
		{name: "resumes", about: "Whether a client that comes back with its positions gets all that it missed; then its absence excuses nothing.",
			kind: kindBool, depends: "the profile's, or true for weir's own gateway", example: "true"},
	},
}
