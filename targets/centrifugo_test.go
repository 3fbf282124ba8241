package targets_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/runner"
	"github.com/weirbench/weir/scenarios"
)

const (
	testTopic      = "prices"
	testPartitions = 4
	testMessages   = 400
	// Each message goes to the client that follows its key and to those that follow everything.
	testFollowers = 1 + 2
	// patience is for waits that end as soon as what they wait for is there, also on a machine that is far too busy.
	patience = time.Minute
)

// centrifugoScenario has 6 clients: 4 with a key each, 2 that follow everything; 400 messages in a second.
const centrifugoScenario = `
version: 1
name: centrifugo
kafka: {provider: external, seeds: [%s], topics: [{name: prices, partitions: 4, existing: true}]}
gateway: {target: external, url: %q, profile: profile.yaml, ready_in: 1m}
producers:
  - name: feed
    topic: prices
    rate: 400/s
    size: 256B
    keys: {kind: round-robin, count: 4}
    headers: {centrifugo-channels: "{key},all"}
    payload: {template: '{"stamp":"{stamp}","key":"{key}","text":"{pad}"}'}
clients:
  - {name: keyed, count: 4, subscribe: {topic: prices, keys: 1}}
  - {name: whole, count: 2, subscribe: {topic: prices}}
phases:
  connect: {deadline: 1m}
  join: {deadline: 1m}
  warm-up: 0s
  measure: [{name: steady, duration: 1s}]
  drain: {deadline: 5s}
`

// profileText is a target's profile.
func profileText(t *testing.T, target string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(target, "profile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// runCentrifugo measures a double through the profile, which change may change before.
func runCentrifugo(t *testing.T, o doubleOptions, change func(*scenarios.WireProfile)) (*report.Summary, doubleCounts) {
	t.Helper()
	kafka := testkit.Kafka(t, testPartitions, testTopic)
	d := startDouble(t, kafka.ListenAddrs(), testTopic, testPartitions, o)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("profile.yaml", profileText(t, "centrifugo"))
	s, err := scenarios.Load(write("s.yaml", fmt.Sprintf(centrifugoScenario, strings.Join(kafka.ListenAddrs(), ", "), d.url)), scenarios.Options{})
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	plan, err := s.Resolve()
	if err != nil {
		t.Fatalf("resolve: %v", err)
	}
	if change != nil {
		change(&plan.Gateway.Profile)
	}
	summary, _, err := runner.Run(t.Context(), runner.Options{Plan: plan, Dir: filepath.Join(dir, "run")})
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	return summary, d.did()
}

// wantAccount checks every class, and that nothing foreign came in any phase.
func wantAccount(t *testing.T, s *report.Summary, want results.Classes) {
	t.Helper()
	want.Expected = testMessages * testFollowers
	want.Delivered = want.Expected - want.Missing()
	got := s.Audit.Classes
	got.Foreign = 0
	for _, r := range s.Audit.Rows {
		got.Foreign += r.Foreign
	}
	if got != want {
		t.Errorf("got the account  %+v\nwant             %+v", got, want)
	}
	if len(s.Audit.Defects) > 0 || s.Status != results.StatusComplete {
		t.Errorf("got status %s (%s), defects %q; want a complete run without any", s.Status, s.Run.Error, s.Audit.Defects)
	}
}

func TestCentrifugoSpeaksThroughTheProfile(t *testing.T) {
	t.Parallel()
	s, did := runCentrifugo(t, doubleOptions{
		ping:   func(_ string, nth int) bool { return nth%5 == 2 },
		pongIn: patience,
	}, nil)
	wantAccount(t, s, results.Classes{})
	if did.severalInOne == 0 || did.refused > 0 || did.closed > 0 {
		t.Errorf("got %+v; want frames with several messages, nothing refused, nobody closed", did)
	}
	// A client leaves when it has had what was sent to it last, and so after every ping.
	if did.pings < 6 || did.pongs != did.pings {
		t.Errorf("got %d pongs to %d pings; want each of 6 clients to be pinged, and every ping answered", did.pongs, did.pings)
	}
	if !s.Audit.CorruptionChecked {
		t.Error("got values that can't be checked; want them cut out of the pushes")
	}
}

func TestCentrifugoFaultsAreNamed(t *testing.T) {
	t.Parallel()
	some := func(f pushFault) func(string, int) pushFault {
		return func(_ string, nth int) pushFault {
			if nth%10 == 5 {
				return f
			}
			return passOn
		}
	}
	t.Run("dropped", func(t *testing.T) {
		t.Parallel()
		s, did := runCentrifugo(t, doubleOptions{fault: some(dropIt), pongIn: patience}, nil)
		wantAccount(t, s, results.Classes{Lost: did.dropped})
		if did.dropped != testMessages*testFollowers/10 {
			t.Errorf("got %d dropped; want a tenth", did.dropped)
		}
		wantBroken(t, s)
	})
	t.Run("doubled", func(t *testing.T) {
		t.Parallel()
		s, did := runCentrifugo(t, doubleOptions{fault: some(doubleIt), pongIn: patience}, nil)
		wantAccount(t, s, results.Classes{Duplicate: did.doubled})
		if did.doubled != testMessages*testFollowers/10 {
			t.Errorf("got %d doubled; want a tenth", did.doubled)
		}
		wantBroken(t, s)
	})
}

// TestCentrifugoUnansweredPing: a profile that takes pings for nothing costs the client its connection, and what it
// misses until it is back is lost.
func TestCentrifugoUnansweredPing(t *testing.T) {
	t.Parallel()
	asked := false
	s, did := runCentrifugo(t, doubleOptions{
		ping: func(channel string, nth int) bool {
			first := !asked && channel == "k0" && nth == 10
			asked = asked || first
			return first
		},
		pongIn: 50 * time.Millisecond,
	}, func(p *scenarios.WireProfile) {
		p.Ping, p.Pong, p.Control = "", "", append(p.Control, "{}")
	})
	if did.closed != 1 || did.pongs != 0 || did.missed == 0 {
		t.Errorf("got %+v; want one client closed that missed something", did)
	}
	wantAccount(t, s, results.Classes{Lost: did.missed})
	wantBroken(t, s)
	run, err := results.Open(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	said := slices.ContainsFunc(run.Events, func(e results.Event) bool {
		return e.Kind == results.EventDisconnect && strings.Contains(e.Text, `3012 "no pong"`)
	})
	if !said {
		t.Errorf("got events %+v; want the close code 3012", run.Events)
	}
}

// wantBroken checks the verdict, but on a machine too busy to keep the schedule, where a run is rightly invalid.
func wantBroken(t *testing.T, s *report.Summary) {
	t.Helper()
	if s.Exit != report.ExitContractBroken && s.Health.State != report.HealthInvalid {
		t.Errorf("got exit code %d, reasons %q; want %d", s.Exit, s.Reasons, report.ExitContractBroken)
	}
}
