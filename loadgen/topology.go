package loadgen

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// topology is what follows from the plan alone: who sends where and who is to receive it.
type topology struct {
	plan      *scenarios.Plan
	wire      *profile
	run       uint64
	phases    []LoadPhase
	producers []producerShape
	groups    []groupShape
}

// producerShape is one sender's streams: a producer's, or those of a group that publishes.
type producerShape struct {
	plan  scenarios.Sender
	topic string // as Kafka names it
	// partitions is how many values a stamp's Partition takes: the topic's partitions, or of a group that publishes its
	// clients, since the gateway chooses the partition.
	partitions int
	schedule   *Schedule
	choose     *chooser
	keys       int // 0 without
	// used tells which partitions can carry a message; a key for each is its representative.
	used   []bool
	repKey []uint32
	// conflation is the interval at which the topic is conflated; 0 where it is not.
	conflation time.Duration
	// unordered tells that Kafka keeps no order in the sender's streams: a client without keys, whose messages the
	// gateway spreads over several partitions.
	unordered bool
}

// publishes tells a group that publishes from a producer.
func (s *producerShape) publishes() bool { return s.plan.Group >= 0 }

// clientKey is the key that a publishing client writes to.
func (s *producerShape) clientKey(client uint32) uint32 {
	if s.plan.Keys.Kind == scenarios.KeysNone {
		return NoKey
	}
	return client % uint32(s.plan.Keys.Count)
}

// groupShape is one client group's subscriptions.
type groupShape struct {
	plan       scenarios.ClientGroup
	blocks     []streamBlock
	local      []int // by producer index: its place in blocks, or −1
	keys       int   // size of the topic's key space
	partitions int
	perClient  int // streams of one client
	publisher  int // the sender that the group's clients publish as, or −1
}

// streamKind is what tells the streams of one sender apart.
type streamKind uint8

const (
	byPartition streamKind = iota
	byKey
	byClient // of a group that publishes
)

// streamBlock is where the streams of one sender stand among those of a client.
type streamBlock struct {
	producer     int
	kind         streamKind
	first, count int
	// clients and keys are those of a group that publishes; perKey is how many of its clients a key has at most.
	clients, keys, perKey int
}

// newTopology computes the shapes. topicName tells a topic's name in Kafka, partitions the number it really has.
func newTopology(p *scenarios.Plan, run uint64, topicName func(string) string, partitions map[string]int) (*topology, error) {
	wire, err := compileProfile(p)
	if err != nil {
		return nil, err
	}
	t := &topology{plan: p, wire: wire, run: run & maxRun, phases: LoadPhases(p)}
	for i, prod := range p.Senders() {
		n := partitions[prod.Topic]
		if n <= 0 || n > maxPartition {
			return nil, fmt.Errorf("topic %s: %d partitions; expected 1 to %d", prod.Topic, n, maxPartition)
		}
		s := producerShape{
			plan: prod, topic: topicName(prod.Topic), partitions: n,
			schedule: NewSchedule(p, i), choose: newChooser(p, i, n),
			keys: prod.Keys.Count, conflation: p.Conflation(prod.Topic),
		}
		if s.publishes() {
			s.partitions, s.unordered = prod.Clients, prod.Keys.Kind == scenarios.KeysNone && n > 1
		}
		if s.partitions > maxPartition {
			return nil, fmt.Errorf("group %s: %d publishing clients; at most %d", prod.Name, s.partitions, maxPartition)
		}
		s.used, s.repKey = make([]bool, s.partitions), make([]uint32, s.partitions)
		s.markUsed()
		t.producers = append(t.producers, s)
	}
	for i, g := range p.Clients {
		t.groups = append(t.groups, t.groupShape(i, g, partitions[g.Subscribe.Topic]))
	}
	return t, nil
}

// markUsed finds the partitions that can carry messages and a representative key for each.
func (s *producerShape) markUsed() {
	for p := range s.repKey {
		s.repKey[p] = NoKey
		s.used[p] = s.publishes() || s.choose.kind == scenarios.KeysNone
	}
	if s.publishes() {
		return
	}
	for k, p := range s.choose.keyPartition {
		if !s.used[p] {
			s.used[p], s.repKey[p] = true, uint32(k)
		}
	}
}

// groupShape lays out the streams of a group's clients.
func (t *topology) groupShape(index int, g scenarios.ClientGroup, partitions int) groupShape {
	shape := groupShape{plan: g, local: make([]int, len(t.producers)), partitions: partitions, keys: t.plan.KeyCount(g.Subscribe.Topic), publisher: -1}
	for i := range t.producers {
		p := &t.producers[i]
		if p.plan.Group == index {
			shape.publisher = i
		}
		shape.local[i] = -1
		if g.Subscribe.Topic == "" || p.plan.Topic != g.Subscribe.Topic {
			continue
		}
		block := p.block(g.Subscribe)
		block.producer, block.first = i, shape.perClient
		shape.perClient += block.count
		shape.local[i] = len(shape.blocks)
		shape.blocks = append(shape.blocks, block)
	}
	return shape
}

// block says which of the sender's streams a subscription to its topic follows.
func (s *producerShape) block(sub scenarios.Subscribe) streamBlock {
	switch {
	case s.publishes() && sub.All:
		return streamBlock{kind: byClient, count: s.partitions, clients: s.partitions}
	case s.publishes() && s.plan.Keys.Kind == scenarios.KeysNone:
		return streamBlock{kind: byClient, clients: s.partitions}
	case s.publishes():
		keys := s.plan.Keys.Count
		perKey := (s.partitions + keys - 1) / keys
		return streamBlock{kind: byClient, count: sub.Keys * perKey, clients: s.partitions, keys: keys, perKey: perKey}
	case !sub.All:
		return streamBlock{kind: byKey, count: sub.Keys}
	case s.conflation > 0:
		return streamBlock{kind: byKey, count: s.keys} // only within a key is it known what may be skipped
	}
	return streamBlock{kind: byPartition, count: s.partitions}
}

// isConflated reports whether the sender of that name writes to a conflated topic: nobody can tell while the run goes on
// which of its messages are still to be delivered.
func (t *topology) isConflated(sender string) bool {
	return slices.ContainsFunc(t.producers, func(s producerShape) bool { return s.plan.Name == sender && s.conflation > 0 })
}

// rate is about how many messages a second the sender has at most. A closed loop's is that of a pipeline that takes no
// time, as far as a millisecond's thought goes.
func (t *topology) rate(producer int) float64 {
	sender := t.producers[producer].plan
	if sender.Think != nil {
		return float64(sender.Clients) / max(sender.Think.Mean, time.Millisecond).Seconds()
	}
	return t.plan.PeakRate(sender)
}

// conflatedGaps bounds the gaps that conflation as declared leaves in the clients' streams: one for each value passed on.
func (t *topology) conflatedGaps() (gaps int) {
	length := t.phases[len(t.phases)-1].End
	for g := range t.groups {
		for _, b := range t.groups[g].blocks {
			if every := t.producers[b.producer].conflation; every > 0 {
				gaps += t.groups[g].plan.Count * b.count * (int(length/every) + conflatedSlack)
			}
		}
	}
	return gaps
}

// conflatedSlack is how many values of a key more than one an interval may be passed on, over a whole run.
const conflatedSlack = 16

// streamOf returns which of the client's streams a message belongs to and its sequence number there, or −1 where the
// client does not follow it.
func (g *groupShape) streamOf(client int, s *Stamp) (stream int, seq uint64) {
	if int(s.Producer) >= len(g.local) || g.local[s.Producer] < 0 {
		return -1, 0
	}
	b := &g.blocks[g.local[s.Producer]]
	at := -1
	switch b.kind {
	case byPartition:
		at, seq = int(s.Partition), s.PartSeq
	case byKey:
		at, seq = g.keyAt(client, s.Key), s.KeySeq
	case byClient:
		at, seq = g.publisherAt(client, b, s.Partition), s.PartSeq
	}
	if at < 0 || at >= b.count {
		return -1, 0
	}
	return b.first + at, seq
}

// keyAt is the place of a key among those that the client follows, or −1.
func (g *groupShape) keyAt(client int, key uint32) int {
	if key == NoKey || int(key) >= g.keys {
		return -1
	}
	if g.plan.Subscribe.All {
		return int(key)
	}
	at := (int(key) - g.firstKey(client) + g.keys) % g.keys
	if at >= g.plan.Subscribe.Keys {
		return -1
	}
	return at
}

// firstKey is the first of the keys that the client follows.
func (g *groupShape) firstKey(client int) int {
	return (client % g.keys) * (g.plan.Subscribe.Keys % g.keys) % g.keys
}

// publisherAt is the place of a publishing client among those that the client follows: whose key it follows.
func (g *groupShape) publisherAt(client int, b *streamBlock, publisher uint32) int {
	switch {
	case int(publisher) >= b.clients:
		return -1
	case g.plan.Subscribe.All:
		return int(publisher)
	case b.keys == 0:
		return -1
	}
	at := g.keyAt(client, publisher%uint32(b.keys))
	if at < 0 {
		return -1
	}
	return at*b.perKey + int(publisher)/b.keys
}

// keyOf is the key id of a channel TOPIC/KEY, or −1.
func keyOf(channel string) int {
	name := channel[strings.LastIndexByte(channel, '/')+1:]
	id, err := strconv.Atoi(strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz"))
	if err != nil || scenarios.KeyName(id) != name {
		return -1
	}
	return id
}

// streamKey names a stream of a sender: by a key, or by what a stamp's Partition is.
type streamKey struct {
	producer int
	byKey    bool
	id       int
}

// streamID names a stream of the group's client. ok is false for a place in the layout that no stream has.
func (g *groupShape) streamID(client, stream int) (key streamKey, ok bool) {
	i := sort.Search(len(g.blocks), func(i int) bool { return stream < g.blocks[i].first+g.blocks[i].count })
	b := &g.blocks[i]
	at := stream - b.first
	switch {
	case b.kind == byPartition || b.kind == byClient && g.plan.Subscribe.All:
		return streamKey{b.producer, false, at}, true
	case b.kind == byClient:
		k := (g.firstKey(client) + at/b.perKey) % g.keys
		publisher := k + at%b.perKey*b.keys
		return streamKey{b.producer, false, publisher}, k < b.keys && publisher < b.clients
	case g.plan.Subscribe.All:
		return streamKey{b.producer, true, at}, true
	}
	return streamKey{b.producer, true, (g.firstKey(client) + at) % g.keys}, true
}

// expects reports whether the stream can carry messages at all: a producer with fewer keys than the topic's key space
// never sends the others, and a partition that no key maps to stays empty.
func (t *topology) expects(g *groupShape, client, stream int) bool {
	key, ok := g.streamID(client, stream)
	p := &t.producers[key.producer]
	if key.byKey {
		return ok && key.id < p.keys
	}
	return ok && p.used[key.id]
}

// phaseAt returns the load phase in which an instant lies, since the load's start; −1 before it. What is due at the very
// end or later belongs to the last phase.
func (t *topology) phaseAt(due int64) int {
	phase := -1
	for i := range t.phases {
		if due >= int64(t.phases[i].Start) {
			phase = i
		}
	}
	return phase
}
