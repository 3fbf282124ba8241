package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// minMetadataAge is how soon a new leader is asked for after a failure.
	minMetadataAge = 250 * time.Millisecond
	// fetchPartitionBytes bounds what one fetch brings of a partition. Smaller
	// than Kafka's megabyte, so that a backlog is spread over more fetches and
	// reaches the queues at a pace that their writers can follow.
	fetchPartitionBytes = 256 << 10
	// fetchWait bounds an idle fetch. A partition that is new at a broker, since
	// it was added or its leader moved, is first asked for when the fetch under
	// way there has ended.
	fetchWait = 500 * time.Millisecond
	// adminTimeout bounds one question to Kafka about offsets or partitions.
	adminTimeout = 10 * time.Second
	// retryInterval is the time between attempts to start or to repair.
	retryInterval = 500 * time.Millisecond
)

// consumer reads partitions of the topics and gives each record to the hub: all
// of them, or, with a groupMember, those that its group has given it. Either way
// they are assigned to the Kafka client directly. Two goroutines work in it: one
// polls, the other watches for partitions that are new or must be resumed.
//
// Which records were read is its own account, not the Kafka client's: the client
// is told to stop at an offset that is out of range, so that a gap is never
// passed over in silence.
type consumer struct {
	cfg      *Config
	hub      *hub
	counters *counters
	log      *slog.Logger
	errors   *errorLog
	client   *kgo.Client
	admin    *kadm.Client

	group  *groupMember // nil where all partitions are read
	tracer *tracer      // nil where no record is followed

	failed chan struct{} // capacity 1: wakes the watcher

	// taking is held while records of a poll are given to the hub, so that who
	// gives a partition up knows how far it got.
	taking sync.Mutex

	mu         sync.Mutex
	partitions map[string][]partition // by topic; the index is the partition's number
	generation int                    // of partitions that are added now
}

// partition is how far a partition was read.
type partition struct {
	next int64 // the offset after the last record read
	end  int64 // that after the last record that could be read at the last fetch
	// generation tells a partition from an earlier one of the same number, in a
	// topic that was created anew.
	generation int
	holding    holding
	// failure is what stopped the partition, until it is resumed. What comes of
	// it meanwhile is ignored, since it is read again from next.
	failure error
}

func newConsumer(cfg *Config, h *hub, counters *counters, log *slog.Logger) (*consumer, error) {
	c := &consumer{
		cfg:        cfg,
		hub:        h,
		counters:   counters,
		log:        log,
		errors:     &errorLog{log: log, counter: &counters.kafkaErrors},
		failed:     make(chan struct{}, 1),
		partitions: make(map[string][]partition, len(cfg.Topics)),
	}
	opts := append([]kgo.Opt{
		kgo.SeedBrokers(cfg.Brokers...),
		kgo.ClientID("weir-gateway"),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxWait(fetchWait),
		kgo.FetchMaxPartitionBytes(fetchPartitionBytes),
		kgo.MetadataMinAge(minMetadataAge),
		kgo.WithHooks(connectionErrors{c.errors}),
		kgo.WithLogger(kafkaLog{log}),
	}, cfg.KafkaOpts...)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	c.client = client
	c.admin = kadm.NewClient(client)
	if cfg.Consume.Group != "" {
		c.group = newGroupMember(c)
	}
	return c, nil
}

// run finds the start offsets, calls ready, and reads until ctx ends. While it
// looks for the offsets it tells waiting what is missing. In a group it calls
// both again as partitions come and go. It closes the Kafka client.
func (c *consumer) run(ctx context.Context, waiting func(error), ready func()) error {
	defer c.client.Close()
	if len(c.cfg.Topics) == 0 {
		ready()
		<-ctx.Done()
		return nil
	}
	if c.group != nil {
		return c.group.run(ctx, waiting, ready)
	}
	if err := c.start(ctx, waiting); err != nil || ctx.Err() != nil {
		return err
	}
	c.read(ctx, ready)
	return nil
}

// read reads until ctx ends.
func (c *consumer) read(ctx context.Context, ready func()) {
	var others sync.WaitGroup
	others.Go(func() { c.watch(ctx) })
	for _, t := range c.hub.topics {
		if t.conflator != nil {
			others.Go(func() { c.hub.conflate(ctx, t.conflator) })
		}
		if t.batcher != nil {
			others.Go(func() { c.hub.runBatcher(ctx, t) })
		}
	}
	ready()
	c.poll(ctx)
	others.Wait()
	c.hub.flushConflated()
	c.hub.flushGathered()
}

func (c *consumer) poll(ctx context.Context) {
	for {
		fetches := c.client.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		c.taking.Lock()
		c.take(fetches, time.Now())
		c.taking.Unlock()
	}
}

// start assigns all partitions from their end on. It returns without an error
// when ctx ends.
func (c *consumer) start(ctx context.Context, waiting func(error)) error {
	return retry(ctx, c.errors, waiting, "find the start offsets", func(ctx context.Context) error {
		ends, err := c.resolveEnds(ctx)
		if err == nil {
			c.assign(ends)
		}
		return err
	})
}

// retry does what Kafka must be there for, until it is done, waiting does not
// help, or ctx ends, which is no error.
func retry(ctx context.Context, errs *errorLog, waiting func(error), what string, do func(context.Context) error) error {
	for {
		err := do(ctx)
		if err == nil || ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is what err tells of
		}
		if permanent(err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		waiting(err)
		errs.record("waiting for Kafka", err)
		if !sleep(ctx, retryInterval) {
			return nil
		}
	}
}

// permanent tells errors that waiting does not mend.
func permanent(err error) bool {
	_, isAuth := errors.AsType[*kadm.AuthError](err)
	return isAuth || isAny(err, []error{kerr.InvalidTopicException, kerr.SaslAuthenticationFailed, errNoConsumerProtocol})
}

// resolveEnds lists the last stable offset of every partition: the end for who
// reads committed. A transaction that is open now is then delivered whole.
func (c *consumer) resolveEnds(ctx context.Context) (map[string][]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	topics, err := c.admin.ListTopics(ctx, c.cfg.Topics...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	listed, err := c.admin.ListCommittedOffsets(ctx, c.cfg.Topics...)
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	ends := make(map[string][]int64, len(c.cfg.Topics))
	for _, name := range c.cfg.Topics {
		t, ok := topics[name]
		if !ok || t.Err != nil || len(t.Partitions) == 0 {
			return nil, fmt.Errorf("topic %s: %w", name, errors.Join(t.Err, kerr.UnknownTopicOrPartition))
		}
		c.hub.readAnew(name, t.ID)
		ends[name] = make([]int64, max(len(t.Partitions), len(listed[name])))
		for p := range ends[name] {
			o, ok := listed.Lookup(name, int32(p))
			if !ok || o.Err != nil {
				return nil, fmt.Errorf("offset of partition %d of topic %s: %w", p, name, errors.Join(o.Err, kerr.LeaderNotAvailable))
			}
			ends[name][p] = o.Offset
		}
	}
	return ends, nil
}

func (c *consumer) assign(offsets map[string][]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add := make(map[string]map[int32]kgo.Offset, len(offsets))
	for topic, ps := range offsets {
		add[topic] = make(map[int32]kgo.Offset, len(ps))
		for p, offset := range ps {
			c.partitions[topic] = append(c.partitions[topic], partition{next: offset, generation: c.generation})
			c.hub.readFrom(topic, int32(p), offset)
			add[topic][int32(p)] = kgo.NewOffset().At(offset)
		}
	}
	c.client.AddConsumePartitions(add)
}

// take passes on what a poll brought.
func (c *consumer) take(fetches kgo.Fetches, receivedAt time.Time) {
	// Truncations come before the records that were read after them.
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if loss, ok := errors.AsType[*kgo.ErrDataLoss](p.Err); ok {
			c.truncated(p.Topic, p.Partition, loss)
		}
	})
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if len(p.Records) > 0 {
			c.publish(p, receivedAt.UnixNano())
		}
		if _, ok := errors.AsType[*kgo.ErrDataLoss](p.Err); p.Err != nil && !ok {
			c.fetchFailed(p.Topic, p.Partition, p.Err)
		}
	})
}

// publish gives a partition's records to the hub.
func (c *consumer) publish(p kgo.FetchTopicPartition, receivedAt int64) {
	at, ok := c.position(p.Topic, p.Partition)
	if !ok {
		return
	}
	next := at.next
	t := c.hub.topics[p.Topic]
	if p.LogStartOffset > next && p.Records[0].Offset >= p.LogStartOffset {
		c.gap(t, p.Partition, next, p.LogStartOffset)
	}
	var count, size int64
	r := record{partition: p.Partition, receivedAt: receivedAt}
	for _, kr := range p.Records {
		if kr.Offset < next { // read before the partition was resumed
			continue
		}
		r.offset, r.key, r.value = kr.Offset, kr.Key, kr.Value
		r.kafkaAt = kr.Timestamp.UnixNano()
		if c.tracer != nil {
			r.trace = c.tracer.sample(p.Topic, kr, receivedAt)
		}
		r.behind = p.LastStableOffset-kr.Offset > behindRecords
		c.hub.publish(t, &r)
		next = kr.Offset + 1
		count++
		size += int64(len(kr.Key) + len(kr.Value))
	}
	c.counters.records.Add(count)
	c.counters.recordBytes.Add(size)
	at.next, at.end = next, p.LastStableOffset
	c.advance(p.Topic, p.Partition, at)
}

// lags calls f with how many records each partition is behind, as of its last
// fetch.
func (c *consumer) lags(f func(topic string, partition int, records int64)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for topic, ps := range c.partitions {
		for p := range ps {
			if ps[p].holding == held {
				f(topic, p, max(0, ps[p].end-ps[p].next))
			}
		}
	}
}

// position returns how far a partition was read, and false for one that is
// unknown, stopped or not held.
func (c *consumer) position(topic string, p int32) (at partition, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ps := c.partitions[topic]
	if int(p) >= len(ps) || ps[p].failure != nil || ps[p].holding != held {
		return partition{}, false
	}
	return ps[p], true
}

// advance notes how far a partition was read, unless its topic was created anew
// meanwhile.
func (c *consumer) advance(topic string, p int32, at partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ps := c.partitions[topic]; int(p) < len(ps) && ps[p].generation == at.generation {
		ps[p].next, ps[p].end = at.next, at.end
	}
}

// fetchFailed counts an error, and stops the partition until the watcher has
// resumed it. What the Kafka client retries by itself does not come here.
func (c *consumer) fetchFailed(topic string, p int32, err error) {
	if p < 0 {
		c.errors.record("fetch", err)
		return
	}
	c.mu.Lock()
	ps := c.partitions[topic]
	known := int(p) < len(ps) && ps[p].failure == nil && ps[p].holding == held
	if known {
		ps[p].failure = err
	}
	c.mu.Unlock()
	if !known {
		return // reported once until it is resumed
	}
	c.errors.record(fmt.Sprintf("fetch partition %d of topic %s", p, topic), err)
	select {
	case c.failed <- struct{}{}:
	default:
	}
}

// truncated handles the loss of records that had been read: the client resumes
// by itself where the log ends now.
func (c *consumer) truncated(topic string, p int32, loss *kgo.ErrDataLoss) {
	at, ok := c.position(topic, p)
	if !ok {
		return
	}
	at.next = loss.ResetTo
	c.advance(topic, p, at)
	c.truncation(c.hub.topics[topic], p, loss.ResetTo, loss.ConsumedTo)
}

// gap tells of records [from, to) that were gone before they were read.
func (c *consumer) gap(t *topic, p int32, from, to int64) {
	c.tell(t, notice{kind: noticeGap, partition: p, firstOffset: from, lastOffset: to - 1, count: to - from})
}

// truncation tells of records [from, to) that were read and are no more.
func (c *consumer) truncation(t *topic, p int32, from, to int64) {
	c.tell(t, notice{kind: noticeTruncated, partition: p, firstOffset: from, lastOffset: to - 1, count: to - from})
}

func (c *consumer) tell(t *topic, n notice) {
	if n.count <= 0 {
		return
	}
	c.counters.kafkaGaps.Add(1)
	c.log.Warn("records lost in Kafka", "kind", string(n.kind), "topic", t.name, "partition", n.partition,
		"first_offset", n.firstOffset, "last_offset", n.lastOffset)
	c.hub.notify(t, n)
}

// sleep waits for d and reports whether ctx still stands.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
