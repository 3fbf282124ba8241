package selftest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/weirbench/weir/internal/nulltarget"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/scenarios"
)

// defaultDrain is how long what does not come is waited for.
const defaultDrain = 5 * time.Second

// Measured is a run that has ended.
type Measured struct {
	Summary *report.Summary
	Dir     string // its run directory
	// Stopped is how long the generator was stopped on purpose.
	Stopped time.Duration
}

// StoppedRunner makes the run of a scenario's text in a process of its own, and stops that process for some time, so long after
// the load began. Name names the run.
type StoppedRunner func(ctx context.Context, name, scenario string, after, stop time.Duration) (*Measured, error)

// Runner makes the run of a plan. An error is one of the harness: a run that failed has a summary that says so. When ctx
// ends it returns soon, with what there is.
type Runner func(ctx context.Context, plan *scenarios.Plan) (*Measured, error)

// Work is what one run puts on the null target: one topic of one partition, each client on one key.
type Work struct {
	Name    string
	Clients int // a multiple of Keys
	Keys    int
	Rate    int // messages a second; with Echo, each client's
	WarmUp  time.Duration
	Length  time.Duration // of the measure phase, whole seconds
	Every   time.Duration // length of an interval; 0 is the scenario's default
	Drain   time.Duration // what does not come is waited for so long; 0 is 5 s
	// Echo has the clients publish through the target, each to a key that it alone follows, in place of a producer.
	Echo bool
	// OwnStopAfter and OwnStopFor say when the generator itself is stopped, after the load's beginning; 0 is never.
	OwnStopAfter, OwnStopFor time.Duration
	// DialRate, where it is not 0, is how many clients a second are to dial.
	DialRate float64
	Faults   nulltarget.Faults
}

// PerSecond is how many deliveries a second are due.
func (w Work) PerSecond() float64 {
	if w.Echo {
		return float64(w.Rate * w.Clients)
	}
	return float64(w.Rate) * float64(w.Clients) / float64(w.Keys)
}

// perClient is how many messages are for one client in the measure phase, where keys go round: the same for each if Keys
// divides what is sent.
func (w Work) perClient() int64 {
	sent := int64(w.Rate) * int64(w.Length/time.Second)
	if w.Echo {
		return sent
	}
	return sent / int64(w.Keys)
}

// expected is how many deliveries are due in the measure phase.
func (w Work) expected() int64 { return w.perClient() * int64(w.Clients) }

const workScenario = `
version: 1
name: null-target-%s
seed: 1
kafka: {provider: embedded, brokers: 1, topics: [{name: known, partitions: 1}]}
gateway:
  target: command
  profile: reference
  command: {args: %s, url: 'ws://127.0.0.1:{port}/ws', ready: {url: 'http://127.0.0.1:{port}/readyz'}}
%s
phases:
  warm-up: %s
  measure: [{name: steady, duration: %s}]
  drain: {deadline: %s}
thresholds: []
`

const fannedOut = `
producers: [{name: feed, topic: known, rate: %d/s, size: 128B, keys: {kind: round-robin, count: %d}}]
clients: [{name: viewers, count: %d, connect_rate: 1000/s, subscribe: {topic: known, keys: 1}}]`

const echoed = `
producers: [{name: keys, topic: known, rate: 1/h, size: 128B, keys: {kind: round-robin, count: %[2]d}}]
clients: [{name: echoes, count: %[2]d, connect_rate: 1000/s, subscribe: {topic: known, keys: 1}, publish: {topic: known, keys: %[2]d, rate: %[1]d/s, size: 128B}}]`

// scenario is the work's text. target is the command line of the null target, to which its flags are added.
func (w Work) scenario(target []string) string {
	load := fmt.Sprintf(fannedOut, w.Rate, w.Keys, w.Clients)
	if w.Echo {
		load = fmt.Sprintf(echoed, w.Rate, w.Clients)
	}
	args := append(append([]string{}, target...), "--listen", "127.0.0.1:{port}", "--seeds", "{seeds}", "--topics", "{topics}")
	quoted, _ := json.Marshal(append(args, w.Faults.Args()...)) // strings always can be, and JSON is YAML
	return fmt.Sprintf(workScenario, w.Name, quoted, load, w.WarmUp, w.Length, cmp.Or(w.Drain, defaultDrain))
}

// plan is the work as a run executes it.
func (w Work) plan(target []string) (*scenarios.Plan, error) {
	scenario, err := scenarios.Parse("null-target-"+w.Name, []byte(w.scenario(target)), scenarios.Options{LiftLimits: true})
	if err != nil {
		return nil, err
	}
	plan, err := scenario.Resolve()
	if err != nil {
		return nil, err
	}
	if w.DialRate > 0 {
		plan.Clients[0].ConnectRate = w.DialRate
	}
	if w.Every > 0 {
		plan.IntervalNS = w.Every
	}
	return plan, nil
}

// run makes the work's run.
func (w Work) run(ctx context.Context, o Options) (*Measured, error) {
	if w.OwnStopFor > 0 {
		return o.RunStopped(ctx, "null-target-"+w.Name, w.scenario(o.Target), w.OwnStopAfter, w.OwnStopFor)
	}
	plan, err := w.plan(o.Target)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", w.Name, err)
	}
	return o.Run(ctx, plan)
}
