package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// history reads stretches of partitions that the consumer has read before, with
// a Kafka client of its own. There is no consumer in it: each stretch is one
// fetch request, so that many readers can be at many offsets. A partition is
// read by one at a time; what was read is remembered for a while, since clients
// that were cut off together come back together.
type history struct {
	client *kgo.Client
	admin  *kadm.Client
	bound  int64 // of the stretches that are remembered or looked at, in bytes
	pace   *pace

	mu      sync.Mutex
	topics  map[string]*topicHistory
	parts   map[partitionKey]*partitionHistory
	bytes   int64           // of those that are remembered or looked at
	fetched deque[*stretch] // those that are remembered, the oldest first
	changed chan struct{}   // closed when bytes has become less, or more of it can be forgotten
}

// partitionKey is a partition as it was between two truncations.
type partitionKey struct {
	topic, epoch string
	partition    int32
	truncations  int
}

type partitionHistory struct {
	turn      chan struct{} // capacity 1: held by who reads
	stretches []*stretch    // guarded by history.mu
}

// topicHistory is what was last asked about a topic.
type topicHistory struct {
	turn    chan struct{} // capacity 1: held by who asks, and guards what follows
	bounds  topicBounds
	boundAt time.Time
	details topicDetail
	known   bool
}

// topicBounds are the first offset of each partition and the one after the last.
type topicBounds struct {
	start, end kadm.ListedOffsets
}

// stretch is the records of a partition from one offset to another, as far as
// they are for readers.
type stretch struct {
	partition  partitionKey
	from, to   int64
	bytes      int64
	receivedAt int64
	records    []*kgo.Record
	byKey      map[string][]int // indexes into records; those without a key are in none

	readers   int  // those that look at it; guarded by history.mu
	forgotten bool // goes when nobody looks at it; guarded by history.mu

	mu       sync.Mutex
	messages []*message // by record, built when first asked for
}

// minFetchBytes is the least that is asked for at once. Kafka gives a batch at least, however large.
const minFetchBytes = 16 << 10

// errOutOfRange: Kafka does not have the offset.
var errOutOfRange = errors.New("the offset is out of range")

func newHistory(client *kgo.Client, bound int64, p *pace) *history {
	return &history{
		client: client, admin: kadm.NewClient(client), bound: bound, pace: p, changed: make(chan struct{}),
		topics: make(map[string]*topicHistory),
		parts:  make(map[partitionKey]*partitionHistory),
	}
}

// read returns a stretch that holds the offset at, which is to be released. It is
// for who knows that the partition goes on behind it.
func (h *history) read(ctx context.Context, key partitionKey, at int64) (*stretch, error) {
	part := h.partition(key)
	if s := h.find(part, at); s != nil {
		return s, nil
	}
	select {
	case part.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-part.turn }()
	if s := h.find(part, at); s != nil {
		return s, nil
	}
	answer, err := h.fetch(ctx, key, at)
	if err != nil {
		return nil, err
	}
	// Only now, so that a broker that does not answer takes no room from others. Of
	// a partition there is one answer at a time.
	estimate := int64(2 * len(answer.RecordBatches))
	if err := h.reserve(ctx, estimate); err != nil {
		return nil, err
	}
	var s *stretch
	h.pace.work(ctx, func() int {
		s, err = unpack(key, at, answer)
		return 0
	})
	if s == nil {
		h.giveBack(estimate)
		return nil, errors.Join(err, ctx.Err())
	}
	h.remember(part, s, estimate)
	return s, nil
}

// reserve waits until so many bytes fit beside the stretches that are looked at,
// or there are none, and forgets the oldest of the others.
func (h *history) reserve(ctx context.Context, n int64) error {
	for {
		h.mu.Lock()
		for h.bytes+n > h.bound && h.fetched.n > 0 {
			h.forget(h.fetched.pop())
		}
		if h.bytes+n <= h.bound || h.bytes == 0 {
			h.bytes += n
			h.mu.Unlock()
			return nil
		}
		changed := h.changed
		h.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// release is for who no longer looks at the stretch.
func (h *history) release(s *stretch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.readers--; s.readers == 0 && s.forgotten {
		h.free(s.bytes)
	}
}

// giveBack is for what was reserved in vain.
func (h *history) giveBack(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.free(n)
}

func (h *history) free(n int64) {
	h.bytes -= n
	h.look()
}

// look has those who wait for room look again.
func (h *history) look() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// forget takes a stretch out of what can be found.
func (h *history) forget(s *stretch) {
	of := h.parts[s.partition]
	for i, o := range of.stretches {
		if o == s {
			of.stretches = append(of.stretches[:i:i], of.stretches[i+1:]...)
			break
		}
	}
	if s.forgotten = true; s.readers == 0 {
		h.free(s.bytes)
	}
}

func (h *history) partition(key partitionKey) *partitionHistory {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.parts[key]
	if !ok {
		p = &partitionHistory{turn: make(chan struct{}, 1)}
		h.parts[key] = p
	}
	return p
}

// find returns a stretch that holds the offset, which is to be released, or nil.
func (h *history) find(part *partitionHistory, at int64) *stretch {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range part.stretches {
		if s.from <= at && at < s.to {
			s.readers++
			return s
		}
	}
	return nil
}

// remember keeps a stretch that its reader is to release, for which so many bytes
// were reserved.
func (h *history) remember(part *partitionHistory, s *stretch, reserved int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.readers++
	part.stretches = append(part.stretches, s)
	h.fetched.push(s)
	h.bytes += s.bytes - reserved
	for h.bytes > h.bound && h.fetched.n > 1 {
		h.forget(h.fetched.pop())
	}
	h.look() // the stretch can be forgotten from now on
}

// fetch reads from the partition's leader.
func (h *history) fetch(ctx context.Context, key partitionKey, at int64) (*kmsg.FetchResponseTopicPartition, error) {
	bounded, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	details, err := h.details(bounded, key.topic)
	if err != nil {
		return nil, err
	}
	leader, ok := details.leaders[key.partition]
	if !ok || epochOf(details.id) != key.epoch {
		h.forgetDetails(ctx, key.topic)
		return nil, kerr.UnknownTopicOrPartition
	}
	resp, err := h.client.Broker(int(leader)).Request(bounded, fetchRequest(key, details.id, at, h.fetchBytes()))
	if err != nil {
		h.forgetDetails(ctx, key.topic)
		return nil, err
	}
	answer, err := fetchAnswer(resp.(*kmsg.FetchResponse))
	if errors.Is(err, kerr.OffsetOutOfRange) {
		return nil, errOutOfRange
	}
	if err != nil {
		h.forgetDetails(ctx, key.topic) // another may lead it
		return nil, err
	}
	return answer, nil
}

func unpack(key partitionKey, at int64, answer *kmsg.FetchResponseTopicPartition) (*stretch, error) {
	fetched, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: at, IsolationLevel: kgo.ReadCommitted(), Topic: key.topic, Partition: key.partition,
	}, answer, kgo.DefaultDecompressor(), nil)
	if fetched.Err != nil {
		return nil, fetched.Err
	}
	if next <= at {
		return nil, fmt.Errorf("offset %d is not there yet", at)
	}
	return newStretch(key, at, next, fetched.Records), nil
}

// fetchBytes is how much is asked for at once: little enough that several stretches are in memory side by side. Else each
// replay would push out what another is still reading, and all would read the same again and again.
func (h *history) fetchBytes() int32 {
	return int32(max(minFetchBytes, min(h.bound/2, fetchPartitionBytes)))
}

func fetchRequest(key partitionKey, id [16]byte, at int64, bytes int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis = int32(fetchWait.Milliseconds())
	req.MinBytes = 1
	req.MaxBytes = bytes
	req.IsolationLevel = 1 // committed
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition = key.partition
	p.FetchOffset = at
	p.PartitionMaxBytes = bytes
	t := kmsg.NewFetchRequestTopic()
	t.Topic = key.topic
	t.TopicID = id
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func fetchAnswer(resp *kmsg.FetchResponse) (*kmsg.FetchResponseTopicPartition, error) {
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, errors.New("the answer to the fetch is empty")
	}
	p := &resp.Topics[0].Partitions[0]
	return p, kerr.ErrorForCode(p.ErrorCode)
}

func newStretch(key partitionKey, from, to int64, records []*kgo.Record) *stretch {
	s := &stretch{
		partition: key, from: from, to: to, records: records, receivedAt: time.Now().UnixNano(),
		byKey: make(map[string][]int), messages: make([]*message, len(records)),
	}
	for i, r := range records {
		s.bytes += int64(2*(len(r.Key)+len(r.Value)) + keptOverhead)
		if r.Key != nil {
			s.byKey[string(r.Key)] = append(s.byKey[string(r.Key)], i)
		}
	}
	return s
}

// message builds a record's message, once for all.
func (s *stretch) message(i int, header []byte, encoder *recordEncoder) *message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.messages[i] == nil {
		kr := s.records[i]
		r := record{
			partition: kr.Partition, offset: kr.Offset, key: kr.Key, value: kr.Value,
			receivedAt: s.receivedAt, queuedAt: time.Now().UnixNano(),
		}
		s.messages[i] = &message{frame: encoder.encode(header, &r), partition: r.partition, offset: r.offset, queuedAt: r.queuedAt}
	}
	return s.messages[i]
}

// ask gives the caller the topic's turn, until it calls done.
func (h *history) ask(ctx context.Context, topic string) (t *topicHistory, done func(), err error) {
	h.mu.Lock()
	t, ok := h.topics[topic]
	if !ok {
		t = &topicHistory{turn: make(chan struct{}, 1)}
		h.topics[topic] = t
	}
	h.mu.Unlock()
	select {
	case t.turn <- struct{}{}:
		return t, func() { <-t.turn }, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func (h *history) details(ctx context.Context, topic string) (topicDetail, error) {
	t, done, err := h.ask(ctx, topic)
	if err != nil {
		return topicDetail{}, err
	}
	defer done()
	if t.known {
		return t.details, nil
	}
	details, err := askTopic(ctx, h.client, topic)
	if err != nil {
		return topicDetail{}, err
	}
	t.details, t.known = details, true
	return details, nil
}

// forgetDetails has them asked for again.
func (h *history) forgetDetails(ctx context.Context, topic string) {
	t, done, err := h.ask(ctx, topic)
	if err != nil {
		return
	}
	defer done()
	t.known = false
}

// boundsOf returns a topic's bounds as they were at the time since, or later.
func (h *history) boundsOf(ctx context.Context, topic string, since time.Time) (topicBounds, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	t, done, err := h.ask(ctx, topic)
	if err != nil {
		return topicBounds{}, err
	}
	defer done()
	if t.boundAt.After(since) {
		return t.bounds, nil
	}
	askedAt := time.Now()
	var b topicBounds
	if b.start, err = h.admin.ListStartOffsets(ctx, topic); err == nil {
		err = b.start.Error()
	}
	if err != nil {
		return topicBounds{}, fmt.Errorf("list start offsets: %w", err)
	}
	if b.end, err = h.admin.ListEndOffsets(ctx, topic); err == nil {
		err = b.end.Error()
	}
	if err != nil {
		return topicBounds{}, fmt.Errorf("list end offsets: %w", err)
	}
	t.bounds, t.boundAt = b, askedAt
	return b, nil
}
