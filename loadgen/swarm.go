package loadgen

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// swarm is all WebSocket clients of a run, shared out over workers.
type swarm struct {
	topo         *topology
	profile      *profile
	dialer       *dialer
	instances    []instance // of the target; at least one
	sharesTable  bool       // pollers have no descriptor tables of their own
	topicName    func(string) string
	workers      []*worker
	groups       []group // as the plan's
	clients      []*client
	seen         [][]*sightings
	markersRead  func() int64 // by the observer
	producers    []*producer
	expectations []*expectation // by producer
	// sampleMask chooses, by producer, the messages whose fan-out spread is measured.
	sampleMask []uint64

	phase    atomic.Int64 // current load phase; −1 before the load
	loadUnix atomic.Int64 // when the load began, Unix ns; far in the future before
	open     atomic.Int64 // client streams not settled
	unjoined atomic.Int64 // client streams that are not in force yet
	linked   atomic.Int64 // connected clients
	everUp   atomic.Int64 // clients that were connected at least once
	early    int          // clients that are there before the load

	begun    chan struct{} // closed when the load begins at loadAt
	loadAt   time.Time
	overOnce sync.Once
	over     chan struct{} // closed when the load is over

	failOnce sync.Once
	failed   chan struct{}
	err      error

	dialMu   sync.Mutex
	dialErrs remarks

	plain sync.Once // the target's not agreeing to compression is told once

	wg sync.WaitGroup
}

// spreadRate is about how many messages a second are sampled for the fan-out spread, by producer.
const spreadRate = 200

func newSwarm(topo *topology, o Options, producers []*producer, seen [][]*sightings, pool *recorderPool) (*swarm, error) {
	prof := topo.wire
	hide, err := prof.readSecrets()
	if err != nil {
		return nil, err
	}
	if err := checkSources(topo.plan); err != nil {
		return nil, err
	}
	trust, err := tlsConfig(prof.wire.TLS)
	if err != nil {
		return nil, err
	}
	s := &swarm{
		topo: topo, profile: prof, dialer: newDialer(o, prof), instances: newInstances(append([]string{o.URL}, o.Further...), topo.plan.ClientCount(), ephemeralPorts()), topicName: o.TopicName, seen: seen, producers: producers,
		failed: make(chan struct{}), begun: make(chan struct{}), over: make(chan struct{}), dialErrs: remarks{hide: hide},
	}
	s.dialer.tls = trust
	s.phase.Store(-1)
	s.loadUnix.Store(1 << 62)
	for i := range topo.producers {
		mask := uint64(0)
		for rate := topo.rate(i); rate/float64(mask+1) > spreadRate; {
			mask = mask<<1 | 1
		}
		s.sampleMask = append(s.sampleMask, mask)
		s.expectations = append(s.expectations, newExpectation(&topo.producers[i], producers[i].ledger, len(topo.phases)))
	}
	layout := meterLayout{topo.clientCells(), clientStages, clientCounters}
	workers := o.workers(topo.plan)
	for range workers {
		s.workers = append(s.workers, &worker{
			swarm: s, meter: newMeter(layout, pool), gaps: gapStore{limit: (topo.plan.Audit.Gaps + topo.conflatedGaps()) / workers},
			remarks: remarks{hide: hide}, closings: remarks{hide: hide},
			attendance: make([]attendance, len(topo.groups)), slowest: make([]int64, len(topo.producers)),
		})
	}
	s.groups = make([]group, len(topo.groups))
	numbers := map[string]int{}
	for g := range topo.groups {
		plan := &topo.groups[g].plan
		s.groups[g].first, s.groups[g].varies, s.groups[g].slow = numbers[plan.Name], varies(topo.plan, g), plan.Slow != nil
		s.groups[g].before, s.groups[g].resumes = len(s.clients), topo.plan.Resumes(g)
		numbers[plan.Name] += plan.Count
		s.populate(g)
	}
	return s, nil
}

// populate makes the clients of a group. Those that are there before the load arrive.
func (s *swarm) populate(g int) {
	group := &s.topo.groups[g]
	slab := make([]tracker, group.plan.Count*group.perClient)
	clients := make([]client, group.plan.Count)
	s.clients = slices.Grow(s.clients, len(clients))
	for i := range clients {
		c := &clients[i]
		c.group, c.index, c.worker = g, i, s.workers[len(s.clients)%len(s.workers)]
		if group.publisher >= 0 {
			c.lane = s.producers[group.publisher].up.lanes[i]
		}
		if s.topo.plan.TellsPositions(g) {
			c.comeback = &comeback{positions: newPositions(group.partitions)}
		}
		c.trackers, slab = slab[:group.perClient:group.perClient], slab[group.perClient:]
		for stream := range c.trackers {
			if s.topo.expects(group, i, stream) {
				c.trackers[stream].flag = flagExpected
			}
		}
		s.clients = append(s.clients, c)
		if turn, ok := newPresence(s.topo.plan, s.topo.phases, g, i).next(); ok && turn.from == 0 {
			s.arrive(c)
			s.early++
		}
	}
}

// waits changes how many wait for markers on the client's stream.
func (s *swarm) waits(c *client, stream int, n int32, which func(*producer) *pending) {
	key, _ := s.topo.groups[c.group].streamID(c.index, stream)
	which(s.producers[key.producer]).add(key, n)
}

// joined is called, with the worker locked, when a client's stream has seen the join marker, or the answer, that it waited
// for.
func (s *swarm) joined(c *client, stream int, first bool) {
	s.awaitsMarker(c, stream, -1)
	if first {
		s.unjoined.Add(-1)
		e, byKey, id := s.expectation(c, stream)
		e.join(byKey, id, c.trackers[stream].base, !s.groups[c.group].slow)
	}
}

// sawFinal is called likewise for the final marker.
func (s *swarm) sawFinal(c *client, stream int) {
	s.waits(c, stream, -1, func(p *producer) *pending { return p.final })
}

// fail ends the run: the account can't be kept any more.
func (s *swarm) fail(err error) {
	s.failOnce.Do(func() {
		s.err = err
		close(s.failed)
	})
}

// maxDials bounds the dials under way.
const maxDials = 256

// connect starts all clients, at their groups' connect rates those that are there before the load, and waits until each of
// these has been connected once, or ctx ends. The clients live until life ends; wg tells when the last of them has gone.
func (s *swarm) connect(ctx, life context.Context) error {
	gate := make(chan struct{}, maxDials)
	if err := s.startPollers(life, gate); err != nil {
		return err
	}
	s.startClients(life, gate)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for int(s.everUp.Load()) < s.early {
		select {
		case <-ctx.Done():
			return s.connectError(ctx)
		case <-s.failed:
			return s.err
		case <-tick.C:
		}
	}
	if s.early >= maxDials {
		debug.FreeOSMemory() // the load begins without the dials' garbage, and without the room that it took
	}
	return nil
}

// startClients begins the clients' lives, one after the other in each group.
func (s *swarm) startClients(life context.Context, gate chan struct{}) {
	groups := make([][]*client, len(s.topo.groups))
	for _, c := range s.clients {
		if c.present {
			groups[c.group] = append(groups[c.group], c)
		} else {
			s.wg.Go(func() { s.live(life, c, gate) })
		}
	}
	start := time.Now()
	for g, clients := range groups {
		period := time.Duration(float64(time.Second) / s.topo.groups[g].plan.ConnectRate)
		s.wg.Go(func() {
			for i, c := range clients {
				if early := time.Until(start.Add(time.Duration(i) * period)); early > 0 && !pause(life, early) {
					return
				}
				if s.settles(c) {
					s.live(life, c, gate) // it returns as soon as the worker's poller dials
				} else {
					s.wg.Go(func() { s.live(life, c, gate) })
				}
			}
		})
	}
}

// pause waits and reports false if ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (s *swarm) connectError(ctx context.Context) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	up, why := s.everUp.Load(), s.dialCauses()
	if up == 0 && why == "" {
		why = fmt.Sprintf("; no answer to the WebSocket handshake from %s so far: is this the gateway?", s.instances[0].url)
	}
	return fmt.Errorf("connect the clients: %d of %d were connected when the deadline passed%s", up, s.early, why)
}

// dialCauses lists why dials failed, the most frequent first.
func (s *swarm) dialCauses() string {
	s.dialMu.Lock()
	defer s.dialMu.Unlock()
	return causes(s.dialErrs.all)
}

// causes lists the three most frequent reasons.
func causes(counts map[string]int64) string {
	reasons := byCount(counts)
	var b strings.Builder
	for _, reason := range reasons[:min(3, len(reasons))] {
		fmt.Fprintf(&b, "; %d times: %s", counts[reason], reason)
	}
	return b.String()
}

// drain waits until every stream is closed without gaps, or ctx ends; then for stragglers: a doubled last message comes
// after the marker that closed its stream.
func (s *swarm) drain(ctx context.Context) {
	s.draining()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.open.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-s.failed:
			return
		case <-tick.C:
		}
	}
	timer := time.NewTimer(stragglers)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// stragglers is how long clients go on reading after all streams are closed.
const stragglers = 200 * time.Millisecond
