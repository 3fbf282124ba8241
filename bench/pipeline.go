package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/weirbench/weir/internal/benchtable"
	"github.com/weirbench/weir/results"
)

// pipeline is a weir run under way: Kafka and gateway as processes of their own, the producer, and the clients that weir
// itself has.
type pipeline struct {
	*process
	dir   string
	url   string // the gateway's WebSocket address
	topic string // by its name in Kafka
}

// phaseMeasured is the name of the measure phase in bench/scenarios.
const phaseMeasured = "steady"

const (
	upIn    = time.Minute     // for Kafka and gateway to be there
	readyIn = 2 * time.Second // for an answer on whether the gateway is
)

// startRun starts a run of one of bench/scenarios.
func (b *bench) startRun(ctx context.Context, work, dir string, env []string, sets ...string) (*pipeline, error) {
	p, err := b.startWeir(ctx, filepath.Join("bench", "scenarios", work+".yaml"), dir, env, sets...)
	if err != nil {
		return nil, err
	}
	return &pipeline{process: p, dir: dir}, nil
}

// startWeir starts `weir run`, to which dir must be new: weir refuses one that is there, and what lay in it would be read as
// this run's.
func (b *bench) startWeir(ctx context.Context, scenario, dir string, env []string, sets ...string) (*process, error) {
	switch _, err := os.Lstat(dir); {
	case err == nil:
		return nil, fmt.Errorf("start a run in %s: it is there already (name a new directory with -out)", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	args := []string{"run", scenario, "--quiet", "--out", dir, "--lift-limits"} // the flags of bench bound what is loaded
	for _, s := range sets {
		args = append(args, "--set", s)
	}
	return start(ctx, dir+".txt", nil, env, b.weir, args...)
}

// startPipeline starts a run with one client of weir's, which keeps the account, and waits until the gateway is there.
func (b *bench) startPipeline(ctx context.Context, work, dir string, clients int, lasts time.Duration, sets ...string) (*pipeline, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p, err := b.startRun(ctx, work, dir, nil, append([]string{
		"gateway.listen=" + address, fmt.Sprintf("clients.viewers.count=%d", clients), "phases.warm-up=100ms",
		"phases.measure.steady.duration=" + lasts.String(),
	}, sets...)...)
	if err != nil {
		return nil, err
	}
	p.url = "ws://" + address + "/ws"
	err = await(ctx, "the pipeline's start", upIn, func() (bool, error) {
		if !ready(ctx, address) {
			return false, nil
		}
		p.topic, err = topicOf(filepath.Join(dir, "gateway.yaml"))
		return err == nil, err
	}, p.process)
	if err != nil {
		p.end()
		return nil, err
	}
	return p, nil
}

// ready reports whether a gateway there says that it is, soon.
func ready(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// freeAddress is a loopback address at which nobody listens at the moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// topicOf is the one topic that a gateway's file names.
func topicOf(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var said struct {
		Topics []string `yaml:"topics"`
	}
	if err := yaml.Unmarshal(text, &said); err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	if len(said.Topics) != 1 {
		return "", fmt.Errorf("read %s: it names %d topics, not one", file, len(said.Topics))
	}
	return said.Topics[0], nil
}

// benchKeys is how many keys bench/scenarios/keyed.yaml has.
const benchKeys = 10

// perClient is how many records a second each client gets in both works.
const perClient = 10

// channels are what clients follow in a work, in turn.
func channels(work, topic string) []string {
	if !strings.HasPrefix(work, "keyed") {
		return []string{topic}
	}
	var all []string
	for k := range benchKeys {
		all = append(all, fmt.Sprintf("%s/k%d", topic, k))
	}
	return all
}

// seen is what a run's log says about a span of it.
type seen struct {
	delivered    line // first arrivals at weir's own clients, summed up, at the intervals' ends
	gatewayCPU   line // seconds, likewise
	busy         line // share of the machine, in each interval
	gatewayBytes line
	e2e          results.SeriesSet
	steady       span // the measure phase, as far as it went
	phases       []results.Event
}

// readRun reads a run's log. The latencies are those of the intervals that lie in within, or all where that is zero.
func readRun(dir string, within span) (*seen, error) {
	run, err := results.Open(dir)
	if err != nil {
		return nil, err
	}
	s := &seen{}
	for _, e := range run.Events {
		if e.Kind != results.EventPhase {
			continue
		}
		if n := len(s.phases); n > 0 && s.phases[n-1].Text == phaseMeasured {
			s.steady.toNS = e.AtNS
		}
		if e.Text == phaseMeasured {
			s.steady.fromNS = e.AtNS
		}
		s.phases = append(s.phases, e)
	}
	var delivered, cpu float64
	for iv, err := range run.Intervals() {
		if err != nil {
			return nil, err
		}
		for _, c := range iv.Counters {
			if c.Name == results.CountDelivered {
				delivered += float64(c.Value)
			}
		}
		cpu += iv.Gauges[results.GaugeGatewayCPU] * float64(iv.EndAt-iv.StartAt) / 1e9
		s.delivered = append(s.delivered, point{iv.EndAt, delivered})
		s.gatewayCPU = append(s.gatewayCPU, point{iv.EndAt, cpu})
		s.busy = append(s.busy, point{iv.EndAt, gauge(iv, results.GaugeMachineBusy)})
		s.gatewayBytes = append(s.gatewayBytes, point{iv.EndAt, gauge(iv, results.GaugeGatewayRSS)})
		if within != (span{}) && (iv.StartAt < within.fromNS || iv.EndAt > within.toNS) {
			continue
		}
		for _, series := range iv.Series {
			if series.Stage == results.StageE2E {
				if err := s.e2e.Add(series); err != nil {
					return nil, err
				}
			}
		}
	}
	return s, nil
}

func gauge(iv *results.Interval, name string) float64 {
	if v, ok := iv.Gauges[name]; ok {
		return v
	}
	return benchtable.Absent()
}

// quantile of the latencies that were kept, in milliseconds; NaN where there are none.
func (s *seen) quantile(q float64) float64 {
	all := s.e2e.Get(results.StageE2E, func(results.Label) bool { return true })
	if all.Count() == 0 {
		return benchtable.Absent()
	}
	return float64(all.Quantile(q)) / 1e6
}

// wait waits for a run to come to its end.
func (p *pipeline) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return ctx.Err()
	case <-ctx.Done():
		<-p.done // it has been interrupted, and is killed where that does not help
		return context.Cause(ctx)
	}
}
