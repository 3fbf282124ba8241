package report

import (
	"fmt"
	"math"
	"time"

	"github.com/weirbench/weir/results"
)

// The limits of the generator's health. A figure at its limit is within it.
const (
	sendLagFloor      = time.Millisecond // send lag p99 may always be this much
	sendLagShare      = 0.20             // or this share of the end-to-end p99, where that is more
	unsentShare       = 0.01             // of the planned messages
	clockSlewLimitPPM = 500.0            // what a clock discipline daemon slews at most
	coalescedShare    = 0.10             // of deliveries
	leavesShare       = 0.05             // of the deliveries expected of a group that comes and goes
)

// healthInput is what health is judged from.
type healthInput struct {
	record                  *results.Health // nil where the run has none
	complete                bool            // only then was all that was planned to be sent
	sendLag                 results.Series
	e2e                     results.Series // over what arrived
	slowE2E, roundTrip, ack results.Series
	receive                 results.Series
	slow                    int64 // deliveries to clients that read slowly on purpose, which are not in e2e
	replayed                int64 // deliveries that were replayed after an absence by plan, which are not in e2e either
	// negative names the stages with latencies below zero that cannot be, and counts them.
	negative  map[results.Stage]int64
	classes   results.Classes // of the measure phases
	unsettled int64           // undetermined deliveries that clients' leaving by plan does not explain
	leaves    []leaves        // of the groups that come and go
	published bool            // nobody reads by plan, and the topics tell what became of what clients published
	audited   bool
	defects   []string
	machine   machineInput
	coalesced int64
	damage    string
}

// healthVerdict collects reasons.
type healthVerdict struct{ invalid, doubtful []HealthReason }

func (v *healthVerdict) invalidIf(yes bool, code, format string, args ...any) {
	if yes {
		v.invalid = append(v.invalid, HealthReason{Remark{code, fmt.Sprintf(format, args...)}, HealthInvalid})
	}
}

func (v *healthVerdict) doubtfulIf(yes bool, code, format string, args ...any) {
	if yes {
		v.doubtful = append(v.doubtful, HealthReason{Remark{code, fmt.Sprintf(format, args...)}, HealthDoubtful})
	}
}

// judgeHealth says whether the generator and the clock can support a verdict. It is pure.
func judgeHealth(in healthInput) HealthReport {
	var v healthVerdict
	figures := healthFigures(in)
	v.judgeSending(in, figures)
	v.judgeAudit(in)
	v.judgeClock(in)
	v.judgeMachine(in, figures)
	report := HealthReport{State: HealthValid, Reasons: append(v.invalid, v.doubtful...), Figures: figures}
	switch {
	case len(v.invalid) > 0:
		report.State = HealthInvalid
	case len(v.doubtful) > 0:
		report.State = HealthDoubtful
	}
	if report.Reasons == nil {
		report.Reasons = []HealthReason{}
	}
	return report
}

func healthFigures(in healthInput) HealthFigures {
	_, lagBase := in.lagBase()
	f := HealthFigures{
		SendLagP99NS:     in.sendLag.Quantile(0.99),
		SendLagP999NS:    in.sendLag.Quantile(0.999),
		SendLagLimitNS:   max(int64(sendLagFloor), int64(sendLagShare*float64(lagBase.Quantile(0.99)))),
		ReceiveLagP99NS:  in.receive.Quantile(0.99),
		MachineBusy:      in.machine.busy,
		GeneratorCPU:     in.machine.cpu,
		GeneratorOfCores: in.ofCores(),
		ForeignCPU:       in.machine.foreign,
		RunQueue:         in.machine.runQueue,
		PacingWait:       in.machine.pacingWait,
		GCOfCPU:          in.machine.gcOfCPU(),
		TCP:              in.machine.tcp,
		Record:           in.record,
	}
	if n := in.e2e.Count() + in.slow; n > 0 {
		f.CoalescedShare = float64(in.coalesced) / float64(n)
	}
	return f
}

// judgeSending: the schedule must have been kept, or the load was not the one that the plan says.
func (v *healthVerdict) judgeSending(in healthInput, f HealthFigures) {
	name, lagBase := in.lagBase()
	v.invalidIf(f.SendLagP99NS > f.SendLagLimitNS, "send_lag",
		"the generator sent late: send lag p99 was %s, and %s is the most that %s p99 of %s bears (the larger of %s and %s)",
		formatNS(float64(f.SendLagP99NS)), formatNS(float64(f.SendLagLimitNS)), name, formatNS(float64(lagBase.Quantile(0.99))),
		formatLimit(float64(sendLagFloor)), formatShare(sendLagShare))
	v.doubtfulIf(in.e2e.Count() > 0 && f.SendLagP999NS > in.e2e.Quantile(0.99), "send_lag_tail",
		"send lag p99.9 was %s, more than the end-to-end p99 of %s: the highest percentiles are partly the generator's",
		formatNS(float64(f.SendLagP999NS)), formatNS(float64(in.e2e.Quantile(0.99))))
	if in.record == nil {
		v.doubtfulIf(true, "no_health", "the run has no health record: nobody knows whether the generator kept up")
		return
	}
	if unsent := unsentMessages(in.record); in.complete {
		planned := in.record.PlannedMessages
		v.invalidIf(float64(unsent) > unsentShare*float64(planned), "unsent",
			"the load was not the one planned: %s planned for the measure phases, %s sent, off by more than %s",
			plural(planned, "message"), formatCount(in.record.SentMessages), formatShare(unsentShare))
	}
}

// lagBase is the latency that send lag is held against, with its name: end to end, or where nothing is recorded of that
// the nearest to it.
func (in healthInput) lagBase() (name string, s results.Series) {
	switch {
	case in.e2e.Count() > 0:
	case in.slowE2E.Count() > 0:
		return "an e2e_slow", in.slowE2E
	case in.roundTrip.Count() > 0:
		return "a round_trip", in.roundTrip
	case in.ack.Count() > 0:
		return "an ack", in.ack
	}
	return "an end-to-end", in.e2e
}

// unsentMessages is how far what was sent is from what was planned. Messages that a full send buffer refused were sent
// as far as the generator goes, whether its count of sent ones includes them or not.
func unsentMessages(h *results.Health) int64 {
	with := absolute(h.PlannedMessages - h.SentMessages)
	without := absolute(h.PlannedMessages - h.SentMessages - h.OverflowMessages)
	return max(h.UnsentMessages, min(with, without))
}

func absolute(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

// judgeAudit: the account must be whole, and about something.
func (v *healthVerdict) judgeAudit(in healthInput) {
	for _, defect := range in.defects {
		v.invalidIf(true, "audit_defect", "defect of the harness: %s", defect)
	}
	if in.complete {
		v.invalidIf(in.audited && in.classes.Expected == 0 && !in.published, "nothing_expected",
			"nothing was expected: no delivery was due in the measure phases, so nothing was tested")
	}
	v.doubtfulIf(in.unsettled > 0, "undetermined",
		"%s undetermined: their sends were never settled, so they count neither as arrived nor as lost, and no percentile includes them",
		pluralIs(in.unsettled, "delivery"))
	for _, l := range in.leaves {
		v.doubtfulIf(float64(l.undetermined) > leavesShare*float64(l.expected), "undetermined_leaves",
			"%s of %s to %s were on their way to clients that left by plan: an outage would look the same",
			formatCount(l.undetermined), plural(l.expected, "delivery"), l.group)
	}
	v.doubtfulIf(in.audited && in.classes.Delivered != in.e2e.Count()+in.slow+in.replayed, "latency_count",
		"the audit has %s, the latency figures hold %s: not all that arrived was timed, or not in a measure phase",
		plural(in.classes.Delivered, "delivery"), formatCount(in.e2e.Count()+in.slow+in.replayed))
}

// judgeClock: all stamps are of one clock that must run evenly.
func (v *healthVerdict) judgeClock(in healthInput) {
	for _, stage := range stageOrder() {
		v.doubtfulIf(in.negative[stage] > 0, "negative_latency",
			"stage %s has %s below zero: a clock ran unevenly or stamps disagree", stage, plural(in.negative[stage], "value"))
	}
	if in.record == nil {
		return
	}
	v.invalidIf(in.record.ClockSteps > 0, "clock_step", "the realtime clock was set %s during the run: latencies across it are wrong",
		times(in.record.ClockSteps))
	v.doubtfulIf(math.Abs(in.record.ClockSlewPPM) > clockSlewLimitPPM, "clock_slew", "the realtime clock was slewed by up to %.0f ppm, more than %.0f",
		math.Abs(in.record.ClockSlewPPM), clockSlewLimitPPM)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func deref(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

// stageOrder is every stage, in the order in which they are shown.
func stageOrder() []results.Stage {
	var set LatencySet
	var order []results.Stage
	for _, s := range set.Stages() {
		order = append(order, s.Stage)
	}
	return order
}
