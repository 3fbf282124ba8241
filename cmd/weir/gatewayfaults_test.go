package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
	"github.com/weirbench/weir/targets"
	"github.com/weirbench/weir/testbed"
)

// faultWork is small enough for node-ws in its naive variant; the fault comes when it has been measured for a second.
const faultWork = `
version: 1
name: gateway-faults
kafka: {provider: external, seeds: [%[1]s], topics: [{name: %[2]s, partitions: 6, existing: true}]}
gateway: {target: external, url: %[3]q, profile: %[4]q%[6]s}
producers:
  - name: feed
    topic: %[2]s
    rate: 200/s
    size: 256B
    keys: {kind: round-robin, count: 20}
    compression: none
clients:
  - {name: viewers, count: 20, subscribe: {topic: %[2]s, keys: 1}%[5]s}
phases:
  join: {deadline: 1m}
  warm-up: 1s
  measure: [{name: steady, duration: 25s}]
  drain: {deadline: 20s}
thresholds: []
`

// faultGateway is one that the faults are tried on.
type faultGateway struct {
	name    string
	plan    scenarios.GatewayPlan
	profile string
	resume  bool
}

func faultGateways(t *testing.T) []faultGateway {
	t.Helper()
	profile := func(target string) string {
		path, err := filepath.Abs("../../targets/" + target + "/profile.yaml")
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	const readyIn = 3 * time.Minute
	reference := scenarios.GatewayPlan{Target: scenarios.TargetReference, ReadyIn: readyIn}
	node := scenarios.GatewayPlan{Target: scenarios.TargetNodeWS, ReadyIn: readyIn}
	shared, naive := node, node
	shared.Variant, naive.Variant = "shared", "naive"
	return []faultGateway{
		{name: "reference, clients resume", plan: reference, profile: "reference", resume: true},
		{name: "reference", plan: reference, profile: "reference"},
		{name: "node-ws (shared)", plan: shared, profile: profile("node-ws")},
		{name: "node-ws (naive)", plan: naive, profile: profile("node-ws")},
		{name: "spring-boot", plan: scenarios.GatewayPlan{Target: scenarios.TargetSpringBoot, ReadyIn: readyIn}, profile: profile("spring-boot")},
	}
}

// TestGatewayFaults writes a Markdown table of what each gateway loses, doubles or reorders when its clients come and go,
// when it is restarted or killed, and when one of three brokers is killed. It judges nothing but that each run came to its
// end with an account that adds up. WEIR_GATEWAY_FAULTS names the file; `make gateway-faults` sets it.
func TestGatewayFaults(t *testing.T) {
	file := os.Getenv("WEIR_GATEWAY_FAULTS")
	if file == "" {
		t.Skip("WEIR_GATEWAY_FAULTS is not set: what faults cost at each gateway is not measured (make gateway-faults)")
	}
	rows := []string{
		"| fault | gateway | expected | delivered | lost | unseen | undetermined | duplicate | reordered | thrown out | remarks |",
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
	}
	defer func() {
		if err := os.WriteFile(file, []byte(strings.Join(rows, "\n")+"\n"), 0o644); err != nil {
			t.Error(err)
		}
	}()
	for _, fault := range []struct {
		name        string
		do          func(*faultRun)
		breaksKafka bool // each run has brokers of its own
	}{
		{"clients stay 5 s, are away 1 s", nil, false},
		{"gateway restarted (SIGTERM)", (*faultRun).restart, false},
		{"gateway killed (SIGKILL)", (*faultRun).crash, false},
		{"broker killed (SIGKILL)", (*faultRun).killBroker, true},
	} {
		t.Run(fault.name, func(t *testing.T) {
			seeds := ""
			if !fault.breaksKafka {
				seeds, _ = dockerKafka(t, 3)
			}
			for _, g := range faultGateways(t) {
				t.Run(g.name, func(t *testing.T) {
					f := &faultRun{t: t, gateway: g, seeds: seeds}
					if fault.breaksKafka {
						f.seeds, f.container = dockerKafka(t, 3)
					}
					s := f.measure(fault.do)
					rows = append(rows, faultRow(fault.name, g.name, s))
					if s.Run.Error != "" || s.Status != results.StatusComplete || len(s.Audit.Defects) > 0 {
						t.Errorf("got status %s, error %q, defects %q; want a complete run", s.Status, s.Run.Error, s.Audit.Defects)
					}
				})
			}
		})
	}
}

// faultRow is a run's line of the table.
func faultRow(fault, gateway string, s *report.Summary) string {
	remarks := ""
	switch {
	case s.Run.Error != "":
		remarks = "the run failed: " + s.Run.Error
	case s.Health.State == report.HealthInvalid:
		remarks = "invalid"
		for _, r := range s.Health.Reasons {
			remarks += ": " + r.Text
			break
		}
	}
	a := s.Audit.Classes
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %d | %d | %d | %d | %s |", fault, gateway, a.Expected, a.Delivered, a.Lost, a.Unseen,
		a.Undetermined, a.Duplicate, a.Reordered, s.CountersAll[results.CountThrownOut], strings.ReplaceAll(remarks, "|", `\|`))
}

// faultRun is one run, its gateway started beside it, behind a balancer that stands for the address that stays.
type faultRun struct {
	t         *testing.T
	gateway   faultGateway
	seeds     string
	container func(node int32) string // of the brokers that the run may kill

	topic    string
	leader   int32 // of the topic's partition 0
	options  testbed.Options
	balancer *testkit.Balancer
	target   *testbed.Target
}

// measure makes the run, and the fault in it; without one the clients come and go.
func (f *faultRun) measure(fault func(*faultRun)) *report.Summary {
	f.t.Helper()
	executable, err := exec.LookPath("weir")
	if err != nil {
		f.t.Fatal(err)
	}
	id := "fault" + strings.ToLower(rand.Text()[:8])
	f.topic = "orders-" + id
	f.leader = makeTopic(f.t, f.seeds, f.topic, 6, 3)
	f.options = testbed.Options{Executable: executable, RunID: id, Dir: f.t.TempDir(), Targets: targets.Files}
	f.balancer = testkit.StartBalancer(f.t)
	f.start()
	defer func() {
		if err := f.target.Stop(context.Background()); err != nil {
			f.t.Logf("stop the gateway: %v", err)
		}
	}()
	clients, guarantees := "", ""
	if f.gateway.resume {
		clients, guarantees = ", resume: true", ", guarantees: {delivery: at-least-once, resumes: true}"
	}
	if fault == nil {
		clients += ", churn: {session: 5s, away: 1s}"
	}
	u, err := url.Parse(f.target.URL)
	if err != nil {
		f.t.Fatal(err)
	}
	u.Host = f.balancer.Addr
	w := startRun(f.t, fmt.Sprintf(faultWork, f.seeds, f.topic, u, f.gateway.profile, clients, guarantees))
	w.limit = buildLimit
	if fault != nil {
		w.measuring()
		fault(f)
	}
	code := w.wait()
	s := w.summary()
	f.t.Logf("exit code %d; %s; target %s; %d lost, %d unseen of %d", code, s.Verdict, f.target.Description, s.Audit.Lost, s.Audit.Unseen, s.Audit.Expected)
	return s
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

// restart ends the gateway in order and starts it again.
func (f *faultRun) restart() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), max(f.target.StopIn(), 15*time.Second))
	defer cancel()
	if err := f.target.Stop(ctx); err != nil {
		f.t.Logf("stop the gateway: %v", err)
	}
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
	f.start()
}

// killBroker kills the leader of partition 0, for good.
func (f *faultRun) killBroker() {
	f.t.Helper()
	if out, err := exec.Command("docker", "kill", f.container(f.leader)).CombinedOutput(); err != nil {
		f.t.Fatalf("kill broker %d: %v\n%s", f.leader, err, out)
	}
}
