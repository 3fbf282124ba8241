package report

import (
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// SchemaVersion is the version of summary.json. It rises when a field changes its meaning or goes away; new fields do
// not raise it.
const SchemaVersion = 1

// Verdict is what a run says about the pipeline.
type Verdict string

// The verdicts. Where several hold, the first of invalid, broken, failed is taken.
const (
	VerdictPassed  Verdict = "passed"
	VerdictFailed  Verdict = "failed"  // a threshold failed
	VerdictBroken  Verdict = "broken"  // delivery broke the target's contract
	VerdictInvalid Verdict = "invalid" // the generator or the clock cannot support a verdict
	VerdictNone    Verdict = "none"    // the run did not come far enough for one
)

// Summary is everything that is said about one run; it is summary.json. Latencies, counts and rates are of the measure
// phases together unless a field says otherwise: warm-up and drain are recorded, and not summarised.
type Summary struct {
	SchemaVersion int            `json:"schema_version"`
	Run           RunInfo        `json:"run"`
	Status        results.Status `json:"status"`
	Verdict       Verdict        `json:"verdict"`
	// Reasons are sentences, the decisive one first; they are never empty.
	Reasons    []string     `json:"reasons"`
	Exit       int          `json:"exit_code"`
	Health     HealthReport `json:"health"`
	Latency    LatencySet   `json:"latency"`
	Audit      AuditSummary `json:"audit"`
	Rates      Rates        `json:"rates"`
	Resources  Resources    `json:"resources"`
	Thresholds []Finding    `json:"thresholds"`
	Breakdown  Breakdown    `json:"breakdown"`
	Clients    Clients      `json:"clients"`
	// Counters are summed over the measure phases, CountersAll over the whole run.
	Counters    map[string]int64     `json:"counters"`
	CountersAll map[string]int64     `json:"counters_all_phases"`
	Warnings    []Remark             `json:"warnings"`
	Environment *results.Environment `json:"environment"`
	// Plan is what the run executed. It is not part of summary.json, since the directory holds it.
	Plan *scenarios.Plan `json:"-"`
	// Dir is where the run was read from.
	Dir string `json:"-"`
}

// RunInfo identifies a run.
type RunInfo struct {
	Scenario    string `json:"scenario"`
	Description string `json:"description,omitempty"`
	Source      string `json:"source,omitempty"`
	Seed        uint64 `json:"seed"`
	StartedAtNS int64  `json:"started_at_ns"` // Unix; 0 where nothing of the run says it
	// DurationNS is from the start to the last record; MeasuredNS is the measure phases' part of it.
	DurationNS  int64  `json:"duration_ns"`
	MeasuredNS  int64  `json:"measured_ns"`
	Intervals   int    `json:"intervals"`
	Interrupted bool   `json:"interrupted"`
	EndReason   string `json:"end_reason,omitempty"`
	Error       string `json:"error,omitempty"`
	Damage      string `json:"damage,omitempty"`
	Target      string `json:"target"` // the system under test, as the environment or else the plan names it
	Kafka       string `json:"kafka"`
	// Profile is the name of the profile that the target was spoken to by; Guarantees are what the audit judged it by.
	Profile    string               `json:"profile,omitempty"`
	Guarantees scenarios.Guarantees `json:"guarantees"`
}

// Remark is something to be said beside the figures, with a code that stays and a text that may change.
type Remark struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// HealthState says whether the generator and the clock can support a verdict.
type HealthState string

// The states of health.
const (
	HealthValid    HealthState = "valid"
	HealthDoubtful HealthState = "doubtful"
	HealthInvalid  HealthState = "invalid"
)

// HealthReport is the generator's health. Reasons hold first what makes the run invalid, then what makes it doubtful.
type HealthReport struct {
	State   HealthState    `json:"state"`
	Reasons []HealthReason `json:"reasons"`
	Figures HealthFigures  `json:"figures"`
}

// HealthReason is one reason for a state that is not valid.
type HealthReason struct {
	Remark
	State HealthState `json:"state"` // what this reason makes of the run
}

// HealthFigures are the figures that health is judged from. Record is nil where the run has none.
type HealthFigures struct {
	SendLagP99NS    int64    `json:"send_lag_p99_ns"`
	SendLagP999NS   int64    `json:"send_lag_p999_ns"`
	SendLagLimitNS  int64    `json:"send_lag_limit_ns"` // that p99 is held against
	ReceiveLagP99NS int64    `json:"receive_lag_p99_ns"`
	MachineBusy     *float64 `json:"machine_busy_share"`  // mean over the measure phases
	GeneratorCPU    *float64 `json:"generator_cpu_share"` // of one core, likewise
	// The figures that follow are over the measure phases, and null where they were not recorded.
	GeneratorOfCores *float64        `json:"generator_of_cores_share"` // of the cores that it may use
	ForeignCPU       *float64        `json:"foreign_cpu_share"`        // of all cores, used by no part of the run that weir meters
	RunQueue         *float64        `json:"run_queue_per_core"`       // the generator's threads that waited for a processor, on average, by its cores
	PacingWait       *float64        `json:"pacing_run_wait_share"`    // of the time, what the sending thread waited for a processor; of several the worst
	GCOfCPU          *float64        `json:"gc_cpu_share"`             // of the generator's processor time
	TCP              *TCPCounts      `json:"tcp"`
	CoalescedShare   float64         `json:"coalesced_share"` // of deliveries; their read time is an upper bound
	Record           *results.Health `json:"record"`
}

// AuditSummary is the delivery audit of the measure phases.
type AuditSummary struct {
	results.Classes
	Available bool `json:"available"` // false where the run ended before its account was closed; all counts are 0 then
	// CorruptionChecked is false where the wire form hides the values: Corrupt then means "not checked", whatever it is.
	CorruptionChecked bool `json:"corruption_checked"`
	// DeliveryRatio is delivered ÷ (expected − conflated − left); null where nothing was to be delivered.
	DeliveryRatio *float64 `json:"delivery_ratio"`
	// Conflated is how much of Shed is covered by a declared conflation: it breaks no contract and exceeds no latency.
	Conflated int64 `json:"conflated"`
	// Left is how much of Undetermined counts as on its way to clients of groups that come and go by plan.
	Left int64 `json:"left"`
	// NotTaken lists the senders of which the pipeline did not take every message: what was refused, or never acknowledged
	// and is not in the topic. Nothing of it is among the expected deliveries.
	NotTaken  []NotTaken           `json:"not_taken"`
	Rows      []results.AuditRow   `json:"rows"` // warm-up included
	Reference []results.TopicAudit `json:"reference"`
	Defects   []string             `json:"defects"`
}

// due is how many deliveries were to happen.
func (a AuditSummary) due() int64 { return a.Expected - a.Conflated - a.Left }

// Clients is what is said of clients one by one.
type Clients struct {
	Planned         int                   `json:"planned"`
	Judged          int                   `json:"judged"` // those that expected any delivery
	WithinObjective int                   `json:"within_objective"`
	WithinShare     *float64              `json:"within_share"`
	Objective       time.Duration         `json:"objective_ns"`
	NeverJoined     int                   `json:"never_joined"`
	NeverJoinedList []string              `json:"never_joined_clients"`
	Absences        []Absence             `json:"absences"` // of the groups that come and go by plan
	Returns         Returns               `json:"returns"`
	Worst           []results.ClientAudit `json:"worst"`
}

// Rates are per second of measure time.
type Rates struct {
	MeasuredSeconds float64 `json:"measured_seconds"`
	Sent            float64 `json:"sent_per_s"`
	Acked           float64 `json:"acked_per_s"`
	Delivered       float64 `json:"delivered_per_s"`
	BytesRead       float64 `json:"bytes_read_per_s"`
}

// Breakdown splits the end-to-end latency of the measure phases.
type Breakdown struct {
	ByPhase    []Part `json:"by_phase"`
	ByGroup    []Part `json:"by_group"`
	ByProducer []Part `json:"by_producer"`
}

// Part is one phase's, group's or producer's share of the run.
type Part struct {
	Name string `json:"name"`
	// Slow is whether the part is a group that reads slowly on purpose: its figures are of e2e_slow, and in no other
	// part's.
	Slow bool `json:"slow,omitempty"`
	results.Classes
	E2E         Latency           `json:"e2e"`
	E2EExpected ExpectedQuantiles `json:"e2e_expected"`
}
