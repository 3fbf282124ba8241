package loadgen

import (
	"context"
	"fmt"
	"io"
	"net"
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
	return s.dialer.netDial == nil && parks(s.topo.plan, &s.topo.groups[g].plan, s.url)
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

// startPollers has the workers' pollers read until life ends.
func (s *swarm) startPollers(life context.Context, gate chan struct{}) error {
	if err := checkReader(); err != nil || !pollerKnown {
		return err
	}
	s.numeric = numericTarget(s.url)
	ended := func(c *client, why error) {
		s.wg.Go(func() {
			s.linked.Add(-1)
			if s.comesBack(life, c, why) && s.backOff(life, c, 0) {
				s.stay(life, c, gate, true)
			}
		})
	}
	failed := func(c *client, d *dialling, why error) {
		s.wg.Go(func() {
			if life.Err() != nil {
				return
			}
			s.dialFailed(c, d.began, d.told(why))
			if s.backOff(life, c, d.failures+1) {
				s.dialParked(life, c, gate, d.failures+1)
			}
		})
	}
	for _, w := range s.workers {
		p, err := newPoller(w, ended, failed)
		if err != nil {
			return err
		}
		w.poller = p
		s.wg.Go(p.run)
		context.AfterFunc(life, p.stop)
	}
	return nil
}

// dialParked has the worker's poller connect a client once the dials under way allow it. So many in a row have failed
// before.
func (s *swarm) dialParked(ctx context.Context, c *client, gate chan struct{}, failures uint64) {
	select {
	case gate <- struct{}{}:
		c.worker.poller.dial(c, failures, func() { <-gate })
	case <-ctx.Done():
	}
}

// park opens a session that the worker's poller reads from now on. An error means that the session has ended already.
func (s *swarm) park(ctx context.Context, c *client, conn net.Conn, early []byte) error {
	s.begin(c)
	stop := context.AfterFunc(ctx, func() { hangUp(conn) }) // a write does not see ctx end
	err := s.enter(c, conn, nil, early, func(p []byte, kernelAt, readAt int64, reply io.Writer) error {
		return c.worker.takeRead(c, p, kernelAt, readAt, reply)
	})
	if !stop() && err == nil {
		err = net.ErrClosed
	}
	if err == nil {
		err = c.worker.poller.add(c, conn)
	}
	if err != nil {
		_ = conn.Close()
		s.linked.Add(-1)
	}
	return err
}
