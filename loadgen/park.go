package loadgen

import (
	"context"
	"fmt"
	"os"

	"github.com/weirbench/weir/scenarios"
)

// How a run's connections are read.
const (
	ReaderEpoll      = "epoll"      // a thread for many
	ReaderGoroutines = "goroutines" // each by a goroutine of its own
)

// parks reports whether a group's connections can be read by the workers' pollers.
func (s *swarm) parks(g int) bool {
	return s.dialer.netDial == nil && parks(s.topo.plan, &s.topo.groups[g].plan, s.instances[0].url)
}

// ReaderVariable is the environment variable that has all connections read by goroutines, for comparisons: ReaderGoroutines,
// or ReaderEpoll, which is empty's meaning too.
const ReaderVariable = "WEIR_READER"

// checkReader refuses a word that means nothing.
func checkReader() error {
	switch word := os.Getenv(ReaderVariable); word {
	case "", ReaderEpoll, ReaderGoroutines:
		return nil
	default:
		return fmt.Errorf("read %s=%q: it is neither %s nor %s", ReaderVariable, word, ReaderEpoll, ReaderGoroutines)
	}
}

// parks is that of a group whose target is reached at an address: connections are plain sockets, and what their clients
// send beside pongs is over once they have subscribed. A client that reads slowly waits on purpose.
func parks(plan *scenarios.Plan, g *scenarios.ClientGroup, address string) bool {
	return pollerKnown && os.Getenv(ReaderVariable) != ReaderGoroutines && !overTLS(address) && !answers(&plan.Gateway.Profile) && g.Slow == nil && g.Publish == nil
}

// ReaderFor says how most connections of a run are read whose target is reached at an address. Those of clients that come and
// go by plan are read by goroutines in all stays but the last.
func ReaderFor(plan *scenarios.Plan, address string) string {
	count := map[bool]int{}
	for i := range plan.Clients {
		count[parks(plan, &plan.Clients[i], address) && !varies(plan, i)] += plan.Clients[i].Count
	}
	if count[true] > count[false] {
		return ReaderEpoll
	}
	return ReaderGoroutines
}

// startPollers has the workers' pollers read until life ends, where any group's connections are read by them.
func (s *swarm) startPollers(life context.Context, gate chan struct{}) error {
	if err := checkReader(); err != nil || !s.parksAny() {
		return err
	}
	ended := func(c *client, why error) {
		s.wg.Go(func() {
			s.linked.Add(-1)
			if s.comesBack(life, c, why) && s.backOff(life, c, 0) {
				s.stay(life, c, gate, true)
			}
		})
	}
	failed := func(d *dialling, why error) {
		s.wg.Go(func() {
			if s.dialFails(life, d, why) {
				s.dialParked(life, d.client, gate, d.failures+1)
			}
		})
	}
	for _, w := range s.workers {
		p, err := newPoller(w, ended, failed)
		if err != nil {
			return err
		}
		type start struct{ shared, failed error }
		begun := make(chan start, 1)
		s.wg.Go(func() { p.run(func(shared, failed error) { begun <- start{shared, failed} }) })
		switch got := <-begun; {
		case got.failed != nil:
			return got.failed
		case got.shared != nil:
			w.mu.Lock()
			w.remarks.add(fmt.Sprintf("a reader of connections shares the process's %d descriptors, since it has no table of its own: %v", tableLimit(), got.shared))
			w.mu.Unlock()
		}
		w.mu.Lock()
		w.poller = p
		w.mu.Unlock()
		context.AfterFunc(life, p.stop)
	}
	return nil
}

// parksAny reports whether any group's connections can be read by pollers.
func (s *swarm) parksAny() bool {
	for g := range s.topo.groups {
		if s.parks(g) {
			return true
		}
	}
	return false
}

// dialParked has the worker's poller connect a client once the dials under way allow it. So many in a row have failed
// before.
func (s *swarm) dialParked(ctx context.Context, c *client, gate chan struct{}, failures uint64) {
	for {
		select {
		case gate <- struct{}{}:
		case <-ctx.Done():
			return
		}
		d, err := s.newDialling(ctx, c, failures)
		d.release = func() { <-gate }
		if err == nil {
			c.worker.poller.dial(d)
			return
		}
		d.release()
		if !s.dialFails(ctx, d, err) {
			return
		}
		failures++
	}
}

// dialFails books a dial that failed and waits until the client's next one; it reports false if ctx ended.
func (s *swarm) dialFails(ctx context.Context, d *dialling, why error) bool {
	if ctx.Err() != nil {
		return false
	}
	s.dialFailed(d.client, d.began, d.told(why))
	return s.backOff(ctx, d.client, d.failures+1)
}

// descriptors is how many stand in the fullest of the pollers' own tables; 0 where they have none.
func (s *swarm) descriptors() (most int) {
	for _, w := range s.workers {
		w.mu.Lock()
		p := w.poller
		w.mu.Unlock()
		if p != nil {
			most = max(most, p.descriptors())
		}
	}
	return most
}
