package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// faultGateway is one that the faults are tried on.
type faultGateway struct {
	name    string
	plan    scenarios.GatewayPlan
	profile string
	resume  bool
	group   string // begins the name of the one consumer group that it reads with; "" for none, or one for each connection
	why     string // it behaves as the table shows
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
	spring := scenarios.GatewayPlan{Target: scenarios.TargetSpringBoot, ReadyIn: readyIn}
	return []faultGateway{
		{
			name: "reference, clients resume", plan: reference, profile: "reference", resume: true,
			why: "at least once: a client comes back with its positions and gets from Kafka what it missed, then what is live. What " +
				"is sent while it is away is expected, in the first row too",
		},
		{
			name: "reference", plan: reference, profile: "reference",
			why: "at most once: it reads every partition from its end on, in no group, and a client gets what comes after its " +
				"subscription. What flows between a connection's end and the next subscription is lost",
		},
		{
			name: "node-ws (shared)", plan: shared, profile: profile("node-ws"), group: "node-ws-",
			why: "at most once, one consumer in a group. Its successor goes on at the group's last commit; what it reads before clients " +
				"are back is lost, and what after, they get late, so that the figures depend on who is first. After a kill it " +
				"is given partitions when the dead member's session has ended, after 30 s",
		},
		{
			name: "node-ws (naive)", plan: naive, profile: profile("node-ws"),
			why: "at most once, a consumer and a new group for each connection, from the partitions' ends on. Nobody waits for a dead " +
				"member; what flows until a connection's consumer has joined its group is lost. A broker is the coordinator of a " +
				"third of the groups",
		},
		{
			name: "spring-boot", plan: spring, profile: profile("spring-boot"), group: "spring-boot-",
			why: "at most once, one consumer in a group, as node-ws (shared), with a JVM to start and a session of 45 s",
		},
	}
}

// gatewayFault is what is done to a pipeline while it is measured.
type gatewayFault struct {
	name string
	// do applies it; nil has the clients come and go.
	do func(*faultRun)
	// measure lasts long enough for the slowest gateway to be back within it.
	measure     time.Duration
	breaksKafka bool // each run has brokers of its own
	cutsClients bool // every client loses its connection
	ofGroups    bool // only gateways with a consumer group of their own can meet it
	what        string
}

// gatewayFaults are the faults of the table. A consumer group whose member was killed waits for its session to end before
// it gives its partitions to the one that follows: 30 s at node-ws, 45 s at spring-boot.
func gatewayFaults() []gatewayFault {
	return []gatewayFault{
		{
			name: "clients stay 5 s, are away 1 s", measure: 25 * time.Second,
			what: "they close with 1000 and come back to the gateway that has never stopped. What is undetermined was on its way " +
				"when a client left",
		},
		{
			name: "gateway restarted", do: (*faultRun).restart, measure: 40 * time.Second, cutsClients: true,
			what: "it is ended in order (SIGTERM; the reference gateway by the end of its standard input) and started again. Clients " +
				"are led to it when it says that it is ready",
		},
		{
			name: "gateway killed", do: (*faultRun).crash, measure: 80 * time.Second, cutsClients: true,
			what: "SIGKILL, then as above",
		},
		{
			name: "broker killed", do: (*faultRun).killLeader, measure: 70 * time.Second, breaksKafka: true,
			what: "SIGKILL, for good, to one of three that leads two of the topic's six partitions (replication 3) and does not " +
				"coordinate the gateway's consumer group",
		},
		{
			name: "the group's broker killed", do: (*faultRun).killCoordinator, measure: 70 * time.Second, breaksKafka: true, ofGroups: true,
			what: "the same, to the one that coordinates it",
		},
	}
}

// TestGatewayFaults writes a Markdown table of what each gateway loses, doubles or reorders when its clients come and go,
// when it is restarted or killed, and when one of three brokers is killed. It judges nothing but that each fault happened
// while the run measured, that the gateway came back, and that the run came to its end with an account that adds up.
// WEIR_GATEWAY_FAULTS names the file, beside which the runs are kept, and WEIR_GATEWAY_FAULTS_RUNS how often everything is
// done, in turn; `make gateway-faults` sets them.
func TestGatewayFaults(t *testing.T) {
	file := os.Getenv("WEIR_GATEWAY_FAULTS")
	if file == "" {
		t.Skip("WEIR_GATEWAY_FAULTS is not set: what faults cost at each gateway is not measured (make gateway-faults)")
	}
	rounds := 1
	if text := os.Getenv("WEIR_GATEWAY_FAULTS_RUNS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil || rounds < 1 {
			t.Fatalf("WEIR_GATEWAY_FAULTS_RUNS: got %q; want how often each run is to be made", text)
		}
	}
	table := faultTable{file: file}
	for round := range rounds {
		t.Run(fmt.Sprintf("round %d", round+1), func(t *testing.T) {
			for _, fault := range gatewayFaults() {
				t.Run(fault.name, func(t *testing.T) {
					lasting := ""
					if !fault.breaksKafka {
						lasting, _ = dockerKafka(t, 3)
					}
					for _, g := range faultGateways(t) {
						if fault.ofGroups && g.group == "" {
							continue
						}
						t.Run(g.name, func(t *testing.T) { table.add(t, fault, g, lasting) })
					}
				})
			}
		})
	}
}

// add makes one run, on brokers that last or, where the fault breaks them, on its own, and puts it into the table at once:
// what is there already is kept where the test ends early.
func (tab *faultTable) add(t *testing.T, fault gatewayFault, g faultGateway, lasting string) {
	f := &faultRun{t: t, gateway: g, fault: fault, seeds: lasting, dir: keptDir(t, tab.file)}
	if fault.breaksKafka {
		f.seeds, f.container = dockerKafka(t, 3)
	}
	s := f.measure()
	trouble := f.trouble(s)
	tab.put(s, f, trouble)
	if err := tab.write(); err != nil {
		t.Error(err)
	}
	if trouble != "" {
		t.Error(trouble)
	}
	if a := s.Audit.Classes; g.resume && (a.Lost+a.Unseen+a.Duplicate+a.Reordered > 0) {
		t.Errorf("clients that resume: got %+v; want nothing lost, unseen, doubled or out of order", a)
	}
}

// trouble says why a run's figures are not what its row is to tell: it did not come to its end with an account that adds up,
// the fault did not happen while it measured, the gateway was not back before the load was over, so that the figures tell
// how long the load was, or clients did not lose their connections and come back. It is empty for a run that counts.
func (f *faultRun) trouble(s *report.Summary) string {
	left, thrown, connected := s.CountersAll[results.CountLeft], s.CountersAll[results.CountThrownOut], s.CountersAll[results.CountConnected]
	begin, end := f.measured(s)
	switch {
	case s.Run.Error != "" || s.Status != results.StatusComplete:
		return fmt.Sprintf("the run is %s: %s", s.Status, s.Run.Error)
	case len(s.Audit.Defects) > 0:
		return fmt.Sprintf("the account does not add up: %q", s.Audit.Defects)
	case f.fault.do == nil && left < 3*faultClients:
		return fmt.Sprintf("clients left as the scenario says %d times; want at least %d", left, 3*faultClients)
	case f.fault.do == nil:
		return ""
	case f.at.Before(begin) || !f.at.Before(end):
		return fmt.Sprintf("the fault came %v after the measure phase had begun; want it within its %v", f.since(s), f.fault.measure)
	case f.fault.cutsClients && f.backAt.After(end):
		return fmt.Sprintf("the gateway was back %v after the fault, when the load was over", f.backAt.Sub(f.at).Round(time.Second))
	case f.fault.cutsClients && (thrown < faultClients || connected < 2*faultClients):
		return fmt.Sprintf("%d connections were ended by the gateway and %d made; want at least %d and %d", thrown, connected, faultClients, 2*faultClients)
	}
	return ""
}

// keptDir is a directory for a row's run beside the table, named like the row; what was there is replaced.
func keptDir(t *testing.T, file string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(file+".runs", filepath.FromSlash(t.Name())))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
