package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// slotPatience is how long a replay that waits for its client keeps others
	// from running.
	slotPatience = 50 * time.Millisecond
	// historyShare is the part of Resume.MemoryBytes, one in so many, that is for
	// what was read again from Kafka.
	historyShare = 8
)

// replayer gives clients that come back what they have missed. Each replay has a
// goroutine; so many as Config.Resume.Replays work at a time, the others wait
// their turn. One that waits for a slow client lets others work.
type replayer struct {
	cfg      *Config
	hub      *hub
	errors   *errorLog
	history  *history
	requests chan *resumption
	slots    chan struct{} // held by those who work; who waits for one comes in order
	stopped  chan struct{} // closed when no replay is begun any more
}

// newReplayer sets the hub's memory up.
func newReplayer(cfg *Config, h *hub, errs *errorLog) *replayer {
	h.memory.bound = cfg.Resume.MemoryBytes - cfg.Resume.MemoryBytes/historyShare
	return &replayer{
		cfg: cfg, hub: h, errors: errs,
		requests: make(chan *resumption),
		slots:    make(chan struct{}, cfg.Resume.Replays),
		stopped:  make(chan struct{}),
	}
}

// run serves replays and tells clients their positions until ctx ends. It may be
// called on nil.
func (p *replayer) run(ctx context.Context) error {
	if p == nil {
		<-ctx.Done()
		return nil
	}
	defer close(p.stopped)
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(p.cfg.Brokers...),
		kgo.ClientID("weir-gateway-replay"),
		kgo.MetadataMinAge(minMetadataAge),
		kgo.WithHooks(connectionErrors{p.errors}),
		kgo.WithLogger(kafkaLog{p.errors.log}),
	}, p.cfg.KafkaOpts...)...)
	if err != nil {
		return fmt.Errorf("set up the Kafka client for replays: %w", err)
	}
	defer client.Close()
	p.history = newHistory(client, p.cfg.Resume.MemoryBytes/historyShare)
	var replays sync.WaitGroup
	defer replays.Wait()
	replays.Go(func() { p.hub.tell(ctx, p.cfg.Resume.PositionsEvery) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-p.requests:
			replays.Go(func() { p.serve(ctx, r) })
		}
	}
}

// begin returns when the request is answered, or is refused.
func (p *replayer) begin(r *resumption) *requestError {
	select {
	case p.requests <- r:
		<-r.answered
		return r.refused
	case <-p.stopped:
		p.hub.endReplay(r)
		return &requestError{ErrorShuttingDown, "the gateway is draining"}
	}
}

// serve answers a request and replays.
func (p *replayer) serve(ctx context.Context, r *resumption) {
	defer p.hub.endReplay(r)
	r.refused = p.prepare(ctx, r)
	close(r.answered)
	if r.refused != nil {
		return
	}
	p.hub.counters.replaysWaiting.Add(1)
	began := p.await(ctx, r.client.replaying) && p.await(ctx, p.slots)
	p.hub.counters.replaysWaiting.Add(-1)
	if !began {
		return
	}
	defer func() { <-r.client.replaying }()
	defer func() { <-p.slots }()
	p.hub.counters.replaysRunning.Add(1)
	defer p.hub.counters.replaysRunning.Add(-1)
	for _, tr := range r.topics {
		if !p.replay(ctx, r, tr) {
			return
		}
	}
	p.hub.counters.replayTime.observe(time.Since(r.startedAt))
}

// await takes a place, unless ctx ends first.
func (*replayer) await(ctx context.Context, places chan<- struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// prepare finds out where the client is and answers. Kafka is asked only for
// positions that are not in memory.
func (p *replayer) prepare(ctx context.Context, r *resumption) *requestError {
	if p.hub.answerResume(r, nil) {
		return nil
	}
	bounds := make(map[string]topicBounds)
	for topic := range r.request.Resume {
		if p.hub.topics[topic] == nil {
			continue
		}
		b, err := p.history.boundsOf(ctx, topic, r.startedAt)
		if err != nil {
			if ctx.Err() == nil {
				p.errors.record("find what a client missed", err)
			}
			return &requestError{ErrorKafka, fmt.Sprintf("topic %s: %v", topic, err)}
		}
		bounds[topic] = b
	}
	p.hub.answerResume(r, bounds)
	return nil
}

// replay brings a topic's channels to where they are live, and reports whether
// it came to that.
func (p *replayer) replay(ctx context.Context, r *resumption, tr *topicReplay) bool {
	for ctx.Err() == nil {
		at, part, from := p.hub.step(r, tr)
		switch at {
		case progressLive:
			return true
		case progressGone:
			return false
		case progressFull:
			p.awaitRoom(ctx, r.client)
		case progressKafka:
			p.readAgain(ctx, r, tr, part, from)
		case progressMore:
		}
	}
	return false
}

// awaitRoom waits for the client, whose write timeout bounds that it takes
// nothing, and lets others work before long.
func (p *replayer) awaitRoom(ctx context.Context, c *client) {
	patience := time.NewTimer(slotPatience)
	defer patience.Stop()
	select {
	case <-c.queue.room:
		return
	case <-ctx.Done():
		return
	case <-patience.C:
	}
	<-p.slots
	p.hub.counters.replaysRunning.Add(-1)
	p.hub.counters.replaysWaiting.Add(1)
	select {
	case <-c.queue.room:
	case <-ctx.Done():
	}
	p.slots <- struct{}{} // others give theirs back when ctx ends
	p.hub.counters.replaysWaiting.Add(-1)
	p.hub.counters.replaysRunning.Add(1)
}

// readAgain gives a client what a stretch of Kafka has for it.
func (p *replayer) readAgain(ctx context.Context, r *resumption, tr *topicReplay, part int32, from int64) {
	of, want := p.hub.wants(tr, part)
	s, err := p.history.read(ctx, of, from)
	if err != nil {
		p.unreadable(ctx, tr, of.epoch, part, from, err)
		return
	}
	found := s.choose(want, tr.topic.header, from)
	for at := from; ctx.Err() == nil; {
		n, to := p.hub.take(r, tr, s, &at, found)
		if found = found[n:]; len(found) == 0 || to == progressGone {
			return
		}
		if to == progressFull {
			p.awaitRoom(ctx, r.client)
		}
	}
}

// unreadable waits before the next attempt, or passes over what Kafka has no
// more.
func (p *replayer) unreadable(ctx context.Context, tr *topicReplay, epoch string, part int32, from int64, err error) {
	if ctx.Err() != nil {
		return
	}
	if errors.Is(err, errOutOfRange) {
		bounds, boundsErr := p.history.boundsOf(ctx, tr.topic.name, time.Now())
		if start, ok := bounds.start.Lookup(tr.topic.name, part); boundsErr == nil && ok && start.Offset > from {
			p.hub.removed(tr, epoch, part, start.Offset)
			return
		}
	}
	p.errors.record(fmt.Sprintf("read partition %d of topic %s again", part, tr.topic.name), err)
	sleep(ctx, retryInterval)
}
