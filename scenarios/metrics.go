package scenarios

import (
	"slices"
	"strconv"
	"strings"
)

// The units of a threshold's value.
const (
	UnitNS    = "ns"    // a latency
	UnitRatio = "ratio" // a share of 1
	UnitCount = "count" // messages
	UnitPerS  = "per_s" // messages a second
	UnitCores = "cores" // processor time a time: 1.5 is one and a half cores
	UnitBytes = "bytes"
)

// metric is what thresholds may say about one subject: e2e, audit …
type metric struct {
	name   string
	unit   string
	stats  []string // nil for a latency, which has percentiles, max, mean and min
	labels []string // by which it may be filtered: what it is not split by would not be found
}

var (
	byAll      = []string{"group", "phase", "producer"}
	bySender   = []string{"phase", "producer"}
	byReceiver = []string{"group", "phase"}
	byPhase    = []string{"phase"}
	meanMax    = []string{"mean", "max"}
)

// subjects lists every metric. Those that a client observes are split by group, those that a producer or the observer
// does are not; connecting belongs to no measure phase.
func subjects() []metric {
	return []metric{
		{name: "e2e", unit: UnitNS, labels: byAll},
		{name: "e2e_uncorrected", unit: UnitNS, labels: byAll},
		{name: "e2e_slow", unit: UnitNS, labels: byAll},
		{name: "round_trip", unit: UnitNS, labels: byAll},
		{name: "kafka", unit: UnitNS, labels: bySender},
		{name: "gateway", unit: UnitNS, labels: byAll},
		{name: "ack", unit: UnitNS, labels: bySender},
		{name: "send_lag", unit: UnitNS, labels: bySender},
		{name: "receive_lag", unit: UnitNS, labels: byReceiver},
		{name: "gateway_in", unit: UnitNS, labels: byAll},
		{name: "gateway_out", unit: UnitNS, labels: byAll},
		{name: "spread", unit: UnitNS, labels: byAll},
		{name: "connect", unit: UnitNS, labels: []string{"group"}},
		{name: "replay", unit: UnitNS, labels: byAll},
		{name: "caught_up", unit: UnitNS, labels: []string{"group"}},
		{name: "audit", unit: UnitCount, labels: byAll, stats: []string{
			"expected", "delivered", "lost", "unseen", "shed", "undetermined",
			"duplicate", "reordered", "corrupt", "stray", "early", "foreign"}},
		{name: "delivery", unit: UnitRatio, labels: byAll, stats: []string{"ratio"}},
		{name: "clients", unit: UnitRatio, stats: []string{"within"}},
		{name: "throughput", unit: UnitPerS, stats: []string{"delivered", "sent", "acked"}, labels: byAll},
		{name: "gateway_cpu", unit: UnitCores, stats: meanMax, labels: byPhase},
		{name: "kafka_cpu", unit: UnitCores, stats: meanMax, labels: byPhase},
		{name: "generator_cpu", unit: UnitCores, stats: meanMax, labels: byPhase},
		{name: "machine_busy", unit: UnitRatio, stats: meanMax, labels: byPhase},
		{name: "gateway_rss", unit: UnitBytes, stats: meanMax, labels: byPhase},
		{name: "kafka_rss", unit: UnitBytes, stats: meanMax, labels: byPhase},
		{name: "generator_rss", unit: UnitBytes, stats: meanMax, labels: byPhase},
	}
}

// resourceMetric says whether a metric is of processor time or memory.
func resourceMetric(name string) bool {
	return strings.HasSuffix(name, "_cpu") || strings.HasSuffix(name, "_rss")
}

// labelsOf returns the labels that one statistic of the metric may be filtered by.
func (m metric) labelsOf(stat string) []string {
	switch {
	case m.name == "throughput" && stat == "delivered":
		return byReceiver
	case m.name == "throughput":
		return bySender
	case m.name == "audit" && stat == "foreign": // no stamp, so no producer
		return byReceiver
	}
	return m.labels
}

func metricNames() []string {
	var names []string
	for _, m := range subjects() {
		names = append(names, m.name)
	}
	return names
}

// statNames returns examples of a metric's statistics, for messages.
func (m metric) statNames() []string {
	if m.stats == nil {
		return []string{"p50", "p90", "p99", "p999", "p9999", "max", "mean", "min"}
	}
	return m.stats
}

// canonicalStat returns the one way in which a statistic is written in the Plan.
func (m metric) canonicalStat(stat string) (string, bool) {
	if m.stats != nil {
		return stat, slices.Contains(m.stats, stat)
	}
	if stat == "max" || stat == "mean" || stat == "min" {
		return stat, true
	}
	whole, fraction, ok := percentileDigits(stat)
	return "p" + whole + fraction, ok
}

// percentileDigits reads p99, p99.9 and p999 (which is p99.9): the first two digits are whole percents.
func percentileDigits(stat string) (whole, fraction string, ok bool) {
	digits, ok := strings.CutPrefix(stat, "p")
	whole, fraction, dotted := strings.Cut(digits, ".")
	if !dotted && len(digits) >= 2 {
		whole, fraction = digits[:2], digits[2:]
	}
	numeric := strings.Trim(whole+fraction, "0123456789") == ""
	if !ok || !numeric || len(whole) != 2 || whole == "00" || len(fraction) > 6 || digits == "100" || (dotted && fraction == "") {
		return "", "", false
	}
	return whole, strings.TrimRight(fraction, "0"), true
}

// Subject splits the threshold's canonical metric: "e2e.p999" into e2e and p999.
func (t Threshold) Subject() (name, stat string) {
	name, stat, _ = strings.Cut(t.Metric, ".")
	return name, stat
}

// Percentile returns the percentile that a latency threshold is about, in percent: 99.9 for e2e.p999. It is false for
// every other statistic.
func (t Threshold) Percentile() (percent float64, ok bool) {
	_, stat := t.Subject()
	whole, fraction, ok := percentileDigits(stat)
	if !ok || t.Unit != UnitNS {
		return 0, false
	}
	percent, err := strconv.ParseFloat(whole+"."+fraction, 64)
	return percent, err == nil
}
