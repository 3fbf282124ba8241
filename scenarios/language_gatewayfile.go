package scenarios

// The file that weir gateway reads: the settings of gateway.config, and what a scenario says elsewhere.

var gatewayFileShape = &shape{
	name:  "gateway_file",
	about: "What weir's own gateway serves and how. Flags of weir gateway win over the file.",
	keys: append([]key{
		{name: "listen", about: "Where it listens; port 0 picks a free one.", want: "host:port", depends: "127.0.0.1:8080", example: "0.0.0.0:8080"},
		{name: "instance_id", about: "What it is called in /readyz and to clients.", want: "a text", depends: "none", example: "gateway-1"},
		{name: "brokers", about: "Kafka's bootstrap addresses; required where --brokers is not given.", kind: kindList,
			item: &key{want: "host:port", example: "127.0.0.1:9092"}, depends: "none", example: "[127.0.0.1:9092]"},
		{name: "kafka", about: "How a secured cluster is reached.", kind: kindMapping, shape: kafkaSecurityShape, depends: "plain text, without authentication",
			example: "{tls: {ca: ca.pem}}"},
		{name: "topics", about: "The topics that are served; required where --topics is not given and nothing is published to.", kind: kindList,
			item: &key{want: "a topic's name", example: "prices"}, depends: "none", example: "[prices, chat]"},
		fileKey("conflate", "Topics of which each client gets only the newest value of each key, at most once in the interval.", "none"),
		fileKey("queue", "How much is kept for a client that reads slowly.", "1MiB"),
		fileKey("slow_clients", "What is done with a client whose queue is full.", slowDisconnect),
	}, settingsKeys(filePublishShape)...),
}

// fileKey is a key of a scenario's gateway with a description for a file that is about nothing else.
func fileKey(name, about, depends string) key {
	k, _ := gatewayShape.key(name)
	k.about, k.depends = about, depends
	return k
}

var kafkaSecurityShape = &shape{
	name: "kafka_security", about: "How a secured cluster is reached.", keys: []key{
		{name: "tls", about: "TLS; true trusts whom the system trusts.", kind: kindBool, fallback: "false", or: []key{{kind: kindMapping, shape: tlsShape}},
			example: "{ca: ca.pem}"},
		{name: "sasl", about: "Who the gateway is to the cluster.", kind: kindMapping, shape: saslShape, depends: "no authentication",
			example: "{mechanism: SCRAM-SHA-512, username: weir, password: {env: KAFKA_PASSWORD}}"},
	},
}

var filePublishShape = &shape{
	name: "gateway_file_publish", about: publishSettingsShape.about,
	keys: append([]key{
		{name: "topics", about: "The topics that clients may publish to, served or not.", kind: kindList, item: &key{want: "a topic's name", example: "chat"},
			depends: "none", example: "[chat]"},
	}, publishSettingsShape.keys...),
}
