package scenarios

import (
	"math"
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
	defaultSize            = 256
	defaultSkew            = 1.0
	defaultStall           = 30 * time.Second
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
		p.Clients = append(p.Clients, group.fillIn())
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

// fillIn: weir's own gateway has a queue and a policy, and sheds where that drops; of an external target nothing is known.
func (g gatewaySection) fillIn() GatewayPlan {
	p := GatewayPlan{
		Target:  TargetKind(g.target.or(string(TargetReference))),
		ReadyIn: g.readyIn.or(defaultReadyIn),
	}
	if p.Target == TargetReference {
		p.Listen = g.listen.or(defaultListen)
		p.Profile = profileNamed(g.profile.or("reference"))
		p.QueueBytes = g.queue.or(defaultQueue)
		p.SlowPolicy = g.slow.or(slowDisconnect)
	} else {
		p.URL = g.url.value
		p.Profile = profileNamed(g.profile.or("bare"))
	}
	p.Guarantees = Guarantees{
		Delivery: g.delivery.or(deliveryAtMostOnce),
		Ordered:  g.ordered.or(true),
		Sheds:    g.sheds.or(p.SlowPolicy == slowDropOldest),
	}
	return p
}

func (i producerItem) fillIn() Producer {
	p := Producer{
		Name:        i.name.value,
		Topic:       i.topic.value,
		Rate:        Hold(i.rate.value),
		Payload:     Payload{Kind: PayloadRandom},
		Arrivals:    Arrivals(i.arrivals.or(string(ArrivalsConstant))),
		Size:        i.size.or(Size{Kind: SizeFixed, Min: defaultSize, Max: defaultSize}),
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

func (c clientItem) fillIn() ClientGroup {
	keys := c.keys.or(allKeys)
	return ClientGroup{
		Name:        c.name.value,
		Count:       c.count.value,
		ConnectRate: c.connectRate.or(defaultConnectRate),
		Subscribe:   Subscribe{Topic: c.topic.value, All: keys == allKeys, Keys: max(keys, 0)},
		Reconnect:   c.reconnect.or(true),
	}
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
			phase.Rates[r.producer] = Hold(r.rate.value)
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

// profileNamed is the built-in profile of that name.
func profileNamed(name string) WireProfile {
	if name == "reference" {
		return ReferenceProfile()
	}
	return BareProfile()
}
