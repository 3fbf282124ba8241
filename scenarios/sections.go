package scenarios

import (
	"fmt"
	"slices"
	"time"

	"gopkg.in/yaml.v3"
)

// decode takes the whole tree apart into a Scenario; mistakes go to the reporter.
func decode(r *reporter, root *node) *Scenario {
	o := openObject(r, root, root.at, scenarioShape)
	s := &Scenario{source: r.source, lift: r.lift, at: o.at}
	decodeVersion(o)
	s.name = o.text("name", checkName)
	s.description = o.text("description", anyText)
	s.seed = scalar(o, "seed", "a whole number", seedOf)
	if e, ok := o.take("kafka"); ok {
		s.kafka = decodeKafka(r, e)
	}
	if e, ok := o.take("gateway"); ok {
		s.gateway = decodeGateway(r, e)
	}
	s.producers = listOf(o, "producers", decodeProducer, producerName)
	s.clients = listOf(o, "clients", decodeClient, clientName)
	if e, ok := o.take("phases"); ok {
		s.phases = decodePhases(r, e)
	}
	s.thresholds = listOf(o, "thresholds", decodeThreshold, nil)
	o.take("hops")
	o.take("faults")
	needed := []string{"version", "name", "kafka", "clients", "phases"}
	publishing := func(c clientItem) bool { return c.publish != nil || c.state == bad }
	if s.clients.state == absent || s.clients.state == given && !slices.ContainsFunc(s.clients.items, publishing) {
		needed = append(needed, "producers")
	}
	o.need(needed...)
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

// listOf takes a list of objects. NameField gives the name of an item, which must be
// unique; nil where items have none.
func listOf[T any](o *object, key string, decodeItem func(*reporter, item) T, nameField func(*T) *field[string]) list[T] {
	items, f := o.list(key)
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
	o := openObject(r, e.value, e.at, kafkaShape)
	k := kafkaSection{
		at:        o.at,
		provider:  o.oneOf("provider"),
		brokers:   o.integer("brokers"),
		image:     o.text("image", checkImage),
		finalRead: o.boolean("final_read"),
		isolation: o.oneOf("isolation"),
	}
	var seeds []item
	seeds, k.seeds = o.list("seeds")
	for _, i := range seeds {
		seed := parseScalar(r, i.value, i.at, "host:port", func(n *node) (string, error) { return textOf(n, checkHostPort(1)) })
		k.seedList = append(k.seedList, seed.value)
	}
	k.tls, k.sasl, k.registry = decodeTLS(o), decodeSASL(o), decodeRegistry(o)
	k.topics = listOf(o, "topics", decodeTopic, topicName)
	o.need()
	o.finish()
	return k
}

func decodeTopic(r *reporter, i item) topicItem {
	o := openObject(r, i.value, i.at, topicShape)
	t := topicItem{
		at:          o.at,
		name:        o.text("name", checkTopicName),
		partitions:  o.integer("partitions"),
		replication: o.integer("replication"),
		minISR:      o.integer("min_isr"),
		existing:    o.boolean("existing"),
		retention:   o.size("retention"),
	}
	o.need()
	o.finish()
	return t
}

// decodeConflate takes {topic: interval, …}.
func decodeConflate(o *object) []conflateItem {
	e, ok := o.take("conflate")
	if !ok {
		return nil
	}
	var out []conflateItem
	topics := openObject(o.r, e.value, e.at, conflateShape)
	for _, topic := range topics.order {
		out = append(out, conflateItem{topic: topic, keyAt: topics.entries[topic].keyAt, interval: topics.duration(topic)})
	}
	topics.finish()
	return out
}

func decodePhases(r *reporter, e entry) phasesSection {
	o := openObject(r, e.value, e.at, phasesShape)
	p := phasesSection{
		at:      o.at,
		connect: decodeDeadline(o, "connect"),
		join:    decodeDeadline(o, "join"),
		warmUp:  o.duration("warm-up"),
		measure: listOf(o, "measure", decodeMeasure, measureName),
		drain:   decodeDeadline(o, "drain"),
	}
	o.need()
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
	phase := openObject(o.r, e.value, e.at, deadlineShape)
	deadline := phase.duration("deadline")
	phase.finish()
	return deadline
}

func decodeMeasure(r *reporter, i item) measureItem {
	o := openObject(r, i.value, i.at, measureShape)
	m := measureItem{at: o.at, name: o.text("name", checkPhaseName), duration: o.duration("duration")}
	m.rates, m.clients = decodeCurves(o, "rates"), decodeCurves(o, "clients")
	o.need()
	o.finish()
	return m
}

// decodeCurves takes {name: curve, …}.
func decodeCurves(o *object, key string) []curveItem {
	e, ok := o.take(key)
	if !ok {
		return nil
	}
	var curves []curveItem
	named := openObject(o.r, e.value, e.at, o.of(key).shape)
	for _, name := range named.order {
		curves = append(curves, curveItem{name: name, keyAt: named.entries[name].keyAt, curve: decodeCurve(named, name)})
	}
	named.finish()
	return curves
}

func checkPhaseName(name string) error {
	switch name {
	case PhaseConnect, "join", PhaseWarmUp, PhaseDrain:
		return fmt.Errorf("%s is the name of a phase that every run has (write steady)", quote(name))
	}
	return checkName(name)
}

func decodeThreshold(r *reporter, i item) thresholdItem {
	t := thresholdItem{check: field[parsedThreshold]{at: i.at, state: bad}}
	if i.value.kind != yaml.MappingNode {
		t.check = checkOf(r, i.value, i.at)
		return t
	}
	o := openObject(r, i.value, i.at, thresholdShape)
	if e, ok := o.take("check"); ok {
		t.check = checkOf(r, e.value, e.at)
	}
	t.abort = o.boolean("abort")
	o.need()
	o.finish()
	return t
}

// checkOf parses a threshold; its mistakes are placed within the text where that stands as written in one line.
func checkOf(r *reporter, n *node, at place) field[parsedThreshold] {
	f := field[parsedThreshold]{at: inside(n, at), state: bad}
	if n.unknown {
		return f
	}
	if n.kind != yaml.ScalarNode || n.tag == "!!null" {
		r.addf(at, "is %s, but must be %s", describe(n), thresholdKey.want)
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
