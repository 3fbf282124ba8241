package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// historyShare is the part of Resume.MemoryBytes, one in so many, that is for what
// was read again from Kafka.
const historyShare = 8

// replayer gives clients that come back what they have missed. Each replay has a
// goroutine; so many as Config.Resume.Replays work at a time, the others wait
// their turn. One that waits for a slow client or for Kafka lets others work, as
// does one that goes on for long.
type replayer struct {
	cfg      *Config
	hub      *hub
	errors   *errorLog
	history  *history
	requests chan *resumption
	slots    *slots
	pace     *pace
	stopped  chan struct{} // closed when no replay is begun any more
}

// newReplayer sets the hub's memory up.
func newReplayer(cfg *Config, h *hub, errs *errorLog) *replayer {
	h.memory.bound = cfg.Resume.MemoryBytes - cfg.Resume.MemoryBytes/historyShare
	return &replayer{
		cfg: cfg, hub: h, errors: errs,
		requests: make(chan *resumption),
		slots:    newSlots(cfg.Resume.Replays, h.counters),
		pace:     newPace(),
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
	p.history = newHistory(client, p.cfg.Resume.MemoryBytes/historyShare, p.pace)
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
	if !p.first(ctx, r.client) {
		return
	}
	defer func() { <-r.client.replaying }()
	place, ok := p.slots.enter(ctx)
	for i := 0; ok && i < len(r.topics); i++ {
		if ok = p.replay(ctx, r, r.topics[i], place); !ok {
			return
		}
	}
	if ok {
		place.leave()
		p.hub.counters.replayTime.observe(time.Since(r.startedAt))
	}
}

// first waits for the client's other replays, unless ctx ends first.
func (p *replayer) first(ctx context.Context, c *client) bool {
	p.hub.counters.replaysWaiting.Add(1)
	defer p.hub.counters.replaysWaiting.Add(-1)
	select {
	case c.replaying <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// prepare finds out where the client is and answers. Kafka is asked only for
// topics of which positions are not in memory.
func (p *replayer) prepare(ctx context.Context, r *resumption) *requestError {
	bounds := make(map[string]topicBounds)
	for {
		unknown, refused := p.hub.answerResume(r, bounds)
		if len(unknown) == 0 {
			return refused
		}
		for _, topic := range unknown {
			b, err := p.history.boundsOf(ctx, topic, r.startedAt)
			switch {
			case err == nil:
				bounds[topic] = b
			case ctx.Err() != nil:
				return errShuttingDown
			default:
				p.errors.record("find what a client missed", err)
				return &requestError{ErrorKafka, fmt.Sprintf("topic %s: Kafka does not say which offsets it has (ask again)", topic)}
			}
		}
	}
}

// replay brings a topic's channels to where they are live, and reports whether
// it came to that. Else the place is left.
func (p *replayer) replay(ctx context.Context, r *resumption, tr *topicReplay, place *slot) (live bool) {
	for place.pass(ctx) {
		at, part, from := progressGone, int32(0), int64(0)
		p.pace.work(ctx, func() int {
			at, part, from = p.hub.step(r, tr)
			return tr.told()
		})
		if at == progressKafka {
			var ok bool
			if at, ok = p.readAgain(ctx, r, tr, part, from, place); !ok {
				return false
			}
		}
		switch at {
		case progressLive:
			return true
		case progressGone:
			place.leave()
			return false
		case progressFull:
			// The client's write timeout bounds that it takes nothing.
			left := place.away(func() { p.awaitRoom(ctx, r.client) })
			if !place.back(ctx, left) {
				return false
			}
		case progressMore, progressKafka:
		}
	}
	return false
}

func (*replayer) awaitRoom(ctx context.Context, c *client) {
	select {
	case <-c.queue.room:
	case <-ctx.Done():
	}
}

// readAgain gives a client what a stretch of Kafka has for it. Where ok is false
// the place is left.
//
// It does not keep the stretch while the client takes nothing, nor while it waits
// for its place, so that the memory of stretches is soon for others again.
func (p *replayer) readAgain(ctx context.Context, r *resumption, tr *topicReplay, part int32, from int64, place *slot) (at progress, ok bool) {
	of, want := p.hub.wants(tr, part)
	at = progressMore
	var s *stretch
	left := place.away(func() {
		var err error
		if s, err = p.history.read(ctx, of, from); err != nil {
			p.unreadable(ctx, tr, of.epoch, part, from, err)
		}
	})
	if s != nil {
		at = p.give(ctx, r, tr, s, want, from)
		p.history.release(s)
	}
	return at, place.back(ctx, left)
}

// give queues what the stretch has for the client, as much as there is room for.
func (p *replayer) give(ctx context.Context, r *resumption, tr *topicReplay, s *stretch, want *wanted, from int64) (at progress) {
	var found []replayed
	chosen := p.pace.work(ctx, func() int {
		found = s.choose(want, tr.topic.header, from)
		return 0
	})
	if !chosen { // nothing found would mean that nothing is there
		return progressGone
	}
	for {
		n := 0
		at = progressGone
		p.pace.work(ctx, func() int {
			n, at = p.hub.take(r, tr, s, want, &from, found)
			return tr.told()
		})
		if found = found[n:]; len(found) == 0 || at != progressMore {
			return at
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
