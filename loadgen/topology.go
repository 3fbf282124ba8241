package loadgen

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/weirbench/weir/scenarios"
)

// topology is what follows from the plan alone: who sends where and who is to receive it.
type topology struct {
	plan      *scenarios.Plan
	run       uint64
	phases    []LoadPhase
	producers []producerShape
	groups    []groupShape
}

// producerShape is one producer's streams and how many clients follow each.
type producerShape struct {
	plan       scenarios.Sender
	topic      string // as Kafka names it
	partitions int
	schedule   *Schedule
	choose     *chooser
	// fanPart is the number of clients that follow the whole of a partition, fanKey that of those that follow a key.
	fanPart int
	fanKey  []int32
	// used tells which partitions can carry a message; a key for each is its representative.
	used   []bool
	repKey []uint32
}

// groupShape is one client group's subscriptions.
type groupShape struct {
	plan       scenarios.ClientGroup
	producers  []int // indices of the producers on the group's topic
	local      []int // by producer index: its place in producers, or −1
	keys       int   // size of the topic's key space
	partitions int
	perClient  int // streams of one client
}

// newTopology computes the shapes. topicName tells a topic's name in Kafka, partitions the number it really has.
func newTopology(p *scenarios.Plan, run uint64, topicName func(string) string, partitions map[string]int) (*topology, error) {
	t := &topology{plan: p, run: run & maxRun, phases: LoadPhases(p)}
	for i, prod := range p.Senders() {
		n := partitions[prod.Topic]
		if n <= 0 || n > maxPartition {
			return nil, fmt.Errorf("topic %s: %d partitions; expected 1 to %d", prod.Topic, n, maxPartition)
		}
		s := producerShape{
			plan: prod, topic: topicName(prod.Topic), partitions: n,
			schedule: NewSchedule(p, i), choose: newChooser(p, i, n),
			fanKey: make([]int32, prod.Keys.Count), used: make([]bool, n), repKey: make([]uint32, n),
		}
		s.markUsed()
		t.producers = append(t.producers, s)
	}
	for _, g := range p.Clients {
		t.groups = append(t.groups, t.groupShape(g, partitions[g.Subscribe.Topic]))
	}
	return t, nil
}

// markUsed finds the partitions that can carry messages and a representative key for each.
func (s *producerShape) markUsed() {
	for p := range s.repKey {
		s.repKey[p] = NoKey
		s.used[p] = s.choose.kind == scenarios.KeysNone
	}
	for k, p := range s.choose.keyPartition {
		if !s.used[p] {
			s.used[p], s.repKey[p] = true, uint32(k)
		}
	}
}

// groupShape lays out the streams of a group's clients and adds its clients to the producers' fan-outs.
func (t *topology) groupShape(g scenarios.ClientGroup, partitions int) groupShape {
	shape := groupShape{plan: g, local: make([]int, len(t.producers)), partitions: partitions, keys: t.plan.KeyCount(g.Subscribe.Topic)}
	for i := range t.producers {
		shape.local[i] = -1
		if t.producers[i].plan.Topic == g.Subscribe.Topic {
			shape.local[i] = len(shape.producers)
			shape.producers = append(shape.producers, i)
		}
	}
	width := g.Subscribe.Keys
	if g.Subscribe.All {
		width = partitions
	}
	shape.perClient = width * len(shape.producers)
	for _, i := range shape.producers {
		p := &t.producers[i]
		if g.Subscribe.All {
			p.fanPart += g.Count
			continue
		}
		for c := range g.Count {
			for _, k := range scenarios.ClientKeys(g.Subscribe, c, shape.keys) {
				if k < len(p.fanKey) {
					p.fanKey[k]++
				}
			}
		}
	}
	return shape
}

// streamOf returns which of the client's streams a message belongs to and its sequence number there, or −1 where the
// client does not follow it.
func (g *groupShape) streamOf(client int, s *Stamp) (stream int, seq uint64) {
	if int(s.Producer) >= len(g.local) || g.local[s.Producer] < 0 {
		return -1, 0
	}
	local := g.local[s.Producer]
	if g.plan.Subscribe.All {
		if int(s.Partition) >= g.partitions {
			return -1, 0
		}
		return local*g.partitions + int(s.Partition), s.PartSeq
	}
	if s.Key == NoKey || int(s.Key) >= g.keys {
		return -1, 0
	}
	width := g.plan.Subscribe.Keys
	first := client * width % g.keys
	at := (int(s.Key) - first + g.keys) % g.keys
	if at >= width {
		return -1, 0
	}
	return local*width + at, s.KeySeq
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

// streamID names a stream of the group's client: its producer, and its partition or its key.
func (g *groupShape) streamID(client, stream int) (producer int, id int) {
	if g.plan.Subscribe.All {
		return g.producers[stream/g.partitions], stream % g.partitions
	}
	width := g.plan.Subscribe.Keys
	return g.producers[stream/width], (client*width%g.keys + stream%width) % g.keys
}

// expects reports whether the stream can carry messages at all: a producer with fewer keys than the topic's key space
// never sends the others, and a partition that no key maps to stays empty.
func (t *topology) expects(g *groupShape, client, stream int) bool {
	producer, id := g.streamID(client, stream)
	p := &t.producers[producer]
	if g.plan.Subscribe.All {
		return p.used[id]
	}
	return id < len(p.fanKey)
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
