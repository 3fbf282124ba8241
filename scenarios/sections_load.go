package scenarios

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"
)

func decodeProducer(r *reporter, i item) producerItem {
	o := openObject(r, i.value, i.at, producerShape)
	p := producerItem{
		at:          o.at,
		name:        o.text("name", checkName),
		topic:       o.text("topic", anyText),
		rate:        decodeCurve(o, "rate"),
		arrivals:    o.oneOf("arrivals"),
		size:        decodeSize(o),
		keys:        decodeKeys(o),
		headers:     decodeHeaders(o),
		payload:     decodePayload(o),
		acks:        o.oneOf("acks"),
		linger:      o.duration("linger"),
		compression: o.oneOf("compression"),
		stall:       o.duration("stall"),
	}
	o.need()
	o.finish()
	sizeAgainstPayload(r, &p.size, p.payload)
	return p
}

// decodeKeys takes "none" or {kind: zipf, count: 50, skew: 1.1}.
func decodeKeys(o *object) field[Keys] {
	e, ok := o.entries["keys"]
	if !ok || e.value.kind != yaml.MappingNode {
		return scalar(o, "keys", o.of("keys").want, func(n *node) (Keys, error) {
			if count, err := parseCount(n.value); err == nil && count > 0 && count <= maxKeys {
				return Keys{}, fmt.Errorf("%s is a number alone (write {kind: round-robin, count: %d})", quote(n.value), count)
			}
			if n.value != string(KeysNone) {
				return Keys{}, fmt.Errorf("%s is not known here (write %s)", quote(n.value), o.of("keys").want)
			}
			return Keys{Kind: KeysNone}, nil
		})
	}
	o.take("keys")
	keys := openObject(o.r, e.value, e.at, keysShape)
	k := keysFields{
		kind: keys.oneOf("kind"), count: keys.integer("count"), skew: keys.number("skew"),
		hot: keys.integer("hot"), share: keys.share("share"), move: keys.duration("move"),
	}
	keys.finish()
	keys.need()
	f := field[Keys]{at: e.at, state: bad}
	if k.kind.state != given || !k.check(keys) {
		return f
	}
	f.value, f.state = Keys{Kind: KeyKind(k.kind.value), Count: k.count.value, Skew: k.skew.value}, given
	if f.value.Kind == KeysHotSet {
		f.value.Hot, f.value.HotShare, f.value.HotMove = k.hot.value, k.share.or(defaultHotShare), k.move.value
	}
	return f
}

type keysFields struct {
	kind  field[string]
	count field[int]
	skew  field[float64]
	hot   field[int]
	share field[float64]
	move  field[time.Duration]
}

// check reports what is missing for the kind or has no meaning with it, and whether all is right.
func (k keysFields) check(o *object) bool {
	kind := KeyKind(k.kind.value)
	foreign := func(state fieldState, at place, of KeyKind) {
		if kind != of && state != absent {
			o.r.addf(at, "is for kind: %s alone (remove it, or write kind: %s)", of, of)
		}
	}
	foreign(k.skew.state, k.skew.at, KeysZipf)
	foreign(k.hot.state, k.hot.at, KeysHotSet)
	foreign(k.share.state, k.share.at, KeysHotSet)
	foreign(k.move.state, k.move.at, KeysHotSet)
	if kind == KeysNone {
		if k.count.state != absent {
			o.r.addf(k.count.at, "has no use without keys (remove it)")
		}
		return k.skew.state != bad
	}
	o.need("count")
	ok := k.count.state == given && k.skew.state != bad && k.share.state != bad && k.move.state != bad
	if kind != KeysHotSet {
		return ok
	}
	o.need("hot")
	switch {
	case k.hot.state != given:
		return false
	case k.count.state == given && k.hot.value >= k.count.value:
		o.r.addf(k.hot.at, "%d hot keys of %d leave no others (write fewer, or kind: uniform)", k.hot.value, k.count.value)
		return false
	case k.share.state == given && k.share.value == 0:
		o.r.addf(k.share.at, "is nothing, so that no key would be hot (write 90%%)")
		return false
	}
	return ok
}

// decodeHeaders takes {name: value, …}.
func decodeHeaders(o *object) []Header {
	e, ok := o.take("headers")
	if !ok {
		return nil
	}
	var out []Header
	headers := openObject(o.r, e.value, e.at, headersShape)
	for _, name := range headers.order {
		value := headers.text(name, func(text string) error { return checkPlaceholders(text, "key", "seq") })
		if len(name) > maxHeaderName || len(value.value) > maxHeaderValue {
			o.r.addf(headers.entries[name].keyAt, "is longer than a header may be (%d bytes of name, %d of value)", maxHeaderName, maxHeaderValue)
		}
		out = append(out, Header{Name: name, Value: value.value})
	}
	if len(headers.order) > maxHeaders {
		o.r.addf(e.at, "%d headers are too many (at most %d)", len(headers.order), maxHeaders)
	}
	headers.finish()
	return out
}

func decodeClient(r *reporter, i item) clientItem {
	o := openObject(r, i.value, i.at, clientShape)
	before := len(r.problems)
	c := clientItem{
		at:          o.at,
		name:        o.text("name", checkName),
		count:       o.integer("count"),
		connectRate: o.rate("connect_rate"),
		reconnect:   o.boolean("reconnect"),
		resume:      o.boolean("resume"),
	}
	c.subscribe = decodeSubscribe(o, &c)
	c.publish = decodePublish(o)
	c.churn, c.slow = decodeChurn(o), decodeSlow(o)
	c.sources = decodeSources(o)
	o.need()
	if _, publishes := o.entries["publish"]; !publishes {
		o.need("subscribe")
	}
	o.finish()
	if len(r.problems) > before {
		c.state = bad
	}
	return c
}

// decodeSubscribe takes one mapping, or a list of weighted ones.
func decodeSubscribe(o *object, c *clientItem) []subscribeItem {
	e, ok := o.take("subscribe")
	if !ok {
		return nil
	}
	c.subscribeAt = e.at
	if e.value.kind != yaml.SequenceNode {
		return []subscribeItem{subscribeOf(o.r, item{e.value, e.at}, subscribeShape)}
	}
	c.weighted = true
	var out []subscribeItem
	items, _ := o.items(e, o.of("subscribe").or[0].example)
	for _, i := range items {
		out = append(out, subscribeOf(o.r, i, weightedShape))
	}
	if len(items) > maxWeighted {
		o.r.addf(e.at, "%d are too many (at most %d)", len(items), maxWeighted)
		return out[:maxWeighted]
	}
	return out
}

func subscribeOf(r *reporter, i item, s *shape) subscribeItem {
	o := openObject(r, i.value, i.at, s)
	sub := subscribeItem{
		at:    o.at,
		topic: o.text("topic", anyText),
		keys:  scalar(o, "keys", o.of("keys").want, subscribedKeysOf),
	}
	if s == weightedShape {
		sub.weight = o.number("weight")
	}
	o.need()
	o.finish()
	return sub
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

// decodePublish takes what the clients of a group send.
func decodePublish(o *object) *publishItem {
	e, ok := o.take("publish")
	if !ok {
		return nil
	}
	p := openObject(o.r, e.value, e.at, publishShape)
	b := &publishItem{
		at:       p.at,
		name:     p.text("name", checkName),
		topic:    p.text("topic", anyText),
		keys:     p.integer("keys"),
		rate:     decodeCurve(p, "rate"),
		think:    decodeThink(p),
		arrivals: p.oneOf("arrivals"),
		size:     decodeSize(p),
		payload:  decodePayload(p),
	}
	p.need()
	p.finish()
	switch {
	case !p.ok:
	case b.rate.state != absent && b.think.state != absent:
		o.r.addf(b.think.at, "stands beside rate, and clients send at a rate or after a think time (remove one)")
	case b.rate.state == absent && b.think.state == absent:
		o.r.addf(p.at.under("rate"), "is missing (write rate: 1/s, or think: 2s)")
	case b.think.state != absent && b.arrivals.state != absent:
		o.r.addf(b.arrivals.at, "is how a rate's messages follow each other (remove it, or write think: {exponential: 2s})")
	}
	textPayload(o.r, b.payload)
	sizeAgainstPayload(o.r, &b.size, b.payload)
	return b
}

// decodeThink takes 2s or {exponential: 2s}.
func decodeThink(o *object) field[Think] {
	e, ok := o.entries["think"]
	if !ok || e.value.kind != yaml.MappingNode {
		mean := o.duration("think")
		return field[Think]{value: Think{Mean: mean.value}, at: mean.at, state: mean.state}
	}
	o.take("think")
	kinds := openObject(o.r, e.value, e.at, thinkShape)
	mean := kinds.duration("exponential")
	kinds.only()
	kinds.finish()
	f := field[Think]{value: Think{Mean: mean.value, Exponential: true}, at: e.at, state: mean.state}
	if f.state == absent {
		f.state = bad
	}
	return f
}

func decodeChurn(o *object) field[Churn] {
	e, ok := o.take("churn")
	if !ok {
		return field[Churn]{}
	}
	churn := openObject(o.r, e.value, e.at, churnShape)
	session, away := churn.duration("session"), churn.duration("away")
	churn.need()
	churn.finish()
	f := field[Churn]{value: Churn{Session: session.value, Away: away.or(defaultAway)}, at: e.at, state: bad}
	if session.state == given && away.state != bad {
		f.state = given
	}
	return f
}

func decodeSlow(o *object) field[SlowReading] {
	e, ok := o.take("slow")
	if !ok {
		return field[SlowReading]{}
	}
	slow := openObject(o.r, e.value, e.at, slowShape)
	buffer, every, bytes := slow.size("receive_buffer"), slow.duration("every"), slow.size("bytes")
	slow.finish()
	f := field[SlowReading]{at: e.at, state: bad, value: SlowReading{
		ReceiveBuffer: int(buffer.or(defaultReceiveBuffer)), Every: every.or(defaultSlowEvery), Bytes: int(bytes.or(defaultSlowBytes)),
	}}
	if slow.ok && buffer.state != bad && every.state != bad && bytes.state != bad {
		f.state = given
	}
	return f
}

// decodeSources takes a number of loopback addresses, or a list of addresses.
func decodeSources(o *object) []string {
	e, ok := o.entries["source_addresses"]
	if !ok || e.value.kind != yaml.SequenceNode {
		n := o.integer("source_addresses")
		var out []string
		for i := range n.value {
			out = append(out, "127.1.0."+strconv.Itoa(i+1))
		}
		return out
	}
	o.take("source_addresses")
	var out []string
	items, _ := o.items(e, o.of("source_addresses").or[0].example)
	first := map[string]bool{}
	for _, i := range items {
		address := parseScalar(o.r, i.value, i.at, "an IP address", func(n *node) (string, error) { return textOf(n, checkAddress) })
		if address.state == given && first[address.value] {
			o.r.addf(address.at, "%s stands here a second time (keep one)", quote(address.value))
		}
		first[address.value] = true
		out = append(out, address.value)
	}
	if len(items) > maxSources {
		o.r.addf(e.at, "%d are too many (at most %d)", len(items), maxSources)
	}
	return out
}

func checkAddress(text string) error {
	if address, err := netip.ParseAddr(text); err != nil || address.Zone() != "" {
		return fmt.Errorf("%s is not an IP address (write 127.0.0.2)", quote(text))
	}
	return nil
}
