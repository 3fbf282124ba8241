package scenarios

// The payloads that are made by a schema. They are mappings of their own beside payloadShape.

const (
	fieldPattern   = `^[A-Za-z_][A-Za-z0-9_]{0,199}$`
	messagePattern = `^[A-Za-z_][A-Za-z0-9_]{0,199}(\.[A-Za-z_][A-Za-z0-9_]{0,199})*$`
)

var avroShape = &shape{
	name: "payload_avro", of: "avro",
	about: "Avro messages in the schema registry's framing, the stamp in a field. It needs kafka.registry, and clients can't publish it.",
	keys: append([]key{
		{name: "avro", about: "The schema's file, a record at the top; relative to the scenario's file.", want: "a file's path", required: true,
			example: "trade.avsc"},
	}, schemaKeys...),
}

var protobufShape = &shape{
	name: "payload_protobuf", of: "protobuf",
	about: "Protobuf messages in the schema registry's framing, the stamp in a field. It needs kafka.registry, and clients can't publish it.",
	keys: append([]key{
		{name: "protobuf", about: "The schema's file, relative to the scenario's file.", want: "a file's path", required: true, example: "trade.proto"},
		{name: "message", about: "Which of the file's messages.", want: "a message's name", form: messagePattern, depends: "the first", example: "Trade"},
	}, schemaKeys...),
}

var schemaKeys = []key{
	{name: "stamp_field", about: "The field that holds the stamp: a text, of the top level.", want: "a field's name", form: fieldPattern, required: true,
		example: "trace"},
	{name: "pad_field", about: "A field, a text or bytes, that makes the value as long as its size says.", want: "a field's name", form: fieldPattern,
		depends: "none: the size is what comes", example: "note"},
	{name: "subject", about: "The schema's subject in the registry.", want: "a subject", depends: "the topic's name in Kafka with -value", example: "trades-value"},
}
