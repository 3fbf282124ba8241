package report

import (
	"fmt"
	"math"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// breach reports whether the plan's i-th threshold can no longer hold, from the intervals so far. It is monotone: more
// intervals never take a breach back (latencies below zero apart, which make the run doubtful anyway).
func (j *Judge) breach(i int) (Finding, bool) {
	t := j.plan.Thresholds[i]
	subject, stat := t.Subject()
	within := measureScope(j.plan, t.Filters)
	var reason string
	var value float64
	switch {
	case t.Unit == scenarios.UnitNS:
		reason, value = j.latencyBreach(i, results.Stage(subject), stat, within)
	case subject == "audit":
		reason, value = j.countBreach(t, stat, within)
	default:
		if gauge, ok := resourceGauge(subject); ok {
			reason, value = j.resourceBreach(t, gauge, stat, within)
		}
	}
	if reason == "" {
		return Finding{}, false
	}
	return Finding{Threshold: t, Observed: &value, Result: OutcomeFail, Reason: reason, Early: true}, true
}

// latencyBreach gives a reason where the latency threshold can no longer hold, and the value seen so far.
func (j *Judge) latencyBreach(i int, stage results.Stage, stat string, within scope) (reason string, value float64) {
	t := j.plan.Thresholds[i]
	s := j.evidence.latency(stage, within)
	beyond := j.overdue[i].least()
	upper := t.Op == "<" || t.Op == "<="
	lower := t.Op == ">" || t.Op == ">="
	worst, least := float64(s.MaxNS), float64(s.MinNS)
	switch {
	case stat == "max" && upper && s.Count() > 0 && !holds(worst, t.Op, t.Value):
		return fmt.Sprintf("%s is %s already, not %s %s", subjectOf(t), formatValue(worst, t.Unit), t.Op, formatBound(t.Value, t.Unit)), worst
	case stat == "max" && upper && beyond > 0:
		return fmt.Sprintf("%s deliveries came later than %s, or are overdue", formatCount(beyond), formatBound(t.Value, t.Unit)), worst
	case stat == "min" && lower && s.Count() > 0 && !holds(least, t.Op, t.Value):
		return fmt.Sprintf("%s is %s already, not %s %s", subjectOf(t), formatValue(least, t.Unit), t.Op, formatBound(t.Value, t.Unit)), least
	case stat == "mean" && upper:
		return j.meanBreach(t, stage, s, within)
	}
	if percent, ok := t.Percentile(); ok && upper {
		return j.quantileBreach(t, stage, percent/100, s, beyond, within)
	}
	return "", 0
}

// quantileBreach: at most N values come within the scope, of which the q-quantile leaves N−⌈q·N⌉ above the limit, and
// fewer where N turns out smaller. More than that above it already are too many.
func (j *Judge) quantileBreach(t scenarios.Threshold, stage results.Stage, q float64, s results.Series, beyond int64, within scope) (string, float64) {
	most, bounded := j.mostValues(stage, within)
	if !bounded {
		return "", 0
	}
	most = max(most, s.Count(), beyond)
	allowed := most - int64(math.Ceil(q*float64(most)*(1-1e-12)))
	above := max(aboveLimit(t, s), beyond)
	if above <= allowed {
		return "", 0
	}
	return fmt.Sprintf("%s can no longer be %s %s: %s values are beyond it, and of all %s planned only %s may be", subjectOf(t), t.Op,
		formatBound(t.Value, t.Unit), formatCount(above), formatCount(most), formatCount(allowed)), float64(s.Quantile(q))
}

// aboveLimit counts the values that violate the threshold, by the convention that Quantile has.
func aboveLimit(t scenarios.Threshold, s results.Series) int64 {
	n := s.Count()
	limit := math.Floor(t.Value)
	if t.Op == "<" {
		limit = math.Ceil(t.Value) - 1
	}
	above := n - s.CountAtOrBelow(clampNS(limit))
	if n > 0 && holds(float64(s.MinNS), t.Op, t.Value) {
		above = min(above, n-1) // the first rank is exact, its bucket's end is not
	}
	return above
}

func clampNS(v float64) int64 {
	if v >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(v)
}

// meanBreach: what is still to come adds nothing below zero to the sum.
func (j *Judge) meanBreach(t scenarios.Threshold, stage results.Stage, s results.Series, within scope) (string, float64) {
	most, bounded := j.mostValues(stage, within)
	n := s.Count()
	if !bounded || n == 0 {
		return "", 0
	}
	least := s.Mean() * (float64(n) / float64(max(most, n))) * (1 - 1e-9)
	if holds(least, t.Op, t.Value) {
		return "", 0
	}
	return fmt.Sprintf("%s will be at least %s, not %s %s", subjectOf(t), formatValue(least, t.Unit), t.Op, formatBound(t.Value, t.Unit)), s.Mean()
}

// mostValues bounds how many values of the stage the plan can cause within the scope, where that can be said: a closed
// loop sends as many as the system answers.
func (j *Judge) mostValues(stage results.Stage, within scope) (int64, bool) {
	switch stage {
	case results.StageE2E, results.StageE2ESlow, results.StageE2EUncorrected, results.StageGateway:
		return within.plannedDeliveries(j.plan)
	case results.StageSendLag, results.StageAck, results.StageRoundTrip:
		return within.plannedMessages(j.plan)
	}
	return 0, false
}

// countBreach gives a reason where a count that only grows has left the threshold. Only what is counted as it arrives
// is known before the audit is closed.
func (j *Judge) countBreach(t scenarios.Threshold, stat string, within scope) (string, float64) {
	switch stat {
	case results.CountDuplicate, results.CountReordered, results.CountCorrupt,
		results.CountStray, results.CountEarly, results.CountForeign:
	default:
		return "", 0
	}
	n := float64(j.evidence.count(stat, within.has))
	gone := (t.Op == "<" && n >= t.Value) || ((t.Op == "<=" || t.Op == "==") && n > t.Value)
	if !gone {
		return "", 0
	}
	return fmt.Sprintf("%s is %s already, not %s %s", subjectOf(t), formatValue(n, t.Unit), t.Op, formatBound(t.Value, t.Unit)), n
}
