package report

import (
	"fmt"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// publications is what the topics as read back say of a run in which clients publish and nobody reads: no delivery is
// expected of it, and what they published is all that was tested.
type publications struct {
	tested  bool
	acked   int64 // by the gateway, warm-up included
	inTopic int64
}

// publicationsOf is not tested where a group subscribes, no client published in the measure phases, or a topic could not
// be read back in full.
func publicationsOf(p *scenarios.Plan, e *evidence, audit *results.Audit) (sum publications) {
	if audit == nil {
		return publications{}
	}
	for _, g := range p.Clients {
		if g.Subscribe.Topic != "" {
			return publications{}
		}
	}
	seen := map[string]bool{}
	for _, s := range p.Senders() {
		if s.Group < 0 || seen[s.Name] {
			continue
		}
		seen[s.Name] = true
		within := measureScope(p, map[string]string{"producer": s.Name})
		ref, complete := reference(audit, s.Name)
		if !complete || ref.Source == "none" {
			return publications{}
		}
		if e.count(results.CountSent, within.has) > 0 && ref.Sent > 0 {
			sum.tested = true
		}
		sum.acked += ref.Acked
		sum.inTopic += ref.InTopic
	}
	return sum
}

// sentence says of a run that passed what stands in the topic.
func (p publications) sentence() string {
	switch p.acked {
	case 0:
		return fmt.Sprintf("%s in the topic, none of them acknowledged", pluralStand(p.inTopic, "publication"))
	case 1:
		return "the one acknowledged publication stands in the topic"
	}
	return fmt.Sprintf("all %s stand in the topic", plural(p.acked, "acknowledged publication"))
}

func pluralStand(n int64, noun string) string {
	if n == 1 {
		return plural(n, noun) + " stands"
	}
	return plural(n, noun) + " stand"
}
