package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// maxBatchOverhead is more than Kafka's framing of a batch of one record takes.
	maxBatchOverhead = 200
	// maxRecordBytes bounds a published record, key and value: what the Kafka
	// client sends in one batch, and brokers take by default.
	maxRecordBytes = 1_000_000
	// publicationBytes is about what a publication takes beside its record.
	publicationBytes = 512
)

// publisher writes clients' records to Kafka, for all of them through one
// idempotent producer with acks=all. The Kafka client's goroutine settles each
// publication, one after the other; nothing here waits for Kafka but close.
//
// How long an answer takes is Kafka's affair: the producer tries for as long as
// nothing proves that the record was not written, since giving up earlier would
// only turn a late answer into an undetermined one. What waits is bounded by
// Config.Publish.MaxInFlight and Config.Publish.BufferBytes.
type publisher struct {
	cfg      *Config
	counters *counters
	errors   *errorLog
	client   *kgo.Client // nil where no topic is open
	topics   map[string]*openTopic
	ids      *messageIDs
	closing  sync.Once

	mu        sync.Mutex
	draining  bool // admits no more
	inFlight  int  // publications
	bytes     int  // of them
	submitted uint64
	idle      chan struct{} // closed when draining and nothing is in flight
}

// openTopic is a topic that clients may publish to. What it holds beside its
// name is for [publication.refuted] and belongs to the goroutine that settles.
type openTopic struct {
	name          string
	acked         bool     // Kafka has acknowledged a record
	failedThrough []uint64 // by partition: how many were submitted when the last one failed
}

// publication is a record on its way to Kafka.
type publication struct {
	record     kgo.Record
	id         *uint64
	topic      *openTopic
	client     *client
	publisher  *publisher
	remembered *rememberedID // nil where the client gave the message no id of its own
	number     uint64        // of those submitted
	acceptedAt time.Time
}

func newPublisher(cfg *Config, counters *counters, log *slog.Logger) (*publisher, error) {
	p := &publisher{
		cfg:      cfg,
		counters: counters,
		errors:   &errorLog{log: log, counter: &counters.kafkaErrors},
		topics:   make(map[string]*openTopic, len(cfg.PublishTopics)),
		ids:      newMessageIDs(cfg.Publish.Dedup, counters),
		idle:     make(chan struct{}),
	}
	for _, name := range cfg.PublishTopics {
		p.topics[name] = &openTopic{name: name}
	}
	if len(p.topics) == 0 {
		return p, nil
	}
	opts := append([]kgo.Opt{
		kgo.SeedBrokers(cfg.Brokers...),
		kgo.ClientID("weir-gateway"),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// Keys go where Kafka's own clients put them.
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerLinger(cfg.Publish.Linger),
		// Batches are small, and some consumers know no compression.
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(maxRecordBytes + maxBatchOverhead),
		// The bound is begin's, which refuses without asking the Kafka client.
		kgo.MaxBufferedRecords(cfg.Publish.BufferBytes/publicationBytes + 1),
		kgo.MetadataMinAge(minMetadataAge),
		kgo.WithHooks(connectionErrors{p.errors}),
		kgo.WithLogger(kafkaLog{log}),
	}, cfg.KafkaOpts...)
	var err error
	p.client, err = kgo.NewClient(opts...)
	return p, err
}

// await returns when the topics exist, or ctx ends. It tells waiting what is
// missing.
func (p *publisher) await(ctx context.Context, waiting func(error)) error {
	if p.client == nil {
		return nil
	}
	return retry(ctx, p.errors, waiting, "find the topics to publish to", p.findTopics)
}

func (p *publisher) findTopics(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	topics, err := kadm.NewClient(p.client).ListTopics(ctx, p.cfg.PublishTopics...)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	for _, name := range p.cfg.PublishTopics {
		t, ok := topics[name]
		if !ok || t.Err != nil {
			return fmt.Errorf("topic %s, to publish to: %w", name, errors.Join(t.Err, kerr.UnknownTopicOrPartition))
		}
	}
	return nil
}

// publish submits a client's record. The client is answered exactly once, now or
// when Kafka has answered, unless its connection ends before.
func (p *publisher) publish(c *client, r publishRequest) {
	open, key, refused := p.target(c, r.channel)
	if size := len(key) + len(r.value); refused == nil && size > maxRecordBytes {
		refused = &requestError{ErrorTooLarge, fmt.Sprintf("key and value of %d bytes are more than a record may have (%d)", size, maxRecordBytes)}
	}
	if refused == nil && r.messageID != "" && p.cfg.Tokens != nil && c.who.subject == "" {
		refused = errNoIdentity
	}
	if refused != nil {
		p.refuse(c, r.id, refused)
		return
	}
	if admitted, refused := c.queue.beginPublish(p.cfg.Publish.MaxInFlight); refused != nil {
		p.refuse(c, r.id, refused)
		return
	} else if !admitted {
		return // the connection is as good as gone
	}
	a := &publication{id: r.id, topic: open, client: c, publisher: p, acceptedAt: time.Now()}
	if r.messageID != "" {
		var known *outcome
		a.remembered, known = p.ids.begin(messageKey{c.who.subject, r.channel, r.messageID}, waitingReply{c, r.id}, a.acceptedAt)
		if known != nil {
			p.counters.duplicates.Add(1)
			c.queue.endPublish(known.append(nil, r.id, true))
		}
		if a.remembered == nil {
			return
		}
	}
	// A record that fails with this partition was never given one, and so was never sent.
	a.record = kgo.Record{Topic: open.name, Key: key, Value: r.value, Partition: -1, Timestamp: a.acceptedAt}
	if a.number, refused = p.begin(len(key) + len(r.value)); refused != nil {
		p.counters.refused.Add(1)
		a.answer(outcome{kind: answerRefused, reason: refused})
		return
	}
	p.client.TryProduce(context.Background(), &a.record, a.settle)
}

// target is the topic of a channel and the key that its record gets, nil for none.
func (p *publisher) target(c *client, channel string) (open *openTopic, key []byte, refused *requestError) {
	topic, text, keyed := strings.Cut(channel, "/")
	if open = p.topics[topic]; open == nil {
		return nil, nil, &requestError{ErrorNotOpen, fmt.Sprintf("channel %.80q: the topic is not open for publishing", channel)}
	}
	template, chosen := p.cfg.Publish.Keys[topic]
	switch {
	case chosen && keyed:
		return nil, nil, &requestError{ErrorBadRequest, fmt.Sprintf("channel %.80q: the gateway chooses this topic's keys (leave the key out)", channel)}
	case keyed:
		return open, []byte(text), nil
	case !chosen:
		return open, nil, nil
	}
	subject := c.who.subject
	if subject == "" && strings.Contains(template, subjectMark) {
		return nil, nil, &requestError{ErrorBadRequest, fmt.Sprintf("channel %.80q: its keys name who publishes, and nobody knows who this client is", channel)}
	}
	return open, []byte(strings.ReplaceAll(template, subjectMark, subject)), nil
}

func (p *publisher) refuse(c *client, id *uint64, err *requestError) {
	p.counters.refused.Add(1)
	c.queue.pushReply(appendUnpublished(nil, answerRefused, id, err))
}

// begin takes a publication of so many bytes into the account and numbers it.
func (p *publisher) begin(size int) (number uint64, refused *requestError) {
	size += publicationBytes
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.draining:
		return 0, errShuttingDown
	case p.bytes+size > p.cfg.Publish.BufferBytes:
		return 0, &requestError{ErrorBufferFull, "Kafka takes records more slowly than clients publish them"}
	}
	p.inFlight++
	p.bytes += size
	p.submitted++
	p.counters.publishing.Store(int64(p.inFlight))
	return p.submitted, nil
}

// end takes it out again.
func (p *publisher) end(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight--
	p.bytes -= size + publicationBytes
	p.counters.publishing.Store(int64(p.inFlight))
	p.signalIdle()
}

func (p *publisher) signalIdle() {
	if p.draining && p.inFlight == 0 {
		close(p.idle)
	}
}

// settle answers the client. The Kafka client calls it once for each record.
func (a *publication) settle(r *kgo.Record, err error) {
	p := a.publisher
	if err == nil {
		p.counters.published.Add(1)
		p.counters.ackLatency.observe(time.Since(a.acceptedAt))
		a.topic.acked = true
		a.answer(outcome{kind: answerPublished, partition: r.Partition, offset: r.Offset})
	} else {
		a.answer(a.failed(err))
	}
	p.end(len(r.Key) + len(r.Value))
}

// answer tells the client, and who has sent the same message again.
func (a *publication) answer(o outcome) {
	var buf [256]byte
	a.client.queue.endPublish(o.append(buf[:0], a.id, false))
	if a.remembered == nil {
		return
	}
	for _, w := range a.publisher.ids.settle(a.remembered, o, time.Now()) {
		a.publisher.counters.duplicates.Add(1)
		w.client.queue.endPublish(o.append(buf[:0], w.id, true))
	}
}

func (a *publication) failed(err error) outcome {
	p := a.publisher
	p.errors.record("publish to topic "+a.topic.name, err)
	reason := &requestError{ErrorKafka, err.Error()}
	if errors.Is(err, kgo.ErrClientClosed) {
		reason = errShuttingDown
	}
	if a.refuted(err) {
		p.counters.refused.Add(1)
		return outcome{kind: answerRefused, reason: reason}
	}
	p.counters.undetermined.Add(1)
	return outcome{kind: answerUndetermined, reason: reason}
}

// errShuttingDown is what a publish request is refused with, or left
// undetermined, at the gateway's end.
var errShuttingDown = &requestError{ErrorShuttingDown, "the gateway shuts down"}

// topicRefusals are the errors by which Kafka takes no record at all of this
// gateway into a topic.
var topicRefusals = []error{
	kerr.InvalidTopicException,
	kerr.InvalidRequiredAcks,
	kerr.TopicAuthorizationFailed,
	kerr.ClusterAuthorizationFailed,
	kerr.UnsupportedForMessageFormat,
}

// batchRefusals are those by which it takes no record of one batch.
var batchRefusals = []error{
	kerr.MessageTooLarge,
	kerr.RecordListTooLarge,
	kerr.InvalidRecord,
}

// refuted reports whether the error proves that the record was not written.
//
//   - A record that was never given a partition was never sent.
//   - A topic that takes nothing has taken nothing, unless it once did: then
//     what it takes may have changed after a first attempt whose answer was lost.
//   - An error about a batch is the answer to one attempt, but the Kafka client
//     fails by it all that waits for the partition, batches that are on their way
//     included. Kafka rejects those by their sequence numbers only where it knows
//     the producer, and else may have written them. So the error proves something
//     of the first record alone.
func (a *publication) refuted(err error) bool {
	if a.record.Partition < 0 {
		return true
	}
	first := a.firstToFail()
	return isAny(err, topicRefusals) && !a.topic.acked || isAny(err, batchRefusals) && first
}

// firstToFail notes a failure, and reports false where the record may have been
// failed together with one before it.
func (a *publication) firstToFail() bool {
	t, partition := a.topic, int(a.record.Partition)
	for partition >= len(t.failedThrough) {
		t.failedThrough = append(t.failedThrough, 0)
	}
	first := a.number > t.failedThrough[partition]
	a.publisher.mu.Lock()
	t.failedThrough[partition] = a.publisher.submitted
	a.publisher.mu.Unlock()
	return first
}

func isAny(err error, of []error) bool {
	for _, e := range of {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// drain refuses what is published from now on.
func (p *publisher) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.draining {
		p.draining = true
		p.signalIdle()
	}
}

// busy reports whether publications are in flight.
func (p *publisher) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inFlight > 0
}

// close settles what is in flight as undetermined, and returns when it has been
// answered. The publisher must be draining.
func (p *publisher) close() {
	if p.client != nil {
		p.closing.Do(p.client.Close)
	}
	<-p.idle
}
