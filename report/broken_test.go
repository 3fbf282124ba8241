package report

import (
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// brokenFixture is a run in which much went wrong at once.
func brokenFixture() *fixture {
	f := passing()
	f.lose(40, lostClass)
	f.lose(15, unseenClass)
	f.plan.Thresholds = append(f.plan.Thresholds,
		scenarios.Threshold{Text: "e2e{group=viewers}.p999 < 20ms", Metric: "e2e.p999", Op: "<", Value: 20e6, Unit: scenarios.UnitNS, Filters: map[string]string{"group": "viewers"}},
		scenarios.Threshold{Text: "gateway_in.p50 < 1ms", Metric: "gateway_in.p50", Op: "<", Value: 1e6, Unit: scenarios.UnitNS})
	stall := f.intervals[6]
	stall.Series = append(stall.Series, seriesOf(results.StageE2E, results.Label{Phase: "steady", Group: "viewers", Producer: "feed"}, 900*ms, 850*ms, 1200*ms),
		seriesOf(results.StageKafka, results.Label{Phase: "steady", Producer: "feed"}, -2*ms, 700*int64(time.Second)))
	f.audit.CorruptionChecked = false
	f.audit.Rows[2].Foreign = 3
	f.audit.Rows[2].Duplicate = 2
	f.audit.Reference[0].AckedGone = 7
	f.audit.ClientsWithin = 31
	f.events = append(f.events,
		results.Event{AtNS: startedAt + int64(6500*time.Millisecond), Kind: results.EventDisconnect, Phase: "steady", Text: "client viewers/12: close 1008 <slow consumer>"},
		results.Event{AtNS: startedAt + int64(7*time.Second), Kind: results.EventWarning, Phase: "steady", Text: "the observer fell behind", Count: 3})
	return f
}
