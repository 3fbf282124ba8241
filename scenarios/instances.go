package scenarios

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// isCopied says whether weir can start several of a target: it needs a port and a name for each, and nothing else.
func (k TargetKind) isCopied() bool { return k == TargetReference || k == TargetCommand }

// InstanceCount is how many instances of the target there are, as far as weir starts them: at least one.
func (g *GatewayPlan) InstanceCount() int { return max(g.Instances, 1) }

// instances checks that there can be several of the target, and refuses what only one of them could have.
func (c checker) instances() {
	g := c.s.gateway
	if g.copies.state != given || g.copies.value < 2 {
		return
	}
	if !c.p.Gateway.Target.isCopied() {
		refuse(c, g.copies, "is for target: reference and command, of which weir can start several (remove it; others that stand behind one "+
			"address are target: external)")
		return
	}
	n := g.copies.value
	const each = "each of the %d instances needs a port of its own (%s, or write instances: 1)"
	if _, port, err := net.SplitHostPort(c.p.Gateway.Listen); err == nil && port != "0" && g.listen.state == given {
		c.addf(g.listen.at, each, n, "write 127.0.0.1:0")
	}
	if _, port, err := net.SplitHostPort(c.p.Gateway.Config.Pprof); err == nil && port != "0" {
		c.addf(g.config.at.under("pprof"), each, n, "remove it")
	}
	c.commandPorts(n)
	if group := c.p.Gateway.Config.Consume.Group; group != "" {
		c.addf(g.config.at.under("consume").under("group"), "has the %d instances share the partitions, and a client gets only what its own instance reads: "+
			"they are spread over the instances whatever they follow (remove it, or write instances: 1)", n)
	}
}

// commandPorts refuses a program's addresses that are the same for each of its instances.
func (c checker) commandPorts(n int) {
	command, at := c.p.Gateway.Command, c.s.gateway.command.at
	if command == nil {
		return
	}
	for _, address := range []struct {
		text string
		at   place
	}{{command.URL, at.under("url")}, {command.Ready.URL, at.under("ready").under("url")}} {
		if address.text == "" {
			continue
		}
		const anyPort = "60999"
		one, err := url.Parse(strings.ReplaceAll(address.text, "{port}", anyPort))
		other, otherErr := url.Parse(strings.ReplaceAll(address.text, "{port}", "60998"))
		if err != nil || otherErr != nil || one.Host != other.Host {
			continue
		}
		host := strings.TrimSuffix(one.Host, ":"+one.Port())
		c.addf(address.at, "is the same for each of the %d instances, which need a port of their own (write %s, or instances: 1)",
			n, quote(one.Scheme+"://"+host+":{port}"+strings.ReplaceAll(one.RequestURI(), anyPort, "{port}")))
	}
}

// tooMany checks how many clients there are in all against what the gateways carry: group is the one that makes it so many.
func (c checker) tooMany(group clientItem, before, total int) bool {
	p := &c.p.Gateway
	limit, carry, mend := maxClients, fmt.Sprintf("%d is the most", maxClients), ""
	why := whyMaxClients
	if p.Target != TargetExternal {
		limit, why = maxPerInstance*p.InstanceCount(), whyMaxPerInstance
		carry = fmt.Sprintf("one process carries %d", limit)
		if n := p.InstanceCount(); n > 1 {
			carry = fmt.Sprintf("%d gateways carry %d", n, limit)
		}
		if need := (total + maxPerInstance - 1) / maxPerInstance; p.Target.isCopied() && need <= maxInstances {
			mend = fmt.Sprintf(", or gateway.instances: %d", need)
		}
	}
	if before > limit || total <= limit {
		return false
	}
	c.addf(group.count.at, "makes %d clients in all, and %s (write at most %d%s; no flag lifts that: %s)",
		total, carry, max(limit-before, 0), mend, why)
	return true
}
