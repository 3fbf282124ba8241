package gateway

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// hub knows who is subscribed to what and fans records out. Its channels of
// whole topics are fixed; those of keys exist while they have subscribers.
type hub struct {
	maxChannels int
	maxPatterns int // of these
	counters    *counters

	polls       *polls         // nil where each client has its goroutines
	clientsDone sync.WaitGroup // the clients' goroutines, and those that polls serves
	bursts      sync.Pool      // of *burst: only a writer that is writing has one
	deflaters   deflaters      // of the writers; the hub's own is below
	publisher   *publisher     // of clients' records; nil in tests that need none
	queues      *queueTotal    // what waits for all clients; nil where it is not bounded
	replayer    *replayer      // of what clients missed; nil where they can't resume

	// Where topics are conflated or batched, two goroutines publish at times: one
	// that reads and one that ends intervals. Elsewhere there is one and the lock is
	// not taken.
	publishing sync.Mutex
	timed      bool
	clock      func() time.Duration // of the conflators and batchers
	pacer      pacer                // of whoever publishes

	mu     sync.Mutex
	closed bool // admits no more clients
	// suspended: admits no more clients until further notice.
	suspended bool
	clients   map[*client]struct{}
	topics    map[string]*topic // the map itself is constant
	seq       uint64            // number of the record being fanned out
	encoder   recordEncoder
	pressed   []*queue // became half full, and whoever publishes has yet to hear of it
	fetched   int      // see queue.fetch
	memory    memory

	tellers tellers

	deflater  deflater  // of single records
	inflaters sync.Pool // of *inflater: only a reader with a compressed message has one
}

type topic struct {
	name     string
	header   []byte // of its record messages
	whole    *channel
	keys     map[string]*channel
	patterns patternSet
	log      topicLog // of no use where the topic is conflated

	batcher   *batcher   // nil where each record goes at once
	conflator *conflator // nil where every record is passed on; guarded by hub.publishing
}

// channel is what clients subscribe to: a topic, a key in one, or a pattern of
// keys.
type channel struct {
	name        string
	topic       *topic
	key         string // or pattern
	ofKey       bool
	glob        *glob // of a pattern; nil for others
	noticeBytes int   // the longest frame of a notice about it
	members     []*member
	replaying   int // members-to-be, whose replay is under way

	gathering *gathering // of a batched topic; nil before the first record
}

// member is one client's subscription to one channel.
type member struct {
	client  *client
	channel *channel
	index   int // in channel.members, or among the patterns of its replay

	replay *topicReplay    // by which it will join the channel; nil once it has
	skip   map[int32]int64 // by partition, records below are not for it; usually nil

	// runs holds, by partition, the last notice of drops. It belongs to the
	// client's queue and is guarded by its mutex.
	runs []*dropRun
}

func (m *member) run(partition int32) *dropRun {
	if int(partition) < len(m.runs) {
		return m.runs[partition]
	}
	return nil
}

func (m *member) setRun(partition int32, run *dropRun) {
	for int(partition) >= len(m.runs) {
		m.runs = append(m.runs, nil)
	}
	m.runs[partition] = run
}

func newHub(topics []string, conflate []Conflation, maxChannels int, c *counters) *hub {
	startedAt := time.Now()
	h := &hub{
		maxChannels: maxChannels,
		maxPatterns: maxChannels,
		timed:       len(conflate) > 0,
		clock:       func() time.Duration { return time.Since(startedAt) },
		counters:    c,
		clients:     make(map[*client]struct{}),
		topics:      make(map[string]*topic, len(topics)),
		pacer:       newPacer(),
		bursts:      sync.Pool{New: func() any { return new(burst) }},
		deflaters:   newDeflaters(),
		inflaters:   sync.Pool{New: newInflater},
	}
	for _, name := range topics {
		t := &topic{name: name, header: recordHeader(name), keys: make(map[string]*channel)}
		t.whole = newChannel(t, name, nil)
		h.topics[name] = t
	}
	for _, cn := range conflate {
		t := h.topics[cn.Topic]
		t.conflator = newConflator(cn.Interval, func(r *record) { h.send(t, r) })
	}
	return h
}

func newChannel(t *topic, name string, pattern *glob) *channel {
	ch := &channel{name: name, topic: t, glob: pattern}
	const longest = -1 << 63
	n := notice{
		kind: noticeTruncated, channel: ch, partition: -1 << 31,
		firstOffset: longest, lastOffset: longest, count: longest,
	}
	ch.noticeBytes = len(appendFrame(nil, opText, n.append(nil)))
	return ch
}

// publish queues a record for all who are subscribed to its topic or key, once
// for each client, and builds its frame if there are any. Where the topic is
// conflated, that may be later or never. The key and the value are not kept.
func (h *hub) publish(t *topic, r *record) {
	if !h.timed {
		h.send(t, r)
		return
	}
	h.publishing.Lock()
	defer h.publishing.Unlock()
	if t.conflator == nil || r.key == nil {
		h.send(t, r)
	} else if t.conflator.offer(h.clock(), r) {
		h.counters.conflated.Add(1)
	}
}

// send queues a record now. One goroutine at a time does; it may be held for a
// while, as the pacer says.
func (h *hub) send(t *topic, r *record) {
	h.deliver(t, r)
	if len(h.pacer.pressed) > 0 {
		h.pacer.hold(r.behind)
	}
}

func (h *hub) deliver(t *topic, r *record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.conflator == nil {
		t.log.advance(r.partition, r.offset)
	}
	var ofKey *channel
	var ofPatterns []*channel
	if r.key != nil {
		ofKey = t.keys[string(r.key)]
		ofPatterns = t.patterns.matching(r.key)
	}
	if len(t.whole.members) == 0 && ofKey == nil && len(ofPatterns) == 0 && !t.log.keeps {
		return
	}
	r.queuedAt = time.Now().UnixNano()
	msg := &message{
		frame: h.encoder.encode(t.header, r), partition: r.partition, offset: r.offset,
		queuedAt: r.queuedAt, kafkaAt: r.kafkaAt, trace: r.trace,
	}
	if r.trace != nil {
		r.trace.queuedAt = r.queuedAt
	}
	h.seq++
	h.fanOut(t.whole, msg)
	if ofKey != nil {
		h.fanOut(ofKey, msg)
	}
	for _, ch := range ofPatterns {
		h.fanOut(ch, msg)
	}
	h.tellPacer()
	if t.log.keeps {
		if t.batcher != nil && msg.trace != nil { // which changes as long as a batch is waited for
			untraced := *msg
			untraced.trace = nil
			msg = &untraced
		}
		h.memory.add(&t.log, r.key, msg)
		h.counters.recentBytes.Store(h.memory.bytes)
	}
}

// tellPacer gives whoever publishes, and calls it, the queues that it is to wait for.
func (h *hub) tellPacer() {
	h.pacer.pressed = append(h.pacer.pressed, h.pressed...)
	clear(h.pressed)
	h.pressed = h.pressed[:0]
}

func (h *hub) fanOut(ch *channel, msg *message) {
	if ch.topic.batcher != nil {
		h.gather(ch, msg)
		return
	}
	var queued int64
	for i, m := range ch.members {
		if i%fetchAhead == 0 {
			h.fetch(ch.members[i:min(i+fetchAhead, len(ch.members))])
		}
		c := m.client
		if c.lastSeq == h.seq { // has it by another channel
			continue
		}
		if m.skip != nil && m.skips(msg) {
			continue
		}
		c.lastSeq = h.seq
		queued += h.push(msg, m)
	}
	h.counters.queued.Add(queued)
}

// fetch brings what a fan-out needs of so many members into the processor's cache: see queue.fetch.
func (h *hub) fetch(members []*member) {
	for _, m := range members {
		h.fetched += m.client.queue.fetch() + int(m.client.lastSeq)
	}
	for _, m := range members {
		if carriage := m.client.queue.carriage; carriage != nil {
			h.fetched += carriage.fetch()
		}
	}
}

// push puts a message of records into a client's queue, and returns 1 if the
// client is still there, else 0.
func (h *hub) push(msg *message, m *member) int64 {
	open, pressed := m.client.queue.pushRecord(h.forClient(msg, m.client), m)
	if pressed {
		h.pressed = append(h.pressed, &m.client.queue)
	}
	if open {
		return 1
	}
	return 0
}

// channels calls yield with each channel of the topic: the topic itself, keys and
// patterns in it.
func (t *topic) channels(yield func(*channel) bool) {
	if !yield(t.whole) {
		return
	}
	for _, ch := range t.keys {
		if !yield(ch) {
			return
		}
	}
	for _, ch := range t.patterns.byName {
		if !yield(ch) {
			return
		}
	}
}

// notify tells all who are subscribed to the topic or a key in it that records
// of a partition will not come or have changed. Whom it concerns cannot be told
// closer, since the keys of such records are not known.
func (h *hub) notify(t *topic, n notice) {
	if t.conflator != nil {
		h.publishing.Lock()
		defer h.publishing.Unlock()
		if n.kind == noticeTruncated {
			t.conflator.truncate(n.partition, n.firstOffset)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settle(t)
	for ch := range t.channels {
		h.notifyChannel(ch, n)
	}
	h.notifyReplays(t, n)
	if t.conflator != nil {
		return
	}
	if n.kind == noticeTruncated {
		t.log.begin(n.partition, n.firstOffset)
	} else {
		t.log.begin(n.partition, n.lastOffset+1)
	}
	h.tellMembers(t)
}

func (h *hub) notifyChannel(ch *channel, n notice) {
	if len(ch.members) == 0 {
		return
	}
	n.channel = ch
	payload := n.append(nil)
	for _, m := range ch.members {
		if n.kind == noticeTruncated && (m.skip != nil || m.client.topic(ch.topic).ahead != nil) {
			m.client.queue.pushReply(m.aheadLost(n))
			continue
		}
		m.client.queue.pushReply(payload)
	}
}

// notifyReplays tells those who will be told no other way: of a gap a replay
// hears from Kafka when it gets there.
func (h *hub) notifyReplays(t *topic, n notice) {
	if n.kind != noticeTruncated {
		return
	}
	for tr := range t.log.replays {
		for m := range tr.want.all {
			n.channel = m.channel
			m.client.queue.pushReply(n.append(nil))
		}
	}
}

// readFrom notes where reading a partition begins, or goes on. It is called
// before any record from there is published.
func (h *hub) readFrom(topic string, p int32, offset int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.topics[topic].log.begin(p, offset)
}

// readAnew notes a topic's id, before any of its partitions is begun: another
// one than before is another topic.
func (h *hub) readAnew(topic string, id [16]byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[topic]
	h.settle(t)
	if t.log.restart(epochOf(id)) {
		h.forgetAhead(t)
	}
	if t.conflator == nil {
		h.tellMembers(t)
	}
}

// isAnew reports whether the id is another than the topic had.
func (h *hub) isAnew(t *topic, id [16]byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return t.log.epoch != epochOf(id)
}

// add admits a client, starts it and reports whether it did: a hub that is
// closed or suspended admits none.
func (h *hub) add(c *client, channels []string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.suspended {
		return false
	}
	h.clients[c] = struct{}{}
	h.counters.connections.Add(1)
	h.counters.connectionsTotal.Add(1)
	c.queue.join(h.queues)
	if len(channels) > 0 {
		h.joinLive(c, slices.Values(channels))
		c.queue.pushReply(h.subscribed(nil, channels, nil))
	}
	h.serve(c, c.handle)
	return true
}

func (h *hub) remove(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range c.members {
		h.leave(m)
	}
	h.tellers.remove(c)
	delete(h.clients, c)
	c.queue.leave()
	h.counters.connections.Add(-1)
}

// parse splits TOPIC or TOPIC/KEY, or TOPIC/PATTERN behind patternMark. The
// topic is nil if the gateway does not consume it.
func (h *hub) parse(name string) (t *topic, key string, ofKey bool) {
	topicName, key, ofKey := strings.Cut(trimMark(name), "/")
	return h.topics[topicName], key, ofKey
}

// drain admits no more clients and closes those there are, each when it has the
// answers to what it has published and its queue is written out.
func (h *hub) drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.settleAll()
	for c := range h.clients {
		c.queue.drain()
	}
}

// close closes the clients that are left with their queues unwritten.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for c := range h.clients {
		c.queue.close(CloseServiceRestart, closeFrame(CloseServiceRestart), false)
	}
}

// waiting is how many bytes wait for all clients together, and for the one for
// which it is most.
func (h *hub) waiting() (total, largest int) {
	h.mu.Lock()
	queues := make([]*queue, 0, len(h.clients))
	for c := range h.clients {
		queues = append(queues, &c.queue)
	}
	h.mu.Unlock()
	for _, q := range queues {
		n := q.waiting()
		total, largest = total+n, max(largest, n)
	}
	return total, largest
}

// sever drops the connections that are left.
func (h *hub) sever() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		c.queue.close(CloseServiceRestart, nil, false)
		c.sever()
	}
}

// wait returns when no client is left.
func (h *hub) wait() { h.clientsDone.Wait() }
