package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

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

// A record is followed as its header says; its spans come once, whoever else
// gets it, lie in each other and end with the write.
func TestTrace(t *testing.T) {
	requests := make(chan otlpRequest, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var got otlpRequest
		body, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(body, &got) != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %v: %s", r.Method, r.URL, err, body)
		}
		requests <- got
	}))
	defer collector.Close()
	g := start(t, func(c *Config) {
		c.Trace.Endpoint, c.Trace.Ratio = collector.URL, 1e-12
		c.Timeouts.Close = patience / 2 // which bounds the last export
	})
	a, b := g.dial("prices"), g.dial("prices/k")
	const parent = "b7ad6b7169203331"
	header := func(flags string) []kgo.RecordHeader {
		return []kgo.RecordHeader{{Key: "traceparent", Value: []byte("00-0af7651916cd43dd8448eb211c80319c-" + parent + "-" + flags)}}
	}
	producedAt := time.Now().Truncate(time.Millisecond)
	g.produce(2, &kgo.Record{Key: []byte("k"), Headers: header("00")}, &kgo.Record{Key: []byte("k"), Headers: header("01"), Timestamp: producedAt}, &kgo.Record{Key: []byte("k")})
	var queuedAt int64
	for i := range 3 {
		m := a.read()
		b.read()
		if i == 1 {
			queuedAt = m.QueuedAt
		}
	}
	g.stop()
	a.wantClose(CloseServiceRestart) // whose answer the gateway waits for
	b.wantClose(CloseServiceRestart)
	g.shutDown()
	close(requests)
	var spans []otlpSpan
	for r := range requests {
		spans = append(spans, r.ResourceSpans[0].ScopeSpans[0].Spans...)
	}
	var names []string
	for _, s := range spans {
		names = append(names, s.Name)
		if s.TraceID != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("span %s: got trace %s; want the record's", s.Name, s.TraceID)
		}
	}
	if !slices.Equal(names, []string{"deliver prices", "kafka", "queue", "write"}) {
		t.Fatalf("spans: got %v; want those of one record", names)
	}
	deliver := spans[0]
	if deliver.ParentSpanID != parent || deliver.StartNanos != strconv.FormatInt(producedAt.UnixNano(), 10) {
		t.Errorf("deliver: got parent %s, start %s; want %s, %d", deliver.ParentSpanID, deliver.StartNanos, parent, producedAt.UnixNano())
	}
	at := deliver.StartNanos
	for _, s := range spans[1:] {
		if s.ParentSpanID != deliver.SpanID || s.StartNanos != at {
			t.Errorf("%s: got parent %s, start %s; want %s, %s", s.Name, s.ParentSpanID, s.StartNanos, deliver.SpanID, at)
		}
		at = s.EndNanos
	}
	if at != deliver.EndNanos || spans[2].EndNanos != strconv.FormatInt(queuedAt, 10) {
		t.Errorf("the write ends at %s, the queue at %s; want %s and %d", at, spans[2].EndNanos, deliver.EndNanos, queuedAt)
	}
}

// A collector that fails costs spans, which are counted, and nothing else.
func TestTraceIsDropped(t *testing.T) {
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }))
	defer collector.Close()
	tr := newTracer(&Config{}, slog.New(slog.DiscardHandler))
	if tr != nil || tr.droppedTraces() != 0 {
		t.Error("without an endpoint there is a tracer")
	}
	cfg := Config{}
	cfg.Trace.Endpoint, cfg.Trace.Ratio = collector.URL, 1
	tr = newTracer(&cfg, slog.New(slog.DiscardHandler))
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
