package report

import (
	"fmt"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// Judge is the one place where thresholds are judged. It takes a run's intervals one by one, and tells at any time
// which thresholds can no longer hold, and when the run has ended what became of each. The answers depend on the
// intervals given and on nothing else, so the runner's and the report's are the same. It has one user at a time.
type Judge struct {
	plan     *scenarios.Plan
	evidence *evidence
	overdue  []*overdue // by threshold; nil where lateness cannot be told before the end
}

// Outcome is what became of a threshold.
type Outcome string

// The outcomes. A threshold that nothing was measured for fails.
const (
	OutcomePass      Outcome = "pass"
	OutcomeFail      Outcome = "fail"
	OutcomeNotJudged Outcome = "not judged" // the run did not come to its end, and what there is decides nothing
)

// Finding is a threshold and what became of it.
type Finding struct {
	scenarios.Threshold
	// Observed is the value in the threshold's unit; nil where there is none, or where it lies among the missing.
	Observed *float64 `json:"observed"`
	Result   Outcome  `json:"result"`
	// Reason is a sentence with the figures.
	Reason string `json:"reason"`
	// Note is a doubt about the figure, such as too few values for the percentile.
	Note string `json:"note,omitempty"`
	// Early is whether the threshold was lost before the run ended.
	Early bool `json:"early,omitempty"`
}

// NewJudge returns a judge of the plan's thresholds.
func NewJudge(plan *scenarios.Plan) *Judge {
	j := &Judge{plan: plan, evidence: newEvidence(plan), overdue: make([]*overdue, len(plan.Thresholds))}
	for i, t := range plan.Thresholds {
		j.overdue[i] = newOverdue(plan, t)
	}
	return j
}

// Add takes the run's next interval. The interval stays the caller's and may be changed afterwards. An error says that
// a histogram in it was not made by results.NewHistogram; the rest of the interval may be missing then.
func (j *Judge) Add(in *results.Interval) error {
	for _, o := range j.overdue {
		o.add(in)
	}
	return j.evidence.add(in)
}

// Breached lists the thresholds with Abort that can no longer hold, whatever the rest of the run brings. Once listed a
// threshold stays listed, and Final fails it. What only the closed audit tells (lost, unseen, shed, delivery.ratio,
// clients.within) is never listed.
func (j *Judge) Breached() []Finding {
	var lost []Finding
	for i, t := range j.plan.Thresholds {
		if !t.Abort {
			continue
		}
		if f, yes := j.breach(i); yes {
			lost = append(lost, f)
		}
	}
	return lost
}

// Final judges every threshold of the plan, in its order. The audit is nil where the run did not come to close it. Of a
// run that is not complete only those are judged that can no longer hold: what is left of the others says nothing
// about the load that was planned.
func (j *Judge) Final(audit *results.Audit, status results.Status) []Finding {
	findings := make([]Finding, 0, len(j.plan.Thresholds))
	for i, t := range j.plan.Thresholds {
		findings = append(findings, j.final(i, t, audit, status))
	}
	return findings
}

func (j *Judge) final(i int, t scenarios.Threshold, audit *results.Audit, status results.Status) Finding {
	early, lost := j.breach(i)
	o := j.observe(t, audit, status)
	f := finding(t, o)
	switch {
	case lost && f.Result != OutcomeFail:
		return early
	case lost:
		f.Early = true
	case status != results.StatusComplete:
		f.Result = OutcomeNotJudged
		f.Reason = "the run did not come to its end"
		if o.state == found {
			f.Reason = fmt.Sprintf("%s was %s when the run ended early", subjectOf(t), formatValue(o.value, t.Unit))
		}
	}
	return f
}

// finding compares an observation with the threshold.
func finding(t scenarios.Threshold, o observation) Finding {
	f := Finding{Threshold: t, Result: OutcomeFail, Reason: o.text, Note: o.note}
	switch o.state {
	case found:
		v := o.value
		f.Observed = &v
		if holds(o.value, t.Op, t.Value) {
			f.Result = OutcomePass
		}
		value, limit := formatApart(o.value, t.Value, t.Unit)
		f.Reason = fmt.Sprintf("%s was %s", subjectOf(t), value)
		if f.Result == OutcomeFail {
			f.Reason += fmt.Sprintf(", not %s %s", t.Op, limit)
		}
	case beyond:
		if holds(infinite, t.Op, t.Value) {
			f.Result = OutcomePass
		}
	}
	return f
}

// holds compares. An operator that it does not know never holds.
func holds(v float64, op string, limit float64) bool {
	switch op {
	case "<":
		return v < limit
	case "<=":
		return v <= limit
	case ">":
		return v > limit
	case ">=":
		return v >= limit
	case "==":
		return v == limit
	case "!=":
		return v != limit
	}
	return false
}
