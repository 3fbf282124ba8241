package scenarios

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestClientKeys(t *testing.T) {
	for _, c := range []struct {
		sub           Subscribe
		client, total int
		want          []int
	}{
		{Subscribe{All: true}, 3, 50, nil},
		{Subscribe{Keys: 1}, 0, 50, []int{0}},
		{Subscribe{Keys: 1}, 51, 50, []int{1}},
		{Subscribe{Keys: 3}, 2, 7, []int{6, 0, 1}},
		{Subscribe{Keys: 7}, 1, 7, []int{0, 1, 2, 3, 4, 5, 6}},
		{Subscribe{Keys: 9}, 1, 2, []int{1, 0}},
		{Subscribe{Keys: 2}, 5, 0, nil},
		{Subscribe{}, 5, 10, nil},
	} {
		if got := ClientKeys(c.sub, c.client, c.total); !slices.Equal(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("%+v, client %d of %d keys: got %v; want %v", c.sub, c.client, c.total, got, c.want)
		}
	}
	if got := KeyName(7); got != "k7" {
		t.Errorf("got key %s; want k7", got)
	}
}

// TestFanOutMatchesTheClientsKeys holds the estimate's closed form to a count over all clients and keys.
func TestFanOutMatchesTheClientsKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.IntRange(1, 40).Draw(t, "keys")
		sub := Subscribe{Topic: "t", Keys: rapid.IntRange(1, keys).Draw(t, "followed")}
		group := ClientGroup{Count: rapid.IntRange(1, 100).Draw(t, "clients"), Subscribe: sub}
		producer := Producer{Topic: "t", Keys: Keys{Kind: rapid.SampledFrom([]KeyKind{KeysUniform, KeysZipf}).Draw(t, "kind"),
			Count: keys, Skew: rapid.Float64Range(0.1, 3).Draw(t, "skew")}}
		p := &Plan{Producers: []Producer{producer}, Clients: []ClientGroup{group}}
		want := 0.0
		for client := range group.Count {
			for _, k := range ClientKeys(sub, client, p.KeyCount("t")) {
				want += shareOfKey(producer.Keys, k)
			}
		}
		if got := p.fanOut(producer); math.Abs(got-want) > 1e-9*max(1, want) {
			t.Errorf("got %v; want %v", got, want)
		}
	})
}

func shareOfKey(k Keys, id int) float64 {
	if k.Kind == KeysUniform {
		return 1 / float64(k.Count)
	}
	sum := 0.0
	for i := 1; i <= k.Count; i++ {
		sum += math.Pow(float64(i), -k.Skew)
	}
	return math.Pow(float64(id+1), -k.Skew) / sum
}

func TestHarmonic(t *testing.T) {
	for _, s := range []float64{0.5, 1, 1.1, 2} {
		want := 0.0
		for k := 1; k <= 100_000; k++ {
			want += math.Pow(float64(k), -s)
		}
		if got := harmonic(100_000, s); math.Abs(got-want) > 1e-6*want {
			t.Errorf("s = %v: got %v; want %v", s, got, want)
		}
	}
}

// The estimate of the largest plan there can be must not overflow.
func TestCostSaturates(t *testing.T) {
	p := &Plan{
		Producers: []Producer{{Topic: "t", Rate: Hold(maxRate), Size: Size{Kind: SizeFixed, Min: maxValueBytes}}},
		Clients:   []ClientGroup{{Count: maxClients, ConnectRate: 1, Subscribe: Subscribe{Topic: "t", All: true}}},
		Phases:    Phases{Measure: []MeasurePhase{{Duration: maxDuration}}},
	}
	if got := p.Cost().DeliveredBytes; got != math.MaxInt64 {
		t.Errorf("got %d bytes; want the largest number", got)
	}
}

// TestPlanSurvivesJSON: scenarios drawn at random resolve, and their plans come back from JSON as they were.
func TestPlanSurvivesJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawScenario(t)
		s, err := Parse("drawn.yaml", []byte(text), Options{LiftLimits: true})
		if err != nil {
			t.Fatalf("parse: %v\n%s", err, text)
		}
		want, err := s.Resolve()
		if err != nil {
			t.Fatalf("resolve: %v\n%s", err, text)
		}
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := new(Plan)
		if err := json.Unmarshal(data, got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
		if again, err := s.Resolve(); err != nil || !reflect.DeepEqual(again, want) {
			t.Errorf("resolved again: got %+v, %v; want the same plan", again, err)
		}
	})
}

// drawScenario writes a scenario that is right, with every optional part there or not.
func drawScenario(t *rapid.T) string {
	var b strings.Builder
	maybe := func(format string, args ...any) {
		if rapid.Bool().Draw(t, format) {
			fmt.Fprintf(&b, format+"\n", args...)
		}
	}
	number := func(low, high int) int { return rapid.IntRange(low, high).Draw(t, "n") }
	oneOf := func(words ...string) string { return rapid.SampledFrom(words).Draw(t, "word") }
	fmt.Fprintf(&b, "version: 1\nname: drawn\n")
	maybe("seed: %d", number(0, 1<<40))
	fmt.Fprintf(&b, "kafka:\n  topics:\n    - name: t\n")
	maybe("      partitions: %d", number(1, 100))
	maybe("      retention: %dMiB", number(1, 100))
	maybe("      replication: %d", number(2, 3))
	maybe("  final_read: %s", oneOf("true", "false"))
	if rapid.Bool().Draw(t, "external") {
		fmt.Fprintf(&b, "gateway:\n  target: external\n  url: ws://h:%d/x\n", number(1, 65535))
	} else {
		maybe("gateway: {slow_clients: %s, queue: %dKiB}", oneOf("disconnect", "drop-oldest"), number(1, 1000))
	}
	fmt.Fprintf(&b, "producers:\n")
	for i := range number(1, 3) {
		fmt.Fprintf(&b, "  - name: p%d\n    topic: t\n    stall: 1s\n    rate: %d.%d/%s\n", i, number(1, 300), number(0, 99), oneOf("s", "m", "ms"))
		fmt.Fprintf(&b, "    keys: {kind: %s, count: %d}\n", oneOf("zipf", "uniform", "round-robin"), number(10, 1000))
		maybe("    size: {uniform: {min: 128B, max: %dKB}}", number(1, 4))
		maybe("    linger: %dus", number(0, 5000))
		maybe("    acks: %s", oneOf("all", "leader", "none"))
	}
	fmt.Fprintf(&b, "clients:\n  - name: c\n    count: %d\n    subscribe: {topic: t, keys: %s}\n", number(1, maxClients), oneOf("all", "one", "10"))
	fmt.Fprintf(&b, "phases:\n  measure:\n    - {name: a, duration: %dms}\n    - {name: b, duration: %s, rates: {p0: %d/h}}\n",
		number(10, 10_000), time.Duration(number(1e8, 1e12)), number(1, 1000))
	maybe("  warm-up: %dms", number(0, 10_000))
	maybe("thresholds: ['e2e{group=c, phase=a}.p%d.%d < %dus', 'delivery.ratio > %d.5%%']", number(10, 99), number(0, 999), number(1, 1e6), number(0, 99))
	return b.String()
}
