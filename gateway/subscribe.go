package gateway

import (
	"fmt"
	"iter"
	"strings"
	"time"
	"unicode/utf8"
)

// clientTopic is what a client has in a topic.
type clientTopic struct {
	topic     *topic
	members   int
	replaying int // of these, not live yet

	// ahead is where a replay left the client, by partition, as long as this
	// gateway itself is not there: else nil.
	ahead map[int32]int64

	// Of a batched topic: whether the client's records are gathered apart from
	// others', and where.
	apart bool
	own   *gathering
}

// topic returns the client's account of the topic, which begins empty.
func (c *client) topic(t *topic) *clientTopic {
	for i := range c.topics {
		if c.topics[i].topic == t {
			return &c.topics[i]
		}
	}
	c.topics = append(c.topics, clientTopic{topic: t})
	return &c.topics[len(c.topics)-1]
}

// names calls f with each channel of the request, patterns behind patternMark.
func (r *request) names(yield func(string) bool) {
	for _, name := range r.Channels {
		if !yield(name) {
			return
		}
	}
	for _, name := range r.Patterns {
		if !yield(patternMark + name) {
			return
		}
	}
}

const (
	// maxResumptions bounds a client's requests to resume that are not done with,
	// each of which has a goroutine.
	maxResumptions = 64
	// maxKeyBytes bounds the key in a channel's name. The names are kept.
	maxKeyBytes = 1024
)

// wantsPositions reports whether the client wants to know how far it is.
func (r *request) wantsPositions() bool { return r.Positions || r.Resume != nil }

// subscribe adds the channels, all or none, and queues the acknowledgement under
// the same lock: what is published after it is delivered. Where the client asks
// for what it missed, nothing more is read from it before the acknowledgement is queued.
func (h *hub) subscribe(c *client, req *request) *requestError {
	r, err := h.subscribeNow(c, req)
	if r == nil {
		return err
	}
	if c.queue.carriage == nil {
		return h.replayer.begin(r)
	}
	c.queue.carriage.pause(func() {
		if err := h.replayer.begin(r); err != nil {
			c.refuseRequest(req, err)
		}
	})
	return nil
}

// subscribeNow does all but a replay, which it returns if there is to be one.
func (h *hub) subscribeNow(c *client, req *request) (*resumption, *requestError) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.checkLocked(c, req); err != nil {
		return nil, err
	}
	if err := h.checkResumable(c, req); err != nil {
		return nil, err
	}
	missed := h.missed(c, req)
	if missed && c.resumptions == maxResumptions {
		return nil, &requestError{ErrorTooManyRequests, "as many requests to resume as may be are not done with (wait for caught_up)"}
	}
	h.settleNamed(req)
	if req.wantsPositions() {
		for name := range req.names {
			t, _, _ := h.parse(name)
			t.log.keep()
		}
		h.tellers.add(c)
	}
	if missed {
		c.resumptions++
		return &resumption{client: c, request: req, startedAt: time.Now(), answered: make(chan struct{})}, nil
	}
	h.joinLive(c, req.names)
	b := h.subscribed(req.ID, req.Channels, req.Patterns)
	if req.Resume != nil {
		b = append(b[:len(b)-1], `,"resumed":true}`...)
		h.counters.resumes.Add(1)
	}
	if req.wantsPositions() {
		b = append(b[:len(b)-1], `,"positions":`...)
		b = append(appendByTopic(b, h.positionsOf(req, nil)), '}')
	}
	c.queue.pushReply(b)
	if req.Resume != nil {
		c.queue.pushReply(caughtUp(req.ID))
	}
	return nil, nil
}

// missed reports whether the client asks for records of channels that are new to
// it.
func (h *hub) missed(c *client, req *request) bool {
	for name := range req.names {
		t, _, _ := h.parse(name)
		if _, held := c.members[name]; held {
			continue
		}
		if _, ok := req.Resume[t.name]; ok {
			return true
		}
	}
	return false
}

// checkResumable refuses what would lead to records that come twice or in
// disorder, and resuming where it can't be.
func (h *hub) checkResumable(c *client, req *request) *requestError {
	for name := range req.names {
		t, _, _ := h.parse(name)
		if req.wantsPositions() && h.replayer == nil {
			return &requestError{ErrorNotResumable, "this gateway does not let clients resume"}
		}
		if req.wantsPositions() && t.conflator != nil {
			return &requestError{ErrorNotResumable, fmt.Sprintf("topic %s is conflated: its records can't be resumed", t.name)}
		}
		if _, held := c.members[name]; held {
			continue
		}
		// A client's positions are of the topic, and so all its channels in it are at the same place.
		has := c.topic(t)
		_, resumes := req.Resume[t.name]
		switch {
		case resumes && has.members > 0:
			return &requestError{ErrorNotResumable, fmt.Sprintf("channel %.80q: the client has other channels of the topic (resume them together)", trimMark(name))}
		case has.replaying > 0:
			return &requestError{ErrorNotResumable, fmt.Sprintf("channel %.80q: channels of the topic are being replayed (wait for caught_up)", trimMark(name))}
		}
	}
	return nil
}

func unknownChannel(what, name string) *requestError {
	return &requestError{ErrorUnknownChannel, fmt.Sprintf("%s %.80q: the gateway consumes no such topic", what, name)}
}

func tooLong(what, name string, most int) *requestError {
	return &requestError{ErrorBadRequest, fmt.Sprintf("%s %.80q…: what follows the topic has more than %d bytes", what, name, most)}
}

// check says what would be wrong with a new client's subscribing to the channels.
func (h *hub) check(channels []string) *requestError {
	return h.checkLocked(&client{}, &request{Channels: channels})
}

// checkLocked needs the lock where the client runs or there are patterns.
func (h *hub) checkLocked(c *client, req *request) *requestError {
	if err := h.checkNames(req.Channels, req.Patterns); err != nil {
		return err
	}
	if err := h.checkPatterns(c, req); err != nil {
		return err
	}
	added := make(map[string]struct{})
	for name := range req.names {
		if _, ok := c.members[name]; !ok {
			added[name] = struct{}{}
		}
	}
	if n := len(c.members) + len(added); n > h.maxChannels {
		return &requestError{ErrorTooManyChannels, fmt.Sprintf("%d channels are more than a client may have (%d)", n, h.maxChannels)}
	}
	return nil
}

func (h *hub) checkNames(channels, patterns []string) *requestError {
	for _, name := range channels {
		if !utf8.ValidString(name) { // by the URL: no message could name it
			return &requestError{ErrorBadRequest, fmt.Sprintf("channel %.80q: the name is not UTF-8", name)}
		}
		t, key, _ := h.parse(name)
		if t == nil || trimMark(name) != name {
			return unknownChannel("channel", name)
		}
		if len(key) > maxKeyBytes {
			return tooLong("channel", name, maxKeyBytes)
		}
	}
	for _, name := range patterns {
		t, key, ofKey := h.parse(patternMark + name)
		if t == nil {
			return unknownChannel("pattern", name)
		}
		if len(key) > maxPatternBytes {
			return tooLong("pattern", name, maxPatternBytes)
		}
		if strings.Count(key, "*") > maxWildcards {
			return &requestError{ErrorBadRequest, fmt.Sprintf("pattern %.80q has more than %d *", name, maxWildcards)}
		}
		if !ofKey {
			return &requestError{ErrorBadRequest, fmt.Sprintf("pattern %.80q is not TOPIC/PATTERN", name)}
		}
	}
	return nil
}

// joinLive gives the client the channels that it has not yet, which are live at once.
func (h *hub) joinLive(c *client, names iter.Seq[string]) {
	for name := range names {
		if _, ok := c.members[name]; !ok {
			h.join(h.hold(c, name))
		}
	}
}

// hold gives the client a channel, by which it does not get anything yet.
func (h *hub) hold(c *client, name string) *member {
	m := &member{client: c, channel: h.channel(name)}
	h.settle(m.channel.topic)
	c.members[name] = m
	c.told.version = 0
	has := c.topic(m.channel.topic)
	has.members++
	c.regroup(m.channel.topic)
	if m.channel.glob != nil {
		c.patterns++
	}
	h.counters.subscriptions.Add(1)
	return m
}

func (h *hub) join(m *member) {
	h.settle(m.channel.topic)
	m.index = len(m.channel.members)
	m.channel.members = append(m.channel.members, m)
}

// unsubscribe removes the channels that the client has; after the
// acknowledgement nothing comes by them.
func (h *hub) unsubscribe(c *client, req *request) *requestError {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.checkNames(req.Channels, req.Patterns); err != nil {
		return err
	}
	h.settleNamed(req)
	for name := range req.names {
		if m, ok := c.members[name]; ok {
			delete(c.members, name)
			h.leave(m)
		}
	}
	c.queue.pushReply(acknowledgement("unsubscribed", req.ID, req.Channels, req.Patterns))
	return nil
}

// leave takes m out of its channel by putting the last member in its place, or
// out of its replay.
func (h *hub) leave(m *member) {
	ch := m.channel
	has := m.client.topic(ch.topic)
	if has.members--; has.members == 0 {
		has.ahead = nil
	}
	m.client.regroup(ch.topic)
	m.client.told.version = 0
	if ch.glob != nil {
		m.client.patterns--
	}
	if m.replay != nil {
		m.replay.leave(m)
		m.replay = nil
		has.replaying--
		ch.replaying--
	} else {
		last := len(ch.members) - 1
		ch.members[m.index] = ch.members[last]
		ch.members[m.index].index = m.index
		ch.members[last] = nil
		ch.members = ch.members[:last]
	}
	if ch.subscribers() == 0 && ch.ofKey {
		if ch.glob != nil {
			ch.topic.patterns.remove(ch)
		} else {
			delete(ch.topic.keys, ch.key)
		}
	}
	h.counters.subscriptions.Add(-1)
}

// channel returns the channel of a name that was checked.
func (h *hub) channel(name string) *channel {
	t, key, ofKey := h.parse(name)
	if !ofKey {
		return t.whole
	}
	plain := trimMark(name)
	if plain == name {
		ch, ok := t.keys[key]
		if !ok {
			ch = newChannel(t, name, nil)
			ch.key, ch.ofKey = key, true
			t.keys[key] = ch
		}
		return ch
	}
	ch, ok := t.patterns.byName[key]
	if !ok {
		ch = newChannel(t, plain, newGlob(key))
		ch.key, ch.ofKey = key, true
		t.patterns.add(ch)
	}
	return ch
}

// subscribed is the acknowledgement of a subscription.
func (h *hub) subscribed(id *uint64, channels, patterns []string) []byte {
	b := acknowledgement("subscribed", id, channels, patterns)
	if !h.timed {
		return b
	}
	intervals := make(map[string]time.Duration)
	for name := range (&request{Channels: channels, Patterns: patterns}).names {
		if t, _, _ := h.parse(name); t.conflator != nil {
			intervals[t.name] = t.conflator.interval
		}
	}
	if len(intervals) == 0 {
		return b
	}
	return appendConflated(b, intervals)
}
