package doctor

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/weirbench/weir/internal/machine"
	"github.com/weirbench/weir/internal/thousands"
	"github.com/weirbench/weir/scenarios"
	"github.com/weirbench/weir/testbed"
)

// spareDescriptors is what a process needs beside its clients' connections: Kafka's, files, the runtime's.
const spareDescriptors = 256

// descriptors: a gateway is a process of its own with the same limit, and holds one for each of its clients. So does the
// generator for all of them where its threads can't have tables of their own.
func descriptors(_ context.Context, m Machine, n Needs) Finding {
	soft, hard, known := m.Descriptors()
	if !known {
		return unknown()
	}
	held, mend := n.Clients, ""
	var tables string
	if err := m.Tables(); err == nil {
		held = (n.Clients + instances(n) - 1) / instances(n)
		tables = "; weir's threads hold so many each"
	} else {
		tables = "; weir's threads hold so many together, since none can have a table of its own: " + oneLine(err)
		mend = ", or let weir call close_range with CLOSE_RANGE_UNSHARE, which a seccomp profile may forbid"
	}
	need := uint64(held + spareDescriptors)
	there := thousands.Of(hard)
	if hard > math.MaxInt64 { // RLIM_INFINITY
		there = "unlimited"
	}
	raised := ""
	if soft < hard {
		raised = fmt.Sprintf("; weir raises its own soft limit of %s to that", thousands.Of(soft))
	}
	if hard < need {
		return lacking(n, fmt.Sprintf("raise the hard limit: LimitNOFILE=%d in a systemd unit, nofile in /etc/security/limits.conf, "+
			"or docker run --ulimit nofile=%d%s", need, need, mend),
			"%s descriptors a process, %s for %s clients%s%s", there, thousands.Of(need), thousands.Of(n.Clients), ofInstances(n), tables)
	}
	return ok("%s descriptors a process, %s for %s clients%s%s%s", there, thousands.Of(need), thousands.Of(n.Clients), ofInstances(n), tables, raised)
}

// instances is how many gateways the plan's clients are spread over.
func instances(n Needs) int {
	if n.Plan == nil {
		return 1
	}
	return n.Plan.Gateway.InstanceCount()
}

func ofInstances(n Needs) string {
	if instances(n) == 1 {
		return ""
	}
	return fmt.Sprintf(" of %d gateways", instances(n))
}

// ports: a connection needs a local port that no other between the same two addresses has.
func ports(_ context.Context, m Machine, n Needs) Finding {
	there, err := machine.EphemeralPorts(m.Files)
	if err != nil {
		return unknown()
	}
	need, group := portsNeeded(n)
	const mend = "connect from several addresses: source_addresses: [127.0.0.2, 127.0.0.3] in the client group, " +
		"or widen the range: sysctl -w net.ipv4.ip_local_port_range='10000 65535'"
	if there < need && group == "" && toLoopback(n) {
		return ok("%s ports for connections from one address to another, %s needed: weir connects from several addresses by itself", thousands.Of(there), thousands.Of(need))
	}
	if there < need {
		return lacking(n, mend, "%s ports for connections from one address to another, %s needed%s", thousands.Of(there), thousands.Of(need), group)
	}
	return ok("%s ports for connections from one address to another, %s needed%s", thousands.Of(there), thousands.Of(need), group)
}

// toLoopback reports whether the plan's clients connect to 127.0.0.0/8, where weir has other source addresses.
func toLoopback(n Needs) bool {
	if n.Plan == nil {
		return false
	}
	if n.Plan.Gateway.Target != scenarios.TargetExternal {
		return true
	}
	u, err := url.Parse(n.Plan.Gateway.URL)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.Unmap().Is4() && ip.Unmap().IsLoopback()
}

// portsNeeded is the most connections that the plan makes from one local address.
func portsNeeded(n Needs) (need int, group string) {
	if n.Plan == nil {
		return n.Clients, ""
	}
	from := map[string]int{}
	for _, g := range n.Plan.Clients {
		if len(g.SourceAddresses) == 0 {
			from[""] += (g.Count + instances(n) - 1) / instances(n)
		}
		for i, a := range g.SourceAddresses {
			share := g.Count / len(g.SourceAddresses)
			if i < g.Count%len(g.SourceAddresses) {
				share++
			}
			from[a] += (share + instances(n) - 1) / instances(n)
		}
	}
	for address, connections := range from {
		if connections > need || connections == need && address < group {
			need, group = connections, address
		}
	}
	if group != "" {
		group = " from " + group
	}
	return need, group
}

// backlog: connections that the gateway has not accepted yet wait in a queue of this length at most.
func backlog(_ context.Context, m Machine, _ Needs) Finding {
	const enough = 1024
	n, known := m.number("proc/sys/net/core/somaxconn")
	switch {
	case !known:
		return unknown()
	case n < enough:
		return warn("sysctl -w net.core.somaxconn=4096", "net.core.somaxconn is %d: a burst of connections may be refused or take a second more", n)
	}
	return ok("net.core.somaxconn is %s", thousands.Of(n))
}

// portReuse: ports of closed connections are kept for a minute, unless the kernel may use them again.
func portReuse(_ context.Context, m Machine, _ Needs) Finding {
	n, known := m.number("proc/sys/net/ipv4/tcp_tw_reuse")
	switch {
	case !known:
		return unknown()
	case n == 0:
		return warn("sysctl -w net.ipv4.tcp_tw_reuse=2", "net.ipv4.tcp_tw_reuse is 0: after a run its ports are taken for a minute")
	case n == 2:
		return ok("net.ipv4.tcp_tw_reuse is 2: ports of closed loopback connections are used again")
	}
	return ok("net.ipv4.tcp_tw_reuse is %d: ports of closed connections are used again", n)
}

// conntrack: where the firewall follows connections, each needs an entry, and beyond their number packets are dropped.
func conntrack(_ context.Context, m Machine, n Needs) Finding {
	most, known := m.number("proc/sys/net/netfilter/nf_conntrack_max")
	if !known {
		return ok("not loaded")
	}
	used, _ := m.number("proc/sys/net/netfilter/nf_conntrack_count")
	need := int64(n.Clients + spareDescriptors)
	if most-used < need {
		return lacking(n, fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", used+2*need),
			"%s of %s connection tracking entries are free, %s needed: beyond them packets are dropped", thousands.Of(max(most-used, 0)), thousands.Of(most), thousands.Of(need))
	}
	return ok("%s of %s connection tracking entries are free, %s needed", thousands.Of(most-used), thousands.Of(most), thousands.Of(need))
}

// kafka reaches the plan's cluster.
func kafka(ctx context.Context, m Machine, n Needs) Finding {
	if err := m.Kafka(ctx, n.Plan); err != nil {
		return fail("start the cluster, or correct kafka.seeds", "%s", oneLine(err))
	}
	return ok("%s answers, and so does each broker where it says that it is", strings.Join(n.Plan.Kafka.Seeds, ", "))
}

// target reaches the plan's gateway.
func target(ctx context.Context, m Machine, n Needs) Finding {
	shown := n.Plan.Gateway.URL
	if err := m.Target(ctx, n.Plan); err != nil {
		return fail("start the gateway, or correct gateway.url", "%s", oneLine(err))
	}
	return ok("%s answers a WebSocket handshake%s", shown, loopbackWord(shown))
}

// loopbackWord says of an address that is not this machine's that it was allowed.
func loopbackWord(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return ""
	}
	return "; it is not loopback and was allowed"
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// docker matters to plans whose brokers run in it.
func docker(ctx context.Context, m Machine, n Needs) Finding {
	needed := n.Plan != nil && n.Plan.Kafka.Provider == scenarios.ProviderDocker
	image := ""
	if n.Plan == nil || needed {
		image = testbed.DefaultImage
	}
	if needed && n.Plan.Kafka.Image != "" {
		image = n.Plan.Kafka.Image
	}
	if image == "" {
		return ok("not needed by this scenario")
	}
	give := warn
	if needed {
		give = fail
	}
	d := m.Docker(ctx, image)
	switch {
	case d.Err != nil:
		return give("start Docker, or let your user use it; weir does without: --set kafka.provider=embedded", "%s", oneLine(d.Err))
	case d.Present:
		return ok("Docker %s answers; image %s is there", d.Version, image)
	case d.PullErr != nil:
		return give(fmt.Sprintf("bring it in another way (docker load), or name another: --set kafka.image=…; the registry said: %s", oneLine(d.PullErr)),
			"Docker %s answers; image %s is not there and can't be pulled", d.Version, image)
	}
	return ok("Docker %s answers; image %s is not there, the first run pulls it", d.Version, image)
}
