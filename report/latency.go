package report

import (
	"encoding/json"
	"math"

	"github.com/weirbench/weir/results"
)

// Latency is one stage's distribution in nanoseconds. Without a value all but the counts are null in JSON: nothing was
// measured, which is not the same as fast.
type Latency struct {
	Count  int64 `json:"count"`
	MinNS  int64 `json:"min_ns"`
	MeanNS int64 `json:"mean_ns"`
	P50NS  int64 `json:"p50_ns"`
	P90NS  int64 `json:"p90_ns"`
	P99NS  int64 `json:"p99_ns"`
	P999NS int64 `json:"p999_ns"`
	MaxNS  int64 `json:"max_ns"`
	// Negative counts values below zero, Overflow those above results.HighestNS; Count includes both.
	Negative int64 `json:"negative"`
	Overflow int64 `json:"overflow"`
	// ExpectedCount is the number of deliveries that were to happen, of which Count did. It is nil where nobody knows (the
	// audit was not closed) and for every stage but e2e and e2e_slow.
	ExpectedCount *int64 `json:"expected_count,omitempty"`
}

// latencyOf reads the figures off a merged series.
func latencyOf(s results.Series) Latency {
	n := s.Count()
	if n == 0 {
		return Latency{}
	}
	return Latency{
		Count:    n,
		MinNS:    s.MinNS,
		MeanNS:   int64(math.Round(s.Mean())),
		P50NS:    s.Quantile(0.5),
		P90NS:    s.Quantile(0.9),
		P99NS:    s.Quantile(0.99),
		P999NS:   s.Quantile(0.999),
		MaxNS:    s.MaxNS,
		Negative: negativeCount(s),
		Overflow: s.Overflow,
	}
}

func negativeCount(s results.Series) int64 {
	if s.Negative == nil {
		return s.Underflow
	}
	return s.Negative.TotalCount() + s.Underflow
}

// MarshalJSON writes null for the figures of an empty distribution.
func (l Latency) MarshalJSON() ([]byte, error) {
	type plain Latency // without this method
	if l.Count > 0 {
		return json.Marshal(plain(l))
	}
	return json.Marshal(struct {
		plain
		MinNS  *int64 `json:"min_ns"`
		MeanNS *int64 `json:"mean_ns"`
		P50NS  *int64 `json:"p50_ns"`
		P90NS  *int64 `json:"p90_ns"`
		P99NS  *int64 `json:"p99_ns"`
		P999NS *int64 `json:"p999_ns"`
		MaxNS  *int64 `json:"max_ns"`
	}{plain: plain(l)})
}

// ExpectedQuantiles are quantiles over expected deliveries, where those that did not arrive exceed every limit. One is
// nil where it falls among the missing.
type ExpectedQuantiles struct {
	P50NS  *int64 `json:"p50_ns"`
	P90NS  *int64 `json:"p90_ns"`
	P99NS  *int64 `json:"p99_ns"`
	P999NS *int64 `json:"p999_ns"`
	MaxNS  *int64 `json:"max_ns"`
}

// expectedOf reads quantiles over a population of which the series holds those that arrived.
func expectedOf(s results.Series, population int64) ExpectedQuantiles {
	at := func(q float64) *int64 {
		ns, ok := s.QuantileOver(q, population)
		if !ok {
			return nil
		}
		return &ns
	}
	return ExpectedQuantiles{P50NS: at(0.5), P90NS: at(0.9), P99NS: at(0.99), P999NS: at(0.999), MaxNS: at(1)}
}

// withExpected is a part's end-to-end latency over what arrived, and over what was expected. The latter is empty where
// no audit says how much that was.
func (w populations) withExpected(s results.Series, stage results.Stage, within scope, audit *results.Audit) (Latency, ExpectedQuantiles) {
	l := latencyOf(s)
	if audit == nil {
		return l, ExpectedQuantiles{}
	}
	expected, _ := w.deliveries(stage, within, audit)
	l.ExpectedCount = &expected
	return l, expectedOf(s, expected)
}

// missing reports whether fewer arrived than were expected, so that the two distributions differ.
func (l Latency) missing() bool { return l.ExpectedCount != nil && *l.ExpectedCount != l.Count }

// LatencySet holds the latency of each stage.
type LatencySet struct {
	E2E            Latency           `json:"e2e"` // corrected for coordinated omission, over what arrived
	E2EExpected    ExpectedQuantiles `json:"e2e_expected"`
	E2EUncorrected Latency           `json:"e2e_uncorrected"`
	// E2ESlow is that of the groups that read slowly on purpose, which are no part of E2E.
	E2ESlow         Latency           `json:"e2e_slow"`
	E2ESlowExpected ExpectedQuantiles `json:"e2e_slow_expected"`
	// RoundTrip is that of what a client published itself, over what arrived; it is part of E2E too.
	RoundTrip  Latency `json:"round_trip"`
	Kafka      Latency `json:"kafka"`
	Gateway    Latency `json:"gateway"`
	Ack        Latency `json:"ack"`
	SendLag    Latency `json:"send_lag"`
	ReceiveLag Latency `json:"receive_lag"`
	GatewayIn  Latency `json:"gateway_in"`
	GatewayOut Latency `json:"gateway_out"`
	Spread     Latency `json:"spread"`
	Connect    Latency `json:"connect"` // of the whole run
	// Replay is that of what clients missed while they were away; where the target had thrown them out it is part of E2E too.
	Replay   Latency `json:"replay"`
	CaughtUp Latency `json:"caught_up"` // of the whole run
}

// StageLatency is one line of a table of stages.
type StageLatency struct {
	Stage   results.Stage
	Meaning string
	Latency Latency
}

// recorded reports whether the stage has a value, or is one of which values are missing.
func (st StageLatency) recorded() bool { return st.Latency.Count > 0 || st.Latency.missing() }

// shown reports whether a table of stages has it: end to end always.
func (st StageLatency) shown() bool { return st.recorded() || st.Stage == results.StageE2E }

// Stages lists the stages in the order in which a message passes them, end to end first.
func (l *LatencySet) Stages() []StageLatency {
	return []StageLatency{
		{results.StageE2E, "due to read by the client", l.E2E},
		{results.StageE2EUncorrected, "sent to read by the client", l.E2EUncorrected},
		{results.StageE2ESlow, "due to read by clients that read slowly on purpose; not in e2e", l.E2ESlow},
		{results.StageRoundTrip, "due to read by the client that published it; in e2e too", l.RoundTrip},
		{results.StageSendLag, "due to sent: the generator's own delay", l.SendLag},
		{results.StageAck, "sent to acknowledged: by Kafka, or by the gateway for what clients publish", l.Ack},
		{results.StageKafka, "sent to read by the observer beside the clients", l.Kafka},
		{results.StageGateway, "read by the observer to read by the client", l.Gateway},
		{results.StageGatewayIn, "sent to received by the gateway, as it says", l.GatewayIn},
		{results.StageGatewayOut, "queued by the gateway, as it says, to read by the client", l.GatewayOut},
		{results.StageReceiveLag, "bytes in the kernel to read by the program", l.ReceiveLag},
		{results.StageSpread, "first to last client of one message", l.Spread},
		{results.StageConnect, "dial to WebSocket established", l.Connect},
		{results.StageReplay, "due to read by a client that was away; in e2e too where the target had thrown it out", l.Replay},
		{results.StageCaughtUp, "first dial of a client that comes back to having all that it missed", l.CaughtUp},
	}
}

// set stores a stage's figures.
func (l *LatencySet) set(stage results.Stage, figures Latency) {
	into := map[results.Stage]*Latency{
		results.StageE2E: &l.E2E, results.StageE2EUncorrected: &l.E2EUncorrected, results.StageSendLag: &l.SendLag,
		results.StageE2ESlow: &l.E2ESlow, results.StageRoundTrip: &l.RoundTrip,
		results.StageAck: &l.Ack, results.StageKafka: &l.Kafka, results.StageGateway: &l.Gateway,
		results.StageGatewayIn: &l.GatewayIn, results.StageGatewayOut: &l.GatewayOut,
		results.StageReceiveLag: &l.ReceiveLag, results.StageSpread: &l.Spread, results.StageConnect: &l.Connect,
		results.StageReplay: &l.Replay, results.StageCaughtUp: &l.CaughtUp,
	}
	*into[stage] = figures
}

// expected returns the stage's quantiles over expected deliveries, which e2e and e2e_slow have.
func (l *LatencySet) expected(stage results.Stage) ExpectedQuantiles {
	if stage == results.StageE2ESlow {
		return l.E2ESlowExpected
	}
	return l.E2EExpected
}

// supports reports whether n values are enough for the quantile q to be printed: ten of them are to lie above it.
func supports(q float64, n int64) bool {
	return float64(n)*(1-q) >= 10-1e-6
}
