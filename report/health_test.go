package report

import (
	"strings"
	"testing"

	"github.com/weirbench/weir/results"
)

// healthy is an input without a reason: end-to-end p99 is 10 ms, send lag 50 µs.
func healthy() healthInput {
	busy := 0.5
	return healthInput{
		record: &results.Health{PlannedMessages: 1000, SentMessages: 1000, DescriptorsUsed: 100, DescriptorsLimit: 1000,
			ReceiveTimestamps: "kernel", PacerKind: "clock_nanosleep"},
		complete: true,
		sendLag:  seriesOf(results.StageSendLag, results.Label{}, manyOf(1000, 50e3)...),
		e2e:      seriesOf(results.StageE2E, results.Label{}, manyOf(1000, 10*ms)...),
		negative: map[results.Stage]int64{},
		classes:  results.Classes{Expected: 1000, Delivered: 1000},
		audited:  true,
		machine:  machineInput{busy: &busy},
	}
}

// lagOf has a p99 and maximum of exactly ns, and e2eOf as well.
func lagOf(ns int64) results.Series {
	return seriesOf(results.StageSendLag, results.Label{}, manyOf(1000, ns)...)
}

func e2eAt(ns int64) results.Series {
	return seriesOf(results.StageE2E, results.Label{}, manyOf(1000, ns)...)
}

// Each rule fires above its border and not at it.
func TestHealthRules(t *testing.T) {
	t.Parallel()
	tail := func(ns int64) results.Series { // p99 is small, p99.9 is ns
		return seriesOf(results.StageSendLag, results.Label{}, append(manyOf(990, 50e3), manyOf(10, ns)...)...)
	}
	set := func(v float64) *float64 { return &v }
	for _, test := range []struct {
		name          string
		below, beyond func(*healthInput)
		state         HealthState
		code          string
	}{
		{"send lag floor", func(in *healthInput) { in.sendLag, in.e2e = lagOf(ms), e2eAt(2*ms) },
			func(in *healthInput) { in.sendLag, in.e2e = lagOf(ms+1000), e2eAt(2*ms) }, HealthInvalid, "send_lag"},
		{"send lag share", func(in *healthInput) { in.sendLag = lagOf(2 * ms) },
			func(in *healthInput) { in.sendLag = lagOf(2*ms + 2000) }, HealthInvalid, "send_lag"},
		{"unsent", func(in *healthInput) { in.record.SentMessages = 990 },
			func(in *healthInput) { in.record.SentMessages = 989 }, HealthInvalid, "unsent"},
		{"sent too many", func(in *healthInput) { in.record.SentMessages = 1010 },
			func(in *healthInput) { in.record.SentMessages = 1011 }, HealthInvalid, "unsent"},
		{"unsent as recorded", func(in *healthInput) { in.record.UnsentMessages = 10 },
			func(in *healthInput) { in.record.UnsentMessages = 11 }, HealthInvalid, "unsent"},
		{"full send buffers are not unsent", func(in *healthInput) { in.record.SentMessages, in.record.OverflowMessages = 600, 400 },
			func(in *healthInput) { in.record.SentMessages, in.record.OverflowMessages = 600, 389 }, HealthInvalid, "unsent"},
		{"clock step", func(*healthInput) {}, func(in *healthInput) { in.record.ClockSteps = 1 }, HealthInvalid, "clock_step"},
		{"audit defect", func(*healthInput) {}, func(in *healthInput) { in.defects = []string{"1 ≠ 2"} }, HealthInvalid, "audit_defect"},
		{"nothing expected", func(in *healthInput) {
			in.classes, in.e2e = results.Classes{Expected: 1, Delivered: 1}, seriesOf(results.StageE2E, results.Label{}, 10*ms)
		},
			func(in *healthInput) {
				in.classes, in.e2e = results.Classes{}, seriesOf(results.StageE2E, results.Label{})
			}, HealthInvalid, "nothing_expected"},
		{"send lag tail", func(in *healthInput) { in.sendLag = tail(10 * ms) },
			func(in *healthInput) { in.sendLag = tail(11 * ms) }, HealthDoubtful, "send_lag_tail"},
		{"GC pause of before", func(in *healthInput) { in.record.GCPauseMaxNS = 10 * ms },
			func(in *healthInput) { in.record.GCPauseMaxNS = 10*ms + 1 }, HealthDoubtful, "gc_pause"},
		{"ports", func(in *healthInput) { in.record.PortsUsed, in.record.PortsLimit = 900, 1000 },
			func(in *healthInput) { in.record.PortsUsed, in.record.PortsLimit = 901, 1000 }, HealthDoubtful, "ports"},
		{"descriptors", func(in *healthInput) { in.record.DescriptorsUsed = 900 },
			func(in *healthInput) { in.record.DescriptorsUsed = 901 }, HealthDoubtful, "descriptors"},
		{"machine busy", func(in *healthInput) { in.machine.busy = set(0.9) },
			func(in *healthInput) { in.machine.busy = set(0.901) }, HealthDoubtful, "machine_busy"},
		{"others' CPU", func(in *healthInput) { in.machine.foreign = set(0.1) },
			func(in *healthInput) { in.machine.foreign = set(0.101) }, HealthDoubtful, "foreign_cpu"},
		{"run queue", func(in *healthInput) { in.machine.runQueue = set(1) },
			func(in *healthInput) { in.machine.runQueue = set(1.01) }, HealthDoubtful, "run_queue"},
		{"sending thread waits", func(in *healthInput) { in.machine.pacingWait = set(0.01) },
			func(in *healthInput) { in.machine.pacingWait = set(0.0101) }, HealthDoubtful, "pacing_wait"},
		{"generator busy", func(in *healthInput) { in.machine.cpu, in.record.UsableCores = set(1.6), 2 },
			func(in *healthInput) { in.machine.cpu, in.record.UsableCores = set(1.61), 2 }, HealthDoubtful, "generator_busy"},
		{"generator busy under a quota", func(in *healthInput) { in.machine.cpu, in.record.UsableCores = set(0.4), 0.5 },
			func(in *healthInput) { in.machine.cpu, in.record.UsableCores = set(0.401), 0.5 }, HealthDoubtful, "generator_busy"},
		{"GC pause of the measure phases", func(in *healthInput) {
			in.record.GCPauseMaxNS, in.record.GC = 20*ms, &results.GCHealth{MeasuredPauseMaxNS: ms}
		}, func(in *healthInput) { in.record.GC = &results.GCHealth{MeasuredPauseMaxNS: ms + 1} }, HealthDoubtful, "gc_pause"},
		{"GC pause by the intervals", func(in *healthInput) { in.record.GCPauseMaxNS, in.machine.gcPause = 20*ms, set(10e-3) },
			func(in *healthInput) { in.machine.gcPause = set(10.001e-3) }, HealthDoubtful, "gc_pause"},
		{"GC's CPU", func(in *healthInput) { in.machine.goCPU, in.machine.gcCPU = set(1), set(0.1) },
			func(in *healthInput) { in.machine.goCPU, in.machine.gcCPU = set(1), set(0.101) }, HealthDoubtful, "gc_cpu"},
		{"retransmits", func(in *healthInput) { in.machine.tcp = &TCPCounts{Segments: 100_000, Retransmits: 100} },
			func(in *healthInput) { in.machine.tcp = &TCPCounts{Segments: 100_000, Retransmits: 101} }, HealthDoubtful, "retransmits"},
		{"few retransmits", func(in *healthInput) { in.machine.tcp = &TCPCounts{Segments: 1000, Retransmits: 9} },
			func(in *healthInput) { in.machine.tcp = &TCPCounts{Segments: 1000, Retransmits: 10} }, HealthDoubtful, "retransmits"},
		{"listeners", func(in *healthInput) { in.machine.tcp = &TCPCounts{Segments: 1000, ListenDrops: 50} },
			func(in *healthInput) { in.machine.tcp = &TCPCounts{Segments: 1000, ListenOverflows: 1} }, HealthDoubtful, "listen_overflow"},
		{"receive buffers", func(in *healthInput) { in.machine.tcp = &TCPCounts{Segments: 100_000, FullReceiveBuffers: 100} },
			func(in *healthInput) { in.machine.tcp = &TCPCounts{Segments: 100_000, FullReceiveBuffers: 101} }, HealthDoubtful, "receive_buffers"},
		{"receive buffers full by plan", func(in *healthInput) {
			in.machine.tcp = &TCPCounts{Segments: 100_000, FullReceiveBuffers: 5000, SlowByPlan: true}
		}, func(in *healthInput) { in.machine.tcp = &TCPCounts{Segments: 100_000, FullReceiveBuffers: 5000} }, HealthDoubtful, "receive_buffers"},
		{"sent again by plan", func(in *healthInput) {
			in.machine.tcp = &TCPCounts{Segments: 1000, Retransmits: 98, SlowByPlan: true}
		}, func(in *healthInput) { in.machine.tcp = &TCPCounts{Segments: 1000, Retransmits: 98} }, HealthDoubtful, "retransmits"},
		{"receive lag by the program's clock", func(in *healthInput) { in.record.ReceiveTimestamps, in.receive = "program", lagOf(2*ms) },
			func(in *healthInput) { in.record.ReceiveTimestamps, in.receive = "program", lagOf(2*ms+2000) }, HealthDoubtful, "receive_lag"},
		{"slew", func(in *healthInput) { in.record.ClockSlewPPM = -500 },
			func(in *healthInput) { in.record.ClockSlewPPM = -500.1 }, HealthDoubtful, "clock_slew"},
		{"negative latency", func(in *healthInput) { in.negative[results.StageE2E] = 0 },
			func(in *healthInput) { in.negative[results.StageE2E] = 1 }, HealthDoubtful, "negative_latency"},
		{"undetermined", func(in *healthInput) { in.classes.Expected, in.classes.Undetermined = 1001, 1 },
			func(in *healthInput) { in.classes.Expected, in.classes.Undetermined, in.unsettled = 1001, 1, 1 }, HealthDoubtful, "undetermined"},
		{"deliveries without a latency", func(*healthInput) {}, func(in *healthInput) { in.classes.Delivered = 999 }, HealthDoubtful, "latency_count"},
		{"damage", func(*healthInput) {}, func(in *healthInput) { in.damage = "torn" }, HealthDoubtful, "log_damaged"},
		{"no record", func(*healthInput) {}, func(in *healthInput) { in.record = nil }, HealthDoubtful, "no_health"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := healthy()
			test.below(&in)
			if got := judgeHealth(in); got.State != HealthValid {
				t.Errorf("at the border: %s, %v; want valid", got.State, got.Reasons)
			}
			in = healthy()
			test.beyond(&in)
			got := judgeHealth(in)
			if got.State != test.state || len(got.Reasons) != 1 || got.Reasons[0].Code != test.code || got.Reasons[0].State != test.state {
				t.Errorf("beyond: %s, %v; want %s for %s alone", got.State, got.Reasons, test.state, test.code)
			}
		})
	}
}

// Others' CPU is a difference of two measurements: a little below nothing is nothing, well below nobody knows.
func TestForeignBelowZero(t *testing.T) {
	for measured, want := range map[float64]*float64{0.05: new(0.05), 0: new(0.0), -0.02: new(0.0), -0.021: nil, -0.22: nil} {
		got := foreignOf(&measured)
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%v: got %v; want %v", measured, deref(got), want)
		}
	}
	if got := foreignOf(nil); got != nil {
		t.Errorf("got %v of nothing; want none", *got)
	}
}

func TestHealthOfRunsThatDidNotEnd(t *testing.T) {
	in := healthy()
	in.complete = false
	in.record.SentMessages = 300
	in.classes, in.e2e = results.Classes{}, seriesOf(results.StageE2E, results.Label{})
	if got := judgeHealth(in); got.State != HealthValid {
		t.Errorf("got %v; a run that was cut off owes neither its messages nor any delivery", got.Reasons)
	}
}

func TestGatewayStageMayBeNegative(t *testing.T) {
	t.Parallel()
	f := passing()
	in := f.intervals[4]
	in.Series = append(in.Series, seriesOf(results.StageGateway, results.Label{Phase: "steady", Group: "viewers", Producer: "feed"}, -ms, -ms))
	s := f.summarise(t)
	if s.Health.State != HealthValid || s.Latency.Gateway.Negative != 2 {
		t.Errorf("got %s, %d negative; want valid, 2", s.Health.State, s.Latency.Gateway.Negative)
	}
}

func TestAccountThatDoesNotAddUpIsADefect(t *testing.T) {
	t.Parallel()
	f := passing()
	f.audit.Rows[2].Expected++
	s := f.summarise(t)
	if s.Verdict != VerdictInvalid || !strings.Contains(s.Reasons[0], "defect of the harness: the account of phase steady") {
		t.Errorf("got %s, %q", s.Verdict, s.Reasons)
	}
}

// Messages that a full send buffer refused are the pipeline's failure: the run is no pass, and it is not invalid.
func TestFullSendBufferIsThePipelinesFailure(t *testing.T) {
	f := passing()
	f.health.OverflowMessages, f.health.SentMessages = 500, 7500
	f.intervals[5].Counters = append(f.intervals[5].Counters, counter(results.CountOverflow, "steady", "", "feed", 500))
	s := f.summarise(t)
	if s.Verdict != VerdictBroken || s.Health.State != HealthValid || !strings.Contains(s.Reasons[0], ": 500 refused since the send buffer was full") {
		t.Errorf("got %s, %s, %q", s.Verdict, s.Health.State, s.Reasons)
	}
}
