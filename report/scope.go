package report

import (
	"math"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// scope is a selection of the run by label: the measure phases, or those of them that the filters of a threshold name.
type scope struct {
	phases          map[string]bool
	group, producer string // empty takes all
}

// measureScope is all measure phases of the plan, narrowed by a threshold's filters (nil takes all).
func measureScope(p *scenarios.Plan, filters map[string]string) scope {
	s := scope{phases: map[string]bool{}, group: filters["group"], producer: filters["producer"]}
	for _, m := range p.Phases.Measure {
		if only := filters["phase"]; only == "" || only == m.Name {
			s.phases[m.Name] = true
		}
	}
	return s
}

// has reports whether the label is within the scope. What is not split by a label that the scope filters by is not.
func (s scope) has(l results.Label) bool {
	return s.phases[l.Phase] && (s.group == "" || s.group == l.Group) && (s.producer == "" || s.producer == l.Producer)
}

// hasAnyPhase is has without regard to the phase: connecting belongs to no measure phase.
func (s scope) hasAnyPhase(l results.Label) bool {
	return (s.group == "" || s.group == l.Group) && (s.producer == "" || s.producer == l.Producer)
}

// classes sums the audit's rows within the scope. ok is false where there is no such row.
func (s scope) classes(a *results.Audit) (sum results.Classes, ok bool) {
	if a == nil {
		return sum, false
	}
	for _, row := range a.Rows {
		if s.has(results.Label{Phase: row.Phase, Group: row.Group, Producer: row.Producer}) {
			sum.Add(row.Classes)
			ok = true
		}
	}
	return sum, ok
}

// duration is the length of the scope's phases as planned.
func (s scope) duration(p *scenarios.Plan) time.Duration {
	var d time.Duration
	for _, m := range p.Phases.Measure {
		if s.phases[m.Name] {
			d += m.Duration
		}
	}
	return d
}

// plannedMessages is at least as many messages as the plan can send within the scope, group aside. It is not bounded
// where a sender is a closed loop.
func (s scope) plannedMessages(p *scenarios.Plan) (n int64, bounded bool) {
	return s.planned(p, func(scenarios.Producer) int64 { return 1 })
}

// plannedDeliveries is at least as many deliveries as the plan can cause within the scope, likewise.
func (s scope) plannedDeliveries(p *scenarios.Plan) (n int64, bounded bool) {
	return s.planned(p, func(producer scenarios.Producer) int64 { return s.largestFanOut(p, producer) })
}

func (s scope) planned(p *scenarios.Plan, times func(scenarios.Producer) int64) (n int64, bounded bool) {
	sum := 0.0
	for _, sender := range p.Senders() {
		if s.producer != "" && s.producer != sender.Name {
			continue
		}
		fanOut := float64(times(sender.Producer))
		if sender.Think != nil && fanOut > 0 {
			return 0, false
		}
		for _, m := range p.Phases.Measure {
			if s.phases[m.Name] {
				mean := p.RateIn(m, sender).Area(m.Duration, m.Duration)
				sum += largestCount(mean, sender) * fanOut
			}
		}
	}
	if sum >= math.MaxInt64/4 { // far from overflow in what is computed with it
		return math.MaxInt64 / 4, true
	}
	return int64(sum), true
}

// largestCount bounds the number of the sender's arrivals where mean are expected. Each of its clients rounds its own
// share up. A Poisson count lies within eight standard deviations of its mean but for once in 10^15, and the sum of
// several is one too.
func largestCount(mean float64, sender scenarios.Sender) float64 {
	n := math.Ceil(mean) + 1
	if sender.Clients > 1 {
		n += 2 * float64(sender.Clients)
	}
	if sender.Arrivals == scenarios.ArrivalsPoisson {
		n += math.Ceil(8*math.Sqrt(mean)) + 20
	}
	return n
}

// largestFanOut is the largest number of clients in the scope that one message of the producer goes to.
func (s scope) largestFanOut(p *scenarios.Plan, producer scenarios.Producer) int64 {
	keys := int64(p.KeyCount(producer.Topic))
	var sum int64
	for _, g := range p.Clients {
		count := int64(g.Count)
		switch {
		case g.Subscribe.Topic != producer.Topic || s.group != "" && s.group != g.Name:
		case g.Subscribe.All:
			sum += count
		case keys > 0:
			slots := count * min(int64(g.Subscribe.Keys), keys)
			sum += min(count, (slots+keys-1)/keys)
		}
	}
	return sum
}
