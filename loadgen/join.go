package loadgen

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// join waits until every stream of every client is in force, or ctx ends.
func (s *swarm) join(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	quiet := silence{swarm: s, after: silenceOf(s.topo.plan.Phases.JoinDeadline)}
	for s.unjoined.Load() > 0 {
		select {
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return context.Cause(ctx)
			}
			return s.joinError()
		case <-s.failed:
			return s.err
		case now := <-tick.C:
			if err := quiet.look(now); err != nil {
				return err
			}
		}
	}
	return nil
}

// neverJoined lists at most so many of the clients that have a stream that is not in force, and counts all.
func (s *swarm) neverJoined(most int) (names []string, count int) {
	for _, c := range s.clients {
		c.worker.mu.Lock()
		missing := ""
		for i := range c.trackers {
			if !c.present {
				break
			}
			if c.trackers[i].flag&(flagExpected|flagJoined) == flagExpected {
				missing = s.lacks(c, i)
				break
			}
		}
		c.worker.mu.Unlock()
		if missing == "" {
			continue
		}
		count++
		if len(names) < most {
			names = append(names, fmt.Sprintf("%s (%s)", s.clientName(c), missing))
		}
	}
	return names, count
}

func (s *swarm) clientName(c *client) string {
	return fmt.Sprintf("%s/%d", s.topo.groups[c.group].plan.Name, s.number(c))
}

// number is the client's among all of its group's name.
func (s *swarm) number(c *client) int { return s.groups[c.group].first + c.index }

func (s *swarm) streamName(c *client, stream int) string {
	group := &s.topo.groups[c.group]
	key, _ := group.streamID(c.index, stream)
	p := &s.topo.producers[key.producer]
	switch {
	case key.byKey:
		return fmt.Sprintf("producer %s, key %s", p.plan.Name, scenarios.KeyName(key.id))
	case p.publishes():
		return fmt.Sprintf("what client %d of %s publishes", key.id, p.plan.Name)
	}
	return fmt.Sprintf("producer %s, partition %d", p.plan.Name, key.id)
}

// joinError says who never joined and what came instead.
func (s *swarm) joinError() error {
	names, count := s.neverJoined(3)
	e := &JoinError{Missing: count, First: names, Answer: s.topo.plan.Gateway.Profile.Joined, Codecs: s.codecs()}
	remarks := map[string]int64{}
	for _, c := range s.clients {
		c.worker.mu.Lock()
		if c.present && len(c.trackers) > 0 {
			e.Clients++
			if !c.fed {
				e.Silent++
			}
		}
		c.worker.mu.Unlock()
	}
	for _, w := range s.workers {
		w.mu.Lock()
		e.Foreign += w.foreigns
		for text, n := range w.remarks.all {
			remarks[text] += n
		}
		for text, n := range w.closings.all {
			remarks[text] += n
		}
		w.mu.Unlock()
	}
	for _, p := range s.producers {
		p.ackMu.Lock()
		for text, n := range p.untaken.all {
			remarks[text] += n
			e.Untaken += n
		}
		p.ackMu.Unlock()
	}
	e.Remarks = causes(remarks)
	return e
}

// JoinError means that clients saw no marker on streams that they subscribed to before the join deadline, or had no answer.
type JoinError struct {
	Answer  string   // what begins the answer that acknowledges a subscription; empty where markers do
	Missing int      // clients with a stream that never joined, or without all answers
	Clients int      // clients that follow anything and are there before the load
	First   []string // some of them, with the stream
	Silent  int      // clients that nothing but control frames came to
	Foreign int64    // frames without a stamp
	Untaken int64    // markers that Kafka did not take
	Codecs  []string // that batches are compressed with, and by whom
	Remarks string   // what else happened, the most frequent first
}

// Error names the clients and the likely cause.
func (e *JoinError) Error() string {
	likely := "are all streams' channels subscribed, and does the gateway read every partition?"
	switch {
	case e.Answer != "":
		likely = "is that how its answer to a subscription begins, and is the profile's subscribe what it wants?"
	case e.Untaken > 0:
		likely = "Kafka did not take what was to tell them, so look at its log (message size, compression, permission to write)"
	case e.Foreign > 0 && e.Silent < e.Clients:
		likely = fmt.Sprintf("%d frames came without a stamp: does the gateway pass values on unchanged, and is this the right gateway?", e.Foreign)
	case e.Silent == e.Clients:
		likely = "the target accepted the connections and delivered nothing: does it consume these topics, from the end on, and can it read the producers' compression?"
	case e.Silent > 0:
		likely = fmt.Sprintf("nothing came to %d of the clients: %s", e.Silent, likely)
	}
	if cause := codecCause(e.Codecs); cause != "" { // what a codec makes no smaller goes without it, and may come all the same
		likely += " Besides, " + cause
	}
	never := "saw a marker on every stream they follow"
	if e.Answer != "" {
		never = fmt.Sprintf("got the answer to their subscription, which begins with %q", e.Answer)
	}
	return fmt.Sprintf("join: %d of %d clients never %s (%s): %s%s",
		e.Missing, e.Clients, never, strings.Join(e.First, "; "), likely, e.Remarks)
}
