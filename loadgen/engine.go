package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// Options is what an engine is given: addresses, names and where its intervals go.
type Options struct {
	Plan *scenarios.Plan
	// Run tells this run's messages from those of others; its low 48 bits are used.
	Run   uint64
	Seeds []string
	// URL is the target's WebSocket address; Further are those of its other instances, over all of which the clients are spread
	// evenly.
	URL     string
	Further []string
	// TopicName maps a topic of the plan to its name in Kafka.
	TopicName func(string) string
	// Partitions is how many partitions each topic of the plan really has.
	Partitions map[string]int
	// Sink takes each interval with the events since the last one, in order, from one goroutine. An error ends the run. When
	// it returns the interval's series are the engine's again, which leaves the interval without any: what is to be kept of
	// them must be merged or encoded by then.
	Sink func(*results.Interval, []results.Event) error
	// Gauges adds to each interval's gauges; nil adds nothing. It is called from the same goroutine.
	Gauges func() map[string]float64
	// Workers is the number of shares that the clients are split into; 0 is one a processor, and as many more as it takes for
	// pollers' descriptor tables to hold the connections.
	Workers int
	// KafkaOpts and NetDial reach brokers and target by other ways than the network, for tests; nil is the network.
	KafkaOpts []kgo.Opt
	NetDial   func(ctx context.Context, network, addr string) (net.Conn, error)
	// BoundGC has the load bound the process's garbage collector by memory. Only one engine of a process may.
	BoundGC bool
	// AllowTargets lists hosts that may be loaded although they are not loopback: as the target's URL spells them, then
	// whatever they resolve to at a dial, or addresses. Each dial checks the address that it connects to.
	AllowTargets []string
}

// processors is how many threads ran Go code at once when the program began: not more than the machine has, nor than a
// quota of its processor time allows, though two at least. What the generator may use is usableCores.
var processors = min(runtime.NumCPU(), runtime.GOMAXPROCS(0))

// WaitingThreads is how many of a run's threads wait in the kernel by themselves: one for each sender, publishing groups
// among them, and one for each worker whose connections are read by a poller. By so many and one more GOMAXPROCS should
// exceed the processors: a thread that wakes needs a free P at once, and the system's scheduler settles who runs.
func WaitingThreads(plan *scenarios.Plan) int {
	return len(plan.Senders()) + pollersFor(plan, plannedAddress(&plan.Gateway))
}

// plannedAddress is where clients will connect, as far as it is known before the target has started: its scheme is.
func plannedAddress(g *scenarios.GatewayPlan) string {
	switch {
	case g.Command != nil:
		return g.Command.URL
	case g.Container != nil:
		return g.Container.URL
	case g.Target == scenarios.TargetReference && g.Config.TLS != nil:
		return "wss:"
	}
	return g.URL
}

func (o Options) workers(plan *scenarios.Plan) int {
	if o.Workers > 0 {
		return o.Workers
	}
	return max(processors, pollersFor(plan, o.URL))
}

// Engine drives one run. Its verbs are called in the order Start, Connect, Join, Load, Drain, Finish, Close by one
// goroutine; Close may follow any of them. Event may be called at any time by any goroutine.
type Engine struct {
	options   Options
	topo      *topology
	producers []*producer
	observer  *observer
	swarm     *swarm
	clock     clockMonitor
	collector *collector
	gcBudget  *gcBudget // nil where the process's collector is not the engine's to bound
	signals   *signals

	phase   atomic.Pointer[string]
	drained atomic.Int64 // when the drain began, Unix ns; 0 before

	eventMu sync.Mutex
	events  []results.Event

	// cancel ends the clients, the observer and the clock's watch; connect starts the clients under the same life.
	cancel  context.CancelFunc
	connect func(ctx context.Context) error
	pacers  sync.WaitGroup
	others  *errgroup.Group
	tick    chan chan error // asks the collecting goroutine for a last interval
	stopped bool
}

// Start connects the producers and the observer and computes the schedule; nothing is sent yet. The caller must Close the
// engine.
func Start(ctx context.Context, o Options) (*Engine, error) {
	topo, err := newTopology(o.Plan, o.Run, o.TopicName, o.Partitions)
	if err != nil {
		return nil, err
	}
	e := &Engine{options: o, topo: topo, signals: newSignals(), tick: make(chan chan error)}
	pool := newRecorderPool()
	for i := range topo.producers {
		var p *producer
		if topo.producers[i].publishes() {
			p, err = newPublisher(topo, i, pool)
		} else {
			p, err = newProducer(topo, i, o.Seeds, pool, o.KafkaOpts)
		}
		if err != nil {
			e.closeClients()
			return nil, err
		}
		e.producers = append(e.producers, p)
	}
	if err := e.registerSchemas(ctx); err != nil {
		e.closeClients()
		return nil, err
	}
	if e.observer, err = newObserver(ctx, topo, o.Seeds, pool, o.Plan.Audit.Gaps, o.KafkaOpts); err != nil {
		e.closeClients()
		return nil, err
	}
	if e.swarm, err = newSwarm(topo, o, e.producers, e.observer.seen, pool); err != nil {
		e.closeClients()
		return nil, err
	}
	e.swarm.markersRead = e.observer.markers.Load
	for _, p := range e.producers {
		p.linked = e.swarm.linked.Load
		p.ended = func() { e.swarm.closeConflated(p.index) }
	}
	e.collector = newCollector(e, pool)
	if o.BoundGC {
		e.gcBudget = newGCBudget()
	}
	e.enter(scenarios.PhaseConnect)
	e.begin()
	return e, nil
}

func (e *Engine) closeClients() {
	for _, p := range e.producers {
		if p.client != nil {
			p.client.Close()
		}
	}
	if e.observer != nil {
		e.observer.client.Close()
	}
}

// begin starts the goroutines that last until Close.
func (e *Engine) begin() {
	life, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.connect = func(ctx context.Context) error { return e.swarm.connect(ctx, life) }
	e.others = &errgroup.Group{}
	for _, p := range e.producers {
		e.pacers.Go(func() { p.pace(e.signals) })
	}
	e.others.Go(func() error { e.observer.run(life, e.swarm.loadUnix.Load); return nil })
	e.others.Go(func() error {
		e.clock.run(life, func(step string) { e.Event(results.EventClockStep, step) })
		return nil
	})
	e.others.Go(func() error { e.collecting(); return nil })
}

// collecting makes an interval at each tick and a last one when asked to.
func (e *Engine) collecting() {
	ticker := time.NewTicker(e.options.Plan.IntervalNS)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := e.deliver(false); err != nil {
				e.swarm.fail(err)
			}
		case answer := <-e.tick:
			answer <- e.deliver(true)
			return
		}
	}
}

func (e *Engine) deliver(final bool) error {
	iv, err := e.collector.collect(final)
	if err != nil {
		return fmt.Errorf("collect an interval: %w", err)
	}
	e.eventMu.Lock()
	events := e.events
	e.events = nil
	e.eventMu.Unlock()
	if err := e.options.Sink(iv, events); err != nil {
		return fmt.Errorf("keep an interval: %w", err)
	}
	e.collector.spares.Take(iv)
	return nil
}

// Event puts an event into the record.
func (e *Engine) Event(kind results.EventKind, text string) { e.event(kind, text, 0) }

func (e *Engine) event(kind results.EventKind, text string, count int64) {
	e.eventMu.Lock()
	defer e.eventMu.Unlock()
	e.events = append(e.events, results.Event{AtNS: time.Now().UnixNano(), Kind: kind, Phase: e.phaseName(), Text: text, Count: count})
}

// remark turns what was remarked since the last interval into events.
func (e *Engine) remark(kind results.EventKind, remarks map[string]int64) {
	for _, text := range byCount(remarks) {
		e.event(kind, text, remarks[text])
	}
}

func (e *Engine) enter(phase string) {
	e.phase.Store(&phase)
	e.Event(results.EventPhase, phase)
}

func (e *Engine) phaseName() string { return *e.phase.Load() }

// measured reports whether a phase of that name is a measure phase.
func (e *Engine) measured(phase string) bool {
	for _, p := range e.topo.phases {
		if p.Name == phase {
			return p.Measured
		}
	}
	return false
}

// Failed is closed when the engine can't go on; Err says why.
func (e *Engine) Failed() <-chan struct{} { return e.swarm.failed }

// Err is the reason that Failed was closed for.
func (e *Engine) Err() error { return e.swarm.err }

// Connect connects all clients and returns when each was connected once, or with the reason when the deadline passes.
func (e *Engine) Connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.options.Plan.Phases.ConnectDeadline)
	defer cancel()
	if err := e.connect(ctx); err != nil {
		return err
	}
	for _, p := range e.producers {
		if p.up != nil {
			p.up.gathered.Store(true)
		}
	}
	return nil
}

// Join waits until every subscription is in force. A *JoinError names those that are not when the deadline passes.
func (e *Engine) Join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.options.Plan.Phases.JoinDeadline)
	defer cancel()
	return e.swarm.join(ctx)
}

// loadDelay is how far ahead the load's beginning is set, so that all producers are there in time.
const loadDelay = 50 * time.Millisecond

// Load runs the warm-up and the measure phases. It returns nil when the last is over; when ctx ends or the engine fails
// before, producers stop where they are and the reason is returned.
func (e *Engine) Load(ctx context.Context) error {
	e.gcBudget.hold()
	start := newEpoch()
	start.at, start.unix = start.at.Add(loadDelay), start.unix+int64(loadDelay)
	e.signals.loadAt = start
	e.swarm.loading(start)
	close(e.signals.start)
	for i, phase := range e.topo.phases {
		if err := e.sleepUntil(ctx, start.at.Add(phase.Start)); err != nil {
			close(e.signals.stopLoad)
			return err
		}
		e.swarm.phase.Store(int64(i))
		e.enter(phase.Name)
	}
	err := e.sleepUntil(ctx, start.at.Add(e.topo.phases[len(e.topo.phases)-1].End))
	if err != nil {
		close(e.signals.stopLoad)
	}
	return err
}

func (e *Engine) sleepUntil(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.swarm.failed:
		return e.swarm.err
	}
}

// Drain closes the streams and waits until every client has everything, or the deadline passes.
func (e *Engine) Drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.options.Plan.Phases.DrainDeadline)
	defer cancel()
	e.drained.Store(time.Now().UnixNano())
	e.enter(scenarios.PhaseDrain)
	e.swarm.phase.Store(int64(len(e.topo.phases)))
	close(e.signals.finals)
	e.swarm.drain(ctx)
}

// flushTimeout bounds the wait for acknowledgements that are still missing when the run ends.
const flushTimeout = 5 * time.Second

// Finish ends clients and producers, reads the topics back, makes the last interval and closes the account. The audit
// is nil where the load never began.
func (e *Engine) Finish(ctx context.Context) (*results.Audit, *results.Health, error) {
	// 1. Pacers end: the ledgers' sequence numbers are final.
	close(e.signals.finish)
	e.pacers.Wait()
	e.gcBudget.release()
	// 2. What is still unanswered gets its last chance; then the clients fail it, and it counts as unsettled.
	defects := e.closeProducers(ctx)
	// 3. The topics are read back while the observer still runs.
	read, cancel := context.WithTimeout(ctx, e.options.Plan.Phases.DrainDeadline+flushTimeout)
	ref := e.observer.readBack(read, e.options.Seeds, e.options.Plan.Audit.Gaps, e.options.KafkaOpts)
	cancel()
	// 4. Clients, the observer and the collector end; after that nothing is counted any more.
	err := e.end()
	var audit *results.Audit
	if stopped(e.signals.start) {
		audit = closeAudit(&auditor{topo: e.topo, swarm: e.swarm, producers: e.producers, reference: ref, totals: e.collector.totals, slowest: e.observer.slowest})
		audit.Defects = append(audit.Defects, defects...)
		audit.NeverJoined, audit.NeverJoinedCount = e.swarm.unjoinedAtEnd(20)
	} else {
		names, count := e.swarm.neverJoined(20)
		audit = &results.Audit{NeverJoined: names, NeverJoinedCount: count, CorruptionChecked: true}
	}
	if stopped(e.swarm.failed) {
		err = errors.Join(e.swarm.err, err)
	}
	return audit, e.health(), err
}

// end ends the clients and the observer, has the last interval made and waits for all but the pacers.
func (e *Engine) end() error {
	e.cancel()
	e.swarm.wg.Wait()
	answer := make(chan error)
	e.tick <- answer
	err := <-answer
	_ = e.others.Wait()
	e.stopped = true
	return err
}

// closeProducers waits for the senders' answers and closes the Kafka clients, all at once, and returns when every send
// has its answer: closing fails what is buffered from goroutines of the client's own. What never gets an answer is a
// defect.
func (e *Engine) closeProducers(ctx context.Context) (defects []string) {
	flush, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	var closing sync.WaitGroup
	for _, p := range e.producers {
		closing.Go(func() {
			if err := p.flush(flush); err != nil {
				e.Event(results.EventWarning, fmt.Sprintf("producer %s: %d sends were unanswered at the end: %v", p.shape.plan.Name, p.inFlight.Load(), err))
			}
			p.close()
		})
	}
	closing.Wait()
	deadline := time.NewTimer(flushTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for _, p := range e.producers {
		for p.unanswered.Load() > 0 {
			select {
			case <-tick.C:
				continue
			case <-deadline.C:
			}
			return []string{fmt.Sprintf("the client of producer %s never answered %d sends: their fate is not in the account", p.shape.plan.Name, p.unanswered.Load())}
		}
	}
	return nil
}

// health is what the generator knows about itself.
func (e *Engine) health() *results.Health {
	steps, slew, _ := e.clock.state()
	c := e.collector
	h := &results.Health{
		ClockSteps: steps, ClockSlewPPM: slew, GCCount: c.gc.seen - c.gc.first, GCPauseMaxNS: int64(c.gc.max),
		DescriptorsUsed: c.peakDescriptors, DescriptorsLimit: int64(tableLimit()),
		PortsUsed: int64(e.swarm.crowd()), PortsLimit: int64(ephemeralPorts()),
		PacerKind: e.producers[0].pacing, ReceiveTimestamps: ReceiveStampsFor(e.options.URL),
		UsableCores: usableCores, PacingWait: c.wait.worstPacing(), GC: e.gcHealth(),
	}
	measured := func(l results.Label) bool { return e.measured(l.Phase) }
	openLoop := map[string]bool{} // nobody knows beforehand how many messages clients send that wait for answers
	for i := range e.topo.producers {
		p := &e.topo.producers[i]
		if p.plan.Think == nil {
			h.PlannedMessages += int64(p.schedule.Measured(e.topo.phases))
			openLoop[p.plan.Name] = true
		}
	}
	h.SentMessages = c.total(results.CountSent, func(l results.Label) bool { return measured(l) && openLoop[l.Producer] })
	h.UnsentMessages = max(0, h.PlannedMessages-h.SentMessages)
	h.OverflowMessages = c.total(results.CountOverflow, measured)
	return h
}

// Unmatched is the number of deliveries for which the observer's read of the same message was not found; they are
// missing from the gateway stage. Valid after Finish.
func (e *Engine) Unmatched() int64 { return e.collector.unseen }

// Close ends whatever is still running and waits for it. It may be called after Finish and at any point before.
func (e *Engine) Close() {
	if !e.stopped {
		if !stopped(e.signals.finish) {
			close(e.signals.finish)
		}
		e.pacers.Wait()
		_ = e.end() // the run is given up; Finish is what tells of its last interval
	}
	e.gcBudget.release()
	e.closeClients()
}
