package scenarios

import (
	"math"
	"time"
)

// backInTime refuses a drain too short for those of a group who are away when the load ends: they come back for what they
// missed, at the group's connect rate.
func (c checker) backInTime(group clientItem) {
	if group.state == bad || c.s.phases.measure.state == bad {
		return
	}
	away, took := 0.0, 0.0
	for i := range c.p.Clients {
		if g := &c.p.Clients[i]; g.Name == group.name.value && c.p.Resumes(i) && g.ConnectRate > 0 {
			n := float64(g.Count) * (1 - c.p.thereAtEnd(g))
			away += n
			took = max(took, n/g.ConnectRate) // its parts come at the same time
		}
	}
	back := time.Duration(math.Min(took, maxDuration.Seconds()) * float64(time.Second))
	drain := c.s.phases.drain
	if drain.state == bad || back <= c.p.Phases.DrainDeadline {
		return
	}
	if drain.state == given {
		c.addf(drain.at, "is not enough: about %.0f of %s are away when the load ends, and coming back takes them %s at their connect_rate (write %s)",
			away, quote(group.name.value), formatDuration(back.Round(time.Second)), formatDuration((back + 10*time.Second).Round(time.Second)))
		return
	}
	c.addf(group.resume.at, "leaves about %.0f clients away when the load ends, and coming back takes them %s at their connect_rate, longer than the drain "+
		"(write phases.drain: {deadline: %s})", away, formatDuration(back.Round(time.Second)), formatDuration((back + 10*time.Second).Round(time.Second)))
}

// thereAtEnd is the share of a group's clients that is to be expected there when the load ends.
func (p *Plan) thereAtEnd(g *ClientGroup) float64 {
	share := g.presence()
	if len(p.Phases.Measure) == 0 {
		return share
	}
	last := p.Phases.Measure[len(p.Phases.Measure)-1]
	all := 0
	for i := range p.Clients {
		if p.Clients[i].Name == g.Name {
			all += p.Clients[i].Count
		}
	}
	if curve, ok := last.Clients[g.Name]; ok && all > 0 {
		share *= min(1, max(0, curve.Level(last.Duration, last.Duration))/float64(all))
	}
	return share
}
