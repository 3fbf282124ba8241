package report

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// fixture is a run made by hand: everything that a log holds, to be changed by a test before it is written.
type fixture struct {
	plan      *scenarios.Plan
	env       *results.Environment
	intervals []*results.Interval
	events    []results.Event
	audit     *results.Audit
	health    *results.Health
	end       *results.End
}

const ms = int64(time.Millisecond)

var startedAt = time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC).UnixNano()

func fixturePlan() *scenarios.Plan {
	return &scenarios.Plan{
		Name: "prices", Description: "two phases", Source: "scenarios/prices.yaml", Seed: 7,
		Kafka:   scenarios.KafkaPlan{Provider: scenarios.ProviderEmbedded, Brokers: 3, Topics: []scenarios.Topic{{Name: "prices", Partitions: 6}}, FinalRead: true},
		Gateway: scenarios.GatewayPlan{Target: scenarios.TargetReference, Profile: scenarios.ReferenceProfile(), Guarantees: scenarios.Guarantees{Delivery: "at-most-once", Ordered: true}},
		Producers: []scenarios.Producer{{Name: "feed", Topic: "prices", Rate: scenarios.Hold(500), Arrivals: scenarios.ArrivalsConstant,
			Size: scenarios.Size{Kind: scenarios.SizeFixed, Min: 256}, Keys: scenarios.Keys{Kind: scenarios.KeysRoundRobin, Count: 50}, Acks: "all"}},
		Clients: []scenarios.ClientGroup{
			{Name: "viewers", Count: 50, Subscribe: scenarios.Subscribe{Topic: "prices", Keys: 1}},
			{Name: "desks", Count: 2, Subscribe: scenarios.Subscribe{Topic: "prices", All: true}},
		},
		Phases: scenarios.Phases{WarmUp: 2 * time.Second, Measure: []scenarios.MeasurePhase{
			{Name: "steady", Duration: 8 * time.Second},
			{Name: "burst", Duration: 4 * time.Second, Rates: map[string]scenarios.Curve{"feed": scenarios.Hold(1000)}},
		}, DrainDeadline: 5 * time.Second},
		Thresholds: []scenarios.Threshold{
			{Text: "e2e.p99 < 50ms", Metric: "e2e.p99", Op: "<", Value: 50e6, Unit: scenarios.UnitNS},
			{Text: "audit.lost == 0", Metric: "audit.lost", Op: "==", Value: 0, Unit: scenarios.UnitCount},
			{Text: "throughput.delivered >= 1k/s", Metric: "throughput.delivered", Op: ">=", Value: 1000, Unit: scenarios.UnitPerS},
		},
		IntervalNS: 2 * time.Second, Objective: 50 * time.Millisecond,
	}
}

// passing is a complete run in which everything went well: 3 deliveries a message, latencies around 2 ms. The seed is
// fixed, so that the figures are the same everywhere. What it returns is the caller's to change, but for the
// histograms, which are made once.
func passing() *fixture {
	f := makePassing()
	f.intervals = nil
	for _, in := range passingIntervals() {
		own := *in
		own.Series, own.Counters = slices.Clone(in.Series), slices.Clone(in.Counters)
		f.intervals = append(f.intervals, &own)
	}
	return f
}

var passingIntervals = sync.OnceValue(func() []*results.Interval {
	random := rand.New(rand.NewPCG(1, 2))
	var intervals []*results.Interval
	at := startedAt
	for _, p := range passingPhases() {
		for range p.seconds / 2 {
			intervals = append(intervals, makeInterval(len(intervals), at, p.name, 2*p.rate, random))
			at += int64(2 * time.Second)
		}
	}
	return intervals
})

type passingPhase struct {
	name    string
	seconds int
	rate    int64
}

func passingPhases() []passingPhase {
	return []passingPhase{{scenarios.PhaseConnect, 2, 0}, {scenarios.PhaseWarmUp, 2, 500}, {"steady", 8, 500}, {"burst", 4, 1000}, {scenarios.PhaseDrain, 2, 0}}
}

// makePassing is passing without its intervals.
func makePassing() *fixture {
	f := &fixture{plan: fixturePlan()}
	f.env = &results.Environment{WeirVersion: "v0.1.0", GoVersion: "go1.26.0", OS: "linux", Arch: "amd64", Kernel: "6.18.0", CPU: "Example CPU",
		Cores: 2, MemoryBytes: 24 << 30, Kafka: "embedded (kfake)", Gateway: "reference v0.1.0", StartedAtNS: startedAt,
		Command: []string{"weir", "run", "scenarios/prices.yaml"}, ReceiveStamps: "kernel", Reader: "epoll"}
	at := startedAt
	f.audit = &results.Audit{CorruptionChecked: true, ClientsTotal: 52, ClientsWithin: 52,
		Worst: []results.ClientAudit{{Client: "desks/1", Expected: 8000, MaxNS: 9 * ms, MeanNS: 2 * ms, WithinShare: 1, Sessions: 1}}}
	var sent int64
	for _, p := range passingPhases() {
		f.events = append(f.events, results.Event{AtNS: at, Kind: results.EventPhase, Phase: p.name, Text: "phase " + p.name})
		at += int64(p.seconds) * int64(time.Second)
		sent += int64(p.seconds) * p.rate
		if n := int64(p.seconds) * p.rate; n > 0 {
			f.audit.Rows = append(f.audit.Rows,
				results.AuditRow{Phase: p.name, Group: "viewers", Producer: "feed", Classes: results.Classes{Expected: n, Delivered: n}},
				results.AuditRow{Phase: p.name, Group: "desks", Producer: "feed", Classes: results.Classes{Expected: 2 * n, Delivered: 2 * n}})
		}
	}
	f.audit.Reference = []results.TopicAudit{{Topic: "prices", Producer: "feed", Sent: sent, Acked: sent, InTopic: sent, Source: "final read"}}
	f.health = &results.Health{PlannedMessages: 8000, SentMessages: 8000, GCCount: 12, GCPauseMaxNS: ms / 2, DescriptorsUsed: 120,
		DescriptorsLimit: 20000, PortsUsed: 500, PortsLimit: 28232, CPUSeconds: 3.2, ClockSlewPPM: 4.5, PacerKind: "clock_nanosleep", ReceiveTimestamps: "kernel"}
	f.end = &results.End{AtNS: at, Status: results.StatusComplete}
	return f
}

// makeInterval is two seconds in which so many messages are sent, and all arrive.
func makeInterval(index int, at int64, phase string, sent int64, random *rand.Rand) *results.Interval {
	in := &results.Interval{Index: index, StartAt: at, EndAt: at + int64(2*time.Second), Phase: phase, Gauges: map[string]float64{
		results.GaugeClients: 52, results.GaugeGeneratorCPU: 0.21 + 0.02*random.Float64(), results.GaugeGatewayCPU: 0.3 + 0.03*random.Float64(),
		results.GaugeKafkaCPU: 0.1, results.GaugeGatewayDescriptors: float64(70 + index), results.GaugeMachineBusy: 0.35, results.GaugeMissingSoFar: 0}}
	if phase == scenarios.PhaseConnect {
		connect := recorded(52, random, 0.4e6, 0.3)
		in.Series = append(in.Series, connect.Series(results.StageConnect, results.Label{Phase: phase, Group: "viewers"}))
		in.Counters = append(in.Counters, counter(results.CountConnected, phase, "viewers", "", 52))
	}
	if sent == 0 {
		return in
	}
	add := func(stage results.Stage, l results.Label, n int64, median, spread float64) {
		in.Series = append(in.Series, recorded(n, random, median, spread).Series(stage, l))
	}
	producer := results.Label{Phase: phase, Producer: "feed"}
	add(results.StageSendLag, producer, sent, 30e3, 0.2)
	add(results.StageAck, producer, sent, 0.4e6, 0.4)
	add(results.StageKafka, producer, sent, 0.7e6, 0.3)
	for times, group := range []string{1: "viewers", 2: "desks"} {
		if times == 0 {
			continue
		}
		times := int64(times)
		l := results.Label{Phase: phase, Group: group, Producer: "feed"}
		for _, s := range []struct {
			stage  results.Stage
			median float64
		}{{results.StageE2E, 2e6}, {results.StageE2EUncorrected, 1.9e6}, {results.StageGateway, 1.1e6}, {results.StageReceiveLag, 40e3}} {
			in.Series = append(in.Series, recorded(sent*times, random, s.median, 0.45).Series(s.stage, l))
		}
		in.Counters = append(in.Counters, counter(results.CountDelivered, phase, group, "feed", sent*times))
	}
	in.Counters = append(in.Counters, counter(results.CountSent, phase, "", "feed", sent), counter(results.CountAcked, phase, "", "feed", sent),
		counter(results.CountExpected, phase, "", "feed", 3*sent))
	return in
}

// recorded has n log-normal values.
func recorded(n int64, random *rand.Rand, median, sigma float64) *results.Recorder {
	r := results.NewRecorder()
	for range n {
		r.Record(int64(median * math.Exp(sigma*random.NormFloat64())))
	}
	return r
}

func counter(name, phase, group, producer string, n int64) results.Counter {
	return results.Counter{Name: name, Label: results.Label{Phase: phase, Group: group, Producer: producer}, Value: n}
}

// seriesOf is a series of the given values.
func seriesOf(stage results.Stage, l results.Label, values ...int64) results.Series {
	r := results.NewRecorder()
	for _, v := range values {
		r.Record(v)
	}
	return r.Series(stage, l)
}

// write records the run in a new directory and opens it again.
func (f *fixture) write(t testing.TB) *results.Run {
	t.Helper()
	dir := t.TempDir()
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.Plan(f.plan))
	if f.env != nil {
		must(w.Environment(f.env))
	}
	for _, in := range f.intervals {
		must(w.Interval(in))
	}
	for i := range f.events {
		must(w.Event(&f.events[i]))
	}
	if f.audit != nil {
		must(w.Audit(f.audit))
	}
	if f.health != nil {
		must(w.Health(f.health))
	}
	if f.end != nil {
		must(w.End(f.end))
	}
	must(w.Close())
	r, err := results.Open(dir)
	must(err)
	return r
}

// judge is a judge that has seen the run. Merging the histograms takes most of a test's time, so runs whose intervals
// are those of passing share what was merged.
func (f *fixture) judge(t testing.TB) *Judge {
	t.Helper()
	j := NewJudge(f.plan)
	if slices.EqualFunc(f.intervals, passingIntervals(), sameInterval) {
		for _, in := range f.intervals {
			for _, o := range j.overdue {
				o.add(in)
			}
		}
		j.evidence = passingEvidence()
		return j
	}
	for _, in := range f.intervals {
		if err := j.Add(in); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

var passingEvidence = sync.OnceValue(func() *evidence {
	e := newEvidence(fixturePlan())
	for _, in := range passingIntervals() {
		if err := e.add(in); err != nil {
			panic(err)
		}
	}
	return e
})

// sameInterval reports whether a test left an interval of passing as it was.
func sameInterval(a, b *results.Interval) bool {
	return a.Phase == b.Phase && slices.Equal(a.Series, b.Series) && slices.Equal(a.Counters, b.Counters)
}

// summarise summarises the run without writing it.
func (f *fixture) summarise(t testing.TB) *Summary {
	t.Helper()
	return summarise(&results.Run{Dir: "runs/prices", Plan: f.plan, Environment: f.env, Events: f.events, Audit: f.audit,
		Health: f.health, End: f.end}, f.judge(t))
}

// lose moves n deliveries of phase steady to viewers from delivered to another class, and takes them out of the latency
// and the counters.
func (f *fixture) lose(n int64, class func(*results.Classes) *int64) {
	for i := range f.audit.Rows {
		if row := &f.audit.Rows[i]; row.Phase == "steady" && row.Group == "viewers" {
			row.Delivered -= n
			*class(&row.Classes) += n
			break
		}
	}
	for _, in := range f.intervals {
		if in.Phase == "steady" {
			f.thin(in, n)
			return
		}
	}
}

// thin leaves n values out of the interval's deliveries to viewers.
func (f *fixture) thin(in *results.Interval, n int64) {
	for i := range in.Series {
		s := &in.Series[i]
		if s.Group == "viewers" && (s.Stage == results.StageE2E || s.Stage == results.StageE2EUncorrected) {
			*s = recorded(s.Count()-n, rand.New(rand.NewPCG(3, 4)), 2e6, 0.4).Series(s.Stage, s.Label)
		}
	}
	for i := range in.Counters {
		if c := &in.Counters[i]; c.Name == results.CountDelivered && c.Group == "viewers" {
			c.Value -= n
		}
	}
}

func lostClass(c *results.Classes) *int64   { return &c.Lost }
func unseenClass(c *results.Classes) *int64 { return &c.Unseen }
func shedClass(c *results.Classes) *int64   { return &c.Shed }
func openClass(c *results.Classes) *int64   { return &c.Undetermined }

// broken is a run in which much went wrong at once.
func broken() *fixture {
	f := passing()
	f.lose(40, lostClass)
	f.lose(15, unseenClass)
	f.plan.Thresholds = append(f.plan.Thresholds,
		scenarios.Threshold{Text: "e2e{group=viewers}.p999 < 20ms", Metric: "e2e.p999", Op: "<", Value: 20e6, Unit: scenarios.UnitNS, Filters: map[string]string{"group": "viewers"}},
		scenarios.Threshold{Text: "gateway_in.p50 < 1ms", Metric: "gateway_in.p50", Op: "<", Value: 1e6, Unit: scenarios.UnitNS})
	stall := f.intervals[4]
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
