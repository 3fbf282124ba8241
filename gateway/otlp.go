package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// otlpTimeout bounds one request to the collector.
const otlpTimeout = 5 * time.Second

// otlpExporter writes spans by OTLP over HTTP in JSON (OpenTelemetry protocol
// 1.x, section "JSON Protobuf Encoding").
type otlpExporter struct {
	url      string
	instance string
	client   *http.Client
}

// newOTLPExporter takes the collector's base URL, or that of its traces.
func newOTLPExporter(endpoint, instance string) otlpExporter {
	if !strings.HasSuffix(endpoint, "/v1/traces") {
		endpoint = strings.TrimSuffix(endpoint, "/") + "/v1/traces"
	}
	return otlpExporter{
		url: endpoint, instance: instance,
		client: &http.Client{
			Timeout:   otlpTimeout,
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		},
	}
}

// The parts of a request that are used.
type (
	otlpRequest struct {
		ResourceSpans []otlpResourceSpans `json:"resourceSpans"`
	}
	otlpResourceSpans struct {
		Resource   otlpResource     `json:"resource"`
		ScopeSpans []otlpScopeSpans `json:"scopeSpans"`
	}
	otlpResource struct {
		Attributes []otlpAttribute `json:"attributes"`
	}
	otlpScopeSpans struct {
		Scope otlpScope  `json:"scope"`
		Spans []otlpSpan `json:"spans"`
	}
	otlpScope struct {
		Name string `json:"name"`
	}
	otlpSpan struct {
		TraceID      string          `json:"traceId"`
		SpanID       string          `json:"spanId"`
		ParentSpanID string          `json:"parentSpanId,omitempty"`
		Name         string          `json:"name"`
		Kind         int             `json:"kind"`
		StartNanos   string          `json:"startTimeUnixNano"`
		EndNanos     string          `json:"endTimeUnixNano"`
		Attributes   []otlpAttribute `json:"attributes,omitempty"`
	}
	otlpAttribute struct {
		Key   string    `json:"key"`
		Value otlpValue `json:"value"`
	}
	otlpValue struct {
		String *string `json:"stringValue,omitempty"`
		Int    *string `json:"intValue,omitempty"` // 64 bits are a string in this JSON
	}
)

const (
	otlpInternal = 1
	otlpConsumer = 5
)

func textAttribute(key, value string) otlpAttribute {
	return otlpAttribute{key, otlpValue{String: &value}}
}

func intAttribute(key string, value int64) otlpAttribute {
	return otlpAttribute{key, otlpValue{Int: new(strconv.FormatInt(value, 10))}}
}

// spans are those of one record: deliver, from Kafka's timestamp to the write,
// and in it what that consists of.
func (r *recordTrace) spans() []otlpSpan {
	parent := ""
	if r.parent != [8]byte{} {
		parent = hex.EncodeToString(r.parent[:])
	}
	span := func(name, parent string, kind int, from, to int64, attributes ...otlpAttribute) otlpSpan {
		var id [8]byte
		_, _ = rand.Read(id[:]) // never fails
		return otlpSpan{
			TraceID: hex.EncodeToString(r.traceID[:]), SpanID: hex.EncodeToString(id[:]), ParentSpanID: parent, Name: name, Kind: kind,
			StartNanos: strconv.FormatInt(from, 10), EndNanos: strconv.FormatInt(to, 10), Attributes: attributes,
		}
	}
	deliver := span("deliver "+r.topic, parent, otlpConsumer, r.kafkaAt, r.writtenAt,
		textAttribute("messaging.system", "kafka"),
		textAttribute("messaging.destination.name", r.topic),
		textAttribute("messaging.destination.partition.id", strconv.Itoa(int(r.partition))),
		intAttribute("messaging.kafka.offset", r.offset))
	return []otlpSpan{
		deliver,
		span("kafka", deliver.SpanID, otlpInternal, r.kafkaAt, r.receivedAt),
		span("queue", deliver.SpanID, otlpInternal, r.receivedAt, r.queuedAt),
		span("write", deliver.SpanID, otlpInternal, r.queuedAt, r.writtenAt),
	}
}

// export sends the spans of the records.
func (e *otlpExporter) export(ctx context.Context, traces []*recordTrace) error {
	var spans []otlpSpan
	for _, r := range traces {
		spans = append(spans, r.spans()...)
	}
	body, err := json.Marshal(otlpRequest{[]otlpResourceSpans{{
		Resource:   otlpResource{[]otlpAttribute{textAttribute("service.name", "weir-gateway"), textAttribute("service.instance.id", e.instance)}},
		ScopeSpans: []otlpScopeSpans{{otlpScope{"github.com/weirbench/weir/gateway"}, spans}},
	}}})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("Trace.Endpoint is not a URL")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // the URL may hold what is nobody's business
		}
		return fmt.Errorf("reach the collector: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // of no interest
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return nil
}
