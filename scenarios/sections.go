package scenarios

import (
	"fmt"
	"time"

	"gopkg.in/yaml.v3"
)

// decode takes the whole tree apart into a Scenario; mistakes go to the reporter.
func decode(r *reporter, root *node) *Scenario {
	o := openObject(r, root, root.at)
	s := &Scenario{source: r.source, at: o.at}
	decodeVersion(o)
	s.name = o.text("name", "a name", checkName)
	s.description = o.text("description", "a text", anyText)
	s.seed = scalar(o, "seed", "a whole number", seedOf)
	if e, ok := o.take("kafka"); ok {
		s.kafka = decodeKafka(r, e)
	}
	if e, ok := o.take("gateway"); ok {
		s.gateway = decodeGateway(r, e)
	}
	s.producers = listOf(o, "producers", "- {name: feed, topic: prices, rate: 1000/s}", decodeProducer, producerName)
	s.clients = listOf(o, "clients", "- {name: viewers, count: 500, subscribe: {topic: prices}}", decodeClient, clientName)
	o.reserved("hops")
	if e, ok := o.take("phases"); ok {
		s.phases = decodePhases(r, e)
	}
	o.reserved("faults")
	s.thresholds = listOf(o, "thresholds", "- e2e.p99 < 50ms", decodeThreshold, nil)
	o.need("version: 1", "name: my-scenario", "kafka: {topics: [{name: prices}]}", "producers: [{name: feed, topic: prices, rate: 1000/s}]",
		"clients: [{name: viewers, count: 500, subscribe: {topic: prices}}]", "phases: {measure: [{name: steady, duration: 20s}]}")
	o.finish()
	return s
}

func decodeVersion(o *object) {
	scalar(o, "version", "1", func(n *node) (int, error) {
		if n.tag == "!!int" && n.value == "1" {
			return 1, nil
		}
		return 0, fmt.Errorf("%s is not a version that this weir reads (write 1)", quote(n.value))
	})
}

func seedOf(n *node) (uint64, error) {
	value, err := parseCount(n.value)
	if err != nil {
		return 0, err
	}
	if value < 0 {
		return 0, fmt.Errorf("%s is negative (write %d)", quote(n.value), -value)
	}
	return uint64(value), nil
}

// listOf takes a list of objects. Example is an item, for the message. NameOf gives the name of an item, which must be
// unique; nil where items have none.
func listOf[T any](o *object, key, example string, decodeItem func(*reporter, item) T, nameField func(*T) *field[string]) list[T] {
	items, f := o.list(key, example)
	out := list[T]{at: f.at, state: f.state}
	first := map[string]place{}
	for _, i := range items {
		decoded := decodeItem(o.r, i)
		if nameField != nil {
			name := nameField(&decoded)
			if before, double := first[name.value]; double && name.state == given {
				o.r.addf(name.at, "%s is the name of another one already%s (choose a second name)", quote(name.value), firstAt(before))
				name.state = bad
			} else if name.state == given {
				first[name.value] = name.at
			}
			if name.state != given {
				out.state = bad
			}
		}
		out.items = append(out.items, decoded)
	}
	return out
}

func topicName(t *topicItem) *field[string]       { return &t.name }
func producerName(p *producerItem) *field[string] { return &p.name }
func clientName(c *clientItem) *field[string]     { return &c.name }
func measureName(m *measureItem) *field[string]   { return &m.name }

func decodeKafka(r *reporter, e entry) kafkaSection {
	o := openObject(r, e.value, e.at)
	k := kafkaSection{
		at:        o.at,
		provider:  o.oneOf("provider", string(ProviderEmbedded), string(ProviderDocker), string(ProviderExternal)),
		brokers:   o.integer("brokers", 1, maxBrokers),
		image:     o.text("image", "an image such as apache/kafka:4.3.1", checkImage),
		finalRead: o.boolean("final_read"),
		isolation: o.oneOf("isolation", isolationCommitted, isolationUncommitted),
	}
	var seeds []item
	seeds, k.seeds = o.list("seeds", "- 127.0.0.1:9092")
	for _, i := range seeds {
		seed := parseScalar(r, i.value, i.at, "host:port", func(n *node) (string, error) { return textOf(n, checkHostPort(1)) })
		k.seedList = append(k.seedList, seed.value)
	}
	k.topics = listOf(o, "topics", "- {name: prices, partitions: 6}", decodeTopic, topicName)
	o.need("topics: [{name: prices, partitions: 6}]")
	o.finish()
	return k
}

func decodeTopic(r *reporter, i item) topicItem {
	o := openObject(r, i.value, i.at)
	t := topicItem{
		at:          o.at,
		name:        o.text("name", "a topic's name", checkTopicName),
		partitions:  o.integer("partitions", 1, maxPartitions),
		replication: o.integer("replication", 1, maxBrokers),
		minISR:      o.integer("min_isr", 1, maxBrokers),
		existing:    o.boolean("existing"),
		retention:   o.size("retention", 1<<20, maxRetention),
	}
	o.need("name: prices")
	o.finish()
	return t
}

func decodeGateway(r *reporter, e entry) gatewaySection {
	o := openObject(r, e.value, e.at)
	g := gatewaySection{
		at:      o.at,
		target:  o.oneOf("target", string(TargetReference), string(TargetExternal)),
		listen:  o.text("listen", "host:port", checkHostPort(0)),
		url:     o.text("url", "a URL such as ws://127.0.0.1:8080/ws", checkURL),
		profile: o.oneOf("profile", "reference", "bare"),
		queue:   o.size("queue", 1<<10, maxQueueBytes),
		slow:    o.oneOf("slow_clients", slowDisconnect, slowDropOldest),
		readyIn: o.duration("ready_in", time.Millisecond, maxDuration),
	}
	if e, ok := o.take("guarantees"); ok {
		guarantees := openObject(r, e.value, e.at)
		g.delivery = guarantees.oneOf("delivery", deliveryAtMostOnce, deliveryAtLeastOnce)
		g.ordered = guarantees.boolean("ordered")
		g.sheds = guarantees.boolean("sheds")
		guarantees.finish()
	}
	o.finish()
	return g
}

func decodeProducer(r *reporter, i item) producerItem {
	o := openObject(r, i.value, i.at)
	p := producerItem{
		at:          o.at,
		name:        o.text("name", "a name", checkName),
		topic:       o.text("topic", "a topic's name", anyText),
		rate:        o.rate("rate", maxRate),
		arrivals:    o.oneOf("arrivals", string(ArrivalsConstant), string(ArrivalsPoisson)),
		size:        decodeSize(o),
		keys:        decodeKeys(o),
		acks:        o.oneOf("acks", "all", "leader", "none"),
		linger:      o.duration("linger", 0, maxLinger),
		compression: o.oneOf("compression", "none", "gzip", "snappy", "lz4", "zstd"),
		stall:       o.duration("stall", time.Second, maxStall),
	}
	o.need("name: feed", "topic: prices", "rate: 1000/s")
	o.finish()
	return p
}

// decodeSize takes "256B" or {uniform: {min: 256B, max: 4KiB}}.
func decodeSize(o *object) field[Size] {
	e, ok := o.entries["size"]
	if !ok || e.value.kind != yaml.MappingNode {
		return scalar(o, "size", "a size such as 256B, or {uniform: {min: 256B, max: 4KiB}}", func(n *node) (Size, error) {
			bytes, err := sizeOf(n, minValueBytes, maxValueBytes)
			return Size{Kind: SizeFixed, Min: int(bytes), Max: int(bytes)}, err
		})
	}
	o.take("size")
	f := field[Size]{at: e.at, state: bad}
	kinds := openObject(o.r, e.value, e.at)
	defer kinds.finish()
	kinds.need("uniform: {min: 256B, max: 4KiB}")
	uniform, ok := kinds.take("uniform")
	if !ok {
		return f
	}
	bounds := openObject(o.r, uniform.value, uniform.at)
	low, high := bounds.size("min", minValueBytes, maxValueBytes), bounds.size("max", minValueBytes, maxValueBytes)
	bounds.need("min: 256B", "max: 4KiB")
	bounds.finish()
	if low.state != given || high.state != given {
		return f
	}
	if low.value > high.value {
		o.r.addf(low.at, "%s is above the max of %s (swap them)", formatSize(low.value), formatSize(high.value))
		return f
	}
	f.value, f.state = Size{Kind: SizeUniform, Min: int(low.value), Max: int(high.value)}, given
	return f
}

// decodeKeys takes "none" or {kind: zipf, count: 50, skew: 1.1}.
func decodeKeys(o *object) field[Keys] {
	e, ok := o.entries["keys"]
	if !ok || e.value.kind != yaml.MappingNode {
		return scalar(o, "keys", "none, or {kind: round-robin, count: 50}", func(n *node) (Keys, error) {
			if n.value != string(KeysNone) {
				return Keys{}, fmt.Errorf("%s is not known here (write none, or {kind: round-robin, count: 50})", quote(n.value))
			}
			return Keys{Kind: KeysNone}, nil
		})
	}
	o.take("keys")
	f := field[Keys]{at: e.at, state: bad}
	keys := openObject(o.r, e.value, e.at)
	kind := keys.oneOf("kind", string(KeysRoundRobin), string(KeysUniform), string(KeysZipf), string(KeysNone))
	count := keys.integer("count", 1, maxKeys)
	skew := scalar(keys, "skew", "a number such as 1.1", skewOf)
	keys.finish()
	keys.need("kind: round-robin")
	switch {
	case kind.value == string(KeysNone) && count.state != absent:
		o.r.addf(count.at, "has no use without keys (remove it)")
	case kind.state == given && kind.value != string(KeysNone):
		keys.need("count: 50")
	}
	if kind.state == given && kind.value != string(KeysZipf) && skew.state != absent {
		o.r.addf(skew.at, "is for kind: zipf alone (remove it, or write kind: zipf)")
	}
	countless := count.state != given && kind.value != string(KeysNone)
	if kind.state != given || countless || skew.state == bad {
		return f
	}
	f.value, f.state = Keys{Kind: KeyKind(kind.value), Count: count.value, Skew: skew.value}, given
	return f
}

func skewOf(n *node) (float64, error) {
	value, err := parseNumber(n.value)
	if err == nil && (value <= 0 || value > maxSkew) {
		err = fmt.Errorf("%s is no exponent for zipf (above 0, at most %d)", quote(n.value), maxSkew)
	}
	return value, err
}

func decodeClient(r *reporter, i item) clientItem {
	o := openObject(r, i.value, i.at)
	c := clientItem{
		at:          o.at,
		name:        o.text("name", "a name", checkName),
		count:       o.integer("count", 1, maxClients),
		connectRate: o.rate("connect_rate", maxConnectRate),
		reconnect:   o.boolean("reconnect"),
	}
	if e, ok := o.take("subscribe"); ok {
		subscribe := openObject(r, e.value, e.at)
		c.subscribe = subscribe.at
		c.topic = subscribe.text("topic", "a topic's name", anyText)
		c.keys = scalar(subscribe, "keys", "all, one, or a number of keys", subscribedKeysOf)
		subscribe.need("topic: prices")
		subscribe.finish()
	}
	o.need("name: viewers", "count: 500", "subscribe: {topic: prices}")
	o.finish()
	return c
}

func subscribedKeysOf(n *node) (int, error) {
	switch n.value {
	case "all":
		return allKeys, nil
	case "one":
		return 1, nil
	}
	count, err := parseCount(n.value)
	if err != nil || count < 1 || count > maxKeys {
		return 0, fmt.Errorf("%s is no number of keys (write all, one, or a number from 1 to %d)", quote(n.value), maxKeys)
	}
	return int(count), nil
}

func decodePhases(r *reporter, e entry) phasesSection {
	o := openObject(r, e.value, e.at)
	p := phasesSection{
		at:      o.at,
		connect: decodeDeadline(o, "connect"),
		join:    decodeDeadline(o, "join"),
		warmUp:  o.duration("warm-up", 0, maxDuration),
		measure: listOf(o, "measure", "- {name: steady, duration: 20s}", decodeMeasure, measureName),
		drain:   decodeDeadline(o, "drain"),
	}
	o.need("measure: [{name: steady, duration: 20s}]")
	o.finish()
	return p
}

// decodeDeadline takes {deadline: 30s}.
func decodeDeadline(o *object, key string) field[time.Duration] {
	e, ok := o.take(key)
	if !ok {
		return field[time.Duration]{}
	}
	if e.value.kind == yaml.ScalarNode && e.value.tag != "!!null" {
		o.r.addf(e.at, "is %s, but must be a mapping (write %s: {deadline: 30s})", describe(e.value), key)
		return field[time.Duration]{at: e.at, state: bad}
	}
	phase := openObject(o.r, e.value, e.at)
	deadline := phase.duration("deadline", time.Millisecond, maxDuration)
	phase.finish()
	return deadline
}

func decodeMeasure(r *reporter, i item) measureItem {
	o := openObject(r, i.value, i.at)
	m := measureItem{
		at:       o.at,
		name:     o.text("name", "a name", checkPhaseName),
		duration: o.duration("duration", 10*time.Millisecond, maxDuration),
	}
	if e, ok := o.take("rates"); ok {
		rates := openObject(r, e.value, e.at)
		for _, producer := range rates.order {
			m.rates = append(m.rates, rateItem{
				producer: producer,
				keyAt:    rates.entries[producer].keyAt,
				rate:     rates.rate(producer, maxRate),
			})
		}
	}
	o.need("name: steady", "duration: 20s")
	o.finish()
	return m
}

func checkPhaseName(name string) error {
	switch name {
	case PhaseConnect, "join", PhaseWarmUp, PhaseDrain:
		return fmt.Errorf("%s is the name of a phase that every run has (write steady)", quote(name))
	}
	return checkName(name)
}

func decodeThreshold(r *reporter, i item) thresholdItem {
	const want = `a threshold such as "e2e.p99 < 50ms"`
	t := thresholdItem{check: field[parsedThreshold]{at: i.at, state: bad}}
	if i.value.kind != yaml.MappingNode {
		t.check = checkOf(r, i.value, i.at, want)
		return t
	}
	o := openObject(r, i.value, i.at)
	if e, ok := o.take("check"); ok {
		t.check = checkOf(r, e.value, e.at, want)
	}
	t.abort = o.boolean("abort")
	o.need(`check: "e2e.p99 < 50ms"`)
	o.finish()
	return t
}

// checkOf parses a threshold; its mistakes are placed within the text where that stands as written in one line.
func checkOf(r *reporter, n *node, at place, want string) field[parsedThreshold] {
	f := field[parsedThreshold]{at: inside(n, at), state: bad}
	if n.kind != yaml.ScalarNode || n.tag == "!!null" {
		r.addf(at, "is %s, but must be %s", describe(n), want)
		return f
	}
	parsed, problem := parseThreshold(n.value)
	if problem != nil {
		r.addf(f.at.right(problem.offset), "%s", problem.message)
		return f
	}
	f.value, f.state = parsed, given
	return f
}

// inside returns the place of a scalar's first character: behind the quote, if there is one. Scalars over several lines
// have no such place; a threshold is short enough to look at.
func inside(n *node, at place) place {
	if n.style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		return at.right(1)
	}
	return at
}
