package runner

import "github.com/weirbench/weir/results"

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
