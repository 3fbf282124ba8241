package report

import (
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// overdue counts deliveries that are known to exceed a latency limit before they arrive, so that a pipeline that hangs
// aborts a run just as a slow one does. Only acknowledged messages count: they can no longer turn out refused or
// undetermined, so each of their deliveries arrives, too late, or goes missing, and is above the limit either way.
type overdue struct {
	threshold scenarios.Threshold
	within    scope
	unsteady  map[string]bool // senders whose expectation is no measure of what is to arrive
	limit     time.Duration
	slack     time.Duration // since the meters of one interval are read one after the other
	fanOut    int64         // largest
	waiting   []expectation // sent, and not overdue yet
	expected  int64         // deliveries of messages sent long enough ago
	sent      int64
	acked     int64 // up to the interval before: never more than sent tells of
	ackedNow  int64
	arrived   int64
	above     int64 // arrived, and later than the limit
	floor     int64
}

type expectation struct{ endAt, deliveries int64 }

// newOverdue returns nil where the threshold has no use for it: expectations are not split by client group. Of an
// unsteady sender only what arrived late counts.
func newOverdue(p *scenarios.Plan, t scenarios.Threshold) *overdue {
	subject, _ := t.Subject()
	if subject != string(results.StageE2E) || t.Filters["group"] != "" {
		return nil
	}
	o := &overdue{threshold: t, within: measureScope(p, t.Filters), unsteady: unsteady(p), limit: time.Duration(clampNS(t.Value)), slack: p.IntervalNS}
	for _, sender := range p.Senders() {
		o.fanOut = max(o.fanOut, o.within.largestFanOut(p, sender.Producer))
	}
	return o
}

// add takes the run's next interval.
func (o *overdue) add(in *results.Interval) {
	if o == nil {
		return
	}
	for len(o.waiting) > 0 && in.StartAt-o.waiting[0].endAt > int64(o.limit)+int64(o.slack) {
		o.expected += o.waiting[0].deliveries
		o.waiting = o.waiting[1:]
	}
	o.acked = o.ackedNow
	if deliveries := o.addCounters(in); deliveries > 0 {
		o.waiting = append(o.waiting, expectation{in.EndAt, deliveries})
	}
	for _, s := range in.Series {
		if s.Stage != results.StageE2E || !o.within.has(s.Label) {
			continue
		}
		o.above += aboveLimit(o.threshold, s)
		if !o.unsteady[s.Producer] {
			o.arrived += s.Count()
		}
	}
	o.floor = max(o.floor, o.above+max(0, o.expected-(o.sent-o.acked)*o.fanOut-o.arrived))
}

// addCounters returns the deliveries that the interval's messages are to cause.
func (o *overdue) addCounters(in *results.Interval) (deliveries int64) {
	for _, c := range in.Counters {
		if !o.within.has(c.Label) || o.unsteady[c.Producer] {
			continue
		}
		switch c.Name {
		case results.CountExpected:
			deliveries += c.Value
		case results.CountSent:
			o.sent += c.Value
		case results.CountAcked:
			o.ackedNow += c.Value
		}
	}
	return deliveries
}

// least is the least number of deliveries that end up above the limit, whatever the rest of the run brings. It never
// falls; nil has none.
func (o *overdue) least() int64 {
	if o == nil {
		return 0
	}
	return o.floor
}
