package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/weirbench/weir/internal/benchtable"
)

// k6 is a run of bench/k6/script.js. It is asked by its own API, and told to end by an interrupt, upon which it writes what
// it makes of the latencies.
type k6 struct {
	p           *process
	memory      float64
	connections int
	api         string
	summary     string
	stop        context.CancelFunc
	done        sync.WaitGroup

	messages line // owned by the goroutine that asks, until it has ended
}

const (
	k6Settles = 5 * time.Second        // for k6 without a connection to be what it stays
	k6Asked   = 250 * time.Millisecond // how often
)

// k6Base is what k6 takes with one virtual user and no connection, in bytes; NaN where there is no k6.
func (b *bench) k6Base(ctx context.Context, programs []program) float64 {
	for _, what := range programs {
		if what.name != k6Client || what.missing != "" {
			continue
		}
		p, err := b.runK6(ctx, what.path, filepath.Join(b.out, "k6-base"), 0, "ws://127.0.0.1:1/", "none")
		if err != nil {
			return benchtable.Absent()
		}
		defer p.p.end()
		if pause(ctx, k6Settles) != nil {
			return benchtable.Absent()
		}
		w := watchProcess(p.p.pid(), watchEvery)
		defer w.end()
		return w.memory()
	}
	return benchtable.Absent()
}

func (b *bench) runK6(ctx context.Context, path, name string, connections int, url, channels string) (*k6, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	k := &k6{api: "http://" + address + "/v1/metrics/", connections: connections, summary: name + ".k6.json"}
	args := []string{"run", "--quiet", "--no-usage-report", "--address", address}
	for name, value := range map[string]any{
		"URL": url, "CHANNELS": channels, "CONNECTIONS": connections, "PER_VU": b.perVU, "WARM_MS": b.warm.Milliseconds(), "SUMMARY": k.summary,
	} {
		args = append(args, "-e", fmt.Sprintf("%s=%v", name, value))
	}
	k.p, err = start(ctx, name+".k6.txt", nil, nil, path, append(args, filepath.Join("bench", "k6", "script.js"))...)
	return k, err
}

func (b *bench) startK6(ctx context.Context, p *pipeline, work, path string, base float64) (*k6, error) {
	k, err := b.runK6(ctx, path, p.dir, b.clients, p.url, strings.Join(channels(work, p.topic), ","))
	if err != nil {
		return nil, err
	}
	k.memory = base
	asking, cancel := context.WithCancel(ctx)
	k.stop = cancel
	k.done.Go(func() {
		for pause(asking, k6Asked) == nil {
			if n, err := k.ask("ws_msgs_received"); err == nil {
				k.messages = append(k.messages, point{time.Now().UnixNano(), n})
			}
		}
	})
	return k, nil
}

// ask returns the count of one of k6's counters; an error while there is none yet.
func (k *k6) ask(metric string) (float64, error) {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get(k.api + metric)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return parseK6Count(json.NewDecoder(resp.Body))
}

// parseK6Count reads the answer of k6's API about a counter.
func parseK6Count(in *json.Decoder) (float64, error) {
	var said struct {
		Data struct {
			Attributes struct {
				Sample struct {
					Count *float64 `json:"count"`
				} `json:"sample"`
			} `json:"attributes"`
		} `json:"data"`
	}
	if err := in.Decode(&said); err != nil {
		return 0, fmt.Errorf("read k6's answer: %w", err)
	}
	if said.Data.Attributes.Sample.Count == nil {
		return 0, fmt.Errorf("read k6's answer: it has no count")
	}
	return *said.Data.Attributes.Sample.Count, nil
}

func (k *k6) process() *process { return k.p }

// connect does nothing: k6 connects as soon as it runs.
func (k *k6) connect() error { return nil }

func (k *k6) open() (bool, error) {
	n, err := k.ask("ws_sessions") // an error while none is open yet
	return err == nil && int(n) >= k.connections, k.torn()
}

// torn asks the script's own counter, of which there is none while no connection has ended. Whether k6 lives is seen elsewhere.
func (k *k6) torn() error {
	if n, err := k.ask("connections_ended"); err == nil && n > 0 {
		return fmt.Errorf("%.0f of its connections ended by themselves (%s)", n, k.p.log)
	}
	return nil
}

func (k *k6) finish() (line, error) {
	k.stop()
	k.done.Wait()
	err := k.torn() // the end takes the connections down
	k.p.end()
	return k.messages, err
}

func (k *k6) base() float64 { return k.memory }

func (k *k6) latency() (p50, p99 float64) {
	p50, p99 = benchtable.Absent(), benchtable.Absent()
	text, err := os.ReadFile(k.summary)
	if err != nil {
		return p50, p99
	}
	var said map[string]float64
	if json.Unmarshal(text, &said) != nil {
		return p50, p99
	}
	if v, ok := said["med"]; ok {
		p50 = v
	}
	if v, ok := said["p(99)"]; ok {
		p99 = v
	}
	return p50, p99
}
