package scenarios

import "time"

// Arrivals names how due times follow each other.
type Arrivals string

// The arrival processes.
const (
	ArrivalsConstant Arrivals = "constant"
	ArrivalsPoisson  Arrivals = "poisson"
)

// Producer is one open-loop source of messages.
type Producer struct {
	Name        string        `json:"name"`
	Topic       string        `json:"topic"`
	Rate        Curve         `json:"rate"` // messages a second, over each phase that says nothing else
	Arrivals    Arrivals      `json:"arrivals"`
	Size        Size          `json:"size"`
	Keys        Keys          `json:"keys"`
	Headers     []Header      `json:"headers,omitempty"`
	Payload     Payload       `json:"payload"`
	Acks        string        `json:"acks"` // all, leader, none
	Linger      time.Duration `json:"linger_ns"`
	Compression string        `json:"compression"` // none, gzip, snappy, lz4, zstd
	// Stall is the longest broker stall that the send buffer must outlast without holding up the schedule.
	Stall time.Duration `json:"stall_ns"`
}

// SizeKind names a distribution of value sizes.
type SizeKind string

// The size distributions.
const (
	SizeFixed     SizeKind = "fixed"
	SizeUniform   SizeKind = "uniform"
	SizeLognormal SizeKind = "lognormal"
	SizeHistogram SizeKind = "histogram"
)

// Size is the distribution of a value's size in bytes, the stamp included. Every size lies from Min to Max; fixed uses
// Min alone and has the same Max.
type Size struct {
	Kind   SizeKind  `json:"kind"`
	Min    int       `json:"min_bytes"`
	Max    int       `json:"max_bytes"`
	Median int       `json:"median_bytes,omitempty"` // lognormal; what falls outside Min and Max is set to them
	Sigma  float64   `json:"sigma,omitempty"`        // lognormal: standard deviation of ln(size)
	Bins   []SizeBin `json:"bins,omitempty"`         // histogram
}

// SizeBin is one size of a histogram and how often it comes, relative to the others.
type SizeBin struct {
	Bytes  int     `json:"bytes"`
	Weight float64 `json:"weight"`
}

// KeyKind names how keys are chosen.
type KeyKind string

// The key distributions.
const (
	KeysNone       KeyKind = "none"
	KeysRoundRobin KeyKind = "round-robin"
	KeysUniform    KeyKind = "uniform"
	KeysZipf       KeyKind = "zipf"
	KeysHotSet     KeyKind = "hot-set"
)

// Keys is how a producer chooses a message's key. Without keys messages go round the partitions.
type Keys struct {
	Kind  KeyKind `json:"kind"`
	Count int     `json:"count,omitempty"`
	// Skew is zipf's exponent s > 0: the k-th most frequent key has a share proportional to k^-s.
	Skew float64 `json:"skew,omitempty"`
	// Hot keys get HotShare of the messages of a hot set, all alike; the others share the rest. The hot set is the Hot
	// keys from n·Hot on, modulo Count, in the n-th stretch of HotMove since the load's beginning; HotMove 0 stays.
	Hot      int           `json:"hot,omitempty"`
	HotShare float64       `json:"hot_share,omitempty"`
	HotMove  time.Duration `json:"hot_move_ns,omitempty"`
}

// Header is a record's header. In its value {key} and {seq} stand for the message's key and its number.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// PayloadKind names what values are made of.
type PayloadKind string

// The payloads.
const (
	PayloadRandom   PayloadKind = "random"
	PayloadTemplate PayloadKind = "template"
	PayloadLines    PayloadKind = "lines"
	PayloadAvro     PayloadKind = "avro"
	PayloadProtobuf PayloadKind = "protobuf"
)

// Payload is what the values are made of beside the stamp.
type Payload struct {
	Kind PayloadKind `json:"kind"`
	// Compressibility is about the share of a random payload that a compressor takes away: 0 to 0.95.
	Compressibility float64 `json:"compressibility,omitempty"`
	// Template is a text with {stamp} in it once, and {seq}, {key}, {producer}, {due_ms} and {pad}: what {pad} stands for
	// makes the value as long as its size says; without it the size is the text's own.
	Template string `json:"template,omitempty"`
	// File holds the values, one a line, message i the line i modulo their number. The stamp stands where the line has
	// {stamp}, or in a first field "weir" of a line that is a JSON object, or before the line and a space. The size is
	// the line's own: MinBytes, MeanBytes and MaxBytes are those of the file as it was when the scenario was read.
	File      string  `json:"file,omitempty"`
	Lines     int     `json:"lines,omitempty"`
	MeanBytes float64 `json:"mean_bytes,omitempty"`
	MaxBytes  int     `json:"max_bytes,omitempty"`
	// Schema is what avro and protobuf payloads are made by.
	Schema *PayloadSchema `json:"schema,omitempty"`
}

// PayloadSchema is an Avro or Protobuf schema whose messages are sent in the schema registry's framing.
type PayloadSchema struct {
	File    string `json:"file"`              // .avsc or .proto
	Text    string `json:"text"`              // what stood there when the scenario was read
	Subject string `json:"subject,omitempty"` // in the registry; the topic's name in Kafka with -value by default
	Message string `json:"message,omitempty"` // protobuf: which message; the first by default
	// StampField holds the stamp: a text, of the top level. PadField, a text or bytes, makes the value as long as its size
	// says; without it the size is what comes.
	StampField string `json:"stamp_field"`
	PadField   string `json:"pad_field,omitempty"`
}

// Registry is a schema registry.
type Registry struct {
	URL      string  `json:"url"`
	Username string  `json:"username,omitempty"`
	Password *Secret `json:"password,omitempty"`
	CAFile   string  `json:"ca_file,omitempty"`
}

// ClientGroup is a number of WebSocket clients that behave alike. Groups of a Plan may share a name: a group with
// weighted subscriptions becomes one of each, and their figures are one group's.
type ClientGroup struct {
	Name        string    `json:"name"`
	Count       int       `json:"count"` // the most that are connected at once; a phase may have fewer
	ConnectRate float64   `json:"connect_rate_per_s"`
	Subscribe   Subscribe `json:"subscribe"`
	Reconnect   bool      `json:"reconnect"` // come back after being thrown out, with a jittered backoff
	// Resume: a client that comes back tells the target how far it was, as the profile's Resume says.
	Resume bool `json:"resume,omitempty"`
	// Publish is what each client sends through the gateway; nil is nothing.
	Publish *Publish `json:"publish,omitempty"`
	// Churn is how clients leave and come back while the load goes on; nil is never.
	Churn *Churn `json:"churn,omitempty"`
	// Slow makes the clients read slowly on purpose; their latencies are kept apart. Nil is as fast as they can.
	Slow *SlowReading `json:"slow,omitempty"`
	// SourceAddresses are the local addresses that clients connect from, in turn; none is the system's choice.
	SourceAddresses []string `json:"source_addresses,omitempty"`
}

// Subscribe is what each client of a group follows: nothing (Topic empty, for groups that publish), a whole topic, or
// Keys of its keys. Which keys client c follows is arithmetic: keys c·Keys … c·Keys+Keys−1, modulo their number.
type Subscribe struct {
	Topic string `json:"topic"`
	All   bool   `json:"all"`
	Keys  int    `json:"keys,omitempty"`
}

// Publish is what the clients of a group send: client c writes to key c modulo Keys of the topic, so that each client is
// one stream. Exactly one of Rate and Think drives it.
type Publish struct {
	Name  string `json:"name"` // as a producer's, in figures and thresholds; the group's by default
	Topic string `json:"topic"`
	Keys  int    `json:"keys,omitempty"` // 0: messages have no key
	// Rate is an open loop: messages a second of each client, over each phase that says nothing else.
	Rate     Curve    `json:"rate"`
	Arrivals Arrivals `json:"arrivals"`
	// Think is a closed loop: a client sends its next message so long after the answer to its last. Nil is an open loop.
	Think   *Think  `json:"think,omitempty"`
	Size    Size    `json:"size"`
	Payload Payload `json:"payload"`
}

// Think is the time between an answer and the next message: exactly Mean, or exponentially distributed around it.
type Think struct {
	Mean        time.Duration `json:"mean_ns"`
	Exponential bool          `json:"exponential,omitempty"`
}

// Churn is exponentially distributed times: how long a client stays, from the load's beginning on, and how long it is
// away. A leaving client closes its connection in order.
type Churn struct {
	Session time.Duration `json:"session_ns"` // mean
	Away    time.Duration `json:"away_ns"`    // mean
}

// SlowReading is a client that reads late: every Every, at most Bytes, from a socket with a small receive buffer.
type SlowReading struct {
	ReceiveBuffer int           `json:"receive_buffer_bytes"`
	Every         time.Duration `json:"every_ns"`
	Bytes         int           `json:"bytes"`
}
