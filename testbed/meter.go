package testbed

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/weirbench/weir/scenarios"
)

// ErrNoUsage means that nothing is known of what the target uses: it is external and the plan names no source.
var ErrNoUsage = errors.New("the target's use of the machine is read nowhere")

const (
	meterEvery   = time.Second
	meterTimeout = 2 * time.Second // for one reading
	meterStale   = 2 * meterEvery  // an older reading says nothing about now
	maxPageBytes = 8 << 20
)

// Usage returns what the target uses: all of its processes as they are now, or the last reading of what can't be read at
// once, whose At tells how old it is. What is not known is an error, never an old figure: that one of the processes has
// ended, that the last reading failed. Of several instances it is the sum, but of descriptors the fullest one's. ErrNoUsage where
// there is no source.
func (t *Target) Usage() (ResourceUse, error) {
	switch {
	case len(t.instances) > 0:
		return sumUsage(t.instances)
	case t.procs != nil:
		use, err := t.procs.use()
		use.At = time.Now()
		if t.meter != nil { // what /proc does not know
			if said, err := t.meter.reading(use.At); err == nil {
				use.Goroutines = said.Goroutines
			}
		}
		return use, err
	case t.meter != nil:
		return t.meter.reading(time.Now())
	}
	return ResourceUse{}, ErrNoUsage
}

// use has an external target's use read where the plan says, and reads it once.
func (t *Target) use(ctx context.Context, target string, u *scenarios.UsageSource, trust *tls.Config, o Options) error {
	if len(u.Pids) > 0 {
		return t.usePids(ctx, target, u.Pids, o)
	}
	page, err := url.Parse(u.Metrics)
	if err != nil || page.Scheme != "http" && page.Scheme != "https" || page.Hostname() == "" {
		return fmt.Errorf("gateway.usage.metrics %q is no address (write http://127.0.0.1:8080/metrics)", u.Metrics)
	}
	if err := checkHost(ctx, page.Hostname(), o.AllowTargets); err != nil {
		return fmt.Errorf("read gateway.usage.metrics: %w", err)
	}
	client := permittedClient(o.AllowTargets, trust)
	t.meter, err = startMeter(ctx, func(ctx context.Context) (ResourceUse, error) { return readPage(ctx, client, page) })
	if err != nil {
		return fmt.Errorf("read gateway.usage.metrics: %w", err)
	}
	return nil
}

// meter reads a use again and again, so that who wants the last reading waits for nothing. Its goroutine ends with close.
type meter struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex
	last ResourceUse
	err  error // of the newest attempt
}

// startMeter reads once, and then from a goroutine of its own until it is closed. ctx bounds the first reading alone.
func startMeter(ctx context.Context, read func(context.Context) (ResourceUse, error)) (*meter, error) {
	once := func(ctx context.Context) (ResourceUse, error) {
		ctx, cancel := context.WithTimeout(ctx, meterTimeout)
		defer cancel()
		before := time.Now()
		use, err := read(ctx)
		use.At = before.Add(time.Since(before) / 2) // of the time that it took nobody knows when the figures are from
		return use, err
	}
	first, err := once(ctx)
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.Background())
	m := &meter{cancel: cancel, done: make(chan struct{}), last: first}
	go func() {
		defer close(m.done)
		tick := time.NewTicker(meterEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-life.Done():
				return
			}
			use, err := once(life)
			m.mu.Lock()
			if m.err = err; err == nil {
				m.last = use
			}
			m.mu.Unlock()
		}
	}()
	return m, nil
}

// reading is the last one, or why there is none: the newest attempt failed, or gives no answer.
func (m *meter) reading(now time.Time) (ResourceUse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return ResourceUse{}, m.err
	}
	if age := now.Sub(m.last.At); age > meterStale {
		return ResourceUse{}, fmt.Errorf("no answer for %v", age.Round(time.Second))
	}
	return m.last, nil
}

func (m *meter) close() {
	m.cancel()
	<-m.done
}

// readPage reads a Prometheus page (text exposition format 0.0.4).
func readPage(ctx context.Context, client *http.Client, page *url.URL) (ResourceUse, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page.String(), nil)
	if err != nil {
		return ResourceUse{}, err
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	resp, err := client.Do(req)
	if err != nil {
		return ResourceUse{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return ResourceUse{}, fmt.Errorf("%s says %s", page.Redacted(), resp.Status)
	}
	use, err := parsePage(resp.Body)
	if err != nil {
		return use, fmt.Errorf("%s: %w", page.Redacted(), err)
	}
	return use, nil
}

// parsePage finds the process's figures in a page of at most maxPageBytes. Processor time and memory must be there.
func parsePage(page io.Reader) (use ResourceUse, err error) {
	limited := &io.LimitedReader{R: page, N: maxPageBytes}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(limited)
	if limited.N == 0 {
		return use, fmt.Errorf("it is longer than %d bytes", maxPageBytes)
	}
	if err != nil {
		return use, fmt.Errorf("it is no Prometheus page: %w", err)
	}
	value := func(name string) (float64, bool) {
		family := families[name]
		if family == nil || len(family.GetMetric()) != 1 {
			return 0, false
		}
		m := family.GetMetric()[0]
		v := m.GetUntyped().GetValue() + m.GetGauge().GetValue() + m.GetCounter().GetValue() // one of them is there
		return v, v >= 0 && v < 1<<60
	}
	cpu, hasCPU := value("process_cpu_seconds_total")
	rss, hasRSS := value("process_resident_memory_bytes")
	if !hasCPU || !hasRSS {
		return use, errors.New("it does not have process_cpu_seconds_total and process_resident_memory_bytes, once each")
	}
	files, _ := value("process_open_fds")
	goroutines, _ := value("go_goroutines")
	return ResourceUse{CPUSeconds: cpu, RSSBytes: int64(rss), Descriptors: int(files), Goroutines: int(goroutines)}, nil
}
