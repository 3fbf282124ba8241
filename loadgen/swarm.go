package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// swarm is all WebSocket clients of a run, shared out over workers.
type swarm struct {
	topo      *topology
	profile   profile
	dialer    *dialer
	url       string
	topicName func(string) string
	workers   []*worker
	clients   []*client
	seen      [][]*sightings
	producers []*producer
	// sampleMask chooses, by producer, the messages whose fan-out spread is measured.
	sampleMask []uint64

	phase    atomic.Int64 // current load phase; −1 before the load
	loadUnix atomic.Int64 // when the load began, Unix ns; far in the future before
	open     atomic.Int64 // client streams not settled
	unjoined atomic.Int64 // client streams that wait for their first join marker
	linked   atomic.Int64 // connected clients
	everUp   atomic.Int64 // clients that were connected at least once

	failOnce sync.Once
	failed   chan struct{}
	err      error

	dialMu   sync.Mutex
	dialErrs remarks

	closing atomic.Bool // life has ended: a read that goes on for ever ends too
	wg      sync.WaitGroup
}

// client is one WebSocket client. Its worker's mutex guards all but the first three fields, which never change.
type client struct {
	group, index int
	worker       *worker

	trackers []tracker
	frames   frameReader
	out      []byte
	stats    clientStats
	shed     map[int]int64 // messages that the target said it dropped for this client, by partition or key
	sessions int
	fed      bool // anything but control frames came from the target
	thrown   bool // the target closed the newest session and there is no other
}

// spreadRate is about how many messages a second are sampled for the fan-out spread, by producer.
const spreadRate = 200

func newSwarm(topo *topology, o Options, producers []*producer, seen [][]*sightings, pool *recorderPool) (*swarm, error) {
	prof, err := profileOf(topo.plan.Gateway.Profile)
	if err != nil {
		return nil, err
	}
	s := &swarm{
		topo: topo, profile: prof, dialer: newDialer(o.NetDial), url: o.URL, topicName: o.TopicName, seen: seen, producers: producers,
		failed: make(chan struct{}),
	}
	s.phase.Store(-1)
	s.loadUnix.Store(1 << 62)
	for i := range topo.producers {
		mask := uint64(0)
		for rate := topo.producers[i].peakRate(topo.plan); rate/float64(mask+1) > spreadRate; {
			mask = mask<<1 | 1
		}
		s.sampleMask = append(s.sampleMask, mask)
	}
	layout := meterLayout{topo.clientCells(), clientStages, clientCounters}
	for range o.workers() {
		s.workers = append(s.workers, &worker{
			swarm: s, meter: newMeter(layout, pool), gaps: gapStore{limit: topo.plan.Audit.Gaps / o.workers()},
		})
	}
	for g := range topo.groups {
		s.populate(g)
	}
	return s, nil
}

// populate makes the clients of a group and registers what they wait for.
func (s *swarm) populate(g int) {
	group := &s.topo.groups[g]
	slab := make([]tracker, group.plan.Count*group.perClient)
	for i := range group.plan.Count {
		c := &client{group: g, index: i, worker: s.workers[len(s.clients)%len(s.workers)]}
		c.trackers, slab = slab[:group.perClient:group.perClient], slab[group.perClient:]
		for stream := range c.trackers {
			if !s.topo.expects(group, i, stream) {
				continue
			}
			c.trackers[stream].flag = flagExpected
			s.waits(c, stream, 1, func(p *producer) *pending { return p.join })
			s.waits(c, stream, 1, func(p *producer) *pending { return p.final })
			s.open.Add(1)
			s.unjoined.Add(1)
		}
		s.clients = append(s.clients, c)
	}
}

func (s *swarm) channels(g, client int) []string {
	group := &s.topo.groups[g]
	return s.topo.channels(group, client, s.topicName(group.plan.Subscribe.Topic))
}

// waits changes how many wait for markers on the client's stream.
func (s *swarm) waits(c *client, stream int, n int32, which func(*producer) *pending) {
	group := &s.topo.groups[c.group]
	producer, id := group.streamID(c.index, stream)
	which(s.producers[producer]).add(!group.plan.Subscribe.All, id, n)
}

// joined is called, with the worker locked, when a client's stream has seen the join marker that it waited for.
func (s *swarm) joined(c *client, stream int, first bool) {
	s.waits(c, stream, -1, func(p *producer) *pending { return p.join })
	if first {
		s.unjoined.Add(-1)
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

// connect starts all clients at their groups' connect rates and waits until each has been connected once, or ctx ends.
// The clients live until life ends; wg tells when the last of them has gone.
func (s *swarm) connect(ctx, life context.Context) error {
	context.AfterFunc(life, func() { s.closing.Store(true) })
	gate := make(chan struct{}, maxDials)
	groups := make([][]*client, len(s.topo.groups))
	for _, c := range s.clients {
		groups[c.group] = append(groups[c.group], c)
	}
	start := time.Now()
	for g, clients := range groups {
		period := time.Duration(float64(time.Second) / s.topo.groups[g].plan.ConnectRate)
		s.wg.Go(func() {
			for i, c := range clients {
				if !pause(life, time.Until(start.Add(time.Duration(i)*period))) {
					return
				}
				s.wg.Go(func() { s.live(life, c, gate) })
			}
		})
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for int(s.everUp.Load()) < len(s.clients) {
		select {
		case <-ctx.Done():
			return s.connectError(ctx)
		case <-s.failed:
			return s.err
		case <-tick.C:
		}
	}
	return nil
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
		why = fmt.Sprintf("; no answer to the WebSocket handshake from %s so far: is this the gateway?", s.url)
	}
	return fmt.Errorf("connect the clients: %d of %d were connected when the deadline passed%s", up, len(s.clients), why)
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

// live is one client's goroutine: session after session until life ends.
func (s *swarm) live(life context.Context, c *client, gate chan struct{}) {
	backoff := newDraw(s.topo.plan.Seed, c.group<<24|c.index, purposeBackoff)
	failures := uint64(0)
	for attempt := uint64(0); ; attempt++ {
		conn, early, err := s.dialOne(life, c, gate)
		if err == nil {
			failures = 0
			err = s.session(life, c, conn, early)
			if life.Err() != nil {
				return
			}
			s.thrownOut(c, err)
			if !s.topo.groups[c.group].plan.Reconnect {
				return
			}
		} else {
			failures++
		}
		if !pause(life, backoffFor(failures, backoff.unit(attempt))) {
			return
		}
	}
}

// backoffFor grows from 100 ms to 2 s, jittered by half so that clients thrown out together don't come back together.
func backoffFor(failures uint64, unit float64) time.Duration {
	full := min(100*time.Millisecond<<min(failures, 8), 2*time.Second)
	return full/2 + time.Duration(unit*float64(full/2))
}

func (s *swarm) dialOne(life context.Context, c *client, gate chan struct{}) (net.Conn, []byte, error) {
	select {
	case gate <- struct{}{}:
	case <-life.Done():
		return nil, nil, life.Err()
	}
	defer func() { <-gate }()
	begin := time.Now()
	conn, early, err := s.dialer.dial(life, s.url)
	cell := s.topo.cell(int(s.phase.Load()), c.group, -1)
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	if err != nil && life.Err() != nil {
		return nil, nil, life.Err() // the run ended, the dial did not fail
	}
	if err != nil {
		c.worker.meter.count(cell, countConnectFail, 1)
		s.dialMu.Lock()
		s.dialErrs.add(plainError(err).Error())
		s.dialMu.Unlock()
		return nil, nil, err
	}
	c.worker.meter.count(cell, countConnected, 1)
	c.worker.meter.record(cell, stageConnect, int64(time.Since(begin)))
	return conn, early, nil
}

// session subscribes and reads until the connection or life ends. It returns why it ended.
func (s *swarm) session(life context.Context, c *client, conn net.Conn, early []byte) error {
	defer conn.Close()
	s.begin(c)
	defer s.linked.Add(-1)
	// A read does not see life end; a closed connection ends it.
	defer context.AfterFunc(life, func() {
		_ = conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = conn.Write(appendClientFrame(nil, opClose, []byte{0x03, 0xe8}))
		_ = conn.Close()
	})()
	greeting, err := s.profile.greeting(s.channels(c.group, c.index))
	if err != nil {
		return err
	}
	if greeting != nil {
		if _, err := conn.Write(appendClientFrame(nil, opText, greeting)); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
	}
	w := c.worker
	handle := func(p []byte, kernelAt, readAt int64, reply io.Writer) error {
		if s.closing.Load() {
			return net.ErrClosed
		}
		return w.takeRead(c, p, kernelAt, readAt, reply)
	}
	if len(early) > 0 {
		w.mu.Lock()
		err := handle(early, 0, time.Now().UnixNano(), conn)
		w.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return receive(conn, &w.mu, &w.space, handle)
}

// begin books a new session. Streams that were joined wait for a marker again: their account goes on, since the target
// ended the session and not the scenario.
func (s *swarm) begin(c *client) {
	s.linked.Add(1)
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	c.sessions++
	c.thrown = false
	c.frames = frameReader{}
	if c.sessions == 1 {
		s.everUp.Add(1)
		return
	}
	for i := range c.trackers {
		t := &c.trackers[i]
		if t.flag&(flagExpected|flagJoined|flagRejoin) == flagExpected|flagJoined {
			t.flag |= flagRejoin
			s.waits(c, i, 1, func(p *producer) *pending { return p.join })
		}
	}
}

// thrownOut books that the target ended a session. A client that does not come back waits for nothing any more.
func (s *swarm) thrownOut(c *client, why error) {
	w := c.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	c.thrown = true
	w.meter.count(s.topo.cell(int(s.phase.Load()), c.group, -1), countThrownOut, 1)
	if errors.Is(why, io.EOF) {
		why = fmt.Errorf("%w without a close frame", errClosed)
	}
	w.remarks.add(fmt.Sprintf("client thrown out: %v", plainError(why)))
	if s.topo.groups[c.group].plan.Reconnect {
		return
	}
	for i := range c.trackers {
		t := &c.trackers[i]
		if t.flag&(flagExpected|flagSettled) == flagExpected {
			t.flag |= flagSettled
			s.open.Add(-1)
		}
	}
}

// plainError strips the connection's own address, so that the same reason of many clients counts as one.
func plainError(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	if op.Addr == nil {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return fmt.Errorf("%s %s: %w", op.Op, op.Addr, op.Err)
}

// join waits until every stream of every client is in force, or ctx ends.
func (s *swarm) join(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.unjoined.Load() > 0 {
		select {
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return context.Cause(ctx)
			}
			return s.joinError()
		case <-s.failed:
			return s.err
		case <-tick.C:
		}
	}
	return nil
}

// neverJoined lists at most max of the clients that have a stream without a marker, and counts all.
func (s *swarm) neverJoined(most int) (names []string, count int) {
	for _, c := range s.clients {
		c.worker.mu.Lock()
		missing := ""
		for i := range c.trackers {
			if c.trackers[i].flag&(flagExpected|flagJoined) == flagExpected {
				missing = s.streamName(c, i)
				break
			}
		}
		c.worker.mu.Unlock()
		if missing == "" {
			continue
		}
		count++
		if len(names) < most {
			names = append(names, fmt.Sprintf("%s (%s)", s.clientName(c), missing))
		}
	}
	return names, count
}

func (s *swarm) clientName(c *client) string {
	return fmt.Sprintf("%s/%d", s.topo.groups[c.group].plan.Name, c.index)
}

func (s *swarm) streamName(c *client, stream int) string {
	group := &s.topo.groups[c.group]
	producer, id := group.streamID(c.index, stream)
	if group.plan.Subscribe.All {
		return fmt.Sprintf("producer %s, partition %d", s.topo.producers[producer].plan.Name, id)
	}
	return fmt.Sprintf("producer %s, key %s", s.topo.producers[producer].plan.Name, scenarios.KeyName(id))
}

// drain waits until every stream is closed without gaps, or ctx ends; then for stragglers: a doubled last message comes
// after the marker that closed its stream.
func (s *swarm) drain(ctx context.Context) {
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

// joinError says who never joined and what came instead.
func (s *swarm) joinError() error {
	names, count := s.neverJoined(3)
	e := &JoinError{Missing: count, Clients: len(s.clients), First: names}
	remarks := map[string]int64{}
	for _, c := range s.clients {
		c.worker.mu.Lock()
		if !c.fed {
			e.Silent++
		}
		c.worker.mu.Unlock()
	}
	for _, w := range s.workers {
		w.mu.Lock()
		e.Foreign += w.foreigns
		for text, n := range w.remarks.all {
			remarks[text] += n
		}
		w.mu.Unlock()
	}
	e.Remarks = causes(remarks)
	return e
}

// JoinError means that clients saw no marker on streams that they subscribed to before the join deadline.
type JoinError struct {
	Missing int      // clients with a stream that never joined
	Clients int      // all clients
	First   []string // some of them, with the stream
	Silent  int      // clients that nothing but control frames came to
	Foreign int64    // frames without a stamp
	Remarks string   // what else happened, the most frequent first
}

// Error names the clients and the likely cause.
func (e *JoinError) Error() string {
	likely := "are all streams' channels subscribed, and does the gateway read every partition?"
	switch {
	case e.Foreign > 0 && e.Silent < e.Clients:
		likely = fmt.Sprintf("%d frames came without a stamp: does the gateway pass values on unchanged, and is this the right gateway?", e.Foreign)
	case e.Silent == e.Clients:
		likely = "the target accepted the connections and delivered nothing: does it consume these topics, from the end on, and can it read the producers' compression?"
	case e.Silent > 0:
		likely = fmt.Sprintf("nothing came to %d of the clients: %s", e.Silent, likely)
	}
	return fmt.Sprintf("join: %d of %d clients never saw a marker on every stream they follow (%s): %s%s",
		e.Missing, e.Clients, strings.Join(e.First, "; "), likely, e.Remarks)
}
