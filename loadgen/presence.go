package loadgen

import (
	"math"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// stretch is a time since the load's beginning, from included and to not.
type stretch struct{ from, to time.Duration }

// forever ends a stretch that lasts through the drain.
const forever = time.Duration(math.MaxInt64)

func (s stretch) empty() bool { return s.from >= s.to }

// purposeChurn has the random numbers of session and away times; it is none of random.go's.
const purposeChurn = 0x40

// presence walks the stretches in which one client is connected, in order and apart from each other. It is arithmetic
// on the plan. A client whose first stretch begins at 0 is there before the load; one that is there when the load ends
// stays through the drain, and one that is away then stays away, but where its group resumes: swarm.stayForDrain.
type presence struct {
	level levelWalk
	churn churnWalk
	end   time.Duration // of the load
	// The stretches that the walks stand at, and what was found beyond the last that was handed out.
	here, stays stretch
	ahead       stretch
	began, over bool
}

// newPresence returns the walk of a client of the plan's group with the given index.
func newPresence(p *scenarios.Plan, phases []LoadPhase, group, client int) *presence {
	return &presence{
		level: newLevelWalk(p, phases, group, client),
		churn: newChurnWalk(p, group, client),
		end:   phases[len(phases)-1].End,
	}
}

// next returns the next stretch; ok is false where there is none.
func (p *presence) next() (s stretch, ok bool) {
	if !p.began {
		p.began = true
		p.ahead = p.common()
	}
	s = p.ahead
	if s.empty() || s.from >= p.end {
		return stretch{}, false
	}
	for {
		p.ahead = p.common()
		if p.ahead.empty() || p.ahead.from > s.to {
			break
		}
		s.to = p.ahead.to
	}
	if s.to >= p.end {
		s.to = forever
	}
	return s, true
}

// common returns the next stretch that lies in one of both walks, an empty one where there is none.
func (p *presence) common() stretch {
	for !p.over {
		if p.here.empty() {
			if p.here, p.over = p.level.next(); p.over {
				break
			}
		}
		if p.stays.empty() {
			p.stays = p.churn.next()
		}
		both := stretch{max(p.here.from, p.stays.from), min(p.here.to, p.stays.to)}
		if p.here.to <= p.stays.to {
			p.here = stretch{}
		} else {
			p.stays = stretch{}
		}
		if !both.empty() {
			return both
		}
	}
	return stretch{}
}

// churnWalk walks a client's sessions: exponentially distributed times there and away, the first session from the load's
// beginning on. Of a session that began before, what remains is exponential too.
type churnWalk struct {
	churn *scenarios.Churn
	draw  draw
	n     uint64
	at    time.Duration
}

func newChurnWalk(p *scenarios.Plan, group, client int) churnWalk {
	return churnWalk{churn: p.Clients[group].Churn, draw: newDraw(p.Seed, group<<24|client, purposeChurn)}
}

func (w *churnWalk) next() stretch {
	if w.churn == nil {
		return stretch{0, forever}
	}
	s := stretch{from: w.at, to: w.after(w.churn.Session)}
	w.at = s.to
	w.at = w.after(w.churn.Away)
	return s
}

// after returns the end of an exponentially distributed time of the given mean from at on: at least a nanosecond.
func (w *churnWalk) after(mean time.Duration) time.Duration {
	span := -math.Log1p(-w.draw.unit(w.n)) * float64(mean)
	w.n++
	if span >= float64(forever-w.at) {
		return forever
	}
	return w.at + max(time.Duration(span), 1)
}

// levelWalk walks the stretches in which the group's number of clients is above the client's rank.
type levelWalk struct {
	phases []levelPhase
	rank   float64
	phase  int
	nth    int
}

type levelPhase struct {
	curve  scenarios.Curve
	start  time.Duration
	length time.Duration
}

func newLevelWalk(p *scenarios.Plan, phases []LoadPhase, group, client int) levelWalk {
	w := levelWalk{rank: float64(rank(p, group, client))}
	measure := 0
	for _, phase := range phases {
		m := p.Phases.Measure[measure]
		curve, ok := m.Clients[p.Clients[group].Name]
		switch {
		case !ok:
			curve = scenarios.Hold(math.Inf(1))
		case !phase.Measured:
			curve = scenarios.Hold(curve.Level(0, m.Duration))
		}
		if phase.Measured {
			measure++
		}
		w.phases = append(w.phases, levelPhase{curve, phase.Start, phase.End - phase.Start})
	}
	return w
}

// next returns the next stretch; over tells that there is none.
func (w *levelWalk) next() (s stretch, over bool) {
	for ; w.phase < len(w.phases); w.phase, w.nth = w.phase+1, 0 {
		p := &w.phases[w.phase]
		for {
			s, ok := above(p.curve, p.length, w.rank, w.nth)
			w.nth++
			if !ok {
				break
			}
			if s.from, s.to = max(s.from, 0), min(s.to, p.length); !s.empty() {
				return stretch{p.start + s.from, p.start + s.to}, false
			}
		}
	}
	return stretch{}, true
}

// above returns the n-th stretch of a phase in which the curve lies above the rank, perhaps beyond the phase's ends; ok is
// false where no further one begins within it.
func above(c scenarios.Curve, length time.Duration, rank float64, n int) (s stretch, ok bool) {
	whole := stretch{0, length}
	switch c.Kind {
	case scenarios.CurveRamp:
		return monotonic(whole, c.From > rank, c.To > rank, func() time.Duration {
			return time.Duration((rank - c.From) / (c.To - c.From) * float64(length))
		}), n == 0
	case scenarios.CurveSteps:
		return monotonic(whole, c.From > rank, c.To > rank, func() time.Duration { return stepAcross(c, length, rank) }), n == 0
	case scenarios.CurveSpike:
		spike := stretch{min(c.At, length), min(c.At+c.For, length)}
		around := []stretch{{0, spike.from}, spike, {spike.to, length}}
		if n >= len(around) {
			return stretch{}, false
		}
		if c.Level(around[n].from, length) > rank {
			return around[n], true
		}
		return stretch{}, true
	case scenarios.CurveSine:
		if c.Period > 0 && c.From != c.To {
			return aboveSine(c, length, rank, n)
		}
	}
	return monotonic(whole, c.From > rank, c.From > rank, nil), n == 0
}

// monotonic returns the part of a stretch in which a curve that only rises or only falls is above a level, from whether
// it is so at both ends and when it crosses.
func monotonic(whole stretch, first, last bool, crossing func() time.Duration) stretch {
	switch {
	case first && last:
		return whole
	case first:
		return stretch{whole.from, crossing()}
	case last:
		return stretch{crossing(), whole.to}
	}
	return stretch{}
}

// stepAcross returns when steps go across the rank.
func stepAcross(c scenarios.Curve, length time.Duration, rank float64) time.Duration {
	width := float64(length) / float64(c.Steps)
	for i := 1; i < c.Steps; i++ {
		middle := time.Duration((float64(i) + 0.5) * width)
		if (c.Level(middle, length) > rank) != (c.From > rank) {
			return time.Duration(math.Ceil(float64(i) * width))
		}
	}
	return length
}

// aboveSine: sin θ is above s from arcsin s to π − arcsin s, and below it from there to 2π + arcsin s, each turn.
func aboveSine(c scenarios.Curve, length time.Duration, rank float64, n int) (stretch, bool) {
	swing := c.To - c.From
	s := (rank - c.From) / swing
	switch {
	case swing > 0 && s >= 1 || swing < 0 && s <= -1:
		return stretch{}, false
	case swing > 0 && s < -1 || swing < 0 && s > 1:
		return stretch{0, length}, n == 0
	}
	asin := math.Asin(s)
	from, to, turn := asin, math.Pi-asin, float64(n)
	if swing < 0 {
		from, to, turn = math.Pi-asin, 2*math.Pi+asin, float64(n-1)
	}
	at := func(angle float64) float64 { return (turn + angle/(2*math.Pi)) * float64(c.Period) }
	if at(from) >= float64(length) {
		return stretch{}, false
	}
	return stretch{time.Duration(at(from)), time.Duration(min(at(to), float64(length)))}, true
}

// rank orders the clients of all groups of one name: those below the level of the group's number of clients are there. A
// group's clients are spread evenly over the ranks, so that groups of one name keep their shares at every level.
func rank(p *scenarios.Plan, group, client int) int {
	g := &p.Clients[group]
	n := client
	for i := range p.Clients {
		other := &p.Clients[i]
		if i == group || other.Name != g.Name {
			continue
		}
		// Client m of the other comes first where (m + ½)/other.Count < (client + ½)/g.Count, and the earlier group where
		// both are equal.
		x := (2*client + 1) * other.Count
		if i > group {
			x--
		}
		n += (x/g.Count + 1) / 2
	}
	return n
}

// varies reports whether clients of the group come or go by the plan.
func varies(p *scenarios.Plan, group int) bool {
	if p.Clients[group].Churn != nil {
		return true
	}
	for _, m := range p.Phases.Measure {
		if _, ok := m.Clients[p.Clients[group].Name]; ok {
			return true
		}
	}
	return false
}
