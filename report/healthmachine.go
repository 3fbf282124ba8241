package report

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// The limits of what the machine and the generator's process may be short of. A figure at its limit is within it.
const (
	descriptorsShare = 0.90 // of the limit
	portsShare       = 0.90 // of those that a pair of addresses has
	machineBusyShare = 0.90 // of all cores, mean over the measure phases
	// generatorBusyShare is of the cores that the generator may use: Grafana's guide to large tests with k6 asks for 20% of
	// the processor to stay idle, since a generator without it measures itself.
	generatorBusyShare = 0.80
	// foreignShare is of all cores. What is sent at random instants finds the machine as it is on average (PASTA; Wolff,
	// Operations Research 30, 1982): from a tenth on, one message in ten and not only the highest percentiles may find its
	// processor taken by somebody who is no part of the run.
	foreignShare = 0.10
	// foreignError is how far below zero their mean may be, of all cores: /proc/stat counts in ticks.
	foreignError = 0.02
	// runQueueLimit is of the generator's threads that wait for a processor on average, for each that it may use: what they
	// waited by the time and the cores (Little, Operations Research 9, 1961), so that a generator with little to do has little
	// to wait. Two processors have that queue when busy for three quarters of the time with what comes at random instants
	// (M/M/2; Kleinrock, Queueing Systems I, 1975, section 3.5); it shows bursts too that a mean of the machine's hides.
	runQueueLimit = 1.0
	// pacingWaitShare is of the time of the measure phases: where the sending thread waits for a processor for more than one
	// hundredth of them, more than one message in a hundred is due meanwhile (PASTA again), so that p99 is part of it.
	pacingWaitShare = 0.01
	// gcPauseLimit is the send lag that is always borne: a pause beyond it may be the whole of a late send.
	gcPauseLimit = time.Millisecond
	// gcPauseLimitBefore was the limit when the generator's collector was not bounded yet: such runs are held against it still.
	gcPauseLimitBefore = 10 * time.Millisecond
	// gcShare is of the generator's processor time. While the collector marks it takes a quarter of the processors (A Guide
	// to the Go Garbage Collector, "GC CPU"); beyond a tenth of all it is no rare event but part of what was measured.
	gcShare         = 0.10
	receiveLagShare = 0.20 // of the end-to-end p99
	// retransmitShare is of the segments sent. One that is sent again is late by Linux's least timeout of 200 ms where no
	// later one tells of it sooner (TCP_RTO_MIN; RFC 6298, RFC 8985): beyond one in a thousand p99.9 is made of them.
	retransmitShare = 0.001
	// fullReceiveShare is of the segments sent, likewise: whoever wrote had to wait for the reader.
	fullReceiveShare = 0.001
	// leastEvents is how many there must be for a share of them to be believed, as with percentiles.
	leastEvents = 10
)

// TCPCounts are the kernel's counts of TCP over the measure phases' intervals: of everybody's connections in the network
// namespace, the gateway's and Kafka's among them where they run in it.
type TCPCounts struct {
	Segments        int64 `json:"segments"` // sent
	Retransmits     int64 `json:"retransmits"`
	ListenOverflows int64 `json:"listen_overflows"` // connections that a listener dropped since a queue of its was full
	ListenDrops     int64 `json:"listen_drops"`     // for whatever reason, these among them
	// FullReceiveBuffers counts windows closed and segments squeezed or dropped since a receive buffer was full.
	FullReceiveBuffers int64 `json:"full_receive_buffers"`
	// SlowByPlan: clients read slowly on purpose, so neither retransmits nor full receive buffers are judged.
	SlowByPlan bool `json:"slow_by_plan"`
}

// machineInput is what is judged of the machine and of the generator's process. Pointers are nil where it was not recorded.
type machineInput struct {
	busy, foreign *float64 // shares of all cores
	cpu           *float64 // cores
	gcCPU, goCPU  *float64 // cores, by the runtime's estimate
	runQueue      *float64 // threads by core
	pacingWait    *float64
	gcPause       *float64 // seconds, the longest in the measure phases, by the intervals
	tcp           *TCPCounts
}

func machineOf(r *results.Run, e *evidence, all scope) machineInput {
	in := machineInput{
		busy:       e.gaugeMean(results.GaugeMachineBusy, all),
		foreign:    e.gaugeMean(results.GaugeForeignCPU, all),
		cpu:        e.gaugeMean(results.GaugeGeneratorCPU, all),
		gcCPU:      e.gaugeMean(results.GaugeGCCPU, all),
		goCPU:      e.gaugeMean(results.GaugeGoCPU, all),
		runQueue:   e.gaugeMean(results.GaugeRunQueue, all),
		pacingWait: pacingWaitOf(r, e, all),
	}
	in.foreign = foreignOf(in.foreign)
	if g := e.gauge(results.GaugeGCPauseMax, all); g.intervals > 0 {
		in.gcPause = &g.max
	}
	if e.gauge(results.GaugeSegments, all).intervals > 0 {
		total := func(name string) int64 { g := e.gauge(name, all); return int64(math.Round(g.sum)) }
		in.tcp = &TCPCounts{Segments: total(results.GaugeSegments), Retransmits: total(results.GaugeRetransmits),
			ListenOverflows: total(results.GaugeListenOverflows), ListenDrops: total(results.GaugeListenDrops),
			FullReceiveBuffers: total(results.GaugeFullReceiveBuffers), SlowByPlan: readsSlowly(r.Plan)}
		if e.gauge(results.GaugeListenDrops, all).intervals == 0 { // then the other gauge has every drop
			in.tcp.ListenOverflows, in.tcp.ListenDrops = 0, in.tcp.ListenOverflows
		}
	}
	return in
}

// readsSlowly reports whether clients do on purpose: their full buffers, and the segments that these have sent again, are
// the plan.
func readsSlowly(p *scenarios.Plan) bool {
	return slices.ContainsFunc(p.Clients, func(g scenarios.ClientGroup) bool { return g.Slow != nil })
}

// gcPauseMax is the longest stop of the measure phases in ns: as recorded, or of the intervals, or of the whole run.
func (in healthInput) gcPauseMax() int64 {
	switch {
	case in.record.GC != nil:
		return in.record.GC.MeasuredPauseMaxNS
	case in.machine.gcPause != nil:
		return int64(math.Round(*in.machine.gcPause * 1e9))
	}
	return in.record.GCPauseMaxNS
}

// pacingWaitOf is the part of the measure phases that the sending thread which waited longest did. The gauge has the worst of
// each interval: of one thread their mean is the same, of several nobody knows.
func pacingWaitOf(r *results.Run, e *evidence, all scope) *float64 {
	switch {
	case r.Health != nil && r.Health.PacingWait != nil:
		return r.Health.PacingWait
	case len(r.Plan.Senders()) == 1:
		return e.gaugeMean(results.GaugePacingWait, all)
	}
	return nil
}

// foreignOf is the others' share as it is believed. It is a difference of two measurements, so that a little below nothing is
// nothing; well below, one of the two is wrong, and nobody knows.
func foreignOf(measured *float64) *float64 {
	if measured == nil || *measured < -foreignError {
		return nil
	}
	v := max(0, *measured)
	return &v
}

// gcOfCPU is the collector's part of the generator's processor time; nil where nobody knows.
func (m machineInput) gcOfCPU() *float64 {
	if m.gcCPU == nil || m.goCPU == nil {
		return nil
	}
	v := 0.0 // no collection, none of it
	if *m.goCPU > 0 {
		v = *m.gcCPU / *m.goCPU
	}
	return &v
}

// ofCores is the part of the generator's cores that it used; nil where nobody knows.
func (in healthInput) ofCores() *float64 {
	if in.machine.cpu == nil || in.record == nil || in.record.UsableCores == 0 {
		return nil
	}
	v := *in.machine.cpu / in.record.UsableCores
	return &v
}

// exceeds reports whether a share is known and above its limit.
func exceeds(v *float64, limit float64) bool { return v != nil && *v > limit }

// judgeMachine: the generator needs room to keep time.
func (v *healthVerdict) judgeMachine(in healthInput, f HealthFigures) {
	m := in.machine
	v.doubtfulIf(in.damage != "", "log_damaged", "the run's log is damaged: %s", in.damage)
	v.doubtfulIf(exceeds(m.busy, machineBusyShare), "machine_busy",
		"the machine was %s busy on average: generator and pipeline competed for it; fewer clients, a lower rate, or more cores",
		formatShare(deref(m.busy)))
	v.doubtfulIf(exceeds(m.foreign, foreignShare), "foreign_cpu",
		"others used %s of the machine's processors on average, more than %s: no process that weir meters did, so end what else runs here (a database of the pipeline counts as others')",
		formatShare(deref(m.foreign)), formatShare(foreignShare))
	v.doubtfulIf(exceeds(m.runQueue, runQueueLimit), "run_queue",
		"%.2f of the generator's threads waited for each of its processors on average, more than %g: take a larger or a quieter machine",
		deref(m.runQueue), runQueueLimit)
	v.doubtfulIf(exceeds(m.pacingWait, pacingWaitShare), "pacing_wait",
		"a sending thread waited for a processor for %s of the time, more than %s: give weir a realtime priority (cap_sys_nice), or take a quieter machine",
		formatShare(deref(m.pacingWait)), formatShare(pacingWaitShare))
	v.judgeTCP(m)
	if in.record == nil {
		return
	}
	v.judgeProcess(in, f)
}

// judgeProcess is of the generator's own process.
func (v *healthVerdict) judgeProcess(in healthInput, f HealthFigures) {
	v.doubtfulIf(exceeds(f.GeneratorOfCores, generatorBusyShare), "generator_busy",
		"the generator used %s of its %s cores on average, more than %s: fewer clients, a lower rate, or more cores",
		formatShare(deref(f.GeneratorOfCores)), strconv.FormatFloat(in.record.UsableCores, 'g', 3, 64), formatShare(generatorBusyShare))
	pause := in.gcPauseMax()
	limit := gcPauseLimit
	if in.record.GC == nil {
		limit = gcPauseLimitBefore
	}
	v.doubtfulIf(pause > int64(limit), "gc_pause", "the generator's garbage collector stopped it for up to %s, more than %s: %s",
		formatNS(float64(pause)), formatLimit(float64(limit)), gcMend(in.record.GC))
	v.doubtfulIf(exceeds(f.GCOfCPU, gcShare), "gc_cpu",
		"the generator's garbage collector took %s of its processor time, more than %s: %s",
		formatShare(deref(f.GCOfCPU)), formatShare(gcShare), gcMend(in.record.GC))
	v.doubtfulIf(float64(in.record.DescriptorsUsed) > descriptorsShare*float64(in.record.DescriptorsLimit), "descriptors",
		"%s of %s descriptors were in use, more than %s: raise ulimit -n", formatCount(in.record.DescriptorsUsed),
		formatCount(in.record.DescriptorsLimit), formatShare(descriptorsShare))
	v.doubtfulIf(in.record.PortsLimit > 0 && float64(in.record.PortsUsed) > portsShare*float64(in.record.PortsLimit), "ports",
		"%s of %s ephemeral ports were in use, more than %s: widen net.ipv4.ip_local_port_range, or spread the clients over source_addresses", formatCount(in.record.PortsUsed),
		formatCount(in.record.PortsLimit), formatShare(portsShare))
	e2eP99 := in.e2e.Quantile(0.99)
	v.doubtfulIf(in.record.ReceiveTimestamps == "program" && in.receive.Count() > 0 && in.e2e.Count() > 0 &&
		float64(f.ReceiveLagP99NS) > receiveLagShare*float64(e2eP99), "receive_lag",
		"the generator read late: receive lag p99 was %s, more than %s of the end-to-end p99 of %s, which includes it",
		formatNS(float64(f.ReceiveLagP99NS)), formatShare(receiveLagShare), formatNS(float64(e2eP99)))
}

// gcMend is what to do against a collector that works too much.
func gcMend(gc *results.GCHealth) string {
	switch {
	case gc == nil:
	case gc.Bound == "GOGC" || gc.Bound == "GOMEMLIMIT":
		return "unset " + gc.Bound + ", or set it higher"
	case strings.Contains(gc.Bound, "GOMEMLIMIT"):
		return "unset GOMEMLIMIT, or set it lower, to what the machine has to spare"
	}
	return "give it more memory, or fewer clients"
}

// judgeTCP is of what the kernel counted for everybody on this machine.
func (v *healthVerdict) judgeTCP(m machineInput) {
	if m.tcp == nil {
		return
	}
	t := *m.tcp
	often := func(n int64, share float64) bool {
		return n >= leastEvents && float64(n) > share*float64(t.Segments)
	}
	v.doubtfulIf(t.ListenOverflows > 0, "listen_overflow",
		"%s dropped on this machine since a listener's queue was full: the client tries again after a second (raise net.core.somaxconn and the server's backlog, lower connect_rate)",
		pluralIs(t.ListenOverflows, "connection"))
	v.doubtfulIf(!t.SlowByPlan && often(t.Retransmits, retransmitShare), "retransmits",
		"%s of %s segments on this machine were sent again, more than %s: something dropped them, and each waited up to 200 ms (look at nstat, ss -ti)",
		formatCount(t.Retransmits), formatCount(t.Segments), formatShare(retransmitShare))
	v.doubtfulIf(!t.SlowByPlan && often(t.FullReceiveBuffers, fullReceiveShare), "receive_buffers",
		"receive buffers on this machine were full %s for %s segments sent, more than %s: readers were too slow, and whoever wrote had to wait (see receive lag and generator CPU)",
		times(int(t.FullReceiveBuffers)), formatCount(t.Segments), formatShare(fullReceiveShare))
}
