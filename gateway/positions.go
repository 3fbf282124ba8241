package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// resumePositions is where a client is in a topic.
type resumePositions struct {
	Epoch string          `json:"epoch"`
	Next  map[int32]int64 `json:"next"` // by partition, the first offset it has not had
}

func checkPositions(resume map[string]resumePositions) error {
	for topic, at := range resume {
		for p, next := range at.Next {
			if p < 0 || next < 0 {
				return &requestError{ErrorBadRequest, fmt.Sprintf("field \"resume\": topic %.80q has a negative number", topic)}
			}
		}
	}
	return nil
}

func caughtUp(id *uint64) []byte { return append(appendID([]byte(`{"type":"caught_up"`), id), '}') }

// lostOffsets is what of a topic a client can't be given any more.
type lostOffsets struct {
	epoch  bool // the topic is another one
	ranges map[int32][2]int64
}

func (l *lostOffsets) append(b []byte) []byte {
	if l.epoch {
		return append(b, `{"epoch":true}`...)
	}
	b = append(b, '{')
	first := true
	for _, p := range slices.Sorted(maps.Keys(l.ranges)) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = strconv.AppendInt(append(b, '"'), int64(p), 10)
		b = strconv.AppendInt(append(b, `":{"first":`...), l.ranges[p][0], 10)
		b = strconv.AppendInt(append(b, `,"last":`...), l.ranges[p][1], 10)
		b = append(b, '}')
	}
	return append(b, '}')
}

// positionsTold is what a client knows of its positions.
type positionsTold struct {
	index   int // in tellers.clients
	wanted  bool
	version uint64 // of all its topics together; 0 for never or no longer
}

// tellers are the clients that want to be told their positions.
type tellers struct {
	clients []*client
	next    int // to be told
}

func (t *tellers) add(c *client) {
	if c.told.wanted {
		return
	}
	c.told.wanted, c.told.index = true, len(t.clients)
	t.clients = append(t.clients, c)
}

func (t *tellers) remove(c *client) {
	if !c.told.wanted {
		return
	}
	last := len(t.clients) - 1
	t.clients[c.told.index] = t.clients[last]
	t.clients[c.told.index].told.index = c.told.index
	t.clients[last] = nil
	t.clients = t.clients[:last]
	c.told.wanted = false
}

const (
	// tellTicks is into how many parts the telling of positions is spread.
	tellTicks = 20
	// tellClients bounds how many clients are told while the hub is held.
	tellClients = 64
)

// tell tells each client its positions, once an interval, until ctx ends.
func (h *hub) tell(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every / tellTicks)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		h.mu.Lock()
		left := (len(h.tellers.clients) + tellTicks - 1) / tellTicks
		h.mu.Unlock()
		for left > 0 {
			left -= h.tellSome(min(left, tellClients))
		}
	}
}

func (h *hub) tellSome(n int) (told int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for range n {
		if len(h.tellers.clients) == 0 {
			break
		}
		h.tellers.next %= len(h.tellers.clients)
		h.tellPositions(h.tellers.clients[h.tellers.next])
		h.tellers.next++
	}
	return n
}

// tellMembers tells at once who is in a topic of which Kafka has taken records
// back or away: positions of before would mislead.
func (h *hub) tellMembers(t *topic) {
	for _, c := range h.tellers.clients {
		if c.topic(t).members > 0 {
			h.tellPositions(c)
		}
	}
}

// tellPositions tells a client how far it is in its topics, but for those of
// which a replay is under way, unless it knows.
func (h *hub) tellPositions(c *client) {
	var version uint64
	values := make(map[string][]byte, len(c.topics))
	for i := range c.topics {
		at := &c.topics[i]
		if at.members == 0 || at.replaying > 0 || at.topic.conflator != nil || at.isAhead() {
			continue
		}
		h.settle(at.topic)
		version += at.topic.log.version
		values[at.topic.name] = at.topic.log.positionsJSON()
	}
	if len(values) == 0 || version == c.told.version {
		return
	}
	b := append([]byte(`{"type":"positions"`), `,"positions":`...)
	if c.queue.pushPositions(append(appendByTopic(b, values), '}')) {
		c.told.version = version
	}
}

// positionsOf are those of a request's topics, on the wire: where replays stand,
// and elsewhere where the gateway does.
func (h *hub) positionsOf(req *request, replays []*topicReplay) map[string][]byte {
	values := make(map[string][]byte)
	for name := range req.names {
		t, _, _ := h.parse(name)
		if _, ok := values[t.name]; !ok {
			h.settle(t)
			values[t.name] = t.log.positionsJSON()
		}
	}
	for _, tr := range replays {
		values[tr.topic.name] = tr.positionsJSON()
	}
	return values
}

func (tr *topicReplay) positionsJSON() []byte {
	return appendPositions(nil, tr.topic.log.epoch, func(yield func(int, int64) bool) {
		for p, next := range tr.positions {
			if next != unknownOffset && !yield(p, next) {
				return
			}
		}
		for _, p := range slices.Sorted(maps.Keys(tr.given)) {
			if (int(p) >= len(tr.positions) || tr.positions[p] == unknownOffset) && !yield(int(p), tr.given[p]) {
				return
			}
		}
	})
}
