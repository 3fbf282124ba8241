package report

import (
	"fmt"
	"iter"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// timelinePoints bounds how many points a chart over time has; longer runs have several intervals to a point.
const timelinePoints = 300

// moment is one point of the timeline: one interval, or several adjacent ones merged.
type moment struct {
	startAt, endAt int64 // Unix ns
	phase          string
	e2e            distribution // of messages of any phase, observed in the moment
	sendLag        distribution
	kafka          distribution
	heat           map[int]int64 // deliveries, by bin of their end-to-end latency
	counts         map[string]int64
	gauges         map[string]float64 // at the end of the moment; shares are means
	intervals      int
}

// distribution is what is left of a histogram once its moment is over: hundreds of histograms would take a hundred
// megabytes.
type distribution struct{ count, p50, p99, max int64 }

func distributionOf(s results.Series) distribution {
	return distribution{s.Count(), s.Quantile(0.5), s.Quantile(0.99), s.MaxNS}
}

// timeline is the run's intervals read once more, as at most timelinePoints moments, with the stages of the percentile
// curve merged on the way.
type timeline struct {
	moments []moment
	phases  []span
	curve   results.SeriesSet
	// The series of the last moment, which is still open.
	e2e, sendLag, kafka results.Series
	every               int // intervals to a moment
}

// span is a stretch of the run in which it was in one phase.
type span struct {
	name           string
	startAt, endAt int64
	measured       bool
}

func readTimeline(r *results.Run) (*timeline, error) {
	return makeTimeline(r.Plan, r.IntervalCount(), r.Intervals())
}

func makeTimeline(p *scenarios.Plan, count int, intervals iter.Seq2[*results.Interval, error]) (*timeline, error) {
	all := measureScope(p, nil)
	t := &timeline{every: max((count+timelinePoints-1)/timelinePoints, 1)}
	for in, err := range intervals {
		if err == nil {
			err = t.add(in, all)
		}
		if err != nil {
			return nil, fmt.Errorf("read the timeline: %w", err)
		}
	}
	t.settle()
	return t, nil
}

func (t *timeline) add(in *results.Interval, all scope) error {
	t.addPhase(in, all.phases[in.Phase])
	for _, s := range in.Series {
		if onCurve(s.Stage) && all.has(s.Label) {
			if err := t.curve.Add(s); err != nil {
				return err
			}
		}
	}
	if n := len(t.moments); n == 0 || t.moments[n-1].intervals == t.every {
		t.settle()
		t.moments = append(t.moments, moment{startAt: in.StartAt, counts: map[string]int64{}, gauges: map[string]float64{}})
	}
	t.moments[len(t.moments)-1].add(in)
	return t.addSeries(in)
}

// addSeries merges the interval's series into those of the open moment.
func (t *timeline) addSeries(in *results.Interval) error {
	for _, s := range in.Series {
		var err error
		switch s.Stage {
		case results.StageE2E:
			err = results.MergeSeries(&t.e2e, s)
		case results.StageSendLag:
			err = results.MergeSeries(&t.sendLag, s)
		case results.StageKafka:
			err = results.MergeSeries(&t.kafka, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settle closes the open moment.
func (t *timeline) settle() {
	if n := len(t.moments); n > 0 {
		m := &t.moments[n-1]
		m.e2e, m.sendLag, m.kafka, m.heat = distributionOf(t.e2e), distributionOf(t.sendLag), distributionOf(t.kafka), heatOf(t.e2e)
	}
	t.e2e, t.sendLag, t.kafka = results.Series{}, results.Series{}, results.Series{}
}

func (t *timeline) addPhase(in *results.Interval, measured bool) {
	if n := len(t.phases); n > 0 && t.phases[n-1].name == in.Phase {
		t.phases[n-1].endAt = in.EndAt
		return
	}
	t.phases = append(t.phases, span{in.Phase, in.StartAt, in.EndAt, measured})
}

// onCurve reports whether the percentile curve shows the stage.
func onCurve(stage results.Stage) bool {
	switch stage {
	case results.StageE2E, results.StageE2EUncorrected, results.StageKafka, results.StageGateway:
		return true
	}
	return false
}

func (m *moment) add(in *results.Interval) {
	m.endAt, m.phase = in.EndAt, in.Phase
	m.intervals++
	for _, c := range in.Counters {
		m.counts[c.Name] += c.Value
	}
	for name, value := range in.Gauges {
		if before, ok := m.gauges[name]; ok && isShare(name) {
			value = before + (value-before)/float64(m.intervals)
		}
		m.gauges[name] = value
	}
}

// isShare reports whether a gauge is a mean over its interval.
func isShare(name string) bool {
	switch name {
	case results.GaugeGeneratorCPU, results.GaugeGatewayCPU, results.GaugeKafkaCPU, results.GaugeMachineBusy,
		results.GaugeForeignCPU, results.GaugeRunQueue, results.GaugePacingWait, results.GaugeGCCPU, results.GaugeGoCPU:
		return true
	}
	return false
}

// rate is a counter per second over the moment.
func (m *moment) rate(counter string) float64 {
	seconds := float64(m.endAt-m.startAt) / 1e9
	if seconds <= 0 {
		return 0
	}
	return float64(m.counts[counter]) / seconds
}
