package runner

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weirbench/weir/loadgen"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
	"github.com/weirbench/weir/testbed"
)

// Options is what a run is made of.
type Options struct {
	Plan *scenarios.Plan
	// Dir is the run directory; empty makes one under RunsDir, named by time and scenario.
	Dir string
	// Executable is the weir binary, which the children are hidden commands of.
	Executable string
	// AllowTargets lists hosts that may be loaded although they are not loopback.
	AllowTargets []string
	// Targets holds the targets that weir builds: a folder with a target.yaml for each.
	Targets fs.FS
	// Command is the command line for the record.
	Command []string
	// Version is weir's own.
	Version string
	// BoundGC lets the load bound this process's garbage collector by memory. Only one run of a process at a time may.
	BoundGC bool
	// Progress takes what the user may be shown; nil drops it. Calls come one at a time. One that does not return costs what
	// would be shown after it, and holds up nothing else.
	Progress func(Progress)
}

// RunsDir is where run directories go unless told otherwise.
const RunsDir = "results/runs"

// ErrInterrupted is the cause that a run's context ends with when the user interrupts it.
var ErrInterrupted = errors.New("interrupted")

// errAborted is the cause when a threshold with abort can no longer hold.
var errAborted = errors.New("a threshold with abort can no longer hold")

// stopTimeout bounds the orderly end of each part of the testbed, unless a target's plan gives it longer; after it the part
// is killed.
const stopTimeout = 5 * time.Second

// Run makes one run and returns its summary and directory. The directory is complete, summary and reports included, also
// where the run was interrupted (ctx ended, with ErrInterrupted as its cause) or failed midway: then the summary's status
// says so. An error means that the directory is not what it should be; a summary beside it is of what there is.
func Run(ctx context.Context, o Options) (*report.Summary, string, error) {
	id := newRunID()
	dir := o.Dir
	if dir == "" {
		dir = filepath.Join(RunsDir, time.Now().UTC().Format("20060102-150405")+"-"+o.Plan.Name+"-"+id.name)
	}
	writer, err := results.Create(dir)
	if err != nil {
		return nil, "", err
	}
	r := &run{o: o, id: id, dir: dir, writer: writer, judge: report.NewJudge(o.Plan), lines: newLines(o.Progress)}
	logged := r.record(ctx)
	r.lines.close()
	// A log that could not be kept to its end is still worth reading.
	summary, dir, err := finish(dir)
	return summary, dir, errors.Join(logged, err)
}

// finish reads the directory back and writes what is derived from it: the report sees the log alone, as `weir report`
// does later.
func finish(dir string) (*report.Summary, string, error) {
	read, err := results.Open(dir)
	if err != nil {
		return nil, dir, err
	}
	summary, err := report.Summarise(read)
	if err != nil {
		return nil, dir, err
	}
	return summary, dir, report.WriteFiles(read, summary)
}

// runID names a run in messages, topics, containers and directories.
type runID struct {
	number uint64
	name   string
}

func newRunID() runID {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	n := binary.BigEndian.Uint64(b[:]) >> 16
	return runID{n, strconv.FormatUint(n, 36)}
}

// run is a run under way.
type run struct {
	o      Options
	id     runID
	dir    string
	writer *results.Writer
	judge  *report.Judge
	lines  *lines

	kafka  *testbed.Kafka
	target *testbed.Target
	engine *loadgen.Engine
	gauges *gauges
	abort  context.CancelCauseFunc // ends the load
	status status
	over   bool // an abort threshold was breached and told

	closing atomic.Bool // the drain is over, or there is none

	peakClients int64 // most connections to the target at once
}

// record runs the scenario and writes the log to its end. The error is that of the log: a run that failed is a record
// too.
func (r *run) record(ctx context.Context) error {
	if err := r.writer.Plan(r.o.Plan); err != nil {
		return errors.Join(err, r.writer.Close())
	}
	audit, health, failure := r.execute(ctx)
	// 4. The testbed ends: first the target, then the brokers that it reads from.
	r.stopTestbed()
	// 5. The log is closed.
	var lost error
	if audit != nil {
		lost = errors.Join(lost, r.writer.Audit(audit))
	}
	if health != nil {
		lost = errors.Join(lost, r.writer.Health(health))
	}
	if failure == nil {
		failure = lost
	}
	return errors.Join(lost, r.writer.End(end(failure)), r.writer.Close())
}

// end says how the run ended.
func end(failure error) *results.End {
	e := &results.End{AtNS: time.Now().UnixNano(), Status: results.StatusComplete}
	switch {
	case failure == nil:
	case errors.Is(failure, ErrInterrupted):
		e.Status, e.Interrupted, e.Reason = results.StatusPartial, true, "interrupted by the user"
	case errors.Is(failure, errAborted):
		e.Status, e.Reason = results.StatusAborted, failure.Error()
	default:
		e.Status, e.Error = results.StatusPartial, failure.Error()
	}
	return e
}

// execute stands the testbed up, loads it and closes the account. What it returns beside the failure is what there is.
func (r *run) execute(user context.Context) (*results.Audit, *results.Health, error) {
	// alive ends when a part of the pipeline dies or the engine fails; going, the load's, also when the user interrupts or
	// a threshold aborts.
	alive, die := context.WithCancelCause(context.Background())
	defer die(nil)
	going, abort := context.WithCancelCause(alive)
	defer abort(nil)
	defer context.AfterFunc(user, func() { abort(context.Cause(user)) })()
	r.abort = abort

	// 1. The testbed.
	if err := r.standUp(going); err != nil {
		return nil, nil, cause(going, err)
	}
	engine, err := loadgen.Start(going, loadgen.Options{
		Plan: r.o.Plan, Run: r.id.number, Seeds: r.kafka.Seeds, URL: r.target.URL, Further: r.target.Further,
		TopicName: r.topicName, Partitions: r.partitions(), Sink: r.sink, Gauges: r.gauges.read,
		KafkaOpts: r.kafka.ClientOpts, AllowTargets: r.o.AllowTargets, BoundGC: r.o.BoundGC,
	})
	if err != nil {
		return nil, nil, cause(going, err)
	}
	defer engine.Close()
	r.engine = engine
	defer r.watch(die)()
	// 2. The phases.
	loaded, failure := r.walk(going)
	// 3. Drain and account. An interrupt or an abort of the load leaves the drain its time; what comes during the drain
	//    ends it.
	if loaded {
		r.say("drain")
		during := going
		if failure != nil {
			during = alive
		}
		engine.Drain(during)
	}
	finish, cancel := context.WithTimeout(context.Background(), r.timeToFinish(alive))
	defer cancel()
	r.closing.Store(true)
	audit, health, err := engine.Finish(finish)
	r.resources(health)
	if n := engine.Unmatched(); n > 0 {
		r.warn(fmt.Sprintf("%d deliveries are missing from the gateway stage: the observer's read of the same message was not found in time", n))
	}
	if failure == nil {
		failure = cause(going, err)
	}
	return audit, health, failure
}

// timeToFinish bounds the account. Where a part of the pipeline has died there is little to wait for.
func (r *run) timeToFinish(alive context.Context) time.Duration {
	if alive.Err() != nil {
		return 3 * time.Second
	}
	return r.o.Plan.Phases.DrainDeadline + 30*time.Second
}

// walk goes through connect, join and the load. loaded tells that the load began: then there is something to drain.
func (r *run) walk(ctx context.Context) (loaded bool, failure error) {
	r.say(fmt.Sprintf("connect %d clients to %s", r.o.Plan.ClientCount(), strings.Join(r.target.URLs(), ", ")))
	if err := r.engine.Connect(ctx); err != nil {
		return false, cause(ctx, err)
	}
	if err := r.engine.Join(ctx); err != nil {
		return false, cause(ctx, err)
	}
	r.say("every subscription is in force; load")
	if err := r.engine.Load(ctx); err != nil {
		return true, cause(ctx, err)
	}
	return true, nil
}

// cause is the reason that ctx ended for, where it did, and err otherwise.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// watch ends the run when the target, the brokers or the engine end. The returned function waits for the watcher.
func (r *run) watch(die context.CancelCauseFunc) func() {
	done := make(chan struct{})
	stop := make(chan struct{})
	dead := func(part string, err error) {
		death := fmt.Errorf("%s ended during the run: %w", part, err)
		r.engine.Event(results.EventTarget, death.Error())
		die(death)
	}
	go func() {
		defer close(done)
		select {
		case <-r.target.Done():
			dead("the target", r.target.Err())
		case <-r.kafka.Done():
			dead("Kafka", r.kafka.Err())
		case <-r.engine.Failed():
			die(r.engine.Err())
		case <-stop:
		}
	}()
	return func() {
		close(stop)
		<-done
	}
}

// sink takes each interval from the engine's collector: it is the only writer of the log while the load runs.
func (r *run) sink(iv *results.Interval, events []results.Event) error {
	if err := r.judge.Add(iv); err != nil {
		return err
	}
	if breached := r.judge.Breached(); len(breached) > 0 && !r.over {
		r.over = true
		events = append(events, results.Event{AtNS: iv.EndAt, Kind: results.EventThreshold, Phase: iv.Phase, Text: breached[0].Text})
		r.abort(fmt.Errorf("%w: %s", errAborted, breached[0].Text))
	}
	for i := range events {
		if err := r.writer.Event(&events[i]); err != nil {
			return err
		}
	}
	r.peakClients = max(r.peakClients, int64(iv.Gauges[results.GaugeClients]))
	r.progress(iv, events)
	return r.writer.Interval(iv)
}

// warn writes a doubt into the log. The collector has ended when it is called.
func (r *run) warn(text string) {
	_ = r.writer.Event(&results.Event{AtNS: time.Now().UnixNano(), Kind: results.EventWarning, Text: text}) // a broken log fails End
}

// topicName is a topic's name in Kafka: its own where it exists already, else with the run's name, so that two runs at
// once don't meet.
func (r *run) topicName(name string) string {
	if t := r.o.Plan.Topic(name); t != nil && t.Existing {
		return name
	}
	return name + "-" + r.id.name
}

func (r *run) partitions() map[string]int {
	n := map[string]int{}
	for _, t := range r.o.Plan.Kafka.Topics {
		n[t.Name] = t.Partitions
	}
	return n
}

// publishTopics lists the topics that clients publish to, by their names in Kafka.
func (r *run) publishTopics() []string {
	var names []string
	for _, g := range r.o.Plan.Clients {
		if g.Publish != nil {
			names = append(names, r.topicName(g.Publish.Topic))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// targetPlan is the Plan's target with the topics' names in Kafka.
func (r *run) targetPlan() scenarios.GatewayPlan {
	plan := r.o.Plan.Gateway
	plan.Conflate = slices.Clone(plan.Conflate)
	for i, c := range plan.Conflate {
		plan.Conflate[i].Topic = r.topicName(c.Topic)
	}
	plan.Config.Batch = slices.Clone(plan.Config.Batch)
	for i, b := range plan.Config.Batch {
		plan.Config.Batch[i].Topic = r.topicName(b.Topic)
	}
	if keys := plan.Config.Publish.Keys; keys != nil {
		plan.Config.Publish.Keys = make(map[string]string, len(keys))
		for topic, key := range keys {
			plan.Config.Publish.Keys[r.topicName(topic)] = key
		}
	}
	return plan
}

// standUp starts brokers and target and writes the environment.
func (r *run) standUp(ctx context.Context) error {
	o := testbed.Options{Executable: r.o.Executable, RunID: r.id.name, Dir: r.dir, AllowTargets: r.o.AllowTargets, Log: r.say}
	plan := r.o.Plan
	o.Security, o.Targets = plan.Kafka.Security, r.o.Targets
	o.ContainerTarget = plan.Gateway.Target == scenarios.TargetContainer || plan.Gateway.Target == scenarios.TargetCentrifugo
	r.say(fmt.Sprintf("start %s Kafka", plan.Kafka.Provider))
	var err error
	if r.kafka, err = testbed.StartKafka(ctx, plan.Kafka, o); err != nil {
		return err
	}
	if err := r.kafka.EnsureTopics(ctx, plan.Kafka.Topics, r.topicName); err != nil {
		return err
	}
	var topics []string
	for _, t := range plan.Kafka.Topics {
		topics = append(topics, r.topicName(t.Name))
	}
	o.Publish = r.publishTopics()
	o.Network, o.NetworkSeeds = r.kafka.Inside()
	r.say(fmt.Sprintf("%s; start the target (%s)", r.kafka.Description, plan.Gateway.Target))
	if r.target, err = testbed.StartTarget(ctx, r.targetPlan(), r.kafka.Seeds, topics, o); err != nil {
		return err
	}
	r.gauges = newGauges(r.kafka.Processes(), r.target.Usage)
	return r.writer.Environment(r.environment())
}

// stopTestbed ends what standUp started, in the order of the data, and removes this run's topics from a cluster that is
// not weir's own. What does not go as it should is a warning: the run has been measured.
func (r *run) stopTestbed() {
	step := func(what string, within time.Duration, do func(context.Context) error) {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		if err := do(ctx); err != nil {
			r.warn(fmt.Sprintf("%s: %v", what, err))
		}
	}
	if r.target != nil {
		step("stop the target", max(stopTimeout, r.target.StopIn()), r.target.Stop)
	}
	if r.kafka == nil {
		return
	}
	if r.o.Plan.Kafka.Provider == scenarios.ProviderExternal {
		step("remove the run's topics", stopTimeout, func(ctx context.Context) error { return r.kafka.DeleteTopics(ctx) })
	}
	step("stop Kafka", stopTimeout, r.kafka.Stop)
}
