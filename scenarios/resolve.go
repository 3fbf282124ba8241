package scenarios

import (
	"slices"
	"strings"
	"time"
)

// Resolve returns the Plan of the scenario, with every default filled in, or all that its parts have against each
// other. It is pure: the same scenario gives the same Plan. The error is an [Errors].
func (s *Scenario) Resolve() (*Plan, error) {
	r := newReporter(s.source)
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
	c.registry()
	c.clients()
	c.names()
	c.publishing()
	c.subscriptions()
	c.conflation()
	c.resuming()
	c.phases()
	c.rates()
	c.phaseClients()
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
)

// tooLong reports lists longer than any scenario needs, which the checks, quadratic in places, are not to be run on.
func (c checker) tooLong() bool {
	const most = 256
	s, long := c.s, false
	type counted struct {
		at     place
		length int
	}
	subscriptions := 0
	for _, g := range s.clients.items {
		subscriptions += max(len(g.subscribe), 1)
	}
	lists := []counted{
		{s.kafka.topics.at, len(s.kafka.topics.items)},
		{s.producers.at, len(s.producers.items)},
		{s.clients.at, subscriptions},
		{s.phases.measure.at, len(s.phases.measure.items)},
		{s.thresholds.at, len(s.thresholds.items)},
		{s.gateway.at.under("conflate"), len(s.gateway.conflate)},
	}
	for _, m := range s.phases.measure.items {
		lists = append(lists, counted{m.at, max(len(m.rates), len(m.clients))})
	}
	for _, l := range lists {
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
		refuse(c, k.tls, onlyExternalKafka)
		refuse(c, k.sasl, onlyExternalKafka)
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
		c.spikeHappens(producer.name.value, producer.rate)
	}
}

// spikeHappens refuses a spike that begins after the end of each phase that it could be in.
func (c checker) spikeHappens(name string, rate field[Curve]) {
	if rate.state != given || rate.value.Kind != CurveSpike || c.s.phases.measure.state != given {
		return
	}
	longest := time.Duration(0)
	for _, m := range c.p.Phases.Measure {
		if _, own := m.Rates[name]; !own {
			longest = max(longest, m.Duration)
		}
	}
	if longest > 0 && rate.value.At >= longest {
		c.addf(rate.at, "has its spike at %s, and no phase is longer than %s (write at: %s)",
			formatDuration(rate.value.At), formatDuration(longest), formatDuration(longest/2))
	}
}

func (c checker) clients() {
	total, ramp := 0, time.Duration(0)
	for _, group := range c.s.clients.items {
		before := total
		total += group.count.value
		switch {
		case c.tooMany(group, before, total):
		case !c.s.lift && before <= usualClients && total > usualClients:
			c.addf(group.count.at, "makes %d clients in all, and %d is the limit (write at most %d; %s)",
				total, usualClients, max(usualClients-before, 0), liftsLimits)
		}
		rate := group.connectRate.or(defaultConnectRate)
		ramp = max(ramp, time.Duration(float64(group.count.value)/rate*float64(time.Second)))
		c.weights(group)
	}
	if connect := c.s.phases.connect; connect.state == given && ramp > connect.value {
		c.addf(connect.at, "is not enough: connecting takes %s at the groups' connect_rate (write %s)",
			formatDuration(ramp), formatDuration((ramp + 10*time.Second).Round(time.Second)))
	}
}

// weights refuses weights so small that no client would follow.
func (c checker) weights(group clientItem) {
	if !group.weighted || group.state == bad {
		return
	}
	weights := make([]float64, len(group.subscribe))
	for i, sub := range group.subscribe {
		weights[i] = sub.weight.value
	}
	for i, n := range apportion(group.count.value, weights) {
		if n == 0 {
			c.addf(group.subscribe[i].weight.at, "gives none of the %d clients (a larger weight, or more clients)", group.count.value)
		}
	}
}

// names checks that producers and publishing clients have names of their own: figures are told apart by them.
func (c checker) names() {
	taken := map[string]bool{}
	for _, p := range c.s.producers.items {
		taken[p.name.value] = p.name.state == given
	}
	for _, group := range c.s.clients.items {
		b := group.publish
		if b == nil {
			continue
		}
		name, at := b.name, b.name.at
		if name.state == absent {
			name, at = group.name, b.at
		}
		if name.state == given && taken[name.value] {
			c.addf(at, "%s is the name of another producer already (write name: %s-clients)", quote(name.value), name.value)
		}
		taken[name.value] = taken[name.value] || name.state == given
	}
}

// publishing checks the groups that publish.
func (c checker) publishing() {
	for _, group := range c.s.clients.items {
		b := group.publish
		if b == nil {
			continue
		}
		const own = "is not for a group that publishes (give those clients a group of their own)"
		refuse(c, group.churn, own)
		refuse(c, group.slow, own)
		if group.weighted {
			c.addf(group.subscribeAt, "a list %s", own)
		}
		c.knownTopic(b.topic)
		profile := c.s.gateway.profile
		if profile.state != bad && c.s.gateway.target.state != bad && c.p.Gateway.Profile.Publish == nil {
			c.addf(b.at, "needs a gateway that clients can publish through, and the profile %s has no publish (write profile: reference, or one with publish)",
				quote(c.p.Gateway.Profile.Name))
		}
		if b.keys.state == given && group.count.state == given && b.keys.value > group.count.value {
			c.addf(b.keys.at, "%d keys are more than the %d clients write to, one each (write at most %d)",
				b.keys.value, group.count.value, group.count.value)
		}
		name := b.name.or(group.name.value)
		c.spikeHappens(name, b.rate)
	}
}

// subscriptions checks each group against the senders to its topic.
func (c checker) subscriptions() {
	known := c.sendersKnown() && len(c.p.Senders()) > 0
	for _, group := range c.s.clients.items {
		for _, sub := range group.subscribe {
			c.knownTopic(sub.topic)
			if known && sub.topic.state == given && (c.s.kafka.topics.state != given || c.p.Topic(sub.topic.value) != nil) {
				c.subscription(sub)
			}
		}
	}
}

// sendersKnown says whether all that writes to topics, and its keys, is known for sure.
func (c checker) sendersKnown() bool {
	unsure := func(p producerItem) bool { return p.topic.state != given || p.keys.state == bad }
	unsureGroup := func(g clientItem) bool {
		return g.publish != nil && (g.publish.topic.state != given || g.publish.keys.state == bad)
	}
	return !slices.ContainsFunc(c.s.producers.items, unsure) && !slices.ContainsFunc(c.s.clients.items, unsureGroup)
}

func (c checker) subscription(sub subscribeItem) {
	topic := sub.topic.value
	var written []string
	for _, p := range c.p.Senders() {
		if !slices.Contains(written, p.Topic) {
			written = append(written, p.Topic)
		}
	}
	keys := c.p.KeyCount(topic)
	switch {
	case !slices.Contains(written, topic):
		c.addf(sub.topic.at, "no producer writes to %s, so these clients would receive nothing (subscribe to %s, or add a producer)",
			quote(topic), alternatives(written))
	case sub.keys.state != given || sub.keys.value == allKeys:
	case keys == 0:
		c.addf(sub.keys.at, "the producers of %s write no keys (write keys: all, or give a producer keys: {kind: round-robin, count: 50})", quote(topic))
	case sub.keys.value > keys:
		c.addf(sub.keys.at, "%d keys are more than the %d that %s has (write at most %d, or all)", sub.keys.value, keys, quote(topic), keys)
	}
}

// conflation checks conflated topics: which value is the newest can be said where one producer writes each key alone.
func (c checker) conflation() {
	for _, item := range c.s.gateway.conflate {
		topic := field[string]{value: item.topic, at: item.keyAt, state: given}
		c.knownTopic(topic)
		if !c.sendersKnown() || c.s.kafka.topics.state == given && c.p.Topic(item.topic) == nil {
			continue
		}
		var from []Sender
		for _, s := range c.p.Senders() {
			if s.Topic == item.topic {
				from = append(from, s)
			}
		}
		switch {
		case slices.ContainsFunc(from, func(s Sender) bool { return s.Group >= 0 }):
			c.addf(item.keyAt, "is published to by clients, and a conflated topic has one producer (conflate another topic)")
		case len(from) != 1:
			c.addf(item.keyAt, "has %d producers, and a conflated topic has exactly one (give each a topic of its own)", len(from))
		case from[0].Keys.Kind == KeysNone:
			c.addf(item.keyAt, "has no keys to keep the newest value of (give the producer %s keys: {kind: round-robin, count: 50})", from[0].Name)
		}
	}
}

// maxSendBuffer bounds what the producers together may hold while the brokers stall.
const maxSendBuffer = 4 << 30

// sendBuffer refuses a plan whose send buffers could outgrow the memory: the schedule is kept by buffering what a stalled
// broker does not take.
func (c checker) sendBuffer() {
	need := c.p.sendBufferBytes()
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
