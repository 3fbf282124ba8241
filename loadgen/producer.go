package loadgen

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// pacerGrain is the longest that the pacing goroutine sleeps without looking whether it is to stop.
const pacerGrain = 20 * time.Millisecond

// relaxAfter is how far behind its schedule a producer gives its priority back, until it has caught up.
const relaxAfter = 5 * time.Millisecond

// lateAfter is the send lag from which a message counts as late.
const lateAfter = time.Millisecond

// producer sends one producer's messages as its schedule says and its markers while they are waited for. Its pacing
// goroutine owns the sequence numbers: a marker must stand in its partition exactly between the messages it tells of.
type producer struct {
	index  int
	shape  *producerShape
	run    uint64
	client *kgo.Client
	acks   bool

	join      *pending
	final     *pending
	followers *pending // of each stream: final, as it was when the first final marker went
	marking   marking

	ledger *ledger
	values *values
	heads  *headers
	pool   sync.Pool // of *message

	up     *upstream // publishes through the gateway; nil for one that writes to Kafka, as client is for one that does not
	quiet  bool      // send no markers: on a conflated topic they would take a value's place once the load has begun
	ends   streamEnds
	linked func() int64 // how many clients are connected; nil where nobody knows
	ended  func()       // called when the last message has been sent

	joinDeadline time.Duration // the plan's

	paceMu  sync.Mutex
	paced   *meter // cells: load phases; stages: send lag
	ackMu   sync.Mutex
	acked   *meter  // cells: load phases; stages: ack
	untaken remarks // why markers were not taken

	inFlight   atomic.Int64 // data messages without an answer
	unanswered atomic.Int64 // messages of any kind whose answer is not booked yet
	pacing     string       // how due times were waited for; set when the load begins
	thread     atomic.Int64 // the system's id of the pacing thread, while it is locked to one
}

// The stages and counters of the producers' meters.
const (
	paceSent = iota
	paceLate
)

const (
	ackAcked = iota
	ackRefused
	ackUnsettled
	ackOverflow
)

// message is a record with what its promise must know. It is the record's own context, so that the promise finds it
// without an allocation or a map.
type message struct {
	context.Context
	record kgo.Record
	room   headerRoom
	send   send
	sentAt int64
	phase  int // −1 for markers
	owner  *producer
}

func newProducer(topo *topology, index int, seeds []string, pool *recorderPool, extra []kgo.Opt) (*producer, error) {
	p, err := newSender(topo, index, pool)
	if err != nil {
		return nil, err
	}
	plan := p.shape.plan
	p.heads = newHeaders(plan.Producer)
	size := recordSize{value: p.values.largest, headers: p.heads.largest}
	if p.client, err = kgo.NewClient(append(producerOptions(plan.Producer, seeds, topo.plan.PeakRate(plan), size), extra...)...); err != nil {
		return nil, fmt.Errorf("make the Kafka client of producer %s: %w", plan.Name, err)
	}
	return p, nil
}

// newSender makes what all senders have, whatever way their messages go.
func newSender(topo *topology, index int, pool *recorderPool) (*producer, error) {
	shape := &topo.producers[index]
	plan := shape.plan
	values, err := newValues(topo.plan, index)
	if err != nil {
		return nil, err
	}
	cells := make([]results.Label, len(topo.phases))
	for i, phase := range topo.phases {
		cells[i] = results.Label{Phase: phase.Name, Producer: plan.Name}
	}
	p := &producer{
		index: index, shape: shape, run: topo.run, acks: plan.Acks != "none", joinDeadline: topo.plan.Phases.JoinDeadline,
		join: newPending(shape.partitions, shape.keys), final: newPending(shape.partitions, shape.keys),
		ledger: newLedgerOf(shape), values: values,
		paced: newMeter(meterLayout{cells, []results.Stage{results.StageSendLag},
			[]string{results.CountSent, results.CountLate}}, pool),
		acked: newMeter(meterLayout{cells, []results.Stage{results.StageAck},
			[]string{results.CountAcked, results.CountRefused, results.CountUndetermined, results.CountOverflow}}, pool),
	}
	p.followers = p.final
	p.pool.New = func() any { return &message{Context: context.Background(), owner: p} }
	return p, nil
}

// recordSize is the largest that a producer's records are, in bytes.
type recordSize struct{ value, headers int }

// overhead is more than a record takes beside its value and its headers: the key and what Kafka adds.
const overhead = 1024

func (r recordSize) total() int { return r.value + r.headers + overhead }

// bufferBytes is what a producer may hold while a broker stalls; the plan's limits keep it in bounds.
func bufferBytes(plan scenarios.Producer, rate float64, size recordSize) int {
	return int(rate*plan.Stall.Seconds()*float64(size.value+size.headers)) + 64<<20
}

// producerOptions sizes the buffer so that a stalled broker shows as ack latency and never holds up the schedule. rate is
// the highest, in messages a second.
func producerOptions(plan scenarios.Producer, seeds []string, rate float64, size recordSize) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(seeds...),
		kgo.ClientID("weir-" + plan.Name),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(plan.Linger),
		kgo.MaxBufferedRecords(int(rate*plan.Stall.Seconds()) + 10_000),
		kgo.MaxBufferedBytes(bufferBytes(plan, rate, size)),
		kgo.DisableClientMetrics(), // its traffic is not the pipeline's
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.ProducerBatchMaxBytes(int32(max(1_000_000, size.total()))),
		kgo.ProducerBatchCompression(compressionOf(plan.Compression)),
	}
	switch plan.Acks {
	case "none":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	case "leader":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	default:
		opts = append(opts, kgo.RequiredAcks(kgo.AllISRAcks()))
	}
	return opts
}

func compressionOf(name string) kgo.CompressionCodec {
	switch name {
	case "gzip":
		return kgo.GzipCompression()
	case "snappy":
		return kgo.SnappyCompression()
	case "lz4":
		return kgo.Lz4Compression()
	case "zstd":
		return kgo.ZstdCompression()
	}
	return kgo.NoCompression()
}

// signals are the turns of a run as the producers see them; each channel is closed once.
type signals struct {
	start    chan struct{} // the load begins at loadAt
	loadAt   epoch         // set before start is closed
	stopLoad chan struct{} // send no further data, whatever the schedule says
	finals   chan struct{} // close the streams with final markers
	finish   chan struct{} // end
}

func newSignals() *signals {
	return &signals{start: make(chan struct{}), stopLoad: make(chan struct{}), finals: make(chan struct{}), finish: make(chan struct{})}
}

// pace is the pacing goroutine. It returns when finish is closed.
func (p *producer) pace(s *signals) {
	if p.markUntil(s.start, s.finish, KindJoin, p.join, p.joinPause) {
		return
	}
	p.quiet = p.shape.conflation > 0
	if p.up != nil && p.up.loop != nil {
		p.loadClosed(s)
	} else {
		p.load(s)
	}
	p.endStreams()
	if p.markUntil(s.finals, s.finish, KindJoin, p.join, markerPause) {
		return
	}
	p.followers = p.final.clone() // of a stream that is closed for some, a marker still goes to all
	p.markUntil(nil, s.finish, KindFinal, p.final, markerPause)
}

// ownPacer makes the calling goroutine's pacer and notes its thread, until done.
func (p *producer) ownPacer() (pace *pacer, done func()) {
	pace = newPacer()
	p.pacing = pace.kind
	p.thread.Store(int64(pace.thread))
	return pace, func() {
		p.thread.Store(0)
		pace.close()
	}
}

// load walks the schedule. What is due is sent; what can't be sent in time is sent late and counted.
func (p *producer) load(s *signals) {
	pace, done := p.ownPacer()
	defer done()
	start := s.loadAt.at
	nextMark := time.Duration(0)
	haste := haste{pace: pace}
	for cur := p.shape.schedule.Cursor(); !cur.Done(); {
		now := time.Since(start)
		if now >= nextMark {
			select {
			case <-s.stopLoad:
				return
			case <-s.finish:
				return
			default:
			}
			p.markLoaded(start.Add(now))
			nextMark = now + markerTurn
		}
		due := cur.Due()
		haste.look(due, now)
		if due > now {
			wake := min(due, now+pacerGrain)
			pace.until(start.Add(wake))
			if stopped(s.stopLoad) {
				return
			}
			continue
		}
		p.send(cur.Index(), cur.Phase(), due, s.loadAt.unixAt(due))
		cur.Next()
	}
}

// haste gives the pacing thread's priority back while the schedule is behind.
type haste struct {
	pace   *pacer
	behind bool
}

// look takes the next message's due time.
func (h *haste) look(due, now time.Duration) {
	late := now-due > relaxAfter
	if late == h.behind || !late && due <= now {
		return
	}
	if h.behind = late; late {
		h.pace.relax()
	} else {
		h.pace.urge()
	}
}

func stopped(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// send hands message i to the Kafka client.
func (p *producer) send(i uint64, phase int, due time.Duration, dueAt int64) {
	if p.up != nil {
		p.publish(p.up.laneOf(i), i, phase, due, dueAt)
		return
	}
	m := p.pool.Get().(*message)
	p.prepare(m, i, phase, due, dueAt)
	p.ledger.note(m.send, m.sentAt)
	p.countSent(phase, dueAt, m.sentAt)
	// TryProduce fails instead of blocking where the buffer is full: the schedule is never held up.
	p.client.TryProduce(m, &m.record, onAnswer)
}

// countSent books that a message was handed over.
func (p *producer) countSent(phase int, dueAt, sentAt int64) {
	p.ledger.sent++
	p.inFlight.Add(1)
	p.unanswered.Add(1)
	p.paceMu.Lock()
	defer p.paceMu.Unlock()
	p.paced.record(phase, 0, sentAt-dueAt)
	p.paced.count(phase, paceSent, 1)
	if sentAt-dueAt > int64(lateAfter) {
		p.paced.count(phase, paceLate, 1)
	}
}

// prepare makes m message i and takes its place in its streams.
func (p *producer) prepare(m *message, i uint64, phase int, due time.Duration, dueAt int64) {
	key, partition := p.shape.choose.choose(i, due)
	p.ledger.enter(phase)
	m.phase, m.send = phase, p.ledger.take(key, partition)
	c := &content{seq: i, size: p.shape.choose.sizeOf(i), key: p.shape.choose.keyName(key), due: due}
	value, stampAt := p.values.compose(m.record.Value, c)
	p.address(m, value, c)
	m.sentAt = time.Now().UnixNano()
	p.stamp(m, stampAt, KindData, dueAt)
}

// address makes m a record of the value that goes where m.send says.
func (p *producer) address(m *message, value []byte, c *content) {
	m.record = kgo.Record{
		Topic: p.shape.topic, Partition: int32(m.send.partition), Key: c.key, Value: value,
		Headers: p.heads.of(&m.room, c.seq, c.key), Context: m,
	}
}

// stamp writes the stamp into the record's value.
func (p *producer) stamp(m *message, at int, kind Kind, dueAt int64) {
	p.seal(m.record.Value, at, kind, m.send, m.send.key, dueAt, m.sentAt)
}

// seal writes the stamp of a message into its value.
func (p *producer) seal(value []byte, at int, kind Kind, m send, key uint32, dueAt, sentAt int64) {
	s := Stamp{
		Kind: kind, Run: p.run, Producer: uint32(p.index), Partition: m.partition, PartSeq: m.partSeq,
		Key: key, KeySeq: m.keySeq, DueAt: dueAt, SentAt: sentAt,
	}
	s.seal(value, at)
}

// flush waits for the answers to all that was sent, or until ctx ends.
func (p *producer) flush(ctx context.Context) error {
	if p.up != nil {
		return p.awaitAnswers(ctx)
	}
	return p.client.Flush(ctx)
}

// close ends the sending: what has no answer gets the one that it has none.
func (p *producer) close() {
	if p.up != nil {
		p.up.giveUp()
		return
	}
	p.client.Close()
}

// onAnswer is the promise of every record.
func onAnswer(r *kgo.Record, err error) {
	m := r.Context.(*message)
	m.owner.answered(m, err)
}

func (p *producer) answered(m *message, err error) {
	switch {
	case m.phase >= 0:
		p.book(m, err)
	case err != nil:
		p.ackMu.Lock()
		p.untaken.add(fmt.Sprintf("Kafka did not take the markers of producer %s: %v", p.shape.plan.Name, err))
		p.ackMu.Unlock()
	}
	// A failed record's bytes may still stand in a request under way; only an answered one's are free.
	if err == nil {
		p.pool.Put(m)
	}
	p.unanswered.Add(-1)
}

func (p *producer) book(m *message, err error) {
	p.inFlight.Add(-1)
	outcome := outcomeOf(err, p.acks)
	if err != nil || p.acks {
		p.ledger.answer(m.send, outcome)
	}
	p.countAnswer(m.phase, outcome, time.Now().UnixNano()-m.sentAt, errors.Is(err, kgo.ErrMaxBuffered))
}

// countAnswer books what became of a message, and how long an acknowledgement took.
func (p *producer) countAnswer(phase int, outcome outcome, took int64, overflow bool) {
	p.ackMu.Lock()
	defer p.ackMu.Unlock()
	switch outcome {
	case sendAcked:
		p.acked.count(phase, ackAcked, 1)
		p.acked.record(phase, 0, took)
	case sendRefused:
		p.acked.count(phase, ackRefused, 1)
		if overflow {
			p.acked.count(phase, ackOverflow, 1)
		}
	case sendUnsettled:
		p.acked.count(phase, ackUnsettled, 1)
	}
}

// handOver gives what was measured since the last call.
func (p *producer) handOver() [2]reading {
	return [2]reading{p.paced.handOverLocked(&p.paceMu), p.acked.handOverLocked(&p.ackMu)}
}
