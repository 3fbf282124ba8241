package results

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histograms hold nanoseconds from LowestNS to HighestNS with three significant digits. What lies above is counted as
// overflow, what lies below zero as negative; neither is clamped into the histogram.
const (
	LowestNS          = int64(time.Microsecond)
	HighestNS         = int64(10 * time.Minute)
	SignificantDigits = 3
)

// NewHistogram returns an empty histogram of the one geometry that all of weir's histograms have, so that any two merge.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(LowestNS, HighestNS, SignificantDigits)
}

// Stage names the span that a latency series measures.
type Stage string

// The stages. Every one is measured from the same message's stamps, never as a difference of percentiles.
const (
	StageE2E            Stage = "e2e"             // client read − due: corrected for coordinated omission
	StageE2EUncorrected Stage = "e2e_uncorrected" // client read − sent
	StageE2ESlow        Stage = "e2e_slow"        // client read − due, of the groups that read slowly on purpose; not in e2e
	StageRoundTrip      Stage = "round_trip"      // client read − due of what the same client published; in e2e too
	StageSendLag        Stage = "send_lag"        // sent − due
	StageAck            Stage = "ack"             // acked − sent; of what clients publish, the answer − sent
	StageKafka          Stage = "kafka"           // observer read − sent
	StageGateway        Stage = "gateway"         // client read − observer read of the same message, signed
	StageGatewayIn      Stage = "gateway_in"      // received by the gateway − sent, where the gateway says it
	StageGatewayOut     Stage = "gateway_out"     // client read − queued by the gateway, where the gateway says it
	StageReceiveLag     Stage = "receive_lag"     // program read − kernel had the bytes, where the kernel tells
	StageSpread         Stage = "spread"          // first to last client of one message (of a sample of messages)
	StageConnect        Stage = "connect"         // dial to WebSocket established
	StageReplay         Stage = "replay"          // client read − due of what was due before a client that resumes was back; in e2e too but for what replayed_after_leave counts
	StageCaughtUp       Stage = "caught_up"       // first dial of a client that comes back to all that it missed read
)

// Label says what a series or counter is about. An empty field means "not split by it".
type Label struct {
	Phase    string `json:"phase,omitempty"`
	Group    string `json:"group,omitempty"`
	Producer string `json:"producer,omitempty"`
}

// Series is one latency distribution of one interval. A message's phase is the one it was due in, the interval that in
// which it was observed.
type Series struct {
	Stage Stage `json:"stage"`
	Label
	// Histogram holds the values ≥ 0. Encoded in the file as the V2 compressed form, base64.
	Histogram *hdrhistogram.Histogram `json:"-"`
	// Negative holds the magnitudes of values below zero; nil where there were none.
	Negative  *hdrhistogram.Histogram `json:"-"`
	Overflow  int64                   `json:"overflow,omitempty"`  // values above HighestNS
	Underflow int64                   `json:"underflow,omitempty"` // values below −HighestNS
	SumNS     int64                   `json:"sum_ns"`              // signed sum of all, overflow included; saturates, see Mean
	MinNS     int64                   `json:"min_ns"`              // exact, signed
	MaxNS     int64                   `json:"max_ns"`              // exact
}

// The names of counters. All are deltas over one interval and are labelled by phase, and by group or producer.
const (
	CountSent         = "sent"         // handed to the Kafka client (producer)
	CountAcked        = "acked"        // acknowledged (producer)
	CountRefused      = "refused"      // proved not written (producer)
	CountUndetermined = "undetermined" // neither acked nor refused so far (producer)
	CountLate         = "late"         // sent more than 1 ms after due (producer)
	CountOverflow     = "overflow"     // refused because the send buffer was full (producer)
	CountExpected     = "expected"     // deliveries that the messages sent in the interval should cause (producer)
	CountDelivered    = "delivered"    // first arrivals (group)
	CountDuplicate    = "duplicate"    // (group)
	CountReordered    = "reordered"    // (group)
	CountCorrupt      = "corrupt"      // (group)
	CountStray        = "stray"        // (group)
	CountEarly        = "early"        // (group)
	CountForeign      = "foreign"      // (group)
	CountBytes        = "bytes"        // payload bytes read by clients (group)
	CountReads        = "reads"        // socket reads (group)
	CountCoalesced    = "coalesced"    // arrivals whose kernel timestamp is an upper bound (group)
	CountConnected    = "connected"    // connections established (group)
	CountConnectFail  = "connect_fail" // dials that failed (group)
	CountThrownOut    = "thrown_out"   // connections that the target closed (group)
	CountLeft         = "left"         // connections that the client closed as the scenario says (group)
	CountAbsent       = "absent_ms"    // of planned_ms, those without an established connection: dialling, refused, backing off (group)
	CountPlanned      = "planned_ms"   // client milliseconds of the load that clients were to be there by the scenario (group)
	CountObserved     = "observed"     // records read by the observer (producer)
	CountReportedShed = "reported_shed"
	CountReturns      = "returns"       // sessions after the first of clients that keep their positions (group)
	CountResumed      = "resumed"       // of them, those that the target went on with (group)
	CountResumeFailed = "resume_failed" // of them, those of which it said that it could not, or not with all (group)
	CountReplayed     = "replayed"      // first arrivals of what was due before the client was back (group)
	// CountReplayedLeave is the part of replayed that is in no e2e: it was due while the client was away as the scenario
	// says, and came before the target ended or refused a session (group).
	CountReplayedLeave = "replayed_after_leave"
)

// Counter is one named count of one interval.
type Counter struct {
	Name string `json:"name"`
	Label
	Value int64 `json:"value"`
}

// The names of gauges: values at the end of an interval.
const (
	GaugeClients      = "clients"             // connected clients
	GaugeUnsettled    = "unsettled"           // sends without an answer
	GaugeGeneratorCPU = "generator_cpu_share" // of one core, over the interval
	GaugeGeneratorRSS = "generator_rss_bytes"
	GaugeGatewayCPU   = "gateway_cpu_share"
	GaugeGatewayRSS   = "gateway_rss_bytes"
	// GaugeGatewayDescriptors is how many descriptors the target had open.
	GaugeGatewayDescriptors = "gateway_descriptors"
	// GaugeGatewayGoroutines is how many goroutines a target written in Go had, where it says so.
	GaugeGatewayGoroutines = "gateway_goroutines"
	GaugeKafkaCPU          = "kafka_cpu_share"
	GaugeKafkaRSS          = "kafka_rss_bytes"
	GaugeMachineBusy       = "machine_busy_share"      // of all cores
	GaugeGCPauseMax        = "generator_gc_pause_s"    // longest in the interval
	GaugeClockOffset       = "clock_realtime_drift_ns" // change of realtime − monotonic since the start
	GaugeDescriptors       = "generator_descriptors"
	GaugeGoroutines        = "generator_goroutines"
	GaugeMissingSoFar      = "missing" // expected − delivered of the measure phases so far
)

// Interval is what was observed in one stretch of time. StartAt and EndAt are Unix nanoseconds of the machine's
// realtime clock. Phase is the one that the run was in at its end.
type Interval struct {
	Index    int                `json:"index"`
	StartAt  int64              `json:"start_at_ns"`
	EndAt    int64              `json:"end_at_ns"`
	Phase    string             `json:"phase"`
	Series   []Series           `json:"series,omitempty"`
	Counters []Counter          `json:"counters,omitempty"`
	Gauges   map[string]float64 `json:"gauges,omitempty"`
}

// EventKind names what happened.
type EventKind string

// The kinds of events.
const (
	EventPhase      EventKind = "phase"      // a phase began
	EventWarning    EventKind = "warning"    // a doubt about the data; travels into the summary
	EventDisconnect EventKind = "disconnect" // a client was thrown out or lost its connection
	EventClockStep  EventKind = "clock-step" // realtime − monotonic changed by more than slewing explains; invalidates the run
	EventTarget     EventKind = "target"     // the target or Kafka started, stopped, died
	EventThreshold  EventKind = "threshold"  // an abort threshold can no longer hold
)

// Event is something that happened at an instant.
type Event struct {
	AtNS  int64     `json:"at_ns"` // Unix
	Kind  EventKind `json:"kind"`
	Phase string    `json:"phase,omitempty"`
	Text  string    `json:"text"`
	Count int64     `json:"count,omitempty"` // how many of the kind this stands for; 0 means 1
}

// Classes is the delivery audit's account. Expected = Delivered + Lost + Unseen + Shed + Undetermined.
type Classes struct {
	Expected     int64 `json:"expected"`
	Delivered    int64 `json:"delivered"`
	Lost         int64 `json:"lost"`
	Unseen       int64 `json:"unseen"`
	Shed         int64 `json:"shed"`
	Undetermined int64 `json:"undetermined"`
	Duplicate    int64 `json:"duplicate"`
	Reordered    int64 `json:"reordered"`
	Corrupt      int64 `json:"corrupt"`
	Stray        int64 `json:"stray"`
	Early        int64 `json:"early"`
	Foreign      int64 `json:"foreign"`
}

// Add adds o to c.
func (c *Classes) Add(o Classes) {
	c.Expected += o.Expected
	c.Delivered += o.Delivered
	c.Lost += o.Lost
	c.Unseen += o.Unseen
	c.Shed += o.Shed
	c.Undetermined += o.Undetermined
	c.Duplicate += o.Duplicate
	c.Reordered += o.Reordered
	c.Corrupt += o.Corrupt
	c.Stray += o.Stray
	c.Early += o.Early
	c.Foreign += o.Foreign
}

// Missing is what was expected and did not arrive, for whatever reason.
func (c *Classes) Missing() int64 { return c.Lost + c.Unseen + c.Shed + c.Undetermined }

// Holds reports whether the audit's identity holds to the message.
func (c *Classes) Holds() bool { return c.Expected == c.Delivered+c.Missing() }

// Audit is the account of every message of a run, closed when the run ends. Foreign frames carry no
// stamp that could be trusted; they stand in rows without a producer, of the phase in which they arrived.
type Audit struct {
	// Rows split the account by phase (warm-up included), client group and producer.
	Rows []AuditRow `json:"rows"`
	// Reference is the topic as finally read back, against what the producers sent. What is wrong there is not the gateway's.
	Reference []TopicAudit `json:"reference"`
	// Clients counts those whose share of deliveries within the objective was at least 99%, of all that expected any.
	ClientsWithin int           `json:"clients_within_objective"`
	ClientsTotal  int           `json:"clients_total"`
	Worst         []ClientAudit `json:"worst_clients,omitempty"`
	// Defects are breaches of the audit's own invariants, such as the identity. Any makes the run invalid.
	Defects []string `json:"defects,omitempty"`
	// NeverJoined lists clients (at most 20) of which a subscription did not come into force before the join deadline: no
	// marker came on it, or no answer where the profile names the one that joins. NeverJoinedCount is their number.
	NeverJoined      []string `json:"never_joined,omitempty"`
	NeverJoinedCount int      `json:"never_joined_count,omitempty"`
	// CorruptionChecked is false where the wire form hides the values' bytes; corrupt then means "not checked".
	CorruptionChecked bool `json:"corruption_checked"`
}

// AuditRow is one cell of the account.
type AuditRow struct {
	Phase    string `json:"phase"`
	Group    string `json:"group"`
	Producer string `json:"producer,omitempty"`
	// Conflated is the part of Shed that conflation as declared explains; what a notice of the target excused is the rest.
	Conflated int64 `json:"conflated,omitempty"`
	// Replayed is the part of Delivered whose latency is in the stage replay alone: what was due while clients that resume
	// were away as the scenario says, and came before the target ended or refused them a session.
	Replayed int64 `json:"replayed,omitempty"`
	Classes
}

// TopicAudit is what the final read of a topic says about one producer's messages in it.
type TopicAudit struct {
	Topic      string `json:"topic"`
	Producer   string `json:"producer"`
	Sent       int64  `json:"sent"`
	Acked      int64  `json:"acked"`
	Refused    int64  `json:"refused"`
	Unsettled  int64  `json:"unsettled"`  // neither, when the run ended
	InTopic    int64  `json:"in_topic"`   // distinct messages found
	AckedGone  int64  `json:"acked_gone"` // acknowledged and not in the topic: Kafka lost them
	Doubled    int64  `json:"doubled"`    // copies beyond the first
	Reordered  int64  `json:"reordered"`  // below the highest sequence number seen in their partition
	Source     string `json:"source"`     // "final read", "observer", or "none"
	Incomplete string `json:"incomplete,omitempty"`
}

// ClientAudit is one client's account, for the list of the worst.
type ClientAudit struct {
	Client      string  `json:"client"` // group and number: viewers/17
	Expected    int64   `json:"expected"`
	Missing     int64   `json:"missing"`
	MaxNS       int64   `json:"max_ns"`
	MeanNS      int64   `json:"mean_ns"`
	WithinShare float64 `json:"within_share"` // of expected deliveries, within the objective
	Sessions    int     `json:"sessions"`
}

// Health is what the generator knows about itself at the end of a run; the report judges it.
type Health struct {
	PlannedMessages   int64   `json:"planned_messages"`  // what the seed planned for the measure phases
	SentMessages      int64   `json:"sent_messages"`     // what was sent of them
	UnsentMessages    int64   `json:"unsent_messages"`   // planned and never handed over
	OverflowMessages  int64   `json:"overflow_messages"` // refused because the send buffer was full: the pipeline's failure
	ClockSteps        int     `json:"clock_steps"`
	ClockSlewPPM      float64 `json:"clock_slew_ppm"` // largest rate of change of realtime − monotonic
	GCCount           int64   `json:"gc_count"`
	GCPauseMaxNS      int64   `json:"gc_pause_max_ns"`
	DescriptorsUsed   int64   `json:"descriptors_used"`  // in the fullest of the process's tables
	DescriptorsLimit  int64   `json:"descriptors_limit"` // of each table
	PortsUsed         int64   `json:"ports_used"`        // most connections between a pair of addresses, at most
	PortsLimit        int64   `json:"ports_limit"`       // ephemeral ports for a pair of addresses
	CPUSeconds        float64 `json:"cpu_seconds"`
	PacerKind         string  `json:"pacer"`          // clock_nanosleep or timer
	ReceiveTimestamps string  `json:"receive_stamps"` // kernel or program
	// UsableCores is how many cores the generator may use, by its affinity and its control group; 0 where it was not recorded.
	// A quota of processor time may make it a fraction.
	UsableCores float64 `json:"usable_cores,omitempty"`
	// PacingWait is the part of the measure phases that a sending thread waited for a processor, of the one that did longest
	// in all; nil where it was not recorded.
	PacingWait *float64 `json:"pacing_wait_share,omitempty"`
	// GC is nil in runs of before it was recorded.
	GC *GCHealth `json:"gc,omitempty"`
}

// Environment is the machine and the software that a run was made with.
type Environment struct {
	WeirVersion   string            `json:"weir_version"`
	GitRevision   string            `json:"git_revision,omitempty"`
	GitModified   bool              `json:"git_modified,omitempty"`
	GoVersion     string            `json:"go_version"`
	OS            string            `json:"os"`
	Arch          string            `json:"arch"`
	Kernel        string            `json:"kernel,omitempty"`
	CPU           string            `json:"cpu,omitempty"`
	Cores         int               `json:"cores"`
	MemoryBytes   int64             `json:"memory_bytes,omitempty"`
	Kafka         string            `json:"kafka"`   // provider and version
	Gateway       string            `json:"gateway"` // target and version
	StartedAtNS   int64             `json:"started_at_ns"`
	Command       []string          `json:"command,omitempty"`
	ReceiveStamps string            `json:"receive_stamps"`   // kernel or program
	Reader        string            `json:"reader,omitempty"` // of most connections: epoll (a thread for many) or goroutines (one each)
	Extra         map[string]string `json:"extra,omitempty"`
}

// Status says how far a run came.
type Status string

// The statuses.
const (
	StatusComplete Status = "complete"
	StatusPartial  Status = "partial" // interrupted, killed, or ended by an error
	StatusAborted  Status = "aborted" // ended early by a threshold with abort
)

// End closes a run. A log without it is partial.
type End struct {
	AtNS        int64  `json:"at_ns"`
	Status      Status `json:"status"`
	Reason      string `json:"reason,omitempty"`
	Interrupted bool   `json:"interrupted,omitempty"`
	// Error is the failure that ended the run early, with its likely cause; empty otherwise.
	Error string `json:"error,omitempty"`
}
