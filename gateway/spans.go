package gateway

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// spanMaker makes the spans of records that were followed. It belongs to one goroutine. Records are sampled before it and
// their spans are made when all of their times are known, so that a delivery costs neither; and the spans are gathered
// here, not in the SDK's batches, which would not tell which of them were dropped.
type spanMaker struct {
	tracer trace.Tracer
	ended  endedSpans
}

func newSpanMaker(instance string) *spanMaker {
	m := &spanMaker{}
	m.tracer = sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithSpanProcessor(&m.ended),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "weir-gateway"), attribute.String("service.instance.id", instance),
		)),
	).Tracer("github.com/weirbench/weir/gateway")
	return m
}

// spansOf returns those of the records.
func (m *spanMaker) spansOf(records []*recordTrace) []sdktrace.ReadOnlySpan {
	m.ended.spans = m.ended.spans[:0]
	for _, r := range records {
		m.add(r)
	}
	return m.ended.spans
}

// add makes a record's spans: deliver, from Kafka's timestamp to the write, and in it what that consists of.
func (m *spanMaker) add(r *recordTrace) {
	ctx, deliver := m.tracer.Start(r.context(), "deliver "+r.topic,
		trace.WithSpanKind(trace.SpanKindConsumer), at(r.kafkaAt),
		trace.WithAttributes(
			attribute.String("messaging.system", "kafka"),
			attribute.String("messaging.destination.name", r.topic),
			attribute.String("messaging.destination.partition.id", strconv.Itoa(int(r.partition))),
			attribute.Int64("messaging.kafka.offset", r.offset),
		))
	for _, part := range []struct {
		name     string
		from, to int64
	}{
		{"kafka", r.kafkaAt, r.receivedAt},
		{"queue", r.receivedAt, r.queuedAt},
		{"write", r.queuedAt, r.writtenAt},
	} {
		_, span := m.tracer.Start(ctx, part.name, trace.WithSpanKind(trace.SpanKindInternal), at(part.from))
		span.End(at(part.to))
	}
	deliver.End(at(r.writtenAt))
}

// context is that of the trace which the record is part of, or none.
func (r *recordTrace) context() context.Context {
	if r.parent == [8]byte{} {
		return context.Background()
	}
	return trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: r.traceID, SpanID: r.parent, TraceFlags: trace.FlagsSampled,
	}))
}

// at is the time of a span, in ns since the epoch.
func at(nanos int64) trace.SpanEventOption { return trace.WithTimestamp(time.Unix(0, nanos)) }

// endedSpans gathers spans, in the order in which they end.
type endedSpans struct{ spans []sdktrace.ReadOnlySpan }

// OnStart, OnEnd, Shutdown and ForceFlush are those of [sdktrace.SpanProcessor].
func (e *endedSpans) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd keeps the span.
func (e *endedSpans) OnEnd(s sdktrace.ReadOnlySpan) { e.spans = append(e.spans, s) }

// Shutdown has nothing to end.
func (e *endedSpans) Shutdown(context.Context) error { return nil }

// ForceFlush has nothing to send.
func (e *endedSpans) ForceFlush(context.Context) error { return nil }
