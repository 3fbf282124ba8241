package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// observation is what a run shows of a threshold's metric.
type observation struct {
	state observationState
	value float64 // in the threshold's unit, where found
	text  string  // why there is no value, where there is none
	note  string
}

type observationState int

const (
	absent observationState = iota // nothing was measured: the threshold fails
	found
	beyond // the value lies among expected deliveries that never came: above every limit
)

var infinite = math.Inf(1)

func noData(format string, args ...any) observation {
	return observation{text: "no data: " + fmt.Sprintf(format, args...)}
}

// observe finds the value of the threshold's metric at the end of a run.
func (j *Judge) observe(t scenarios.Threshold, audit *results.Audit, status results.Status) observation {
	subject, stat := t.Subject()
	within := measureScope(j.plan, t.Filters)
	if gauge, ok := resourceGauge(subject); ok {
		return j.observeResource(gauge, stat, within)
	}
	switch subject {
	case "audit":
		return observeAudit(stat, within, audit)
	case "delivery":
		return observeRatio(populationsOf(j.plan), within, audit)
	case "clients":
		return observeClients(audit)
	case "throughput":
		return j.observeRate(stat, within, status)
	case string(results.StageE2E), string(results.StageE2ESlow):
		return j.observeE2E(t, results.Stage(subject), stat, within, audit)
	}
	return j.observeLatency(t, results.Stage(subject), stat, within)
}

// observeE2E finds a latency over expected deliveries: those that did not arrive exceed every limit. Groups that read
// slowly on purpose are e2e_slow's, all others e2e's.
func (j *Judge) observeE2E(t scenarios.Threshold, stage results.Stage, stat string, within scope, audit *results.Audit) observation {
	s := j.evidence.latency(stage, within)
	expected, ok := populationsOf(j.plan).deliveries(stage, within, audit)
	switch {
	case audit == nil:
		return noData("the run has no audit, so nobody knows how many deliveries were expected")
	case !ok || expected == 0 && s.Count() == 0:
		return noData("no delivery was expected")
	}
	return latencyObservation(t, stat, s, expected)
}

// observeLatency finds a latency over what was recorded.
func (j *Judge) observeLatency(t scenarios.Threshold, stage results.Stage, stat string, within scope) observation {
	s := j.evidence.latency(stage, within)
	if s.Count() == 0 {
		return noData("nothing was recorded of %s", stage)
	}
	o := latencyObservation(t, stat, s, s.Count())
	if stage == results.StageRoundTrip {
		o.note = joinNotes(roundTripNote, o.note)
	}
	return o
}

// roundTripNote says what a figure of round_trip leaves out: what a client is to receive of its own messages is not
// counted apart from what it is to receive of all.
const roundTripNote = "over what arrived: which of its own messages a client missed is not counted apart"

func joinNotes(notes ...string) string {
	return strings.Join(slices.DeleteFunc(notes, func(n string) bool { return n == "" }), "; ")
}

// latencyObservation reads a statistic off a series that holds those of total values that arrived.
func latencyObservation(t scenarios.Threshold, stat string, s results.Series, total int64) observation {
	n := s.Count()
	total = max(total, n)
	missing := total - n
	amongMissing := observation{state: beyond, text: fmt.Sprintf("%s falls among the %s of %s expected deliveries that are missing",
		subjectOf(t), formatCount(missing), formatCount(total))}
	if percent, ok := t.Percentile(); ok {
		q := percent / 100
		ns, ok := s.QuantileOver(q, total)
		if !ok {
			return amongMissing
		}
		return observation{state: found, value: float64(ns), note: tooFew(stat, q, total)}
	}
	switch stat {
	case "min":
		if n > 0 {
			return observation{state: found, value: float64(s.MinNS)}
		}
		return amongMissing
	case "max", "mean":
		if missing > 0 {
			return amongMissing
		}
		if stat == "max" {
			return observation{state: found, value: float64(s.MaxNS)}
		}
		return observation{state: found, value: s.Mean()}
	}
	return noData("%s is no statistic that this weir knows", stat)
}

// tooFew is the doubt about a percentile of fewer values than it needs.
func tooFew(stat string, q float64, n int64) string {
	if supports(q, n) {
		return ""
	}
	return fmt.Sprintf("%s of %s values rests on fewer than ten above it (%s would do)", stat, formatCount(n), formatCount(needed(q)))
}

func observeAudit(stat string, within scope, audit *results.Audit) observation {
	classes, ok := within.classes(audit)
	switch {
	case audit == nil:
		return noData("the run has no audit")
	case !ok:
		return noData("the audit has no such row")
	case stat == "corrupt" && !audit.CorruptionChecked:
		return noData("corruption was not checked, since the wire form hides the values")
	}
	for _, class := range listClasses(classes) {
		if class.Name == stat {
			return observation{state: found, value: float64(class.Count)}
		}
	}
	return noData("%s is no class that this weir knows", stat)
}

// observeRatio is of the deliveries that were to happen, as latencies are.
func observeRatio(w populations, within scope, audit *results.Audit) observation {
	classes, ok := within.classes(audit)
	due := w.due(within, audit)
	if !ok || due == 0 {
		return noData("no delivery was expected")
	}
	return observation{state: found, value: float64(classes.Delivered) / float64(due)}
}

func observeClients(audit *results.Audit) observation {
	if audit == nil || audit.ClientsTotal == 0 {
		return noData("no client expected a delivery")
	}
	return observation{state: found, value: float64(audit.ClientsWithin) / float64(audit.ClientsTotal)}
}

func (j *Judge) observeRate(stat string, within scope, status results.Status) observation {
	seconds := j.evidence.elapsed(j.plan, within, status).Seconds()
	if seconds <= 0 || j.evidence.intervals == 0 {
		return noData("no measure time was recorded")
	}
	return observation{state: found, value: float64(j.evidence.count(stat, within.has)) / seconds}
}
