package gateway

import (
	"context"
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// traceQueue bounds the messages whose spans wait for the collector.
const traceQueue = 1024

// tracer follows sampled records from Kafka's timestamp to the first client's
// write, and gives their spans to an OTLP collector. Where spans come faster than
// the collector takes them they are dropped, and counted.
type tracer struct {
	ratio     float64
	spans     *spanMaker
	collector *collector
	written   chan *recordTrace
	log       *slog.Logger
	dropped   atomic.Int64
}

// recordTrace is one record that is followed. All but the time of the write is
// set before it gets into a queue.
type recordTrace struct {
	tracer  *tracer
	traceID [16]byte // and parent are zero where the record names none
	parent  [8]byte
	topic   string

	partition                     int32
	offset                        int64
	kafkaAt, receivedAt, queuedAt int64 // ns since the epoch
	writtenAt                     int64
	batched                       bool        // and queuedAt is that of the first batch; guarded by the hub's mutex
	taken                         atomic.Bool // by the first client's writer
}

// newTracer returns nil where nothing is traced.
func newTracer(ctx context.Context, cfg *Config, log *slog.Logger) (*tracer, error) {
	if cfg.Trace.Endpoint == "" {
		return nil, nil
	}
	to, err := newCollector(ctx, cfg.Trace.Endpoint)
	if err != nil {
		return nil, err
	}
	return &tracer{
		ratio:     cfg.Trace.Ratio,
		spans:     newSpanMaker(cfg.InstanceID),
		collector: to,
		written:   make(chan *recordTrace, traceQueue),
		log:       log,
	}, nil
}

// sample returns nil for a record that is not followed. A record with a
// traceparent header is if that says so; of the others, a share is.
func (t *tracer) sample(topic string, r *kgo.Record, receivedAt int64) *recordTrace {
	var traceID [16]byte
	var parent [8]byte
	named, sampled := false, false
	for i := range r.Headers {
		if r.Headers[i].Key == "traceparent" && !named {
			traceID, parent, sampled, named = parseTraceparent(r.Headers[i].Value)
		}
	}
	if !named {
		sampled = rand.Float64() < t.ratio
		traceID, parent = [16]byte{}, [8]byte{}
	}
	if !sampled {
		return nil
	}
	return &recordTrace{
		tracer: t, traceID: traceID, parent: parent, topic: topic, partition: r.Partition, offset: r.Offset,
		kafkaAt: r.Timestamp.UnixNano(), receivedAt: receivedAt,
	}
}

// parseTraceparent reads a header of W3C's Trace Context, level 1.
func parseTraceparent(b []byte) (traceID [16]byte, parent [8]byte, sampled, ok bool) {
	const length = len("00-") + 32 + 1 + 16 + 1 + 2
	if len(b) < length || b[2] != '-' || b[35] != '-' || b[52] != '-' || len(b) > length && (string(b[:2]) == "00" || b[length] != '-') {
		return traceID, parent, false, false
	}
	for _, c := range b[:length] {
		if c >= 'A' && c <= 'F' { // hexadecimal digits are lower-case there
			return traceID, parent, false, false
		}
	}
	var version, flags [1]byte
	for _, part := range []struct{ to, from []byte }{{version[:], b[:2]}, {traceID[:], b[3:35]}, {parent[:], b[36:52]}, {flags[:], b[53:55]}} {
		if _, err := hex.Decode(part.to, part.from); err != nil {
			return traceID, parent, false, false
		}
	}
	if version[0] == 0xff || traceID == [16]byte{} || parent == [8]byte{} {
		return traceID, parent, false, false
	}
	return traceID, parent, flags[0]&1 != 0, true
}

// droppedTraces are the sampled records whose spans did not get to the collector.
func (t *tracer) droppedTraces() int64 {
	if t == nil {
		return 0
	}
	return t.dropped.Load()
}

// queued notes when the record got into the queues after it had waited in a
// batch; the first counts. It may be called on nil.
func (r *recordTrace) queued(at int64) {
	if r != nil && !r.batched {
		r.batched, r.queuedAt = true, at
	}
}

// wrote notes a client's write; the first counts.
func (r *recordTrace) wrote(at int64) {
	if !r.taken.CompareAndSwap(false, true) {
		return
	}
	r.writtenAt = at
	select {
	case r.tracer.written <- r:
	default:
		r.tracer.dropped.Add(1)
	}
}

// run exports until ctx ends, then what is left, an export under way included, for
// as long as patience is.
func (t *tracer) run(ctx context.Context, patience time.Duration) {
	exporting, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer t.collector.close(exporting)
	defer context.AfterFunc(ctx, func() { time.AfterFunc(patience, giveUp) })()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var waiting []*recordTrace
	for ctx.Err() == nil {
		select {
		case r := <-t.written:
			if waiting = append(waiting, r); len(waiting) < traceQueue/4 {
				continue
			}
		case <-tick.C:
		case <-ctx.Done():
			continue
		}
		t.export(exporting, waiting)
		waiting = waiting[:0]
	}
	for len(t.written) > 0 {
		waiting = append(waiting, <-t.written)
	}
	t.export(exporting, waiting)
}

func (t *tracer) export(ctx context.Context, traces []*recordTrace) {
	if len(traces) == 0 {
		return
	}
	if err := t.collector.export(ctx, t.spans.spansOf(traces)); err != nil {
		t.dropped.Add(int64(len(traces)))
		t.log.Warn("spans are dropped", "messages", len(traces), "err", err)
	}
}
