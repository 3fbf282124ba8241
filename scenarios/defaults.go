package scenarios

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// The words of the language that no type of the Plan names.
const (
	isolationCommitted   = "read_committed"
	isolationUncommitted = "read_uncommitted"
	slowDisconnect       = "disconnect"
	slowDropOldest       = "drop-oldest"
	deliveryAtMostOnce   = "at-most-once"
	deliveryAtLeastOnce  = "at-least-once"
	variantNaive         = "naive"
	variantShared        = "shared"
	framingSTOMP         = "stomp"
	framingSocketIO      = "socket.io"
	valueJSON            = "json"
	valueBase64          = "base64"
)

// The defaults that are one value whatever the rest of the scenario says. Those that depend on it stand in fillIn's parts.
const (
	defaultSeed            = 1
	defaultImage           = "apache/kafka:4.3.1"
	defaultPartitions      = 6
	defaultRetention       = 64 << 20 // a partition of the embedded Kafka
	defaultListen          = "127.0.0.1:0"
	defaultQueue           = 1 << 20
	defaultReadyIn         = 30 * time.Second
	defaultBuildIn         = 10 * time.Minute
	defaultStopSignal      = "SIGTERM"
	defaultStopIn          = 10 * time.Second
	defaultSize            = 256
	defaultSkew            = 1.0
	defaultStall           = 30 * time.Second
	defaultHotShare        = 0.9
	defaultAway            = 2 * time.Second
	defaultReceiveBuffer   = 4 << 10
	defaultSlowEvery       = 100 * time.Millisecond
	defaultSlowBytes       = 4 << 10
	defaultConnectRate     = 500
	defaultConnectDeadline = 30 * time.Second // or 10 s more than connecting takes at the groups' rates
	defaultJoinDeadline    = 15 * time.Second
	defaultWarmUp          = 2 * time.Second
	defaultDockerWarmUp    = 10 * time.Second // brokers that just started have yet to compile what they run
	defaultDrainDeadline   = 10 * time.Second
	defaultObjective       = 100 * time.Millisecond
	defaultInterval        = time.Second
	defaultAuditMemory     = 1 << 30
	defaultAuditGaps       = 1 << 20
)

// fillIn returns the Plan of the scenario: what it says, and the default for all that it does not say. It checks nothing.
func (s *Scenario) fillIn() *Plan {
	p := &Plan{
		Name:        s.name.value,
		Description: s.description.value,
		Source:      s.source.name,
		Seed:        s.seed.or(defaultSeed),
		Kafka:       s.kafka.fillIn(),
		Gateway:     s.gateway.fillIn(),
		Producers:   []Producer{},
		Clients:     []ClientGroup{},
		Thresholds:  []Threshold{},
		Audit:       AuditLimits{MemoryBytes: defaultAuditMemory, Gaps: defaultAuditGaps},
		IntervalNS:  defaultInterval,
	}
	for _, producer := range s.producers.items {
		p.Producers = append(p.Producers, producer.fillIn())
	}
	for _, group := range s.clients.items {
		p.Clients = append(p.Clients, group.fillIn()...)
	}
	for _, t := range s.thresholds.items {
		threshold := t.check.value.Threshold
		threshold.Abort = t.abort.or(false)
		p.Thresholds = append(p.Thresholds, threshold)
	}
	warmUp := defaultWarmUp
	if p.Kafka.Provider == ProviderDocker {
		warmUp = defaultDockerWarmUp
	}
	p.Phases = s.phases.fillIn(rampOf(p), warmUp)
	p.Objective = objectiveOf(p.Thresholds)
	return p
}

// fillIn: embedded and docker start brokers (3 and 1), external has them.
func (k kafkaSection) fillIn() KafkaPlan {
	p := KafkaPlan{
		Provider:        KafkaProvider(k.provider.or(string(ProviderEmbedded))),
		Seeds:           k.seedList,
		FinalRead:       k.finalRead.or(true),
		ReadUncommitted: k.isolation.or(isolationCommitted) == isolationUncommitted,
		Topics:          []Topic{},
		Registry:        k.registry,
	}
	if k.tls.value != nil || k.sasl.value != nil {
		p.Security = &KafkaSecurity{TLS: k.tls.value, SASL: k.sasl.value}
	}
	switch p.Provider {
	case ProviderEmbedded:
		p.Brokers = k.brokers.or(3)
	case ProviderDocker:
		p.Brokers, p.Image = k.brokers.or(1), k.image.or(defaultImage)
	}
	for _, t := range k.topics.items {
		p.Topics = append(p.Topics, t.fillIn(p))
	}
	return p
}

// fillIn: three replicas as far as there are brokers, one on an external cluster, whose brokers weir does not know; two
// in sync where there are three. A topic that exists keeps what it has, which the Plan writes as 0.
func (t topicItem) fillIn(k KafkaPlan) Topic {
	p := Topic{
		Name:       t.name.value,
		Partitions: t.partitions.or(defaultPartitions),
		Existing:   t.existing.or(false),
	}
	if p.Existing {
		return p
	}
	p.Replication = t.replication.or(max(1, min(3, k.Brokers)))
	inSync := 1
	if p.Replication >= 3 {
		inSync = 2
	}
	p.MinISR = t.minISR.or(inSync)
	if k.Provider == ProviderEmbedded {
		p.RetentionBytes = t.retention.or(defaultRetention)
	}
	return p
}

func (i producerItem) fillIn() Producer {
	p := Producer{
		Name:        i.name.value,
		Topic:       i.topic.value,
		Rate:        i.rate.value,
		Payload:     i.payload.or(defaultPayload).Payload,
		Arrivals:    Arrivals(i.arrivals.or(string(ArrivalsConstant))),
		Size:        i.size.or(defaultSizes),
		Headers:     i.headers,
		Keys:        i.keys.or(Keys{Kind: KeysNone}),
		Acks:        i.acks.or("all"),
		Linger:      i.linger.or(0),
		Compression: i.compression.or("none"),
		Stall:       i.stall.or(defaultStall),
	}
	if p.Keys.Kind == KeysZipf && p.Keys.Skew == 0 {
		p.Keys.Skew = defaultSkew
	}
	return p
}

var (
	defaultPayload = payloadValue{Payload: Payload{Kind: PayloadRandom}}
	defaultSizes   = Size{Kind: SizeFixed, Min: defaultSize, Max: defaultSize}
)

// fillIn: a group with weighted subscriptions becomes one of each, and shares its clients and its connect rate out.
func (c clientItem) fillIn() []ClientGroup {
	g := ClientGroup{
		Name:            c.name.value,
		Count:           c.count.value,
		ConnectRate:     c.connectRate.or(defaultConnectRate),
		Reconnect:       c.reconnect.or(true),
		Resume:          c.resume.or(false),
		SourceAddresses: c.sources,
	}
	if c.publish != nil {
		g.Publish = c.publish.fillIn(g.Name)
	}
	if c.churn.state == given {
		g.Churn = &c.churn.value
	}
	if c.slow.state == given {
		g.Slow = &c.slow.value
	}
	if !c.weighted {
		if len(c.subscribe) == 1 {
			g.Subscribe = c.subscribe[0].fillIn()
		}
		return []ClientGroup{g}
	}
	var groups []ClientGroup
	weights := make([]float64, len(c.subscribe))
	for i, sub := range c.subscribe {
		weights[i] = sub.weight.value
	}
	for i, n := range apportion(g.Count, weights) {
		part := g
		part.Count, part.ConnectRate = n, g.ConnectRate*float64(n)/float64(max(g.Count, 1))
		part.Subscribe = c.subscribe[i].fillIn()
		if n > 0 {
			groups = append(groups, part)
		}
	}
	return groups
}

func (s subscribeItem) fillIn() Subscribe {
	keys := s.keys.or(allKeys)
	return Subscribe{Topic: s.topic.value, All: keys == allKeys, Keys: max(keys, 0)}
}

// fillIn: publishing clients are called as their group, and are a constant open loop where no think time drives them.
func (b *publishItem) fillIn(group string) *Publish {
	p := &Publish{
		Name:    b.name.or(group),
		Topic:   b.topic.value,
		Keys:    b.keys.value,
		Rate:    b.rate.value,
		Size:    b.size.or(defaultSizes),
		Payload: b.payload.or(defaultPayload).Payload,
	}
	if b.think.state == given {
		p.Think = &b.think.value
	} else {
		p.Arrivals = Arrivals(b.arrivals.or(string(ArrivalsConstant)))
	}
	return p
}

// apportion shares n out by weight, by the method of the largest remainder (Hamilton): the first of equal remainders wins.
func apportion(n int, weights []float64) []int {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	counts, order, left := make([]int, len(weights)), make([]int, len(weights)), n
	rest := make([]float64, len(weights))
	for i, w := range weights {
		whole, fraction := math.Modf(float64(n) * w / max(total, math.SmallestNonzeroFloat64))
		counts[i], rest[i], order[i] = int(whole), fraction, i
		left -= counts[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rest[b], rest[a]) })
	for i := range min(max(left, 0), len(order)) {
		counts[order[i]]++
	}
	return counts
}

// fillIn: the connect deadline leaves the groups the time that their connect rates take.
func (s phasesSection) fillIn(ramp, warmUp time.Duration) Phases {
	p := Phases{
		ConnectDeadline: s.connect.or(max(defaultConnectDeadline, ramp.Round(time.Second)+10*time.Second)),
		JoinDeadline:    s.join.or(defaultJoinDeadline),
		WarmUp:          s.warmUp.or(warmUp),
		Measure:         []MeasurePhase{},
		DrainDeadline:   s.drain.or(defaultDrainDeadline),
	}
	for _, m := range s.measure.items {
		phase := MeasurePhase{Name: m.name.value, Duration: m.duration.value}
		for _, r := range m.rates {
			if phase.Rates == nil {
				phase.Rates = map[string]Curve{}
			}
			phase.Rates[r.name] = r.curve.value
		}
		for _, c := range m.clients {
			if phase.Clients == nil {
				phase.Clients = map[string]Curve{}
			}
			phase.Clients[c.name] = c.curve.value
		}
		p.Measure = append(p.Measure, phase)
	}
	return p
}

// rampOf is how long connecting takes at the groups' rates, one group after the other.
func rampOf(p *Plan) time.Duration {
	seconds := 0.0
	for _, g := range p.Clients {
		seconds += float64(g.Count) / g.ConnectRate
	}
	return time.Duration(math.Min(seconds, maxDuration.Seconds()) * float64(time.Second))
}

// objectiveOf is the tightest upper limit that the thresholds set on the end-to-end latency.
func objectiveOf(thresholds []Threshold) time.Duration {
	tightest := time.Duration(0)
	for _, t := range thresholds {
		name, _ := t.Subject()
		limit := time.Duration(t.Value)
		if name == "e2e" && (t.Op == "<" || t.Op == "<=") && limit > 0 && (tightest == 0 || limit < tightest) {
			tightest = limit
		}
	}
	if tightest == 0 {
		return defaultObjective
	}
	return tightest
}
