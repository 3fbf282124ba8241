package scenarios

import "time"

// The part of the language that describes the load: producers, clients and phases.

var producerShape = &shape{
	name:  "producer",
	about: "A source of messages: an open loop, whose messages are due at its rate however slow the pipeline is.",
	keys: []key{
		{name: "name", about: "Its name, in figures and thresholds.", want: "a name", form: nameForm.String(), required: true, example: "feed"},
		{name: "topic", about: "The topic that it writes to.", want: "a topic's name", required: true, example: "prices"},
		rateKey(key{name: "rate", about: "Messages a second, or how they go over each phase that says nothing else.", required: true}),
		arrivalsKey,
		sizeKey,
		{name: "keys", about: "How a message's key is chosen. Without keys messages go round the partitions.", kind: kindWord,
			words: []string{string(KeysNone)}, want: "none, or {kind: round-robin, count: 50}", fallback: string(KeysNone),
			example: "{kind: round-robin, count: 50}", or: []key{{kind: kindMapping, shape: keysShape}}},
		{name: "headers", about: "Headers of each record; {key} and {seq} stand for the message's key and number.", kind: kindMapping,
			shape: headersShape, depends: "none", example: "{source: weir, id: '{seq}'}"},
		payloadKey,
		{name: "acks", about: "Whom a send waits for.", kind: kindWord, words: []string{"all", "leader", "none"}, fallback: "all", example: "leader"},
		{name: "linger", about: "How long a send may wait for others to share a batch with.", kind: kindDuration, low: 0, high: int64(maxLinger),
			fallback: "0s", example: "20ms"},
		{name: "compression", about: "How batches are compressed.", kind: kindWord, words: []string{"none", "gzip", "snappy", "lz4", "zstd"},
			fallback: "none", example: "lz4"},
		{name: "stall", about: "The longest broker stall that the send buffer must outlast without holding up the schedule.", kind: kindDuration,
			low: second, high: int64(maxStall), fallback: "30s", example: "10s"},
	},
}

var arrivalsKey = key{name: "arrivals", about: "How due times follow each other.", kind: kindWord,
	words: []string{string(ArrivalsConstant), string(ArrivalsPoisson)}, fallback: string(ArrivalsConstant), example: string(ArrivalsPoisson)}

var sizeKey = key{name: "size", about: "The size of a value, the stamp of up to 96 bytes included, or how sizes are distributed.", kind: kindSize,
	want: "a size such as 256B, or {uniform: {min: 256B, max: 4KiB}}", low: minValueBytes, high: maxValueBytes, fallback: "256B",
	example: "{uniform: {min: 256B, max: 4KiB}}", or: []key{{kind: kindMapping, shape: sizeShape}}}

var payloadKey = key{name: "payload", about: "What the values are made of beside the stamp.", kind: kindWord, words: []string{string(PayloadRandom)},
	want: "random, or {template: '{stamp} {pad}'}", fallback: string(PayloadRandom), example: `{template: '{"stamp":"{stamp}","text":"{pad}"}'}`,
	or: []key{{kind: kindMapping, shape: payloadShape}, {kind: kindMapping, shape: avroShape}, {kind: kindMapping, shape: protobufShape}}}

// rateKey makes a key one that takes a rate or a curve of rates.
func rateKey(k key) key {
	k.kind, k.high, k.example, k.or = kindRate, maxRate, "1000/s", []key{{kind: kindMapping, shape: rateCurveShape}}
	return k
}

var rateCurveShape = curveShape("rate_curve", "rate", func(name, about string) key {
	return key{name: name, about: about, kind: kindRate, high: maxRate, required: true, example: "100/s"}
})

var countCurveShape = curveShape("count_curve", "number of clients", func(name, about string) key {
	return key{name: name, about: about, kind: kindInt, high: maxClients, required: true, example: "100"}
})

// curveShape describes how a level goes over a phase.
func curveShape(name, level string, at func(name, about string) key) *shape {
	form := func(form, about string, keys ...key) *shape {
		return &shape{name: name + "_" + form, about: about, keys: keys}
	}
	hold := at("hold", "One "+level+" throughout.")
	hold.required = false
	mapping := func(s *shape, example string) key {
		return key{name: s.name[len(name)+1:], about: s.about, kind: kindMapping, shape: s, example: example}
	}
	lower, higher := "100/s", "2000/s"
	if at("", "").kind == kindInt {
		lower, higher = "100", "2000"
	}
	return &shape{
		name:   name,
		about:  "How a " + level + " goes over a phase. It may be 0 at one end, not throughout.",
		choice: true,
		keys: []key{
			mapping(form("ramp", "Straight from one "+level+" to another.", at("from", "At the phase's beginning."), at("to", "At its end.")),
				"{from: "+lower+", to: "+higher+"}"),
			mapping(form("steps", "Equal holds, the first at from and the last at to.", at("from", "The first."), at("to", "The last."),
				key{name: "steps", about: "How many.", kind: kindInt, low: 2, high: maxSteps, required: true, example: "5"}),
				"{from: "+lower+", to: "+higher+", steps: 5}"),
			mapping(form("spike", "A "+level+" with a peak in it.", at("base", "Before and after."), at("peak", "At the peak."),
				key{name: "at", about: "When the peak begins, from the phase's beginning on.", kind: kindDuration, low: 0, high: day, required: true, example: "5s"},
				key{name: "for", about: "How long it lasts.", kind: kindDuration, low: int64(time.Millisecond), high: day, required: true, example: "2s"}),
				"{base: "+lower+", peak: "+higher+", at: 5s, for: 2s}"),
			mapping(form("sine", "Around a mean, upwards first.", at("mean", "The mean."), at("amplitude", "How far it goes from the mean; at most the mean."),
				key{name: "period", about: "How long a wave is.", kind: kindDuration, low: int64(10 * time.Millisecond), high: day, required: true, example: "10s"}),
				"{mean: "+higher+", amplitude: "+lower+", period: 10s}"),
			hold,
		},
	}
}

var sizeShape = &shape{
	name:   "size",
	about:  "How sizes are distributed.",
	choice: true,
	keys: []key{
		{name: "uniform", about: "Each size from min to max alike.", kind: kindMapping, example: "{min: 256B, max: 4KiB}", shape: &shape{
			name: "size_uniform", about: "Each size alike.", keys: []key{
				boundKey("min", "The smallest.", "256B"),
				boundKey("max", "The largest.", "4KiB"),
			}}},
		{name: "lognormal", about: "The logarithm of the size is normally distributed: most are small, a few large.", kind: kindMapping,
			example: "{median: 400B, sigma: 0.8, min: 128B, max: 16KiB}", shape: &shape{
				name: "size_lognormal", about: "Most are small, a few large.", keys: []key{
					boundKey("median", "Half of the sizes are below.", "400B"),
					{name: "sigma", about: "The standard deviation of ln(size).", kind: kindNumber, want: "a number such as 0.8", high: maxSigma,
						required: true, example: "0.8"},
					boundKey("min", "What would be smaller has this size.", "128B"),
					boundKey("max", "What would be larger has this size.", "16KiB"),
				}}},
		{name: "histogram", about: "Some sizes, each with a weight.", kind: kindList, example: "[{size: 200B, weight: 70}, {size: 2KiB, weight: 30}]",
			item: &key{kind: kindMapping, shape: &shape{
				name: "size_bin", about: "One size and how often it comes.", keys: []key{
					boundKey("size", "The size.", "200B"),
					{name: "weight", about: "How often it comes, relative to the others.", kind: kindNumber, want: "a number such as 70", high: maxWeight,
						required: true, example: "70"},
				}}}},
	},
}

func boundKey(name, about, example string) key {
	return key{name: name, about: about, kind: kindSize, low: minValueBytes, high: maxValueBytes, required: true, example: example}
}

var keysShape = &shape{
	name:  "keys",
	about: "How a message's key is chosen.",
	keys: []key{
		{name: "kind", about: "round-robin takes one after the other, uniform any, zipf few much more often than others, hot-set a few that get " +
			"most of the messages and may move.", kind: kindWord,
			words:    []string{string(KeysRoundRobin), string(KeysUniform), string(KeysZipf), string(KeysHotSet), string(KeysNone)},
			required: true, example: string(KeysRoundRobin)},
		{name: "count", about: "How many keys there are: k0, k1 and so on; required but for none.", kind: kindInt, low: 1, high: maxKeys, depends: "none", example: "50"},
		{name: "skew", about: "zipf only: the k-th most frequent key has a share proportional to 1/k^skew.", kind: kindNumber,
			want: "a number such as 1.1", high: maxSkew, depends: "1 for zipf", example: "1.1"},
		{name: "hot", about: "hot-set only, and required there: how many keys are hot.", kind: kindInt, low: 1, high: maxKeys, depends: "none", example: "10"},
		{name: "share", about: "hot-set only: the share of the messages that the hot keys get.", kind: kindShare, want: "a share such as 90%",
			depends: "90% for hot-set", example: "90%"},
		{name: "move", about: "hot-set only: after so long the next keys are hot.", kind: kindDuration, low: int64(time.Millisecond), high: day,
			depends: "never", example: "10s"},
	},
}

var headersShape = &shape{
	name: "headers", about: "The headers' names and values.", called: "a header's name",
	each: &key{about: "The value.", want: "a text", example: "weir"},
}

var payloadShape = &shape{
	name:   "payload",
	about:  "What the values are made of beside the stamp.",
	choice: true,
	keys: []key{
		{name: "random", about: "Random bytes.", kind: kindMapping, example: "{compressibility: 0.5}", shape: &shape{
			name: "payload_random", about: "Random bytes.", keys: []key{
				{name: "compressibility", about: "About the share that a compressor takes away, at most 0.95.", kind: kindShare,
					want: "a share such as 0.5", fallback: "0", example: "0.5"},
			}}},
		{name: "template", about: "A text with {stamp} in it once, and {seq}, {key}, {producer}, {due_ms} and {pad}: what {pad} stands for makes the " +
			"value as long as its size says; without {pad} the size is the text's own.", want: "a text with {stamp} in it",
			example: `'{"stamp":"{stamp}","text":"{pad}"}'`},
		{name: "lines", about: "A file whose lines are the values, one after the other; its path is relative to the scenario's file. The stamp " +
			"stands where a line has {stamp}, or in a first field \"weir\" of a JSON object, or before the line.", want: "a file's path",
			example: "quotes.jsonl"},
	},
}

var clientShape = &shape{
	name:  "client_group",
	about: "A number of WebSocket clients that behave alike.",
	keys: []key{
		{name: "name", about: "Its name, in figures and thresholds.", want: "a name", form: nameForm.String(), required: true, example: "viewers"},
		{name: "count", about: "How many clients there are.", kind: kindInt, low: 1, high: maxClients, required: true, example: "500"},
		{name: "connect_rate", about: "How many connect in a second.", kind: kindRate, high: maxConnectRate, fallback: "500/s", example: "100/s"},
		{name: "subscribe", about: "What each client follows; a list shares the clients out by weight. Required but for groups that publish.",
			kind: kindMapping, shape: subscribeShape, depends: "nothing", example: "{topic: prices}",
			or: []key{{kind: kindList, item: &key{kind: kindMapping, shape: weightedShape}, example: "[{topic: prices, weight: 3}, {topic: news, weight: 1}]"}}},
		{name: "reconnect", about: "Whether a client that was thrown out comes back.", kind: kindBool, fallback: "true", example: "false"},
		{name: "resume", about: "Whether a client that comes back tells the target how far it was, and is owed all that it missed.", kind: kindBool,
			fallback: "false", example: "true"},
		{name: "publish", about: "What each client sends through the gateway.", kind: kindMapping, shape: publishShape, depends: "nothing",
			example: "{topic: chat, rate: 1/s}"},
		{name: "churn", about: "How clients leave and come back while the load goes on; the times are exponentially distributed.", kind: kindMapping,
			shape: churnShape, depends: "never", example: "{session: 30s, away: 2s}"},
		{name: "slow", about: "Makes the clients read late, from a small receive buffer. Their latencies are kept apart, as e2e_slow.", kind: kindMapping,
			shape: slowShape, depends: "as fast as they can", example: "{every: 100ms, bytes: 4KiB}"},
		{name: "source_addresses", about: "The local addresses that clients connect from, in turn: a list, or so many of 127.1.0.1 and on.",
			kind: kindInt, low: 1, high: maxSources, depends: "the system's choice", example: "4",
			or: []key{{kind: kindList, item: &key{want: "an IP address", example: "127.0.0.2"}, example: "[127.0.0.2, 127.0.0.3]"}}},
	},
}

var (
	subscribedTopicKey = key{name: "topic", about: "The topic.", want: "a topic's name", required: true, example: "prices"}
	subscribedKeysKey  = key{name: "keys", about: "How many of its keys each client follows: client c the next ones after client c−1's.", kind: kindInt,
		words: []string{"all", "one"}, low: 1, high: maxKeys, want: "all, one, or a number of keys", fallback: "all", example: "1"}
)

var subscribeShape = &shape{
	name: "subscribe", about: "What each client follows.", keys: []key{subscribedTopicKey, subscribedKeysKey},
}

var weightedShape = &shape{
	name: "weighted_subscribe", about: "What a share of the clients follows.", keys: []key{
		subscribedTopicKey, subscribedKeysKey,
		{name: "weight", about: "The share, relative to the others.", kind: kindNumber, want: "a number such as 3", high: maxWeight, required: true, example: "3"},
	},
}

var publishShape = &shape{
	name:  "publish",
	about: "What each client sends through the gateway: at its own rate, or so long after the answer to its last message.",
	keys: []key{
		{name: "name", about: "What figures and thresholds call them as a producer.", want: "a name", form: nameForm.String(), depends: "the group's", example: "talkers"},
		{name: "topic", about: "The topic that they publish to.", want: "a topic's name", required: true, example: "chat"},
		{name: "keys", about: "How many keys they write: client c writes to key c modulo so many.", kind: kindInt, low: 1, high: maxKeys,
			depends: "none", example: "50"},
		rateKey(key{name: "rate", about: "Messages a second of each client, an open loop. Either this or think.", depends: "none"}),
		{name: "think", about: "How long after the answer to its last message a client sends the next, a closed loop. Either this or rate.",
			kind: kindDuration, low: int64(time.Millisecond), high: 3600 * second, depends: "none", example: "2s", or: []key{{kind: kindMapping, shape: thinkShape}}},
		arrivalsKey, sizeKey, payloadKey,
	},
}

var thinkShape = &shape{
	name: "think", about: "How think times are distributed.", choice: true, keys: []key{
		{name: "exponential", about: "Exponentially distributed, with this mean.", kind: kindDuration, low: int64(time.Millisecond), high: 3600 * second,
			example: "2s"},
	},
}

var churnShape = &shape{
	name: "churn", about: "Mean times, exponentially distributed.", keys: []key{
		{name: "session", about: "How long a client stays.", kind: kindDuration, low: int64(100 * time.Millisecond), high: day, required: true, example: "30s"},
		{name: "away", about: "How long it is away.", kind: kindDuration, low: int64(10 * time.Millisecond), high: day, fallback: "2s", example: "5s"},
	},
}

var slowShape = &shape{
	name: "slow", about: "How the clients read.", keys: []key{
		{name: "receive_buffer", about: "The socket's receive buffer.", kind: kindSize, low: 1 << 10, high: 16 << 20, fallback: "4KiB", example: "8KiB"},
		{name: "every", about: "How long a client waits between reads.", kind: kindDuration, low: int64(time.Millisecond), high: 600 * second,
			fallback: "100ms", example: "1s"},
		{name: "bytes", about: "How much it reads each time, at most.", kind: kindSize, low: 1, high: 16 << 20, fallback: "4KiB", example: "1KiB"},
	},
}

var phasesShape = &shape{
	name:  "phases",
	about: "The course of the run: connect, join, warm-up, measure, drain.",
	keys: []key{
		{name: "connect", about: "Connecting all clients.", kind: kindMapping, shape: deadlineShape,
			depends: "30s, or 10 s more than connecting takes at the groups' rates", example: "{deadline: 1m}"},
		{name: "join", about: "Waiting until each client has seen a marker on each stream that it follows, or the answers to its subscriptions that the profile calls joined.", kind: kindMapping, shape: deadlineShape,
			depends: "15s", example: "{deadline: 30s}"},
		{name: "warm-up", about: "Load that is sent and checked, and no part of the figures.", kind: kindDuration, low: 0, high: day,
			depends: "2s; 10s for the docker provider, whose brokers have just started", example: "5s"},
		{name: "measure", about: "What is measured, one after the other.", kind: kindList, item: &key{kind: kindMapping, shape: measureShape},
			required: true, example: "[{name: steady, duration: 20s}]"},
		{name: "drain", about: "Waiting for what is still under way. Clients that resume and are away when the load ends come back in it: it is refused where that takes them longer at their connect_rate.", kind: kindMapping, shape: deadlineShape, depends: "10s", example: "{deadline: 30s}"},
	},
}

var deadlineShape = &shape{
	name: "deadline", about: "How long this may take.", keys: []key{
		{name: "deadline", about: "How long it may take.", kind: kindDuration, low: int64(time.Millisecond), high: day, depends: "the phase's", example: "30s"},
	},
}

var measureShape = &shape{
	name: "measure", about: "One measured phase.", keys: []key{
		{name: "name", about: "Its name, in figures and thresholds.", want: "a name", form: nameForm.String(), required: true, example: "steady"},
		{name: "duration", about: "How long it lasts.", kind: kindDuration, low: int64(10 * time.Millisecond), high: day, required: true, example: "20s"},
		{name: "rates", about: "Rates in this phase, by a producer's name or that of publishing clients (each client's).", kind: kindMapping,
			shape: &shape{name: "rates", about: "Rates by name.", called: "a producer's name",
				each: ptr(rateKey(key{about: "Messages a second, or how they go over the phase."}))},
			depends: "the producers' own", example: "{feed: 2000/s}"},
		{name: "clients", about: "How many clients of a group are connected in this phase, or how their number goes over it.", kind: kindMapping,
			shape: &shape{name: "phase_clients", about: "Clients by group.", called: "a group's name",
				each: &key{about: "How many are connected.", kind: kindInt, high: maxClients, example: "200",
					or: []key{{kind: kindMapping, shape: countCurveShape}}}},
			depends: "all", example: "{viewers: {ramp: {from: 100, to: 500}}}"},
	},
}

func ptr[T any](v T) *T { return &v }
