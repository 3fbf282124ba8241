package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// collectorTimeout bounds one request to the collector.
const collectorTimeout = 5 * time.Second

// collector is an OpenTelemetry collector that takes spans by OTLP over HTTP. It belongs to one goroutine. What goes
// wrong is said without the URL, the headers and the answer's body, any of which may hold a secret.
type collector struct {
	exporter  *otlptrace.Exporter
	transport *collectorTransport
}

// newCollector takes the collector's base URL, or that of its traces, which has been checked.
func newCollector(ctx context.Context, endpoint string) (*collector, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, errors.New("Trace.Endpoint is not a URL")
	}
	transport := &collectorTransport{
		base: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}, user: u.User,
	}
	u.User = nil
	if !strings.HasSuffix(u.Path, "/v1/traces") {
		u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/")+"/v1/traces", ""
	}
	// The exporter reads headers from the environment, and would log those that it can't read.
	otel.SetLogger(logr.Discard())
	exporter, err := otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(u.String()),
		// What fails is dropped and counted: to try again would only keep back what comes next.
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}),
		otlptracehttp.WithHTTPClient(&http.Client{
			Timeout: collectorTimeout, Transport: transport,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // else the headers would go to wherever it says
			},
		}),
	)
	if err != nil {
		return nil, errors.New("set up the exporter of traces")
	}
	return &collector{exporter: exporter, transport: transport}, nil
}

// export sends spans, once.
func (c *collector) export(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	c.transport.status = 0
	err := c.exporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("reach the collector: %w", failed.Err)
	}
	switch status := c.transport.status; {
	case status == 0:
		return errors.New("reach the collector: no request was sent")
	case status/100 != 2:
		return fmt.Errorf("the collector answers %d %s", status, http.StatusText(status))
	}
	return errors.New("the collector has not taken all spans, or its answer is not OTLP's")
}

// close ends the exporter.
func (c *collector) close(ctx context.Context) { _ = c.exporter.Shutdown(ctx) } // has nothing left that could fail

// collectorTransport adds what the exporter would leave out of a URL, who asks, and tells the answer's status, which the
// exporter hides in a text among what must not be logged.
type collectorTransport struct {
	base   http.RoundTripper
	user   *url.Userinfo
	status int // of the last answer; 0 for none
}

// RoundTrip is the one of [http.RoundTripper].
func (t *collectorTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.user != nil && r.Header.Get("Authorization") == "" {
		r = r.Clone(r.Context())
		password, _ := t.user.Password()
		r.SetBasicAuth(t.user.Username(), password)
	}
	resp, err := t.base.RoundTrip(r)
	if err == nil {
		t.status = resp.StatusCode
	}
	return resp, err
}
