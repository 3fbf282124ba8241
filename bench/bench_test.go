package main

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirbench/weir/internal/benchtable"
	"github.com/weirbench/weir/internal/machine"
	"github.com/weirbench/weir/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseStat(t *testing.T) {
	// The program's name holds a blank and a bracket.
	const text = "1234 (a b) c) S 1 1234 1234 0 -1 4194304 100 0 0 0 250 75 7 8 20 0 5 0 100 0 0\n"
	user, system, err := parseStat(text)
	if err != nil || user != 2.5 || system != 0.75 {
		t.Errorf("got %v s and %v s, %v; want 2.5 and 0.75", user, system, err)
	}
	for _, wrong := range []string{"", "1 (a) S 1", "1 (a) S 1 2 3 4 5 6 7 8 9 10 x 12 13", "no bracket at all 1 2 3 4 5 6 7 8 9 10 11 12 13 14"} {
		if _, _, err := parseStat(wrong); err == nil {
			t.Errorf("%q is taken for a process's stat", wrong)
		}
	}
}

func TestParseResident(t *testing.T) {
	if got, err := parseResident("Name:\tx\nVmHWM:\t 999 kB\nVmRSS:\t    2048 kB\n"); err != nil || got != 2<<20 {
		t.Errorf("got %v bytes, %v; want 2 MiB", got, err)
	}
	for _, wrong := range []string{"", "VmRSS:\tmany kB\n"} {
		if _, err := parseResident(wrong); err == nil {
			t.Errorf("%q has no resident memory", wrong)
		}
	}
}

func TestBusySince(t *testing.T) {
	before := machine.ProcessorTime{User: 150, IRQ: 10, Idle: 800, IOWait: 50}
	after := machine.ProcessorTime{User: 170, IRQ: 15, Idle: 870, IOWait: 55}
	if got := busySince(after, before); got != 0.25 {
		t.Errorf("got %v busy; want 0.25: idle and waiting for disks are not", got)
	}
	if got := busySince(before, before); !math.IsNaN(got) {
		t.Errorf("got %v busy of no time; want NaN", got)
	}
	fell := after
	fell.Idle = before.Idle - 1
	if got := busySince(fell, before); !math.IsNaN(got) {
		t.Errorf("got %v busy while idle time fell; want NaN", got)
	}
}

func TestParseK6Count(t *testing.T) {
	ask := func(text string) (float64, error) { return parseK6Count(json.NewDecoder(strings.NewReader(text))) }
	got, err := ask(`{"data":{"type":"metrics","id":"ws_sessions","attributes":{"type":"counter","sample":{"count":42,"rate":1.5}}}}`)
	if err != nil || got != 42 {
		t.Errorf("got %v, %v; want 42", got, err)
	}
	for _, wrong := range []string{`{"errors":[{"status":"404"}]}`, "no JSON"} {
		if _, err := ask(wrong); err == nil {
			t.Errorf("%s is taken for a count", wrong)
		}
	}
}

func TestLine(t *testing.T) {
	l := line{{100, 10}, {200, 20}, {300, 20}, {400, 60}}
	for at, want := range map[int64]float64{100: 10, 150: 15, 200: 20, 250: 20, 375: 50, 400: 60, 99: math.NaN(), 401: math.NaN()} {
		if got := l.at(at); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("at %d: got %v; want %v", at, got, want)
		}
	}
	if got := l.grown(span{150, 375}); got != 35 {
		t.Errorf("grew by %v; want 35", got)
	}
	if got := l.grown(span{150, 500}); !math.IsNaN(got) {
		t.Errorf("grew by %v in a span that was not seen to its end; want NaN", got)
	}
	if got := l.median(span{150, 350}); got != 20 {
		t.Errorf("median %v; want 20", got)
	}
}

// TestCrossing: what was open before the dialling began does not count.
func TestCrossing(t *testing.T) {
	l := line{{0, 30}, {1000, 30}, {2000, 130}, {3000, 130}}
	if got, seen := crossing(l, 100); !seen || got != (span{1050, 1950}) {
		t.Errorf("got %+v, %v; want 1050 to 1950, where 5 and 95 of 100 are open", got, seen)
	}
	if got, seen := crossing(line{{1000, 35}, {2000, 130}}, 100); !seen || got.fromNS != 1000 {
		t.Errorf("got %+v, %v; want it from the first look, at which just 5 were open", got, seen)
	}
	if got, seen := crossing(line{{1000, 36}, {2000, 130}}, 100); seen {
		t.Errorf("got %+v of a look that came too late; want no figure", got)
	}
}

func TestTopicOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	for text, want := range map[string]string{"topics: [feed-1a]\n": "feed-1a", "topics: [a, b]\n": "", "listen: x\n": "", "topics: {\n": ""} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := topicOf(file)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestChannels(t *testing.T) {
	if got := strings.Join(channels("broadcast", "feed-1"), " "); got != "feed-1" {
		t.Errorf("broadcast: got %s", got)
	}
	if got := channels("keyed", "feed-1"); len(got) != 10 || got[0] != "feed-1/k0" || got[9] != "feed-1/k9" {
		t.Errorf("keyed: got %v; want feed-1/k0 to feed-1/k9", got)
	}
}

// TestClientTable: ratios are weir's by the other's, within a round, and what is missing is told in its row.
func TestClientTable(t *testing.T) {
	figures := func(cpu ...float64) []clientFigures {
		var out []clientFigures
		for _, v := range cpu {
			f := noFigures()
			f.user, f.system, f.received, f.connection = v/4, v*3/4, 0.995, 2048
			out = append(out, f)
		}
		return out
	}
	b := &bench{settings: settings{clients: 5000, rounds: 2, warm: time.Second, measure: time.Second}}
	table := b.clientTable("keyed", []*clientResult{
		{program: program{name: weirReader, about: "weir"}, rounds: figures(4, 8)},
		{program: program{name: goGorilla, about: "gorilla"}, rounds: figures(8, 32), faults: []string{"round 2: it fell"}},
		{program: program{name: rustClient, about: "rust", missing: "cargo is not on the PATH"}},
	})
	want := [][]string{
		{"weir", "1.50 (1.00–2.00)", "4.50 (3.00–6.00)", "6.00 (4.00–8.00)", "1.00 (1.00–1.00)", "–", "2.00 (2.00–2.00)", "99.5% (99.5%–99.5%)", "–", "–", "–", "–"},
		{"gorilla", "5.00 (2.00–8.00)", "15.0 (6.00–24.0)", "20.0 (8.00–32.0)", "0.375 (0.250–0.500)", "–", "2.00 (2.00–2.00)", "99.5% (99.5%–99.5%)", "–", "–", "–", "–"},
		{"rust", "skipped: cargo is not on the PATH"},
	}
	for i, row := range want {
		if got := strings.Join(table.Rows[i], "|"); got != strings.Join(row, "|") {
			t.Errorf("row %d:\ngot  %s\nwant %s", i, got, strings.Join(row, "|"))
		}
	}
	if notes := strings.Join(table.Notes, "\n"); !strings.Contains(notes, "gorilla: round 2: it fell") {
		t.Errorf("the fault is not told:\n%s", notes)
	}
}

// TestAddBase: of weir's 8 µs a message at 1,000 a second, 2 are what it takes with one client.
func TestAddBase(t *testing.T) {
	f := noFigures()
	f.user, f.system, f.rate, f.connection = 5, 3, 1000, 3000
	all := []*clientResult{
		{program: program{name: weirReader}, rounds: []clientFigures{f}}, {program: program{name: weirReceiving}, rounds: []clientFigures{noFigures()}},
		{program: program{name: goGorilla}, rounds: []clientFigures{f}},
	}
	addBase(all, keeper{user: 0.0015, system: 0.0005, memory: 1000}, 100)
	if got := all[0].rounds[0]; got.connection != 20 || got.user != 5 {
		t.Errorf("weir: %v bytes a connection, %v µs; want 20 and 5", got.connection, got.user)
	}
	if got := all[1].rounds[0]; math.Abs(got.user-3.5) > 1e-9 || math.Abs(got.system-2.5) > 1e-9 {
		t.Errorf("its clients alone: %v and %v µs; want 3.5 and 2.5", got.user, got.system)
	}
	if got := all[2].rounds[0]; got.connection != f.connection || got.user != f.user {
		t.Errorf("gorilla became %+v; want %+v", got, f)
	}
}

func TestGatewayTable(t *testing.T) {
	f := func(cpu float64) gatewayFigures {
		g := noGateway()
		g.cpu, g.connection, g.delivered = cpu, 4096, 1
		return g
	}
	b := &bench{settings: settings{clients: 100, rounds: 2}}
	table := b.gatewayTable("broadcast", []*gatewayResult{
		{gatewayKind: gatewayKind{name: "reference"}, rounds: []gatewayFigures{f(6), f(7)}, health: map[string]int{"valid": 1, "doubtful": 1}},
		{gatewayKind: gatewayKind{name: gatewayBase}, rounds: []gatewayFigures{f(12), noGateway()}},
		{gatewayKind: gatewayKind{name: "centrifugo"}, missing: "centrifugo is not on the PATH"},
	})
	for i, want := range []string{"reference|6.50 (6.00–7.00)|0.500|4.00 (4.00–4.00)|1.00|", "node-ws|12.0|1.00|4.00|1.00|", "centrifugo|skipped: centrifugo is not"} {
		if got := strings.Join(table.Rows[i], "|"); !strings.HasPrefix(got, want) {
			t.Errorf("row %d: got %s; want %s…", i, got, want)
		}
	}
	if notes := strings.Join(table.Notes, "\n"); !strings.Contains(notes, "reference: health of its runs: 1 doubtful, 1 valid.") {
		t.Errorf("a run that is not valid is not told of:\n%s", notes)
	}
}

func TestRepeatsTable(t *testing.T) {
	table := repeatsTable([][2]repeat{{{10, 20}, {12, 20}}, {{11, 30}, {11, 10}}})
	for i, want := range []string{"e2e p50, ms|10.0|11.0|12.0|18.2%|9.09%|18.2%", "e2e p99, ms|10.0|20.0|30.0|100%|50.0%|100%"} {
		if got := strings.Join(table.Rows[i], "|"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestPacingTable(t *testing.T) {
	table := pacingTable([]pacedRun{{0.02, 0.07, 0.9, 0.41, 20000}, {0.03, 0.09, 1.1, 0.5, 20000}, {0.02, 0.08, 1.3, 0.45, 19990}})
	want := "20000 (19990–20000)|0.0200 (0.0200–0.0300)|0.0800 (0.0700–0.0900)|1.10 (0.900–1.30)|45.0% (41.0%–50.0%)"
	if got := strings.Join(table.Rows[0], "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStalledTable(t *testing.T) {
	table := stalledTable([]repeat{{4, 10}, {5, 20}, noRepeat()}, []repeat{{4, 12}, {5, 20}, {1, 1}})
	for i, want := range []string{"p50|4.50 (4.00–5.00)|4.00 (1.00–5.00)|1.00 (1.00–1.00)", "p99|15.0 (10.0–20.0)|12.0 (1.00–20.0)|1.10 (1.00–1.20)"} {
		if got := strings.Join(table.Rows[i], "|"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestSuperlinear has a cost a delivery that rises, and memory that grows faster than the clients; what grows with them is
// none.
func TestSuperlinear(t *testing.T) {
	g := growth{name: "clients", steps: []step{{x: 10}, {x: 100}, {x: 1000}}}
	valid := string(report.HealthValid)
	steady := []stepFigures{
		{generatorCPU: 9, gatewayCPU: 8, generatorBytes: 1e6, gatewayBytes: 1e6, health: valid},
		{generatorCPU: 6, gatewayCPU: 6, generatorBytes: 2e6, gatewayBytes: 9e6, health: valid},
		{generatorCPU: 7, gatewayCPU: 6, generatorBytes: 1e7, gatewayBytes: 9e7, health: valid},
	}
	if got := superlinear(g, steady); !strings.HasPrefix(got, "Nothing grows") {
		t.Errorf("got %q of costs that fall or stay", got)
	}
	worse := append([]stepFigures(nil), steady...)
	worse[2].gatewayCPU, worse[2].generatorBytes = 12, 4e7
	if got, want := superlinear(g, worse), "Faster than linearly, beyond a quarter: gateway CPU a delivery at 1000 (200% of its least before); generator memory at 1000 (200% of its least before)."; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	worse[1] = stepFigures{generatorCPU: benchtable.Absent(), gatewayCPU: benchtable.Absent(), generatorBytes: benchtable.Absent(), gatewayBytes: benchtable.Absent()}
	if got := superlinear(g, worse); !strings.Contains(got, "gateway CPU a delivery at 1000 (150%") {
		t.Errorf("got %q; want the step that was skipped passed over", got)
	}
	worse[0].health = string(report.HealthInvalid)
	const untold = "Nothing that can be told grows faster than linearly, beyond a quarter. Of fewer than two steps that are not invalid can't be told: " +
		"generator CPU a delivery, gateway CPU a delivery, generator memory, gateway memory."
	if got := superlinear(g, worse); got != untold {
		t.Errorf("got  %q\nof one step that tells something; want %q", got, untold)
	}
	worse = slices.Clone(steady)
	for i := range worse {
		worse[i].gatewayBytes = benchtable.Absent()
	}
	if got := superlinear(g, worse); !strings.HasSuffix(got, "can't be told: gateway memory.") {
		t.Errorf("got %q of a gateway whose memory is not known; want that it is not told", got)
	}
}

// TestNoLatency: what was not measured is no latency of nothing.
func TestNoLatency(t *testing.T) {
	for _, s := range []*report.Summary{{}, {Latency: report.LatencySet{E2E: report.Latency{Count: 1, P50NS: 2e6, P99NS: 3e6}}}} {
		measured := s.Latency.E2E.Count > 0
		for name, got := range map[string][2]float64{
			"gateways": {gatewayFiguresOf(s).p50, gatewayFiguresOf(s).p99}, "growth": {stepFiguresOf(s).p50, stepFiguresOf(s).p99},
		} {
			if measured && got != [2]float64{2, 3} || !measured && !(math.IsNaN(got[0]) && math.IsNaN(got[1])) {
				t.Errorf("%s: got %v ms; measured: %v", name, got, measured)
			}
		}
	}
}

func TestGrowths(t *testing.T) {
	for _, g := range growths(50_000) {
		for i, s := range g.steps {
			sets := strings.Join(s.sets, " ")
			if i > 0 && s.x <= g.steps[i-1].x {
				t.Errorf("%s: %v follows %v", g.name, s.x, g.steps[i-1].x)
			}
			if want := s.x > clientsPerGateway && g.name == "clients"; strings.Contains(sets, "gateway.instances=") != want {
				t.Errorf("%s at %v: %s; several gateways: want %v", g.name, s.x, sets, want)
			}
		}
	}
	if got := growths(2000)[0].steps; len(got) != 2 {
		t.Errorf("%d steps up to 2,000 clients; want 2", len(got))
	}
}

// TestStepRefused: a step that weir refuses says so, with weir's words, and where they are.
func TestStepRefused(t *testing.T) {
	weir := filepath.Join(t.TempDir(), "weir")
	if err := os.WriteFile(weir, []byte("#!/bin/sh\necho no such key >&2\nexit 2\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	b := &bench{settings: settings{weir: weir}}
	dir := filepath.Join(t.TempDir(), "step")
	_, err := b.step(t.Context(), dir, step{work: "broadcast"})
	if want := "weir ended too early: exit status 2: no such key (" + dir + ".txt)"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestProcessEnds: a program that is interrupted ends, and one that has ended may be ended again.
func TestProcessEnds(t *testing.T) {
	p, err := start(t.Context(), filepath.Join(t.TempDir(), "log"), nil, nil, "cat")
	if err != nil {
		t.Fatal(err)
	}
	p.end()
	p.end()
	if p.err == nil || p.cmd.ProcessState == nil {
		t.Errorf("it ended with %v; want an interrupt", p.err)
	}
}

func TestInTurn(t *testing.T) {
	for round, want := range map[int][]int{1: {0, 1, 2}, 2: {1, 2, 0}, 3: {2, 0, 1}, 4: {0, 1, 2}} {
		if got := inTurn(3, round); !slices.Equal(got, want) {
			t.Errorf("round %d: got %v; want %v", round, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	if s, err := parse(nil, io.Discard); err != nil || s.rounds != 5 || s.parts != "clients,gateways,dial,pacing,stalled,aa" || !strings.HasPrefix(s.out, "results/runs/bench-") {
		t.Errorf("got %+v, %v", s, err)
	}
	for _, wrong := range [][]string{{"-parts", "clients,all"}, {"-rounds", "0"}, {"-measure", "2s"}, {"-only", "weir,gorila"}, {"-works", "broad"}, {"-no-such-flag"}} {
		if _, err := parse(wrong, io.Discard); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
}
