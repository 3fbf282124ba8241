package loadgen

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirbench/weir/scenarios"
)

// presencePlan has one group of n clients and these phases.
func presencePlan(n int, phases ...scenarios.MeasurePhase) *scenarios.Plan {
	return &scenarios.Plan{
		Seed:    5,
		Clients: []scenarios.ClientGroup{{Name: "g", Count: n}},
		Phases:  scenarios.Phases{Measure: phases},
	}
}

// stretches walks a client's whole presence.
func stretches(p *scenarios.Plan, group, client int) (all []stretch) {
	w := newPresence(p, LoadPhases(p), group, client)
	for s, ok := w.next(); ok; s, ok = w.next() {
		all = append(all, s)
	}
	return all
}

func presentAt(all []stretch, at time.Duration) bool {
	for _, s := range all {
		if s.from <= at && at < s.to {
			return true
		}
	}
	return false
}

func drawCountCurve(t *rapid.T, peak float64, length time.Duration) scenarios.Curve {
	level := rapid.Float64Range(0, peak)
	span := func(name string) time.Duration {
		return time.Duration(rapid.Int64Range(1, int64(length)).Draw(t, name))
	}
	c := scenarios.Curve{From: level.Draw(t, "from"), To: level.Draw(t, "to")}
	if rapid.Bool().Draw(t, "whole levels") {
		c.From, c.To = math.Round(c.From), math.Round(c.To)
	}
	c.Kind = rapid.SampledFrom([]scenarios.CurveKind{
		scenarios.CurveHold, scenarios.CurveRamp, scenarios.CurveSteps, scenarios.CurveSpike, scenarios.CurveSine,
	}).Draw(t, "kind")
	switch c.Kind {
	case scenarios.CurveSteps:
		c.Steps = rapid.IntRange(2, 7).Draw(t, "steps")
	case scenarios.CurveSpike:
		c.At, c.For = span("at"), span("for")
	case scenarios.CurveSine:
		c.Period = max(span("period"), length/50)
	}
	return c
}

// checkApart: stretches are in order, none touches the next, and only the last lasts for ever.
func checkApart(t *rapid.T, all []stretch, end time.Duration) {
	for i, s := range all {
		if s.empty() || s.from < 0 || s.from >= end || s.to >= end && s.to != forever {
			t.Fatalf("%v is no stretch of a load of %v", s, end)
		}
		if i > 0 && s.from <= all[i-1].to {
			t.Fatalf("%v follows %v", s, all[i-1])
		}
	}
}

// TestPresenceFollowsTheCurve: at any time as many clients are there as the curve says, in the warm-up as many as at the
// first phase's beginning, and after the load as many as at its end. Groups of one name share the number.
func TestPresenceFollowsTheCurve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const clients = 12
		p := presencePlan(clients)
		for range rapid.IntRange(0, 2).Draw(t, "further groups of the name") {
			p.Clients = append(p.Clients, scenarios.ClientGroup{Name: "g", Count: rapid.IntRange(1, clients).Draw(t, "count")})
		}
		total := 0
		for _, g := range p.Clients {
			total += g.Count
		}
		p.Phases.WarmUp = time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "warm-up"))
		for range rapid.IntRange(1, 3).Draw(t, "phases") {
			m := scenarios.MeasurePhase{Name: "m", Duration: time.Duration(rapid.Int64Range(1e9, 1e11).Draw(t, "length"))}
			if rapid.IntRange(0, 3).Draw(t, "with a curve") > 0 {
				m.Clients = map[string]scenarios.Curve{"g": drawCountCurve(t, float64(total), m.Duration)}
			}
			p.Phases.Measure = append(p.Phases.Measure, m)
		}
		phases := LoadPhases(p)
		end := phases[len(phases)-1].End
		var all [][]stretch
		for g := range p.Clients {
			for i := range p.Clients[g].Count {
				all = append(all, stretches(p, g, i))
				checkApart(t, all[len(all)-1], end)
			}
		}
		level := func(at time.Duration) float64 {
			measure := 0
			for _, phase := range phases {
				m := p.Phases.Measure[measure]
				c, ok := m.Clients["g"]
				switch {
				case at >= phase.End:
				case !ok:
					return float64(total)
				case !phase.Measured:
					return c.Level(0, m.Duration)
				default:
					return c.Level(at-phase.Start, m.Duration)
				}
				if phase.Measured {
					measure++
				}
			}
			return 0
		}
		for range 20 {
			at := time.Duration(rapid.Int64Range(0, int64(end)-1).Draw(t, "at"))
			n := 0
			for _, s := range all {
				if presentAt(s, at) {
					n++
				}
			}
			if want := min(max(level(at), 0), float64(total)); math.Abs(float64(n)-want) > 1.001 { // times are whole nanoseconds
				t.Fatalf("at %v %d clients are there; want about %v", at, n, want)
			}
		}
	})
}

// TestRanksKeepShares: the ranks of groups of one name are each number once, and evenly mixed.
func TestRanksKeepShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &scenarios.Plan{}
		total := 0
		for range rapid.IntRange(1, 4).Draw(t, "groups") {
			g := scenarios.ClientGroup{Name: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"), Count: rapid.IntRange(1, 20).Draw(t, "count")}
			p.Clients = append(p.Clients, g)
			if g.Name == "a" {
				total += g.Count
			}
		}
		seen := map[int]bool{}
		for i, g := range p.Clients {
			if g.Name != "a" {
				continue
			}
			for c := range g.Count {
				r := rank(p, i, c)
				if seen[r] || r < 0 || r >= total {
					t.Fatalf("client %d of group %d has the rank %d of %d, or another has it too", c, i, r, total)
				}
				seen[r] = true
				if share := (float64(c) + 0.5) / float64(g.Count) * float64(total); math.Abs(share-float64(r)) > float64(len(p.Clients)) {
					t.Fatalf("client %d of %d has the rank %d of %d; want about %v", c, g.Count, r, total, share)
				}
			}
		}
	})
}

// TestChurnHasItsMeans: over many clients session and away times have their means, the first session too, and an
// exponential's spread.
func TestChurnHasItsMeans(t *testing.T) {
	const clients = 400
	p := presencePlan(clients, scenarios.MeasurePhase{Name: "m", Duration: 1000 * time.Second})
	p.Clients[0].Churn = &scenarios.Churn{Session: 10 * time.Second, Away: 3 * time.Second}
	var sessions, away, first []float64
	for i := range clients {
		all := stretches(p, 0, i)
		if all[0].from != 0 {
			t.Fatalf("client %d comes at %v; want it there before the load", i, all[0].from)
		}
		first = append(first, all[0].to.Seconds())
		for k, s := range all {
			if k > 0 {
				away = append(away, (s.from - all[k-1].to).Seconds())
			}
			if s.to != forever && s.from < 900*time.Second { // longer ones are cut by the end
				sessions = append(sessions, (s.to - s.from).Seconds())
			}
		}
	}
	for _, c := range []struct {
		name string
		got  []float64
		want float64
	}{{"session", sessions, 10}, {"away", away, 3}, {"first session", first, 10}} {
		n, sum, squares := float64(len(c.got)), 0.0, 0.0
		for _, x := range c.got {
			sum += x
			squares += x * x
		}
		mean := sum / n
		if math.Abs(mean-c.want) > 5*c.want/math.Sqrt(n) {
			t.Errorf("%s: got a mean of %v over %v; want %v", c.name, mean, n, c.want)
		}
		// The deviation of an exponential's sample variance is about √(8/n) of it.
		if variance := squares/n - mean*mean; math.Abs(variance/(c.want*c.want)-1) > 5*math.Sqrt(8/n) {
			t.Errorf("%s: got a variance of %v; want %v", c.name, variance, c.want*c.want)
		}
	}
}

// TestChurnAndCurveTogether: a client is there while both say so, and the walk is the same again.
func TestChurnAndCurveTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := 10 * time.Second
		p := presencePlan(6, scenarios.MeasurePhase{Name: "m", Duration: length})
		p.Seed = rapid.Uint64().Draw(t, "seed")
		p.Clients[0].Churn = &scenarios.Churn{
			Session: time.Duration(rapid.Int64Range(1e8, 1e10).Draw(t, "session")), Away: time.Duration(rapid.Int64Range(1e6, 1e10).Draw(t, "away")),
		}
		client := rapid.IntRange(0, 5).Draw(t, "client")
		churned := stretches(p, 0, client)
		p.Phases.Measure[0].Clients = map[string]scenarios.Curve{"g": drawCountCurve(t, 6, length)}
		both := stretches(p, 0, client)
		p.Clients[0].Churn = nil
		levelled := stretches(p, 0, client)
		checkApart(t, both, length)
		for range 20 {
			at := time.Duration(rapid.Int64Range(0, int64(length)-1).Draw(t, "at"))
			if got, want := presentAt(both, at), presentAt(churned, at) && presentAt(levelled, at); got != want {
				t.Fatalf("at %v: got %v; want %v (%v of %v and %v)", at, got, want, both, churned, levelled)
			}
		}
	})
}
