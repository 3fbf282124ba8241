package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// commitInterval is how often a member commits what it has read.
	commitInterval = time.Second
	// commitTimeout bounds a commit, and so what a member that is to give up
	// partitions keeps the others waiting for.
	commitTimeout = 10 * time.Second
	// unassignedGrace is how long a gateway waits for partitions that it was not
	// given, and that were not taken from it, until it counts them as another's.
	unassignedGrace = 30 * time.Second
)

// holding says whether a partition is this gateway's to read.
type holding uint8

const (
	held    holding = iota // it is; without a group, all are
	away                   // it is another member's, or nobody's
	awaited                // the group has given it; where it begins is not known yet
)

// groupMember is a gateway's place in a consumer group. It has a Kafka client of
// its own, which joins the group and commits and fetches nothing: what the group
// gives to this gateway the consumer reads by direct assignment, so that gaps,
// truncations and topics created anew are found as they are without a group.
//
// A partition's committed offset is never beyond what was put into the clients'
// queues, so that a crash repeats records and loses none. It is exact when a
// partition is given up in order: the next member goes on where this one ended.
//
// The Kafka client's goroutine tells of what is given and taken; another looks
// for where to begin and commits.
type groupMember struct {
	c       *consumer
	client  *kgo.Client // nil until run has started it
	waiting func(error)
	ready   func()
	given   chan struct{} // capacity 1: partitions are awaited
	fail    context.CancelCauseFunc

	// committing is held from when offsets are looked up until Kafka has them, so
	// that an older commit does not end after a newer one, nor after the partition
	// has become another member's.
	committing sync.Mutex
	committed  map[string]map[int32]kgo.EpochOffset

	mu        sync.Mutex // before consumer.mu
	settled   bool       // the group has said which partitions are this gateway's
	leaving   bool
	lackingAt time.Time // since when there are partitions that it has not; zero where it has all
}

func newGroupMember(c *consumer) *groupMember {
	return &groupMember{c: c, given: make(chan struct{}, 1), committed: make(map[string]map[int32]kgo.EpochOffset)}
}

// incompleteError says why a gateway does not serve while it is in its group.
type incompleteError struct{ reason string }

func (e *incompleteError) Error() string { return e.reason }

// run joins the group and reads what it gives until ctx ends, then commits and
// leaves, but for a static member, who stays until its session times out.
func (m *groupMember) run(ctx context.Context, waiting func(error), ready func()) error {
	m.waiting, m.ready = waiting, ready
	protocol := ""
	err := retry(ctx, m.c.errors, waiting, "prepare the consumer group "+m.group(), func(ctx context.Context) (err error) {
		if err = m.prepare(ctx); err == nil {
			protocol, err = m.protocol(ctx)
		}
		return err
	})
	if err != nil || ctx.Err() != nil {
		return err
	}
	waiting(fmt.Errorf("joining the consumer group %s", m.group()))
	ctx, m.fail = context.WithCancelCause(ctx)
	defer m.fail(nil)
	if err := m.join(protocol); err != nil {
		return fmt.Errorf("join the consumer group %s: %w", m.group(), err)
	}
	var others sync.WaitGroup
	others.Go(func() { m.serve(ctx) })
	others.Go(func() { m.listen(ctx) })
	m.c.read(ctx, func() {})
	others.Wait()
	m.leave()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (m *groupMember) group() string { return m.c.cfg.Consume.Group }

// join makes the client that is the group's member. The callbacks wait for it:
// they may come before it is known.
func (m *groupMember) join(protocol string) error {
	cfg := m.c.cfg
	known := make(chan struct{})
	defer close(known)
	told := func(f func(map[string][]int32)) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			<-known
			f(partitions)
		}
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(cfg.Brokers...),
		kgo.ClientID("weir-gateway"),
		kgo.ConsumerGroup(cfg.Consume.Group),
		kgo.ConsumeTopics(cfg.Topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), // nothing is fetched
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(told(m.assigned)),
		kgo.OnPartitionsRevoked(told(m.revoked)),
		kgo.OnPartitionsLost(told(m.lost)),
		kgo.MetadataMinAge(minMetadataAge),
		// New partitions are found when the metadata is read again.
		kgo.MetadataMaxAge(max(cfg.MetadataInterval, 2*minMetadataAge)),
		kgo.WithHooks(connectionErrors{m.c.errors}),
		kgo.WithLogger(kafkaLog{m.c.log}),
	}
	if protocol == protocolConsumer {
		opts = append(opts, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	} else {
		opts = append(opts, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	}
	if cfg.Consume.Member != "" {
		opts = append(opts, kgo.InstanceID(cfg.Consume.Member))
	}
	client, err := kgo.NewClient(append(opts, cfg.KafkaOpts...)...)
	if err != nil {
		return err
	}
	client.PauseFetchTopics(cfg.Topics...)
	m.client = client
	m.c.log.Info("joining the consumer group", "group", cfg.Consume.Group, "protocol", protocol, "member", cfg.Consume.Member)
	return nil
}

// serve begins partitions and commits until ctx ends.
func (m *groupMember) serve(ctx context.Context) {
	commit := time.NewTicker(commitInterval)
	defer commit.Stop()
	retry := time.NewTicker(retryInterval)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.given:
			m.begin(ctx)
		case <-commit.C:
			m.commit(ctx, nil)
		case <-retry.C:
			m.begin(ctx)
			m.checkLacking(time.Now())
		}
	}
}

// listen takes what the client has to tell, which are errors, until ctx ends or
// one comes that waiting does not mend.
func (m *groupMember) listen(ctx context.Context) {
	for {
		fetches := m.client.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			session, ofSession := errors.AsType[*kgo.ErrGroupSession](err)
			switch {
			case !ofSession:
				m.c.errors.record(fmt.Sprintf("join partition %d of topic %s", partition, topic), err)
			case errors.Is(err, kerr.FencedInstanceID):
				m.fail(fmt.Errorf("another gateway has joined the consumer group %s as its member %s", m.group(), m.c.cfg.Consume.Member))
			case errors.Is(err, kerr.GroupAuthorizationFailed), errors.Is(err, kerr.TopicAuthorizationFailed), permanent(err):
				m.fail(fmt.Errorf("consumer group %s: %w", m.group(), session.Err))
			default:
				m.c.errors.record("be in the consumer group "+m.group(), session.Err)
				m.evaluate(false, session.Err)
			}
		})
	}
}

// assigned is told of partitions that are now this gateway's, in addition to
// those it has.
func (m *groupMember) assigned(partitions map[string][]int32) {
	m.c.mu.Lock()
	each(partitions, func(topic string, p int32) {
		ps := m.c.partitions[topic]
		for int(p) >= len(ps) {
			ps = append(ps, partition{next: -1, holding: away, generation: m.c.generation})
		}
		if ps[p].holding == away {
			ps[p].holding = awaited
		}
		m.c.partitions[topic] = ps
	})
	m.c.mu.Unlock()
	m.mu.Lock()
	m.settled = true
	m.mu.Unlock()
	m.evaluate(false, nil) // more may follow
	select {
	case m.given <- struct{}{}:
	default:
	}
}

// revoked is told of partitions that another member gets. Kafka waits for it: the
// other begins where the commit says.
func (m *groupMember) revoked(partitions map[string][]int32) {
	if len(partitions) == 0 || m.isLeaving() {
		return
	}
	given := m.release(partitions)
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	m.commit(ctx, given)
	m.moved(given)
	m.evaluate(true, nil)
}

// lost is told of partitions that were this gateway's until the group forgot it,
// as after a time without contact. It may get them again. Nothing can be
// committed.
func (m *groupMember) lost(partitions map[string][]int32) {
	if m.isLeaving() {
		return
	}
	m.mu.Lock()
	m.settled = false
	m.mu.Unlock()
	m.moved(m.release(partitions))
	m.evaluate(false, nil)
}

// moved tells the clients of a routed gateway which partitions it has no more.
func (m *groupMember) moved(positions []committable) {
	if !m.c.cfg.Consume.Routed {
		return
	}
	for _, at := range positions {
		m.c.hub.notifyMoved(at.topic, at.partition, at.offset)
	}
}

func (m *groupMember) isLeaving() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leaving
}

// evaluate says whether this gateway can serve. Where it can't for good, as far
// as it knows, its clients are closed: they are missing records from now on.
// They are not where the group has forgotten a member that may get all again.
// failure is what the group's client said last, if anything.
func (m *groupMember) evaluate(final bool, failure error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving {
		return
	}
	lacking, begun, all := m.c.account()
	switch {
	case !m.settled:
		reason := fmt.Sprintf("joining the consumer group %s", m.group())
		if failure != nil {
			reason += ": " + failure.Error()
		}
		m.waiting(&incompleteError{reason})
	case lacking > 0 && !m.c.cfg.Consume.Routed:
		m.waiting(&incompleteError{fmt.Sprintf("the consumer group %s has given %d of %d partitions to other members, whose records "+
			"clients would miss (run one gateway in the group, or set Consume.Routed where clients are routed by partition)", m.group(), lacking, all)})
		if final {
			m.c.hub.suspend()
		}
	case begun+lacking < all:
		m.waiting(&incompleteError{"looking for the committed offsets of the consumer group " + m.group()})
	default:
		m.c.hub.resume()
		m.ready()
	}
}

// checkLacking takes partitions that were added, or lost, and that no rebalance
// has given to this gateway, for another's after a while.
func (m *groupMember) checkLacking(now time.Time) {
	lacking, _, _ := m.c.account()
	m.mu.Lock()
	switch {
	case lacking == 0 || !m.settled:
		m.lackingAt = time.Time{}
	case m.lackingAt.IsZero():
		m.lackingAt = now
	}
	final := !m.lackingAt.IsZero() && now.Sub(m.lackingAt) >= unassignedGrace
	m.mu.Unlock()
	if lacking > 0 {
		m.evaluate(final, nil)
	}
}

// leave commits and closes the client, which leaves the group.
func (m *groupMember) leave() {
	m.mu.Lock()
	m.leaving = true
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	m.commit(ctx, nil)
	m.client.Close()
}

// The group protocols.
const (
	protocolAuto     = "auto"
	protocolClassic  = "classic"
	protocolConsumer = "consumer"
)

var errNoConsumerProtocol = errors.New("the brokers have no groups of KIP-848, which Kafka has from 4.0 on (set Consume.Protocol to classic)")

// protocol is that which the group is to have.
func (m *groupMember) protocol(ctx context.Context) (string, error) {
	wanted := m.c.cfg.Consume.Protocol
	if wanted == protocolClassic {
		return wanted, nil
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	brokers, err := m.c.admin.ApiVersions(ctx)
	if err != nil {
		return "", fmt.Errorf("ask the brokers what they can do: %w", err)
	}
	for id, b := range brokers {
		if b.Err != nil {
			return "", fmt.Errorf("ask broker %d what it can do: %w", id, b.Err)
		}
		if most, ok := b.KeyMaxVersion(int16(kmsg.ConsumerGroupHeartbeat)); !ok || most < 1 {
			if wanted == protocolConsumer {
				return "", errNoConsumerProtocol
			}
			return protocolClassic, nil
		}
	}
	return protocolConsumer, nil
}

func each(partitions map[string][]int32, f func(topic string, p int32)) {
	for topic, ps := range partitions {
		for _, p := range ps {
			f(topic, p)
		}
	}
}
