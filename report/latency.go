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
	// audit was not closed) and for every stage but e2e.
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
func withExpected(s results.Series, classes results.Classes, audited bool) (Latency, ExpectedQuantiles) {
	l := latencyOf(s)
	if !audited {
		return l, ExpectedQuantiles{}
	}
	expected := population(classes)
	l.ExpectedCount = &expected
	return l, expectedOf(s, expected)
}

// missing reports whether fewer arrived than were expected, so that the two distributions differ.
func (l Latency) missing() bool { return l.ExpectedCount != nil && *l.ExpectedCount != l.Count }

// population is how many deliveries latency is judged over: those that were to happen. Nobody can say of an
// undetermined one whether it was; it is left out, and makes the run doubtful.
func population(c results.Classes) int64 { return c.Expected - c.Undetermined }

// LatencySet holds the latency of each stage.
type LatencySet struct {
	E2E            Latency           `json:"e2e"` // corrected for coordinated omission, over what arrived
	E2EExpected    ExpectedQuantiles `json:"e2e_expected"`
	E2EUncorrected Latency           `json:"e2e_uncorrected"`
	Kafka          Latency           `json:"kafka"`
	Gateway        Latency           `json:"gateway"`
	Ack            Latency           `json:"ack"`
	SendLag        Latency           `json:"send_lag"`
	ReceiveLag     Latency           `json:"receive_lag"`
	GatewayIn      Latency           `json:"gateway_in"`
	GatewayOut     Latency           `json:"gateway_out"`
	Spread         Latency           `json:"spread"`
	Connect        Latency           `json:"connect"` // of the whole run
}

// StageLatency is one line of a table of stages.
type StageLatency struct {
	Stage   results.Stage
	Meaning string
	Latency Latency
}

// Stages lists the stages in the order in which a message passes them, end to end first.
func (l *LatencySet) Stages() []StageLatency {
	return []StageLatency{
		{results.StageE2E, "due to read by the client", l.E2E},
		{results.StageE2EUncorrected, "sent to read by the client", l.E2EUncorrected},
		{results.StageSendLag, "due to sent: the generator's own delay", l.SendLag},
		{results.StageAck, "sent to acknowledged by Kafka", l.Ack},
		{results.StageKafka, "sent to read by the observer beside the clients", l.Kafka},
		{results.StageGateway, "read by the observer to read by the client", l.Gateway},
		{results.StageGatewayIn, "sent to received by the gateway, as it says", l.GatewayIn},
		{results.StageGatewayOut, "queued by the gateway, as it says, to read by the client", l.GatewayOut},
		{results.StageReceiveLag, "bytes in the kernel to read by the program", l.ReceiveLag},
		{results.StageSpread, "first to last client of one message", l.Spread},
		{results.StageConnect, "dial to WebSocket established", l.Connect},
	}
}

// set stores a stage's figures.
func (l *LatencySet) set(stage results.Stage, figures Latency) {
	into := map[results.Stage]*Latency{
		results.StageE2E: &l.E2E, results.StageE2EUncorrected: &l.E2EUncorrected, results.StageSendLag: &l.SendLag,
		results.StageAck: &l.Ack, results.StageKafka: &l.Kafka, results.StageGateway: &l.Gateway,
		results.StageGatewayIn: &l.GatewayIn, results.StageGatewayOut: &l.GatewayOut,
		results.StageReceiveLag: &l.ReceiveLag, results.StageSpread: &l.Spread, results.StageConnect: &l.Connect,
	}
	*into[stage] = figures
}

// supports reports whether n values are enough for the quantile q to be printed: ten of them are to lie above it.
func supports(q float64, n int64) bool {
	return float64(n)*(1-q) >= 10-1e-6
}
