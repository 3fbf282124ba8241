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
)

// GatewayPlan is the system under test.
type GatewayPlan struct {
	Target     TargetKind    `json:"target"`
	Listen     string        `json:"listen,omitempty"` // reference only; port 0 picks a free one
	URL        string        `json:"url,omitempty"`    // external only, ws://host:port/path
	Profile    string        `json:"profile"`          // how to subscribe and what answers mean: reference, bare
	QueueBytes int64         `json:"queue_bytes,omitempty"`
	SlowPolicy string        `json:"slow_clients,omitempty"` // disconnect or drop-oldest
	Guarantees Guarantees    `json:"guarantees"`
	ReadyIn    time.Duration `json:"ready_in_ns"` // how long the target may take to become ready
}

// Guarantees is what a target declares, and what the audit judges it by.
type Guarantees struct {
	Delivery string `json:"delivery"` // at-most-once or at-least-once; either forbids loss within a session
	Ordered  bool   `json:"ordered"`
	Sheds    bool   `json:"sheds"` // may drop under its slow-client policy, up to what it reports
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
	Rate        float64       `json:"rate_per_s"` // where the phase says nothing else
	Arrivals    Arrivals      `json:"arrivals"`
	Size        Size          `json:"size"`
	Keys        Keys          `json:"keys"`
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
	SizeFixed   SizeKind = "fixed"
	SizeUniform SizeKind = "uniform"
)

// Size is the distribution of a value's size in bytes, the stamp included. Fixed uses Min alone.
type Size struct {
	Kind SizeKind `json:"kind"`
	Min  int      `json:"min_bytes"`
	Max  int      `json:"max_bytes"`
}

// KeyKind names how keys are chosen.
type KeyKind string

// The key distributions.
const (
	KeysNone       KeyKind = "none"
	KeysRoundRobin KeyKind = "round-robin"
	KeysUniform    KeyKind = "uniform"
	KeysZipf       KeyKind = "zipf"
)

// Keys is how a producer chooses a message's key. Without keys messages go round the partitions.
type Keys struct {
	Kind  KeyKind `json:"kind"`
	Count int     `json:"count,omitempty"`
	// Skew is zipf's exponent s > 0: the k-th most frequent key has a share proportional to k^-s.
	Skew float64 `json:"skew,omitempty"`
}

// ClientGroup is a number of WebSocket clients that behave alike.
type ClientGroup struct {
	Name        string    `json:"name"`
	Count       int       `json:"count"`
	ConnectRate float64   `json:"connect_rate_per_s"`
	Subscribe   Subscribe `json:"subscribe"`
	Reconnect   bool      `json:"reconnect"` // come back after being thrown out, with a jittered backoff
}

// Subscribe is what each client of a group follows: a whole topic, or Keys of its keys. Which keys client c follows is
// arithmetic: keys c·Keys … c·Keys+Keys−1, modulo their number.
type Subscribe struct {
	Topic string `json:"topic"`
	All   bool   `json:"all"`
	Keys  int    `json:"keys,omitempty"`
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
	// Rates overrides producers' rates by their name, messages per second.
	Rates map[string]float64 `json:"rates_per_s,omitempty"`
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
	Unit  string  `json:"unit"` // ns, ratio, count, per_s
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

// RateIn returns the producer's rate in the measure phase, messages per second.
func (p *Plan) RateIn(m MeasurePhase, prod Producer) float64 {
	if r, ok := m.Rates[prod.Name]; ok {
		return r
	}
	return prod.Rate
}
