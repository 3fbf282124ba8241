package gateway

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/weirbench/weir/internal/settings"
)

func TestParseTraceparent(t *testing.T) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, tt := range []struct {
		text        string
		sampled, ok bool
	}{
		{good, true, true},
		{strings.TrimSuffix(good, "1") + "0", false, true},
		{"cc" + good[2:] + "-later", true, true},
		{good + "-more", false, false},
		{"cc" + good[2:] + "later", false, false},
		{"ff" + good[2:], false, false},
		{strings.ToUpper(good), false, false},
		{good[:54], false, false},
		{"", false, false},
		{strings.Replace(good, "0af7651916cd43dd8448eb211c80319c", strings.Repeat("0", 32), 1), false, false},
		{strings.Replace(good, "b7ad6b7169203331", strings.Repeat("0", 16), 1), false, false},
		{strings.Replace(good, "b7", "gg", 1), false, false},
	} {
		traceID, parent, sampled, ok := parseTraceparent([]byte(tt.text))
		if sampled != tt.sampled || ok != tt.ok {
			t.Errorf("%q: got sampled %v, %v; want %v, %v", tt.text, sampled, ok, tt.sampled, tt.ok)
		}
		if ok && (fmt.Sprintf("%x", traceID) != "0af7651916cd43dd8448eb211c80319c" || fmt.Sprintf("%x", parent) != "b7ad6b7169203331") {
			t.Errorf("%q: got %x %x", tt.text, traceID, parent)
		}
	}
}

func FuzzParseTraceparent(f *testing.F) {
	f.Add([]byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		traceID, parent, sampled, ok := parseTraceparent(b)
		again := fmt.Sprintf("%s-%x-%x-", b[:min(2, len(b))], traceID, parent)
		if ok && !strings.HasPrefix(string(b), again) || sampled && !ok {
			t.Errorf("%q: got %x %x %v %v", b, traceID, parent, sampled, ok)
		}
	})
}

// testCollector is one that gives what it is sent to the test.
type testCollector struct {
	*httptest.Server
	spans    chan *tracepb.ResourceSpans
	requests chan *http.Request
}

func startCollector(t *testing.T) *testCollector {
	t.Helper()
	c := &testCollector{spans: make(chan *tracepb.ResourceSpans, 100), requests: make(chan *http.Request, 100)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var got collectorpb.ExportTraceServiceRequest
		body, err := io.ReadAll(r.Body)
		if err != nil || proto.Unmarshal(body, &got) != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %s: %v: %q", r.Method, r.URL, err, body)
		}
		c.requests <- r
		for _, of := range got.ResourceSpans {
			c.spans <- of
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// received are the spans that have come, by name, and their resource.
func (c *testCollector) received() (map[string]*tracepb.Span, map[string]string, int) {
	close(c.spans)
	spans, resource, n := map[string]*tracepb.Span{}, map[string]string{}, 0
	for of := range c.spans {
		maps.Copy(resource, attributesOf(of.Resource.Attributes))
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				spans[s.Name] = s
				n++
			}
		}
	}
	return spans, resource, n
}

func attributesOf(list []*commonpb.KeyValue) map[string]string {
	texts := map[string]string{}
	for _, a := range list {
		texts[a.Key] = a.Value.GetStringValue()
		if _, ok := a.Value.Value.(*commonpb.AnyValue_IntValue); ok {
			texts[a.Key] = strconv.FormatInt(a.Value.GetIntValue(), 10)
		}
	}
	return texts
}

// A record is followed as its header says; its spans come once, whoever else
// gets it, lie in each other and end with the write.
func TestTrace(t *testing.T) {
	collector := startCollector(t)
	g := start(t, func(c *Config) {
		c.Trace.Endpoint, c.Trace.Ratio = collector.URL, 1e-12
		c.Timeouts.Close = patience / 2 // which bounds the last export
	})
	a, b := g.dial("prices"), g.dial("prices/k")
	const traceID, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	header := func(flags string) []kgo.RecordHeader {
		return []kgo.RecordHeader{{Key: "traceparent", Value: []byte("00-" + traceID + "-" + parent + "-" + flags)}}
	}
	producedAt := time.Now().Truncate(time.Millisecond)
	g.produce(2, &kgo.Record{Key: []byte("k"), Headers: header("00")}, &kgo.Record{Key: []byte("k"), Headers: header("01"), Timestamp: producedAt}, &kgo.Record{Key: []byte("k")})
	var sent received
	for i := range 3 {
		m := a.read()
		b.read()
		if i == 1 {
			sent = m
		}
	}
	g.stop()
	a.wantClose(CloseServiceRestart) // whose answer the gateway waits for
	b.wantClose(CloseServiceRestart)
	g.shutDown()

	spans, resource, n := collector.received()
	names := slices.Sorted(maps.Keys(spans))
	if !slices.Equal(names, []string{"deliver prices", "kafka", "queue", "write"}) || n != 4 {
		t.Fatalf("%d spans: got %v; want those of one record", n, names)
	}
	if resource["service.name"] != "weir-gateway" || resource["service.instance.id"] != "gw-1" {
		t.Errorf("resource: got %v", resource)
	}
	deliver := spans["deliver prices"]
	if hex.EncodeToString(deliver.ParentSpanId) != parent || deliver.Kind != tracepb.Span_SPAN_KIND_CONSUMER {
		t.Errorf("deliver: got parent %x, kind %s; want %s, a consumer", deliver.ParentSpanId, deliver.Kind, parent)
	}
	wantAttributes := map[string]string{
		"messaging.system": "kafka", "messaging.destination.name": "prices", "messaging.destination.partition.id": "2", "messaging.kafka.offset": "1",
	}
	if got := attributesOf(deliver.Attributes); !maps.Equal(got, wantAttributes) {
		t.Errorf("deliver: got %v; want %v", got, wantAttributes)
	}
	want := []int64{producedAt.UnixNano(), sent.ReceivedAt, sent.QueuedAt, int64(deliver.EndTimeUnixNano)}
	for i, name := range []string{"kafka", "queue", "write"} {
		s := spans[name]
		if !bytes.Equal(s.ParentSpanId, deliver.SpanId) || int64(s.StartTimeUnixNano) != want[i] || int64(s.EndTimeUnixNano) != want[i+1] {
			t.Errorf("%s: got parent %x, %d to %d; want %x, %d to %d", name, s.ParentSpanId, s.StartTimeUnixNano, s.EndTimeUnixNano,
				deliver.SpanId, want[i], want[i+1])
		}
	}
	for name, s := range spans {
		if hex.EncodeToString(s.TraceId) != traceID {
			t.Errorf("span %s: got trace %x; want the record's", name, s.TraceId)
		}
	}
	if deliver.StartTimeUnixNano != uint64(want[0]) || deliver.EndTimeUnixNano < uint64(sent.QueuedAt) {
		t.Errorf("deliver: got %d to %d; want from %d, to after %d", deliver.StartTimeUnixNano, deliver.EndTimeUnixNano, want[0], sent.QueuedAt)
	}
}

func newTestTracer(t *testing.T, endpoint string, log io.Writer) *tracer {
	t.Helper()
	cfg := Config{}
	cfg.Trace.Endpoint, cfg.Trace.Ratio = endpoint, 1
	tr, err := newTracer(t.Context(), &cfg, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// A record that names no trace begins one, which is no other record's.
func TestTraceBegins(t *testing.T) {
	m := newSpanMaker("gw-1")
	spans := m.spansOf([]*recordTrace{{topic: "prices"}, {topic: "chat"}})
	if len(spans) != 8 {
		t.Fatalf("got %d spans; want 4 a record", len(spans))
	}
	traces := map[trace.TraceID]int{}
	for _, s := range spans {
		traces[s.SpanContext().TraceID()]++
		if root := strings.HasPrefix(s.Name(), "deliver "); s.Parent().IsValid() == root {
			t.Errorf("%s: got parent %v", s.Name(), s.Parent())
		}
	}
	if len(traces) != 2 || traces[trace.TraceID{}] != 0 {
		t.Errorf("traces: got %v; want two", traces)
	}
}

// A collector that fails costs spans, which are counted, and nothing else.
func TestTraceIsDropped(t *testing.T) {
	none, err := newTracer(t.Context(), &Config{}, slog.New(slog.DiscardHandler))
	if err != nil || none != nil || none.droppedTraces() != 0 {
		t.Errorf("without an endpoint: got %v, %v; want no tracer", none, err)
	}
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }))
	defer collector.Close()
	tr := newTestTracer(t, collector.URL, io.Discard)
	for range traceQueue + 3 {
		tr.sample("prices", &kgo.Record{}, 0).wrote(1)
	}
	if got := tr.droppedTraces(); got != 3 {
		t.Errorf("dropped: got %d; want 3", got)
	}
	tr.export(t.Context(), []*recordTrace{<-tr.written})
	if got := tr.droppedTraces(); got != 4 {
		t.Errorf("dropped: got %d; want 4", got)
	}
}

// While a collector does not answer, writers go on, what waits is bounded, and
// what does not fit is counted; when the gateway ends, so does the request.
func TestCollectorHangs(t *testing.T) {
	asked := make(chan struct{}, 10)
	hangs := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client goes
		asked <- struct{}{}
		<-hangs
	}))
	defer collector.Close()
	defer close(hangs)
	tr := newTestTracer(t, collector.URL, io.Discard)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); tr.run(ctx, time.Millisecond) }()
	const first = traceQueue / 4
	for range first {
		tr.sample("prices", &kgo.Record{}, 0).wrote(1)
	}
	within10s(t, "a request", asked)
	const more = 10 * traceQueue
	for range more {
		tr.sample("prices", &kgo.Record{}, 0).wrote(1)
	}
	if got, most := tr.droppedTraces(), int64(more); got < most-traceQueue || got > most || len(tr.written) > traceQueue {
		t.Errorf("got %d dropped and %d waiting; want all but %d of %d dropped", got, len(tr.written), traceQueue, most)
	}
	cancel()
	within10s(t, "the end", done)
	if got := tr.droppedTraces(); got != first+more {
		t.Errorf("dropped: got %d; want all %d", got, first+more)
	}
}

// What the collector's URL, the headers or its answers hold is in no log. A URL's
// user is sent as one, and headers of the environment are sent; neither goes to
// where an answer redirects to.
func TestCollectorSecrets(t *testing.T) {
	const canary = "CANARY"
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key="+canary+"-header,"+canary+"-broken,x-bad="+canary+"%zz")
	elsewhere := startCollector(t)
	status := http.StatusOK
	asked := make(chan http.Header, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header
		if r.URL.Path != "/"+canary+"-path/v1/traces" {
			t.Errorf("path: got %s", r.URL.Path)
		}
		w.Header().Set("Location", elsewhere.URL+"/"+canary)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, canary+"-body")
	}))
	var log bytes.Buffer
	otel.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(&log, nil))) // where the exporter says what it can't read
	endpoint := strings.Replace(collector.URL, "http://", "http://bob:"+canary+"-password@", 1) + "/" + canary + "-path/"
	tr := newTestTracer(t, endpoint, &log)
	records := []*recordTrace{{tracer: tr, topic: "prices"}}
	for _, status = range []int{http.StatusOK, http.StatusFound, http.StatusTemporaryRedirect, http.StatusForbidden, http.StatusTooManyRequests} {
		tr.export(t.Context(), records)
		h := <-asked
		if user, password, ok := (&http.Request{Header: h}).BasicAuth(); !ok || user != "bob" || password != canary+"-password" || h.Get("X-Key") != canary+"-header" {
			t.Errorf("%d: got headers %v; want the user and the key", status, h)
		}
	}
	collector.Close()
	tr.export(t.Context(), records)
	if len(elsewhere.requests) > 0 {
		t.Error("spans have gone to where the answer redirects to")
	}
	if got := tr.droppedTraces(); got != 5 {
		t.Errorf("dropped: got %d; want all but the first", got)
	}
	if strings.Contains(log.String(), canary) {
		t.Errorf("the log has a secret:\n%s", &log)
	}
	for _, want := range []string{"302 Found", "307", "403 Forbidden", "429", "connection refused"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log: got\n%s; want %s", &log, want)
		}
	}
}

// A collector that says that it has not taken all is one that has dropped some.
func TestCollectorTakesSome(t *testing.T) {
	answer, err := proto.Marshal(&collectorpb.ExportTraceServiceResponse{
		PartialSuccess: &collectorpb.ExportTracePartialSuccess{RejectedSpans: 2, ErrorMessage: "CANARY"},
	})
	if err != nil {
		t.Fatal(err)
	}
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(answer)
	}))
	defer collector.Close()
	var log bytes.Buffer
	tr := newTestTracer(t, collector.URL, &log)
	tr.export(t.Context(), []*recordTrace{{tracer: tr, topic: "prices"}})
	if tr.droppedTraces() != 1 || !strings.Contains(log.String(), "not taken all") || strings.Contains(log.String(), "CANARY") {
		t.Errorf("got %d dropped, log %s; want 1 and why", tr.droppedTraces(), &log)
	}
}

// Profiles are at their own address alone, and nothing else is there.
func TestProfiles(t *testing.T) {
	addr := freeAddr(t)
	g := start(t, func(c *Config) { c.Pprof = addr })
	defer http.DefaultClient.CloseIdleConnections()
	for url, want := range map[string]int{
		"http://" + addr + "/debug/pprof/goroutine?debug=1": 200, "http://" + addr + "/stats": 404, "http://" + g.addr + "/debug/pprof/": 404,
	} {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: got %d; want %d", url, resp.StatusCode, want)
		}
	}
	p, err := startProfiles(t.Context(), ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if got := p.listener.Addr().String(); !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("without a host: got %s; want the loopback", got)
	}
	if err := Run(t.Context(), Config{Brokers: []string{"127.0.0.1:1"}, Topics: []string{"a"}, Gateway: settings.Gateway{Pprof: addr}}, nil, nil); err == nil || !strings.Contains(err.Error(), "serve profiles") {
		t.Errorf("address in use: got %v; want an error", err)
	}
}
