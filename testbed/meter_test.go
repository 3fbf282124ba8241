package testbed

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirbench/weir/scenarios"
)

const page = `# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
# TYPE process_open_fds gauge
process_open_fds 42
# TYPE go_goroutines gauge
go_goroutines 17
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes{app="x"} 1.048576e+06
other{a="b",c="d"} NaN
`

func TestParsePage(t *testing.T) {
	t.Parallel()
	got, err := parsePage(strings.NewReader(page))
	if want := (ResourceUse{CPUSeconds: 12.5, RSSBytes: 1 << 20, Descriptors: 42, Goroutines: 17}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for text, want := range map[string]string{
		"": "does not have process_cpu_seconds_total",
		strings.Replace(page, "process_cpu_seconds_total 12.5", "", 1): "does not have",
		strings.Replace(page, "12.5", "NaN", 1):                        "does not have",
		strings.Replace(page, "12.5", "-1", 1):                         "does not have",
		page + "# TYPE more gauge\n<html>":                             "no Prometheus page",
		strings.Replace(page, "process_cpu_seconds_total 12.5", "process_cpu_seconds_total{p=\"1\"} 12.5\nprocess_cpu_seconds_total{p=\"2\"} 1", 1): "once each",
		page + strings.Repeat("#\n", maxPageBytes/2): "longer than",
	} {
		_, err := parsePage(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: got %v; want %q", text, err, want)
		}
	}
}

// FuzzParsePage: a page is another program's.
func FuzzParsePage(f *testing.F) {
	f.Add([]byte(page))
	f.Add([]byte("process_cpu_seconds_total{a=\"\\\"\"} 1e309 5\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		use, err := parsePage(bytes.NewReader(data))
		if err == nil && (use.RSSBytes < 0 || use.CPUSeconds < 0 || use.Descriptors < 0 || use.CPUSeconds != use.CPUSeconds) {
			t.Errorf("got %+v of %q", use, data)
		}
	})
}

func externalPlan(t *testing.T, u *scenarios.UsageSource) scenarios.GatewayPlan {
	return scenarios.GatewayPlan{Target: scenarios.TargetExternal, URL: webSocket(t, 0), ReadyIn: time.Minute, Usage: u}
}

// TestUsageOfExternal: by a page, which is read again while the target is used, by processes, or nowhere.
func TestUsageOfExternal(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	again := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 3 {
			close(again)
		}
		_, _ = w.Write([]byte(page))
	}))
	defer srv.Close()
	byPage, err := StartTarget(t.Context(), externalPlan(t, &scenarios.UsageSource{Metrics: srv.URL + "/metrics"}), nil, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	use, err := byPage.Usage()
	if err != nil || use.CPUSeconds != 12.5 || use.At.IsZero() {
		t.Errorf("got %+v, %v; want the page's figures", use, err)
	}
	wantClosed(t, "reading the page again", again, time.Minute)
	if err := byPage.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	byPids, err := StartTarget(t.Context(), externalPlan(t, &scenarios.UsageSource{Pids: []int{os.Getpid()}}), nil, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if use, err := byPids.Usage(); err != nil || use.RSSBytes < 1<<20 {
		t.Errorf("got %+v, %v; want our own use", use, err)
	}
	nowhere, err := StartTarget(t.Context(), externalPlan(t, nil), nil, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nowhere.Usage(); !errors.Is(err, ErrNoUsage) {
		t.Errorf("got %v; want ErrNoUsage", err)
	}
}

func TestUsageTrouble(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(http.RedirectHandler("http://192.0.2.1/metrics", http.StatusFound))
	defer away.Close()
	html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	defer html.Close()
	for _, c := range []struct {
		source scenarios.UsageSource
		want   string
	}{
		{scenarios.UsageSource{Metrics: "http://192.0.2.1/metrics"}, "192.0.2.1 is not a loopback address"},
		{scenarios.UsageSource{Metrics: away.URL}, "says 302 Found"},
		{scenarios.UsageSource{Metrics: html.URL}, "no Prometheus page"},
		{scenarios.UsageSource{Metrics: "127.0.0.1:80"}, "no address"},
		{scenarios.UsageSource{Metrics: "http://" + closedPort(t) + "/"}, "refused"},
		{scenarios.UsageSource{Pids: []int{1 << 30}}, "process 1073741824: open /proc/1073741824/stat: no such file or directory (mend gateway.usage.pids)"},
	} {
		_, err := StartTarget(t.Context(), externalPlan(t, &c.source), nil, nil, Options{})
		wantText(t, err, "use target ws://127.0.0.1:", c.want)
	}
}

// TestMeterStale: a reading that is too old is none; nor is one before an attempt that failed, until another succeeds.
func TestMeterStale(t *testing.T) {
	t.Parallel()
	m, err := startMeter(t.Context(), func(context.Context) (ResourceUse, error) { return ResourceUse{CPUSeconds: 1}, nil })
	if err != nil {
		t.Fatal(err)
	}
	m.close()
	if use, err := m.reading(m.last.At.Add(meterStale)); err != nil || use.CPUSeconds != 1 {
		t.Errorf("got %+v, %v; want the last reading", use, err)
	}
	_, err = m.reading(m.last.At.Add(meterStale + time.Second))
	wantText(t, err, "no answer for 3s")
	m.err = errors.New("gone")
	use, err := m.reading(m.last.At)
	wantText(t, err, "gone")
	if use != (ResourceUse{}) {
		t.Errorf("got %+v of a meter that failed; want nothing", use)
	}
}

// TestMeterFails: a page that is gone ends the figures at once, and its return brings them back.
func TestMeterFails(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	failed, back := make(chan struct{}), make(chan struct{})
	m, err := startMeter(t.Context(), func(context.Context) (ResourceUse, error) {
		switch asked.Add(1) {
		case 2:
			return ResourceUse{}, errors.New("gone")
		case 3: // the outcome of the second is in
			close(failed)
			<-back
		}
		return ResourceUse{CPUSeconds: 1}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	wantClosed(t, "asking again", failed, time.Minute)
	_, err = m.reading(time.Now())
	wantText(t, err, "gone")
	close(back)
	for deadline := time.Now().Add(time.Minute); ; {
		if _, err := m.reading(m.lastAt()); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the figures did not come back")
		}
		runtime.Gosched()
	}
}

func (m *meter) lastAt() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last.At
}
