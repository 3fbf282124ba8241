package testkit

import (
	"maps"
	"slices"
	"time"
)

// conflate keeps the record as the newest of its key for the client.
func (c *client) conflate(g *Gateway, r *record) {
	if c.newest == nil {
		c.newest = map[string]*record{}
	}
	if old := c.newest[string(r.Key)]; old != nil {
		g.countData(old, &g.counts.Conflated)
	}
	c.newest[string(r.Key)] = r
}

// passOn delivers the newest of each key of every client at each interval until the gateway ends.
func (g *Gateway) passOn() {
	tick := time.NewTicker(g.options.Conflate)
	defer tick.Stop()
	for {
		select {
		case <-g.life.Done():
			return
		case <-tick.C:
		}
		g.mu.Lock()
		for _, c := range slices.Clone(g.clients) {
			newest := c.newest
			c.newest = nil
			for _, key := range slices.Sorted(maps.Keys(newest)) {
				g.offer(c, newest[key])
			}
		}
		g.mu.Unlock()
	}
}
