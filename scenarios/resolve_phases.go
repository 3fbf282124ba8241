package scenarios

import (
	"slices"
	"strings"
)

func (c checker) phases() {
	p := c.p.Phases
	total := p.WarmUp
	for _, m := range p.Measure {
		total += m.Duration
		if total > maxDuration {
			c.addf(c.s.phases.measure.at, "the phases come to more than %s (make them shorter; no flag lifts that: %s)", formatDuration(maxDuration), whyMax)
			return
		}
	}
	if total > usualDuration && !c.s.lift {
		c.addf(c.s.phases.measure.at, "the phases come to %s with the warm-up, and %s is the limit (make them shorter; %s)",
			formatDuration(total), formatDuration(usualDuration), liftsLimits)
	}
}

// rates checks the phases' rates by producer, and what they sum up to.
func (c checker) rates() {
	var names []string
	think := map[string]bool{}
	for _, p := range c.p.Senders() {
		names = append(names, p.Name)
		think[p.Name] = p.Think != nil
	}
	for i, m := range c.s.phases.measure.items {
		phase := c.p.Phases.Measure[i]
		for _, r := range m.rates {
			known := slices.Contains(names, r.name)
			switch {
			case !known && c.s.producers.state != bad && c.s.clients.state != bad && len(names) > 0:
				c.addf(r.keyAt, "there is no producer %s%s", quote(r.name), didYouMean(r.name, names))
			case known && think[r.name]:
				c.addf(r.keyAt, "sends after think times and has no rate (remove it, or give it a rate instead of think)")
			case r.curve.state == given && r.curve.value.Kind == CurveSpike && m.duration.state == given && r.curve.value.At >= phase.Duration:
				c.addf(r.curve.at, "has its spike at %s, and the phase is %s long (write at: %s)",
					formatDuration(r.curve.value.At), formatDuration(phase.Duration), formatDuration(phase.Duration/2))
			}
		}
		c.totalRate(m, phase)
	}
}

// totalRate checks what the rates of a phase sum up to.
func (c checker) totalRate(m measureItem, phase MeasurePhase) {
	total := 0.0
	for _, sender := range c.p.Senders() {
		total += c.p.RateIn(phase, sender).Peak(phase.Duration)
	}
	switch {
	case total > maxRate:
		c.addf(m.at, "the producers' rates come to %s in this phase (at most %s in all; no flag lifts that: %s)",
			formatRate(total), formatRate(maxRate), whyMax)
	case total > usualRate && !c.s.lift:
		c.addf(m.at, "the producers' rates come to %s in this phase, and %s in all is the limit (lower them; %s)",
			formatRate(total), formatRate(usualRate), liftsLimits)
	}
}

// phaseClients checks the phases' numbers of clients against their groups.
func (c checker) phaseClients() {
	var names []string
	groups := map[string]clientItem{}
	for _, g := range c.s.clients.items {
		if g.name.state == given {
			names, groups[g.name.value] = append(names, g.name.value), g
		}
	}
	for i, m := range c.s.phases.measure.items {
		for _, item := range m.clients {
			group, ok := groups[item.name]
			peak := item.curve.value.Peak(c.p.Phases.Measure[i].Duration)
			switch {
			case !ok && c.s.clients.state == given:
				c.addf(item.keyAt, "there is no group %s%s", quote(item.name), didYouMean(item.name, names))
			case !ok:
			case group.publish != nil:
				c.addf(item.keyAt, "publishes, and its number stays (give the clients that come and go a group of their own)")
			case group.weighted:
				c.addf(item.keyAt, "has weighted subscriptions, and its number stays (make a group of each subscription)")
			case item.curve.state == given && group.count.state == given && peak > float64(group.count.value):
				c.addf(item.curve.at, "goes up to %d, and the group has %d clients (write at most %d, or count: %d)",
					int(peak), group.count.value, group.count.value, int(peak))
			}
		}
	}
}

// thresholds checks that what they filter by exists.
func (c checker) thresholds() {
	names := map[string][]string{}
	for _, g := range c.p.Clients {
		names["group"] = append(names["group"], g.Name)
	}
	for _, p := range c.p.Senders() {
		names["producer"] = append(names["producer"], p.Name)
	}
	for _, m := range c.p.Phases.Measure {
		names["phase"] = append(names["phase"], m.Name)
	}
	states := map[string]fieldState{
		"group": c.s.clients.state, "producer": max(c.s.producers.state, c.s.clients.state), "phase": c.s.phases.measure.state,
	}
	for _, t := range c.s.thresholds.items {
		for _, l := range t.check.value.labels {
			if states[l.name] == given && !slices.Contains(names[l.name], l.value) {
				c.unknownLabel(t.check.at.right(l.offset), l, names[l.name])
			}
		}
		if t.check.state == given {
			c.figureExists(t.check)
		}
	}
}

// figureExists refuses thresholds on what this scenario never measures: they could neither fail nor hold.
func (c checker) figureExists(check field[parsedThreshold]) {
	name, stat := check.value.Subject()
	anyGroup := func(has func(clientItem) bool) bool {
		return c.s.clients.state != given || slices.ContainsFunc(c.s.clients.items, has)
	}
	isSlow := func(g clientItem) bool { return g.slow.state != absent }
	switch {
	case strings.HasPrefix(name, "gateway_") && resourceMetric(name) && c.s.gateway.target.state != bad && c.p.Gateway.Target == TargetExternal &&
		c.s.gateway.usage.state == absent:
		c.addf(check.at, "%s is not known of a gateway that weir did not start (remove it, or say by gateway.usage where it is read)", check.value.Metric)
	case strings.HasPrefix(name, "kafka_") && resourceMetric(name) && c.s.kafka.provider.state != bad && c.p.Kafka.Provider == ProviderExternal:
		c.addf(check.at, "%s is not known of a cluster that weir did not start (remove it)", check.value.Metric)
	case name == "round_trip" && !anyGroup(func(g clientItem) bool { return g.publish != nil }):
		c.addf(check.at, "%s.%s is of what a client published itself, and no group publishes (write e2e.%s)", name, stat, stat)
	case name == "e2e_slow" && !anyGroup(isSlow):
		c.addf(check.at, "%s.%s is of clients that read slowly, and no group is slow (write e2e.%s)", name, stat, stat)
	case name == "e2e" || name == "e2e_uncorrected":
		group := check.value.Filters["group"]
		i := slices.IndexFunc(c.s.clients.items, func(g clientItem) bool { return g.name.value == group })
		if group != "" && i >= 0 && isSlow(c.s.clients.items[i]) {
			c.addf(check.at, "the clients of %s read slowly, and their latencies are kept apart (write e2e_slow{group=%s}.%s)", group, group, stat)
		}
	}
}

func (c checker) unknownLabel(at place, l thresholdLabel, names []string) {
	if l.name == "phase" && slices.Contains([]string{PhaseConnect, PhaseWarmUp, PhaseDrain, "join"}, l.value) {
		c.addf(at, "the phase %s is not measured (write phase=%s)", l.value, strings.Join(names[:1], ""))
		return
	}
	c.addf(at, "there is no %s %s%s", l.name, quote(l.value), didYouMean(l.value, names))
}
