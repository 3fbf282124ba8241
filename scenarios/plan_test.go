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

// TestFollowersMatchTheClientsKeys holds the estimate's closed form to a count over all clients and keys.
func TestFollowersMatchTheClientsKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.IntRange(1, 40).Draw(t, "keys")
		sub := Subscribe{Topic: "t", Keys: rapid.IntRange(1, keys).Draw(t, "followed")}
		group := ClientGroup{Count: rapid.IntRange(1, 100).Draw(t, "clients"), Subscribe: sub}
		producer := Producer{Topic: "t", Keys: Keys{Kind: rapid.SampledFrom([]KeyKind{KeysUniform, KeysZipf, KeysHotSet}).Draw(t, "kind"),
			Count: keys, Skew: rapid.Float64Range(0.1, 3).Draw(t, "skew"), Hot: 1, HotShare: rapid.Float64Range(0.1, 1).Draw(t, "share")}}
		if producer.Keys.Kind == KeysHotSet {
			producer.Keys.Count++ // not all are hot
		}
		p := &Plan{Producers: []Producer{producer}, Clients: []ClientGroup{group}}
		want := 0.0
		for client := range group.Count {
			for _, k := range ClientKeys(sub, client, p.KeyCount("t")) {
				want += shareOfKey(producer.Keys, k)
			}
		}
		if got := group.followers(producer, p.KeyCount("t")); math.Abs(got-want) > 1e-9*max(1, want) {
			t.Errorf("got %v; want %v", got, want)
		}
	})
}

func shareOfKey(k Keys, id int) float64 {
	switch {
	case k.Kind == KeysUniform:
		return 1 / float64(k.Count)
	case k.Kind == KeysHotSet && id < k.Hot:
		return k.HotShare / float64(k.Hot)
	case k.Kind == KeysHotSet:
		return (1 - k.HotShare) / float64(k.Count-k.Hot)
	}
	sum := 0.0
	for i := 1; i <= k.Count; i++ {
		sum += math.Pow(float64(i), -k.Skew)
	}
	return math.Pow(float64(id+1), -k.Skew) / sum
}

// TestSizeMean holds the closed forms to a sum over the distribution.
func TestSizeMean(t *testing.T) {
	for name, c := range map[string]struct {
		size Size
		want float64
	}{
		"fixed":     {Size{Kind: SizeFixed, Min: 200, Max: 200}, 200},
		"uniform":   {Size{Kind: SizeUniform, Min: 100, Max: 300}, 200},
		"histogram": {Size{Kind: SizeHistogram, Bins: []SizeBin{{200, 70}, {1000, 30}}}, 440},
		"lognormal": {Size{Kind: SizeLognormal, Median: 400, Sigma: 0.8, Min: 128, Max: 1000}, sampledMean(400, 0.8, 128, 1000)},
		"narrow":    {Size{Kind: SizeLognormal, Median: 400, Sigma: 0.01, Min: 128, Max: 1000}, sampledMean(400, 0.01, 128, 1000)},
	} {
		if got := c.size.mean(); math.Abs(got-c.want) > 1e-3*c.want {
			t.Errorf("%s: got %v; want %v", name, got, c.want)
		}
	}
}

// sampledMean is the mean of a lognormal distribution set to its bounds, by its quantiles.
func sampledMean(median, sigma, low, high float64) float64 {
	const n = 200_000
	sum := 0.0
	for i := range n {
		z := math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/n-1)
		sum += min(max(median*math.Exp(sigma*z), low), high)
	}
	return sum / n
}

// TestCostOfCurves: a rate that grows while the clients leave, whose product has a closed form.
func TestCostOfCurves(t *testing.T) {
	p := planOf(t, `
version: 1
name: curves
kafka: {topics: [{name: prices}]}
producers: [{name: feed, topic: prices, rate: {ramp: {from: 0/s, to: 100/s}}, size: 200B}]
clients:
  - {name: leaving, count: 100, subscribe: {topic: prices}}
  - {name: churning, count: 30, subscribe: {topic: prices}, churn: {session: 20s, away: 10s}}
phases: {warm-up: 0s, measure: [{name: a, duration: 10s, clients: {leaving: {ramp: {from: 100, to: 0}}}}]}
`)
	c := p.Cost()
	// ∫ 10t · (100 − 10t) dt from 0 to 10 is 16,666.7; of the 30 that churn 20 are there: 500 messages · 20.
	if want := 16_666.7 + 10_000; c.Messages != 500 || math.Abs(float64(c.Deliveries)-want) > 1 {
		t.Errorf("got %d messages, %d deliveries; want 500, %.0f", c.Messages, c.Deliveries, want)
	}
	if want := 100.0 * (100 + 20); c.PeakDeliveries != want {
		t.Errorf("got %v deliveries a second at most; want %v", c.PeakDeliveries, want)
	}
	if want := int64(130 * (clientEndBytes + gatewayEndBytes)); c.ConnectionBytes != want {
		t.Errorf("got %d bytes of connections; want %d", c.ConnectionBytes, want)
	}
}

func TestApportion(t *testing.T) {
	for _, c := range []struct {
		n       int
		weights []float64
		want    []int
	}{
		{10, []float64{1}, []int{10}},
		{10, []float64{1, 1, 1}, []int{4, 3, 3}},
		{300, []float64{2, 1, 0.5}, []int{171, 86, 43}},
		{7, []float64{70, 20, 10}, []int{5, 1, 1}},
		{1, []float64{1, 3}, []int{0, 1}},
	} {
		if got := apportion(c.n, c.weights); !slices.Equal(got, c.want) {
			t.Errorf("%d by %v: got %v; want %v", c.n, c.weights, got, c.want)
		}
	}
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
	fmt.Fprintf(&b, "clients:\n  - name: c\n    count: %d\n    subscribe: {topic: t, keys: %s}\n", number(1, maxPerInstance), oneOf("all", "one", "10"))
	fmt.Fprintf(&b, "phases:\n  measure:\n    - {name: a, duration: %dms}\n    - {name: b, duration: %s, rates: {p0: %d/h}}\n",
		number(10, 10_000), time.Duration(number(1e8, 1e12)), number(1, 1000))
	maybe("  warm-up: %dms", number(0, 10_000))
	maybe("thresholds: ['e2e{group=c, phase=a}.p%d.%d < %dus', 'delivery.ratio > %d.5%%']", number(10, 99), number(0, 999), number(1, 1e6), number(0, 99))
	return b.String()
}
