package gateway

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/twmb/franz-go/pkg/kgo"
)

// metrics are what a scrape brings: a value by name and labels.
func (g *gatewayUnderTest) metrics() (values map[string]string, text string) {
	g.t.Helper()
	resp, err := http.DefaultClient.Get("http://" + g.addr + "/metrics")
	if err != nil {
		g.t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		g.t.Fatalf("GET /metrics: %s, %v: %s", resp.Status, err, body)
	}
	values = make(map[string]string)
	for line := range strings.Lines(string(body)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			values[name] = value
		}
	}
	return values, string(body)
}

func TestMetrics(t *testing.T) {
	g := startOpen(t, func(c *Config) { c.Conflate = []Conflation{{"chat", time.Hour}} })
	c := g.dial("prices", "chat")
	g.produce(1, keyed("k", 0, 3)...)
	g.produce(0, &kgo.Record{Topic: "chat", Key: []byte("k")}, &kgo.Record{Topic: "chat", Key: []byte("k")}, &kgo.Record{Topic: "chat", Key: []byte("k")})
	for range 4 {
		c.read()
	}
	c.publish(1, "orders/k", "v")
	c.wantAnswer("published", 1, "")
	c.publish(2, "prices/k", "v")
	c.wantAnswer(answerRefused, 2, ErrorNotOpen)
	other := g.dial()
	other.ws.Close()
	g.eventually("all is counted", func(s Stats) bool { return s.Connections == 1 && s.Records == 6 && s.Deliveries == 4 })
	got, text := g.metrics()
	for name, want := range map[string]string{
		"weir_gateway_connections":                                        "1",
		"weir_gateway_subscriptions":                                      "2",
		"weir_gateway_accepted_connections_total":                         "2",
		`weir_gateway_closes_total{code="abnormal"}`:                      "1",
		`weir_gateway_closes_total{code="slow_client"}`:                   "0",
		"weir_gateway_slow_disconnects_total":                             "0",
		"weir_gateway_records_total":                                      "6",
		"weir_gateway_record_bytes_total":                                 "9",
		"weir_gateway_conflated_records_total":                            "1",
		"weir_gateway_queued_deliveries_total":                            "4",
		"weir_gateway_deliveries_total":                                   "4",
		"weir_gateway_dropped_deliveries_total":                           "0",
		`weir_gateway_publishes_total{outcome="published"}`:               "1",
		`weir_gateway_publishes_total{outcome="refused"}`:                 "1",
		`weir_gateway_publishes_total{outcome="undetermined"}`:            "0",
		"weir_gateway_publishes_in_flight":                                "0",
		"weir_gateway_publish_ack_duration_seconds_count":                 "1",
		`weir_gateway_publish_ack_duration_seconds_bucket{le="+Inf"}`:     "1",
		`weir_gateway_consumer_lag_records{partition="1",topic="prices"}`: "0",
		"weir_gateway_queue_bytes":                                        "0",
		"weir_gateway_largest_queue_bytes":                                "0",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q; want %s", name, got[name], want)
		}
	}
	if n := got["weir_gateway_delivery_duration_seconds_count"]; n == "" || n == "0" {
		t.Errorf("weir_gateway_delivery_duration_seconds_count: got %q; want one for each write of records", n)
	}
	wantWatched(t, got)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "weir_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	wantDocumented(t, text)
}

// wantWatched looks for the metrics of the runtime and the process that the specification names.
func wantWatched(t *testing.T, got map[string]string) {
	t.Helper()
	text, err := os.ReadFile(protocolDoc)
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(text), "The metrics of `/metrics`")
	line, _, _ = strings.Cut(line, "\n")
	names := regexp.MustCompile("`((?:go|process)_[a-z_]+)`").FindAllStringSubmatch(line, -1)
	if len(names) < 5 {
		t.Fatalf("%s names %d metrics of the runtime and the process; want 5: %s", protocolDoc, len(names), line)
	}
	for _, name := range names {
		if strings.HasPrefix(name[1], "process_") && runtime.GOOS != "linux" {
			continue
		}
		if got[name[1]] == "" || got[name[1]] == "0" {
			t.Errorf("%s: got %q; want a number", name[1], got[name[1]])
		}
	}
}

// wantDocumented compares the gateway's own metrics with the specification's.
func wantDocumented(t *testing.T, text string) {
	t.Helper()
	var got, want []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (weir_\S+) (\S+)$`).FindAllStringSubmatch(text, -1) {
		got = append(got, m[1]+" "+m[2])
	}
	for _, row := range docTable(t, "| metric | type | meaning |") {
		for _, name := range strings.Split(row[0], ", ") {
			want = append(want, name+" "+row[1])
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("metrics: got %v; the specification has %v", got, want)
	}
}

func TestLatencyBuckets(t *testing.T) {
	var l latencies
	for _, d := range []time.Duration{0, 500 * time.Microsecond, 501 * time.Microsecond, time.Minute, 30 * time.Second} {
		l.observe(d)
	}
	count, seconds, buckets := l.cumulative()
	if count != 5 || seconds != 90.001001 || buckets[0.0005] != 2 || buckets[0.001] != 3 || buckets[10] != 3 || buckets[30] != 4 {
		t.Errorf("got %d in %v s: %v", count, seconds, buckets)
	}
}
