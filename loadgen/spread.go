package loadgen

import (
	"fmt"
	"net/netip"

	"github.com/weirbench/weir/scenarios"
)

// How clients are spread over workers, over the target's instances and over source addresses.

// spareDescriptors is what of a poller's table is left to what stands in it beside connections.
const spareDescriptors = 32

// tableShare is how much of its table a poller is to fill: where more than 90% are in use the run's figures are doubtful.
const tableShare = 0.85

// ConnectionsPerTable is how many connections a poller takes whose thread has a descriptor table of its own; 0 where the limit
// is not known.
func ConnectionsPerTable() int { return max(int(tableShare*float64(tableLimit()))-spareDescriptors, 0) }

// workersFor is how many shares so many clients are split into: one a processor, and as many as it takes for the pollers'
// tables to hold them.
func workersFor(clients, room int) int {
	if room <= 0 {
		return processors
	}
	return max(processors, (clients+room-1)/room)
}

// pollersFor is how many pollers a plan's clients take whose target is reached at an address; 0 where none of them are read
// by one.
func pollersFor(plan *scenarios.Plan, address string) int {
	for i := range plan.Clients {
		if parks(plan, &plan.Clients[i], address) {
			return workersFor(plan.ClientCount(), ConnectionsPerTable())
		}
	}
	return 0
}

// portsShare is how much of the ports between two addresses is used before another source address is. Linux gives out the
// ports of one parity first (inet_hash_connect): once half of all are taken, each connection searches that half in vain,
// which takes a hundred times as long as connecting.
const portsShare = 0.45

// sourcesFor is how many source addresses the clients of one address of the target take, where there are so many ports for
// each; 0 leaves the choice to the system. Beyond 127.0.0.0/8 nobody knows which addresses are this machine's.
func sourcesFor(clients, ports int, target netip.AddrPort) int {
	room := int(float64(ports) * portsShare)
	if ip := target.Addr().Unmap(); room <= 0 || clients <= room || !ip.Is4() || !ip.IsLoopback() {
		return 0
	}
	return min((clients+room-1)/room, maxSources)
}

// maxSources bounds the addresses from 127.0.0.1 on that are used unasked.
const maxSources = 250

// sourceAddress is the nth of them.
func sourceAddress(n int) string { return fmt.Sprintf("127.0.0.%d", 1+n) }

// instance is one address that the target is reached at.
type instance struct {
	url     string
	numeric netip.AddrPort // what the URL spells; invalid where it spells a name
	sources int            // source addresses that are used in turn; 0 leaves the choice to the system
}

// newInstances spreads so many clients evenly over the addresses.
func newInstances(urls []string, clients, ports int) []instance {
	var all []instance
	for i, url := range urls {
		numeric := numericTarget(url)
		share := (clients + len(urls) - 1 - i) / len(urls)
		all = append(all, instance{url, numeric, sourcesFor(share, ports, numeric)})
	}
	return all
}

// place is the client's among those of all groups, by which they are spread: by their numbers in their groups the first of
// each group would be in one place.
func (s *swarm) place(c *client) int { return s.groups[c.group].before + c.index }

// instanceOf is where a client connects, in every session.
func (s *swarm) instanceOf(c *client) *instance { return &s.instances[s.place(c)%len(s.instances)] }

// sourceOf is the address that a client connects from; empty leaves the choice to the system.
func (s *swarm) sourceOf(c *client) string {
	if own := s.topo.groups[c.group].plan.SourceAddresses; len(own) > 0 {
		return own[s.place(c)/len(s.instances)%len(own)]
	}
	if n := s.instanceOf(c).sources; n > 0 {
		return sourceAddress(s.place(c) / len(s.instances) % n)
	}
	return ""
}

// settles reports whether all that a client's life takes until a poller has it is a moment: then it needs no goroutine.
func (s *swarm) settles(c *client) bool {
	return s.parks(c.group) && !s.groups[c.group].varies && s.instanceOf(c).numeric.IsValid()
}

// Spread says, for a run's record, what the clients are spread over beside the target's addresses: descriptor tables and source
// addresses. It is empty where there is one of each.
func Spread(plan *scenarios.Plan, urls []string) map[string]string {
	all := map[string]string{}
	clients, room := plan.ClientCount(), ConnectionsPerTable()
	if pollers := pollersFor(plan, urls[0]); pollers > 0 {
		all["descriptor_tables"] = fmt.Sprintf("%d, of %d connections at most", pollers, room)
		if err := TryTable(); err != nil {
			all["descriptor_tables"] = fmt.Sprintf("one, of %d descriptors: %v", tableLimit(), err)
		}
	}
	most := 0
	for _, in := range newInstances(urls, clients, ephemeralPorts()) {
		most = max(most, in.sources)
	}
	if most > 1 {
		all["source_addresses"] = fmt.Sprintf("%s to %s", sourceAddress(0), sourceAddress(most-1))
	}
	return all
}

// crowd is the most clients that connect from one address to another by the plan.
func (s *swarm) crowd() (most int) {
	type pair struct {
		in   *instance
		from string
	}
	pairs := map[pair]int{}
	for _, c := range s.clients {
		at := pair{s.instanceOf(c), s.sourceOf(c)}
		pairs[at]++
		most = max(most, pairs[at])
	}
	return most
}
