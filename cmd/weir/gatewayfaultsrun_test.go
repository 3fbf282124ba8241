package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/runner"
	"github.com/weirbench/weir/scenarios"
	"github.com/weirbench/weir/targets"
	"github.com/weirbench/weir/testbed"
)

const (
	faultClients = 20
	faultRate    = 200 // messages a second, each to one client
	// faultAfter is how long a run measures before the fault.
	faultAfter = 3 * time.Second
	// faultInterval is the resolution of what is told of deliveries over time.
	faultInterval = 100 * time.Millisecond
)

// faultWork is small enough for node-ws in its naive variant.
const faultWork = `
version: 1
name: gateway-faults
kafka: {provider: external, seeds: [%[1]s], topics: [{name: %[2]s, partitions: 6, existing: true}]}
gateway: {target: external, url: %[3]q, profile: %[4]q%[6]s}
producers:
  - name: feed
    topic: %[2]s
    rate: %[8]d/s
    size: 256B
    keys: {kind: round-robin, count: %[9]d}
    compression: none
clients:
  - {name: viewers, count: %[9]d, subscribe: {topic: %[2]s, keys: 1}%[5]s}
phases:
  join: {deadline: 1m}
  warm-up: 1s
  measure: [{name: steady, duration: %[7]s}]
  drain: {deadline: 20s}
thresholds: []
`

// faultRun is one run, its gateway started beside it, behind a balancer that stands for the address that stays.
type faultRun struct {
	t         *testing.T
	gateway   faultGateway
	fault     gatewayFault
	seeds     string
	container func(node int32) string // of the brokers that the run may kill
	dir       string                  // kept: the run's own, and the gateway's log

	topic    string
	options  testbed.Options
	balancer *testkit.Balancer
	target   *testbed.Target
	at       time.Time // when the fault was applied
	backAt   time.Time // when the gateway was ready again
}

// measure makes the run, and the fault in it.
func (f *faultRun) measure() *report.Summary {
	f.t.Helper()
	executable, err := exec.LookPath("weir")
	if err != nil {
		f.t.Fatal(err)
	}
	id := "fault" + strings.ToLower(rand.Text()[:8])
	f.topic = "orders-" + id
	makeTopic(f.t, f.seeds, f.topic, 6, 3)
	f.options = testbed.Options{Executable: executable, RunID: id, Dir: f.dir, Targets: targets.Files}
	f.balancer = testkit.StartBalancer(f.t)
	f.start()
	defer func() {
		if err := f.target.Stop(context.Background()); err != nil {
			f.t.Logf("stop the gateway: %v", err)
		}
	}()
	steady, load := f.load(executable)
	var got *loaded
	select {
	case <-steady:
		if f.fault.do != nil {
			f.at = time.Now()
			f.fault.do(f)
			f.backAt = time.Now()
		}
		got = <-load
	case got = <-load:
	case <-f.t.Context().Done():
		f.t.Fatal("the test's time is over")
	}
	if got.err != nil {
		f.t.Fatal(got.err)
	}
	s := got.summary
	f.t.Logf("%s; target %s; %+v; thrown out %d, dials failed %d, fault at +%v, back after %v", s.Verdict, f.target.Description, s.Audit.Classes,
		s.CountersAll[results.CountThrownOut], s.CountersAll[results.CountConnectFail], f.since(s), f.backAt.Sub(f.at).Round(10*time.Millisecond))
	return s
}

// since is how long the run had measured when the fault came.
func (f *faultRun) since(s *report.Summary) time.Duration {
	begin, _ := f.measured(s)
	return f.at.Sub(begin).Round(10 * time.Millisecond)
}

// loaded is a run that has ended.
type loaded struct {
	summary *report.Summary
	err     error
}

// load makes the run beside the test. steady is closed when it has measured for a moment.
func (f *faultRun) load(executable string) (steady chan struct{}, load chan *loaded) {
	f.t.Helper()
	plan := f.plan()
	steady, load = make(chan struct{}), make(chan *loaded, 1)
	told := false
	procs := runtime.GOMAXPROCS(0)
	go func() {
		defer runtime.GOMAXPROCS(procs)
		s, err := measure(f.t.Context(), runner.Options{
			Plan: plan, Dir: filepath.Join(f.dir, "run"), Executable: executable, Targets: targets.Files,
			Command: []string{"make", "gateway-faults"}, Version: version,
			Progress: func(p runner.Progress) {
				if p.Figures != nil && p.Figures.Measured && p.Figures.Elapsed >= faultAfter && !told {
					told = true
					close(steady)
				}
			},
		})
		load <- &loaded{s, err}
	}()
	return steady, load
}

func (f *faultRun) plan() *scenarios.Plan {
	f.t.Helper()
	clients, guarantees := "", ""
	if f.gateway.resume {
		clients, guarantees = ", resume: true", ", guarantees: {delivery: at-least-once, resumes: true}"
	}
	if f.fault.do == nil {
		clients += ", churn: {session: 5s, away: 1s}"
	}
	u, err := url.Parse(f.target.URL)
	if err != nil {
		f.t.Fatal(err)
	}
	u.Host = f.balancer.Addr
	text := fmt.Sprintf(faultWork, f.seeds, f.topic, u, f.gateway.profile, clients, guarantees, f.fault.measure, faultRate, faultClients)
	scenario, err := scenarios.Parse("gateway-faults", []byte(text), scenarios.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	plan, err := scenario.Resolve()
	if err != nil {
		f.t.Fatal(err)
	}
	plan.IntervalNS = faultInterval
	return plan
}

// start starts the gateway and leads clients to it. A gateway that is started again is the same instance: it goes on with
// its consumer group.
func (f *faultRun) start() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), buildLimit)
	defer cancel()
	target, err := testbed.StartTarget(ctx, f.gateway.plan, strings.Split(f.seeds, ","), []string{f.topic}, f.options)
	if err != nil {
		f.t.Fatal(err)
	}
	u, err := url.Parse(target.URL)
	if err != nil {
		f.t.Fatal(err)
	}
	f.target = target
	f.balancer.Use(u.Host)
}

// keepLog puts the log of a gateway that has ended beside that of the one that follows it.
func (f *faultRun) keepLog() {
	log := filepath.Join(f.dir, "gateway.log")
	if err := os.Rename(log, filepath.Join(f.dir, "gateway-before.log")); err != nil {
		f.t.Logf("keep the gateway's log: %v", err)
	}
}

// restart ends the gateway in order and starts it again.
func (f *faultRun) restart() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), max(f.target.StopIn(), 15*time.Second))
	defer cancel()
	if err := f.target.Stop(ctx); err != nil {
		f.t.Logf("stop the gateway: %v", err)
	}
	f.keepLog()
	f.start()
}

// crash kills the gateway and starts it again.
func (f *faultRun) crash() {
	f.t.Helper()
	for _, pid := range f.target.Processes() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			f.t.Fatal(err)
		}
	}
	<-f.target.Done()
	_ = f.target.Stop(f.t.Context()) // says that it was killed
	f.keepLog()
	f.start()
}

// killLeader kills a broker that leads partitions of the topic, for good. It is not the one that coordinates the gateway's
// consumer group, where there is one.
func (f *faultRun) killLeader() {
	f.t.Helper()
	admin, done := f.admin()
	defer done()
	spared := int32(-1)
	if f.gateway.group != "" {
		spared = f.coordinator(admin)
	}
	listed, err := admin.ListTopics(f.t.Context(), f.topic)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, p := range listed[f.topic].Partitions.Sorted() {
		if p.Leader != spared {
			f.kill(p.Leader)
			return
		}
	}
	f.t.Fatalf("broker %d leads all of topic %s", spared, f.topic)
}

// killCoordinator kills the broker that coordinates the gateway's consumer group, for good. It leads partitions of the topic,
// too.
func (f *faultRun) killCoordinator() {
	f.t.Helper()
	admin, done := f.admin()
	defer done()
	f.kill(f.coordinator(admin))
}

func (f *faultRun) admin() (admin *kadm.Client, done func()) {
	f.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(f.seeds, ",")...))
	if err != nil {
		f.t.Fatal(err)
	}
	return kadm.NewClient(client), client.Close
}

// coordinator is the node that coordinates the gateway's consumer group.
func (f *faultRun) coordinator(admin *kadm.Client) int32 {
	f.t.Helper()
	group := f.gateway.group + f.options.RunID
	found := admin.FindGroupCoordinators(f.t.Context(), group)[group]
	if found.Err != nil {
		f.t.Fatalf("find the coordinator of group %s: %v", group, found.Err)
	}
	return found.NodeID
}

func (f *faultRun) kill(node int32) {
	f.t.Helper()
	f.at = time.Now()
	if out, err := exec.Command("docker", "kill", f.container(node)).CombinedOutput(); err != nil {
		f.t.Fatalf("kill broker %d: %v\n%s", node, err, out)
	}
}
