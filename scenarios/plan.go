package scenarios

import (
	"time"

	"github.com/weirbench/weir/internal/settings"
)

// Plan is a scenario with every default filled in, the seed included. It is what a run executes, what the run
// directory stores and what the report judges by: nothing downstream of [Resolve] sees YAML or flags. It is plain
// data, marshals to JSON and back without loss, and is never changed after Resolve returned it.
type Plan struct {
	Name        string        `json:"name"`
	Description string        `json:"description,omitempty"`
	Source      string        `json:"source,omitempty"` // the scenario file as the user named it
	Seed        uint64        `json:"seed"`
	Kafka       KafkaPlan     `json:"kafka"`
	Gateway     GatewayPlan   `json:"gateway"`
	Producers   []Producer    `json:"producers"`
	Clients     []ClientGroup `json:"clients"`
	Phases      Phases        `json:"phases"`
	Thresholds  []Threshold   `json:"thresholds"`
	Audit       AuditLimits   `json:"audit"`
	IntervalNS  time.Duration `json:"interval_ns"` // length of a reporting interval
	// Objective is the latency that the share of clients within the objective is counted against: the tightest
	// e2e latency threshold of the scenario, or 100 ms where there is none.
	Objective time.Duration `json:"objective_ns"`
}

// KafkaProvider names who supplies the brokers.
type KafkaProvider string

// The providers.
const (
	ProviderEmbedded KafkaProvider = "embedded" // kfake in a child process
	ProviderDocker   KafkaProvider = "docker"   // Apache Kafka in containers
	ProviderExternal KafkaProvider = "external" // a cluster that weir is pointed at
)

// KafkaPlan says which brokers the pipeline runs over and which topics it needs.
type KafkaPlan struct {
	Provider KafkaProvider `json:"provider"`
	Brokers  int           `json:"brokers"`         // how many to start; 0 for the external provider
	Seeds    []string      `json:"seeds,omitempty"` // external only, host:port
	Image    string        `json:"image,omitempty"` // docker only
	Topics   []Topic       `json:"topics"`
	// FinalRead is whether the topics are read back once more after the drain, as far as retention still holds them.
	FinalRead bool `json:"final_read"`
	// ReadUncommitted makes the observer read uncommitted records; the zero value reads committed ones.
	ReadUncommitted bool `json:"read_uncommitted,omitempty"`
	// Security is how an external cluster is reached; nil is plain text without authentication.
	Security *KafkaSecurity `json:"security,omitempty"`
	// Registry is where the schemas of avro and protobuf payloads are registered; nil is nowhere.
	Registry *Registry `json:"registry,omitempty"`
}

// KafkaSecurity is TLS and SASL towards an external cluster. It names files and environment variables; no secret is in
// a Plan.
type KafkaSecurity struct {
	TLS  *TLS  `json:"tls,omitempty"`  // nil: plain text
	SASL *SASL `json:"sasl,omitempty"` // nil: no authentication, or mTLS's
}

// TLS says whom to trust and, with CertFile and KeyFile, what to show (mTLS). All files are PEM.
type TLS struct {
	CAFile     string `json:"ca_file,omitempty"` // empty: the system's
	CertFile   string `json:"cert_file,omitempty"`
	KeyFile    string `json:"key_file,omitempty"`
	ServerName string `json:"server_name,omitempty"` // empty: the broker's host
}

// The SASL mechanisms.
const (
	SASLPlain       = "PLAIN"
	SASLScramSHA256 = "SCRAM-SHA-256"
	SASLScramSHA512 = "SCRAM-SHA-512"
	SASLOAuthBearer = "OAUTHBEARER"
)

// SASL is who weir is to the cluster.
type SASL struct {
	Mechanism string `json:"mechanism"`
	Username  string `json:"username"`
	Password  Secret `json:"password"`
	// OAUTHBEARER: Token is a token that is read again whenever it is asked for, or TokenURL is where one is got for
	// Username and Password as client id and secret (OAuth 2.0 client credentials), with Scope.
	Token    *Secret `json:"token,omitempty"`
	TokenURL string  `json:"token_url,omitempty"`
	Scope    string  `json:"scope,omitempty"`
}

// Secret is where a secret is found: in an environment variable or in a file, one of the two. The secret itself is read
// where it is used and stands nowhere else.
type Secret struct {
	Env  string `json:"env,omitempty"`
	File string `json:"file,omitempty"`
}

// Topic is one topic of the scenario. Its name in Kafka gets the run's suffix unless Keep is set.
type Topic struct {
	Name        string `json:"name"`
	Partitions  int    `json:"partitions"`
	Replication int    `json:"replication"`
	MinISR      int    `json:"min_isr"`
	// Existing means that the topic is there already and is used under its own name; weir neither creates nor deletes it.
	Existing bool `json:"existing,omitempty"`
	// RetentionBytes bounds a partition in the embedded Kafka, so that a long run does not fill the memory; 0 is unbounded.
	RetentionBytes int64 `json:"retention_bytes,omitempty"`
}

// TargetKind names what stands between Kafka and the clients.
type TargetKind string

// The targets.
const (
	TargetReference TargetKind = "reference" // weir's own gateway, as a child process
	TargetExternal  TargetKind = "external"  // a URL
	TargetCommand   TargetKind = "command"   // any program that weir starts
	TargetContainer TargetKind = "container" // any image, or a folder that one is built from

	// Those of targets/, which weir builds and starts.
	TargetNodeWS     TargetKind = "node-ws"
	TargetSpringBoot TargetKind = "spring-boot"
	TargetCentrifugo TargetKind = "centrifugo"
)

// GatewayPlan is the system under test.
type GatewayPlan struct {
	Target     TargetKind  `json:"target"`
	Listen     string      `json:"listen,omitempty"` // reference only; port 0 picks a free one
	URL        string      `json:"url,omitempty"`    // external only, ws://host:port/path
	Profile    WireProfile `json:"profile"`          // how to subscribe and what answers mean
	QueueBytes int64       `json:"queue_bytes,omitempty"`
	SlowPolicy string      `json:"slow_clients,omitempty"` // disconnect or drop-oldest
	// Conflate lists the topics of which only the newest value of each key is passed on at an interval. The reference
	// gateway is told so; of an external one it is what it declares. The audit judges by it either way.
	Conflate   []Conflation  `json:"conflate,omitempty"`
	Guarantees Guarantees    `json:"guarantees"`
	ReadyIn    time.Duration `json:"ready_in_ns"` // how long the target may take to become ready
	// BuildIn is how long it may take to make what is started there: the build of a target of targets/ or of an image, a
	// pull, and the wait for another run that builds the same. 0 for a target that needs none of it.
	BuildIn time.Duration `json:"build_in_ns,omitempty"`

	// Config is what else the reference gateway is told.
	Config settings.Gateway `json:"config,omitzero"`
	// Variant is which form of a target of targets/ is started: node-ws has naive and shared.
	Variant string `json:"variant,omitempty"`
	// Command is the program of the command target; Container that of the container target.
	Command   *CommandTarget   `json:"command,omitempty"`
	Container *ContainerTarget `json:"container,omitempty"`
	// Usage is where an external target's CPU and memory are read; nil is nowhere.
	Usage *UsageSource `json:"usage,omitempty"`
}

// CommandTarget is a program that weir starts, watches and stops. In Args, Env and Ready {port} stands for a free port that
// weir chose, {seeds} for the brokers (host:port,…), {topics} for the topics' names in Kafka (a,b), {run} for the run's
// name.
type CommandTarget struct {
	Args []string `json:"args"` // the program and its arguments; no shell
	Dir  string   `json:"dir,omitempty"`
	// Env is added to PATH, HOME, TMPDIR, LANG and what weir sets: PORT, KAFKA_SEEDS, KAFKA_TOPICS, WEIR_RUN.
	Env []EnvVar `json:"env,omitempty"`
	// URL is where clients connect, with {port}: ws://127.0.0.1:{port}/ws.
	URL   string `json:"url"`
	Ready Ready  `json:"ready"`
	// StopSignal is what asks it to end: SIGTERM by default, SIGINT, SIGQUIT or SIGHUP; StopIn is how long it may take
	// before it is killed, 10 s by default.
	StopSignal string        `json:"stop_signal,omitempty"`
	StopIn     time.Duration `json:"stop_in_ns,omitempty"`
}

// EnvVar is one variable of a target's environment. With Secret the value is the secret's.
type EnvVar struct {
	Name   string  `json:"name"`
	Value  string  `json:"value,omitempty"`
	Secret *Secret `json:"secret,omitempty"`
}

// Ready is how a started target says that it serves: one of a URL that answers 200, a port that is listened on by the
// target itself, or a line of its output that matches a regular expression. None of them: its WebSocket URL answers.
type Ready struct {
	URL  string `json:"url,omitempty"`
	Port bool   `json:"port,omitempty"`
	Log  string `json:"log,omitempty"`
}

// ContainerTarget is an image that weir starts, or builds and starts. The placeholders are those of a CommandTarget; {port}
// is Port, inside the container, and in URL and Ready.URL the port that it is published at on 127.0.0.1. {seeds} are
// addresses that the container reaches the brokers at.
type ContainerTarget struct {
	Image string   `json:"image,omitempty"`
	Build string   `json:"build,omitempty"` // a folder with a Dockerfile; one of Image and Build
	Args  []string `json:"args,omitempty"`  // the image's own command without them
	Env   []EnvVar `json:"env,omitempty"`
	Port  int      `json:"port"`
	URL   string   `json:"url"`
	Ready Ready    `json:"ready"`
	// HostNetwork gives the container this machine's network.
	HostNetwork bool          `json:"host_network,omitempty"`
	StopIn      time.Duration `json:"stop_in_ns,omitempty"`
}

// UsageSource is where an external target's use of the machine is read: from the processes with all that they started, or
// from a Prometheus page with process_cpu_seconds_total, process_resident_memory_bytes and process_open_fds.
type UsageSource struct {
	Pids    []int  `json:"pids,omitempty"`
	Metrics string `json:"metrics,omitempty"`
}

// Guarantees is what a target declares, and what the audit judges it by.
type Guarantees struct {
	Delivery string `json:"delivery"` // at-most-once or at-least-once; either forbids loss within a session
	Ordered  bool   `json:"ordered"`
	Sheds    bool   `json:"sheds"` // may drop under its slow-client policy, up to what it reports
	// Resumes: a client that comes back with its positions gets all that it missed; then absence excuses nothing.
	Resumes bool `json:"resumes,omitempty"`
}

// Conflation says that of a topic's records only the newest of each key is passed on, at most once in each interval.
type Conflation struct {
	Topic    string        `json:"topic"`
	Interval time.Duration `json:"interval_ns"`
}

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

// Phases is the course of a run.
type Phases struct {
	ConnectDeadline time.Duration  `json:"connect_deadline_ns"`
	JoinDeadline    time.Duration  `json:"join_deadline_ns"`
	WarmUp          time.Duration  `json:"warm_up_ns"`
	Measure         []MeasurePhase `json:"measure"`
	DrainDeadline   time.Duration  `json:"drain_deadline_ns"`
}

// MeasurePhase is one measured stretch with a load of its own.
type MeasurePhase struct {
	Name     string        `json:"name"`
	Duration time.Duration `json:"duration_ns"`
	// Rates overrides the rates of producers, and of publishing clients (each client's), by their name.
	Rates map[string]Curve `json:"rates,omitempty"`
	// Clients is how many clients of a group are connected, by the group's name; without it all are.
	Clients map[string]Curve `json:"clients,omitempty"`
}

// The names of the phases that are not measured, as intervals and events carry them.
const (
	PhaseConnect = "connect"
	PhaseWarmUp  = "warm-up"
	PhaseDrain   = "drain"
)

// AuditLimits bounds the memory of the delivery audit. A plan that would exceed Memory is refused by Resolve, a run
// whose gaps exceed Gaps fails openly.
type AuditLimits struct {
	MemoryBytes int64 `json:"memory_bytes"`
	Gaps        int   `json:"gaps"`
}

// Threshold is one condition of the verdict, such as "e2e.p99 < 50ms".
type Threshold struct {
	Text   string `json:"text"` // as the scenario has it
	Metric string `json:"metric"`
	Op     string `json:"op"` // < <= > >= == !=
	// Value is the limit: nanoseconds for latencies, a share of 1 for shares, a plain number otherwise.
	Value float64 `json:"value"`
	Unit  string  `json:"unit"` // ns, ratio, count, per_s, cores, bytes
	// Filters by label: phase, group, producer. Empty means all measure phases together.
	Filters map[string]string `json:"filters,omitempty"`
	Abort   bool              `json:"abort,omitempty"` // stop the run as soon as it can no longer hold
}

// ClientCount is the number of clients of all groups.
func (p *Plan) ClientCount() int {
	n := 0
	for _, g := range p.Clients {
		n += g.Count
	}
	return n
}

// Topic returns the topic of that name, or nil.
func (p *Plan) Topic(name string) *Topic {
	for i := range p.Kafka.Topics {
		if p.Kafka.Topics[i].Name == name {
			return &p.Kafka.Topics[i]
		}
	}
	return nil
}

// Sender is a source of messages: one of the Producers, or the publishing clients of a group, seen as one producer whose
// rate is that of all of them.
type Sender struct {
	Producer
	Group   int // index in Clients; −1 for a producer
	Clients int // publishing clients; 1 for a producer
	Think   *Think
}

// Senders lists the producers and then the publishing groups, each in the Plan's order. A sender's place in the list is
// its number in stamps.
func (p *Plan) Senders() []Sender {
	var senders []Sender
	for _, producer := range p.Producers {
		senders = append(senders, Sender{Producer: producer, Group: -1, Clients: 1})
	}
	for i, g := range p.Clients {
		if g.Publish == nil {
			continue
		}
		b := g.Publish
		keys := Keys{Kind: KeysNone}
		if b.Keys > 0 {
			keys = Keys{Kind: KeysRoundRobin, Count: b.Keys}
		}
		senders = append(senders, Sender{Group: i, Clients: g.Count, Think: b.Think, Producer: Producer{
			Name: b.Name, Topic: b.Topic, Rate: b.Rate.Scale(float64(g.Count)), Arrivals: b.Arrivals, Size: b.Size, Keys: keys, Payload: b.Payload,
		}})
	}
	return senders
}

// RateIn returns how the sender's rate goes in the measure phase, messages a second, of all its clients together.
func (p *Plan) RateIn(m MeasurePhase, s Sender) Curve {
	if r, ok := m.Rates[s.Name]; ok {
		return r.Scale(float64(s.Clients))
	}
	return s.Rate
}

// PeakRate is the sender's highest rate in any measure phase, messages a second.
func (p *Plan) PeakRate(s Sender) float64 {
	peak := 0.0
	for _, m := range p.Phases.Measure {
		peak = max(peak, p.RateIn(m, s).Peak(m.Duration))
	}
	return peak
}

// Conflation returns the interval at which the topic is conflated, or 0 where it is not.
func (p *Plan) Conflation(topic string) time.Duration {
	for _, c := range p.Gateway.Conflate {
		if c.Topic == topic {
			return c.Interval
		}
	}
	return 0
}
