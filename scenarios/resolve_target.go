package scenarios

import (
	"fmt"
	"slices"
	"strings"
)

// What the target becomes in the Plan, and what belongs to which.

// fillIn is the Plan's part: of weir's own gateway a queue and a policy, of the others what they are started or found by.
func (g gatewaySection) fillIn() GatewayPlan {
	p := GatewayPlan{
		Target:  TargetKind(g.target.or(string(TargetReference))),
		ReadyIn: g.readyIn.or(defaultReadyIn),
	}
	if n := g.copies.value; n > 1 && p.Target.isCopied() {
		p.Instances = n
	}
	switch {
	case p.Target == TargetReference:
		p.Listen = g.listen.or(defaultListen)
		p.QueueBytes = g.queue.or(defaultQueue)
		p.SlowPolicy = g.slow.or(slowDisconnect)
		p.Config = g.config.value.Gateway
	case p.Target == TargetExternal:
		p.URL = g.url.value
		if g.usage.state == given {
			p.Usage = &g.usage.value
		}
	case p.Target == TargetCommand && g.command.state == given:
		p.Command = &g.command.value
	case p.Target == TargetContainer && g.container.state == given:
		p.Container = &g.container.value
	case p.Target == TargetNodeWS:
		p.Variant = g.variant.or(variantShared)
	}
	if p.Target.isMade() {
		p.BuildIn = g.buildIn.or(defaultBuildIn)
	}
	profile := g.profile.or(p.Target.ownProfile())
	p.Profile = profile.WireProfile
	for _, c := range g.conflate {
		p.Conflate = append(p.Conflate, Conflation{Topic: c.topic, Interval: c.interval.value})
	}
	own, of := g.guarantees, profile.guarantees
	p.Guarantees = Guarantees{
		Delivery: own.delivery.or(of.delivery.or(deliveryAtMostOnce)),
		Ordered:  own.ordered.or(of.ordered.or(true)),
		Sheds:    own.sheds.or(of.sheds.or(p.SlowPolicy == slowDropOldest)),
		Resumes:  own.resumes.or(of.resumes.or(p.Target == TargetReference && p.Config.ResumesAny())),
	}
	return p
}

// ownProfile is how a target is spoken to where the scenario does not say.
func (k TargetKind) ownProfile() *profileValue {
	switch {
	case k == TargetReference:
		return &profileValue{WireProfile: ReferenceProfile()}
	case k.isReady():
		return readyProfile(string(k))
	}
	return &profileValue{WireProfile: BareProfile()}
}

// gateway checks that what is said of the target belongs to it.
func (c checker) gateway() {
	g := c.s.gateway
	if g.target.state == bad {
		return
	}
	kind := c.p.Gateway.Target
	c.missing(kind == TargetExternal && g.url.state == absent, "url", "an external gateway must be named", "url: ws://127.0.0.1:8080/ws")
	c.missing(kind == TargetCommand && g.command.state == absent, "command", "weir must know what to start",
		"command: {args: [node, server.js], url: 'ws://127.0.0.1:{port}/ws'}")
	c.missing(kind == TargetContainer && g.container.state == absent, "container", "weir must know what to start",
		"container: {image: my-gateway:1.0, port: 8080, url: 'ws://127.0.0.1:{port}/ws'}")
	c.instances()
	belongs(c, g.listen, TargetReference, "")
	belongs(c, g.queue, TargetReference, "")
	belongs(c, g.slow, TargetReference, "")
	belongs(c, g.config, TargetReference, "")
	where := ""
	if kind == TargetCommand || kind == TargetContainer {
		where = fmt.Sprintf("write it as gateway.%s.url", kind)
	}
	belongs(c, g.url, TargetExternal, where)
	belongs(c, g.usage, TargetExternal, "")
	belongs(c, g.command, TargetCommand, "")
	belongs(c, g.container, TargetContainer, "")
	belongs(c, g.variant, TargetNodeWS, "")
	if !kind.isMade() {
		refuse(c, g.buildIn, "is for what weir builds or pulls (remove it, or write target: container, node-ws, spring-boot or centrifugo)")
	}
	c.config()
	c.tlsIsSpoken()
}

// missing reports a key that the target needs.
func (c checker) missing(is bool, key, why, mend string) {
	if is {
		c.addf(c.s.gateway.at.under(key), "is missing: %s (write %s)", why, mend)
	}
}

// belongs refuses a value that has no meaning with the scenario's target.
func belongs[T any](c checker, f field[T], of TargetKind, mend string) {
	if c.p.Gateway.Target == of {
		return
	}
	if mend == "" {
		mend = "remove it, or write target: " + string(of)
	}
	name := string(of)
	if of == TargetReference {
		name, mend = name+" alone, weir's own gateway", "remove it"
	} else {
		name += " alone"
	}
	refuse(c, f, fmt.Sprintf("is for target: %s (%s)", name, mend))
}

// tlsIsSpoken refuses a profile with TLS where the target's URL has none: its files would be without effect.
func (c checker) tlsIsSpoken() {
	p, profile := c.p.Gateway, c.s.gateway.profile
	address := p.URL
	switch {
	case p.Command != nil:
		address = p.Command.URL
	case p.Container != nil:
		address = p.Container.URL
	}
	switch {
	case profile.state != given || profile.value.TLS == nil:
	case strings.HasPrefix(address, "ws://"):
		c.addf(profile.at, "has tls, and the target's URL has not (write wss://%s)", strings.TrimPrefix(address, "ws://"))
	case p.Target == TargetReference && p.Config.TLS == nil && c.s.gateway.config.state != bad:
		c.addf(profile.at, "has tls, and the gateway shows no certificate (write gateway.config.tls: {cert_file: gateway.pem, key_file: gateway.key})")
	}
}

// config checks the settings of the reference gateway against the rest of the scenario.
func (c checker) config() {
	g := c.s.gateway
	if c.p.Gateway.Target != TargetReference || g.config.state == absent {
		return
	}
	for _, topic := range append(slices.Clone(g.config.value.batched), g.config.value.keyed...) {
		c.knownTopic(topic)
	}
	enoughQueue(c.reporter, g.config.value.queueTotal, c.p.Gateway.QueueBytes, g.queue.state)
	batchesFit(c.reporter, g.config.value, c.p.Gateway.QueueBytes, g.queue.state, conflatedTopics(g.conflate))
	subjectsKnown(c.reporter, g.config.value)
}

// enoughQueue refuses a bound of all queues together that is less than that of one.
func enoughQueue(r *reporter, total field[int64], each int64, state fieldState) {
	if total.state == given && state != bad && total.value >= 0 && total.value < each {
		r.addf(total.at, "%s for all clients is less than the %s that may wait for one (write at least %s, or a smaller queue)",
			formatSize(total.value), formatSize(each), formatSize(each))
	}
}
