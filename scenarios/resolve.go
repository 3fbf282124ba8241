package scenarios

import (
	"slices"
	"strings"
	"time"
)

// Resolve returns the Plan of the scenario, with every default filled in, or all that its parts have against each
// other. It is pure: the same scenario gives the same Plan. The error is an [Errors].
func (s *Scenario) Resolve() (*Plan, error) {
	r := &reporter{source: s.source}
	p := s.resolve(r)
	if err := r.err(); err != nil {
		return nil, err
	}
	return p, nil
}

func (s *Scenario) resolve(r *reporter) *Plan {
	c := checker{reporter: r, s: s, p: s.fillIn()}
	if c.tooLong() {
		return c.p
	}
	c.kafka()
	c.gateway()
	c.producers()
	c.clients()
	c.subscriptions()
	c.phases()
	c.rates()
	c.thresholds()
	c.audit()
	c.sendBuffer()
	return c.p
}

// checker checks what the parts of a scenario have to do with each other. Where a part is wrong by itself, which has
// been reported, what depends on it is not checked: one mistake gives one message.
type checker struct {
	*reporter
	s *Scenario
	p *Plan
}

const (
	onlyExternalKafka = "is for provider: external alone (remove it, or write provider: external)"
	onlyDocker        = "is for provider: docker alone (remove it, or write provider: docker)"
	onlyEmbedded      = "is for provider: embedded alone (remove it)"
	onlyReference     = "is for target: reference alone, weir's own gateway (remove it)"
	onlyExternal      = "is for target: external alone (remove it, or write target: external)"
)

// tooLong reports lists longer than any scenario needs, which the checks, quadratic in places, are not to be run on.
func (c checker) tooLong() bool {
	const most = 256
	s, long := c.s, false
	for _, l := range []struct {
		at     place
		length int
	}{
		{s.kafka.topics.at, len(s.kafka.topics.items)},
		{s.producers.at, len(s.producers.items)},
		{s.clients.at, len(s.clients.items)},
		{s.phases.measure.at, len(s.phases.measure.items)},
		{s.thresholds.at, len(s.thresholds.items)},
	} {
		if l.length > most {
			c.addf(l.at, "%d are too many (at most %d)", l.length, most)
			long = true
		}
	}
	return long
}

// refuse reports a value that has no meaning here.
func refuse[T any](c checker, f field[T], message string) {
	if f.state != absent {
		c.addf(f.at, "%s", message)
	}
}

func (c checker) kafka() {
	k := c.s.kafka
	if k.provider.state == bad || k.at == (place{}) {
		return
	}
	if c.p.Kafka.Provider == ProviderExternal {
		refuse(c, k.brokers, "is for clusters that weir starts; an external one has the brokers it has (remove it)")
		if k.seeds.state == absent {
			c.addf(k.at.under("seeds"), "is missing: an external cluster must be named (write seeds: [127.0.0.1:9092])")
		}
	} else {
		refuse(c, k.seeds, onlyExternalKafka)
	}
	if c.p.Kafka.Provider != ProviderDocker {
		refuse(c, k.image, onlyDocker)
	}
	for i, t := range k.topics.items {
		c.topic(t, c.p.Kafka.Topics[i])
	}
	c.collisions()
}

func (c checker) topic(t topicItem, p Topic) {
	k := c.p.Kafka
	if k.Provider != ProviderEmbedded && !p.Existing {
		refuse(c, t.retention, onlyEmbedded)
	}
	if p.Existing {
		if k.Provider != ProviderExternal {
			c.addf(t.existing.at, "a cluster that weir starts has no topics yet (remove it, or write provider: external)")
		}
		if t.partitions.state == absent {
			c.addf(t.at.under("partitions"), "is missing: weir must know how many an existing topic has (write partitions: 6)")
		}
		const keeps = "an existing topic keeps what it has (remove it)"
		refuse(c, t.replication, keeps)
		refuse(c, t.minISR, keeps)
		refuse(c, t.retention, keeps)
		return
	}
	if k.Provider != ProviderExternal && p.Replication > k.Brokers && c.s.kafka.brokers.state != bad {
		c.addf(t.replication.at, "%d replicas need as many brokers, and the cluster has %d (write replication: %d, or brokers: %d)",
			p.Replication, k.Brokers, k.Brokers, p.Replication)
	}
	if p.MinISR > p.Replication && t.replication.state != bad {
		c.addf(t.minISR.at, "%d in sync are more than replication: %d gives (write min_isr: %d)", p.MinISR, p.Replication, p.Replication)
	}
}

// collisions reports topics whose names differ in points and underscores alone: Kafka refuses the second, since its
// metrics write both as underscores.
func (c checker) collisions() {
	seen := map[string]string{}
	for _, t := range c.s.kafka.topics.items {
		if t.name.state != given {
			continue
		}
		metricName := strings.ReplaceAll(t.name.value, ".", "_")
		if first, ok := seen[metricName]; ok {
			c.addf(t.name.at, "%s and %s are one name to Kafka's metrics, so it refuses the second (choose another name)",
				quote(t.name.value), quote(first))
		}
		seen[metricName] = t.name.value
	}
}

func (c checker) gateway() {
	g := c.s.gateway
	switch {
	case g.target.state == bad:
	case c.p.Gateway.Target == TargetExternal:
		if g.url.state == absent {
			c.addf(g.at.under("url"), "is missing: an external gateway must be named (write url: ws://127.0.0.1:8080/ws)")
		}
		refuse(c, g.listen, onlyReference)
		refuse(c, g.queue, onlyReference)
		refuse(c, g.slow, onlyReference)
	default:
		refuse(c, g.url, onlyExternal)
	}
}

// knownTopic reports a reference to a topic that the scenario does not declare.
func (c checker) knownTopic(f field[string]) {
	if f.state != given || c.s.kafka.topics.state != given || c.p.Topic(f.value) != nil {
		return
	}
	var names []string
	for _, t := range c.p.Kafka.Topics {
		names = append(names, t.Name)
	}
	c.addf(f.at, "there is no topic %s under kafka.topics%s", quote(f.value), didYouMean(f.value, names))
}

func (c checker) producers() {
	for _, producer := range c.s.producers.items {
		c.knownTopic(producer.topic)
	}
}

func (c checker) clients() {
	total, ramp := 0, time.Duration(0)
	for i, group := range c.s.clients.items {
		before := total
		total += group.count.value
		if before <= maxClients && total > maxClients {
			c.addf(group.count.at, "makes %d clients in all, and one process carries %d: a connection takes a descriptor, a process "+
				"has 20000 where the limit is not raised, and the rest are for Kafka and files (write at most %d)",
				total, maxClients, max(maxClients-before, 0))
		}
		p := c.p.Clients[i]
		ramp = max(ramp, time.Duration(float64(p.Count)/p.ConnectRate*float64(time.Second)))
	}
	if connect := c.s.phases.connect; connect.state == given && ramp > connect.value {
		c.addf(connect.at, "is not enough: connecting takes %s at the groups' connect_rate (write %s)",
			formatDuration(ramp), formatDuration((ramp + 10*time.Second).Round(time.Second)))
	}
}

// subscriptions checks each group against the producers of its topic.
func (c checker) subscriptions() {
	unsure := func(p producerItem) bool { return p.topic.state != given || p.keys.state == bad }
	known := c.s.producers.state != absent && !slices.ContainsFunc(c.s.producers.items, unsure) && len(c.s.producers.items) > 0
	for _, group := range c.s.clients.items {
		c.knownTopic(group.topic)
		if known && group.topic.state == given && (c.s.kafka.topics.state != given || c.p.Topic(group.topic.value) != nil) {
			c.subscription(group)
		}
	}
}

func (c checker) subscription(group clientItem) {
	topic := group.topic.value
	var written []string
	for _, p := range c.p.Producers {
		if !slices.Contains(written, p.Topic) {
			written = append(written, p.Topic)
		}
	}
	keys := c.p.KeyCount(topic)
	switch {
	case !slices.Contains(written, topic):
		c.addf(group.topic.at, "no producer writes to %s, so these clients would receive nothing (subscribe to %s, or add a producer)",
			quote(topic), alternatives(written))
	case group.keys.state != given || group.keys.value == allKeys:
	case keys == 0:
		c.addf(group.keys.at, "the producers of %s write no keys (write keys: all, or give a producer keys: {kind: round-robin, count: 50})", quote(topic))
	case group.keys.value > keys:
		c.addf(group.keys.at, "%d keys are more than the %d that %s has (write at most %d, or all)", group.keys.value, keys, quote(topic), keys)
	}
}

func (c checker) phases() {
	p := c.p.Phases
	total := p.WarmUp
	for _, m := range p.Measure {
		total += m.Duration
		if total > maxDuration {
			c.addf(c.s.phases.measure.at, "the phases come to more than %s (make them shorter)", formatDuration(maxDuration))
			return
		}
	}
}

// rates checks the phases' rates by producer, and what they sum up to.
func (c checker) rates() {
	var names []string
	for _, p := range c.p.Producers {
		names = append(names, p.Name)
	}
	for i, m := range c.s.phases.measure.items {
		for _, r := range m.rates {
			if c.s.producers.state == given && !slices.Contains(names, r.producer) {
				c.addf(r.keyAt, "there is no producer %s%s", quote(r.producer), didYouMean(r.producer, names))
			}
		}
		total := 0.0
		phase := c.p.Phases.Measure[i]
		for _, sender := range c.p.Senders() {
			total += c.p.RateIn(phase, sender).Peak(phase.Duration)
		}
		if total > maxRate {
			c.addf(m.at, "the producers' rates come to %s in this phase (at most %s in all)", formatRate(total), formatRate(maxRate))
		}
	}
}

// thresholds checks that what they filter by exists.
func (c checker) thresholds() {
	names := map[string][]string{}
	for _, g := range c.p.Clients {
		names["group"] = append(names["group"], g.Name)
	}
	for _, p := range c.p.Producers {
		names["producer"] = append(names["producer"], p.Name)
	}
	for _, m := range c.p.Phases.Measure {
		names["phase"] = append(names["phase"], m.Name)
	}
	states := map[string]fieldState{
		"group": c.s.clients.state, "producer": c.s.producers.state, "phase": c.s.phases.measure.state,
	}
	for _, t := range c.s.thresholds.items {
		for _, l := range t.check.value.labels {
			if states[l.name] == given && !slices.Contains(names[l.name], l.value) {
				c.unknownLabel(t.check.at.right(l.offset), l, names[l.name])
			}
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

// maxSendBuffer bounds what the producers together may hold while the brokers stall.
const maxSendBuffer = 4 << 30

// sendBuffer refuses a plan whose send buffers could outgrow the memory: the schedule is kept by buffering what a stalled
// broker does not take.
func (c checker) sendBuffer() {
	need := c.p.Cost().SendBufferBytes
	if need > maxSendBuffer && c.s.producers.state == given {
		c.addf(c.s.producers.at, "the producers' buffers need %s to outlast their longest stall, and %s is the limit "+
			"(a shorter stall, a lower rate or smaller values)", formatSize(need), formatSize(maxSendBuffer))
	}
}

func (c checker) audit() {
	need, limit := auditBytes(c.p), c.p.Audit.MemoryBytes
	if need > limit && c.s.clients.state == given {
		c.addf(c.s.clients.at, "the delivery audit of these clients' streams needs %s of memory, and %s is the limit "+
			"(fewer clients, partitions or producers, or keys: N instead of all)", formatSize(need), formatSize(limit))
	}
}
