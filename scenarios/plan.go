package scenarios

import (
	"time"
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
