package runner

import (
	"os"
	"strconv"
	"strings"

	"github.com/weirbench/weir/results"
)

// netCounts are the kernel's counts of TCP since the network namespace began.
type netCounts struct {
	known                                                            bool
	segments, retransmits, listenOverflows, listenDrops, fullReceive int64
}

// netWatch turns them into gauges.
type netWatch struct{ last netCounts }

// gauges adds what happened since the last call, by the second.
func (w *netWatch) gauges(now netCounts, span float64, out map[string]float64) {
	last := w.last
	w.last = now
	if !last.known || !now.known || span <= 0 {
		return
	}
	for _, g := range []struct {
		name      string
		was, came int64
	}{
		{results.GaugeSegments, last.segments, now.segments},
		{results.GaugeRetransmits, last.retransmits, now.retransmits},
		{results.GaugeListenOverflows, last.listenOverflows, now.listenOverflows},
		{results.GaugeListenDrops, last.listenDrops, now.listenDrops},
		{results.GaugeFullReceiveBuffers, last.fullReceive, now.fullReceive},
	} {
		if g.came >= g.was {
			out[g.name] = float64(g.came-g.was) / span
		}
	}
}

// readNetCounts reads those of this thread's network namespace, which is the process's. A system without such files does not
// tell them.
func readNetCounts() netCounts {
	snmp, err := os.ReadFile("/proc/thread-self/net/snmp")
	if err != nil {
		return netCounts{}
	}
	netstat, err := os.ReadFile("/proc/thread-self/net/netstat")
	if err != nil {
		return netCounts{}
	}
	return netCountsOf(string(snmp), string(netstat))
}

// netCountsOf takes the counters by their names in Linux, Documentation/networking/snmp_counter.rst. A listener whose
// queue of accepted connections is full counts as ListenOverflows, and one whose queue of begun ones is as TCPReqQFullDrop;
// ListenDrops is all that a listener drops, for these and any other reason. A receive buffer is full where the window had to
// be closed (TCPToZeroWindowAdv), segments were squeezed together (PruneCalled) or dropped (RcvPruned, TCPRcvQDrop;
// TCPBacklogDrop while its owner held the socket).
func netCountsOf(snmp, netstat string) netCounts {
	tcp, extended := netTable(snmp, "Tcp:"), netTable(netstat, "TcpExt:")
	segments, known := tcp["OutSegs"]
	c := netCounts{known: known, segments: segments, retransmits: tcp["RetransSegs"],
		listenOverflows: extended["ListenOverflows"] + extended["TCPReqQFullDrop"], listenDrops: extended["ListenDrops"]}
	for _, name := range []string{"TCPToZeroWindowAdv", "PruneCalled", "RcvPruned", "TCPRcvQDrop", "TCPBacklogDrop"} {
		c.fullReceive += extended[name]
	}
	return c
}

// netTable reads two lines that begin with the title: names, then values.
func netTable(text, title string) map[string]int64 {
	table := map[string]int64{}
	var names []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != title {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		for i := 1; i < min(len(f), len(names)); i++ {
			if v, err := strconv.ParseInt(f[i], 10, 64); err == nil {
				table[names[i]] = v
			}
		}
		return table
	}
	return table
}
