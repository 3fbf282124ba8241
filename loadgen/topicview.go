package loadgen

import "slices"

// topicView is a topic as one reader of it found it: by sender, and its partition or client, which messages are there. It is the
// reference that the clients are measured against.
type topicView struct {
	run       uint64
	gaps      gapStore
	producers []producerView
}

// producerView is one sender's messages in its topic.
type producerView struct {
	parts []tracker
	// found is where the gateway put each publishing client's messages: a partition, or nowhere or everywhere; nil for
	// producers, which choose themselves.
	found     []int32
	unordered bool // Kafka keeps no order in the streams
	inTopic   int64
	doubled   int64
	reordered int64
}

func newTopicView(topo *topology, gapLimit int) *topicView {
	v := &topicView{run: topo.run, gaps: gapStore{limit: gapLimit}}
	for i := range topo.producers {
		shape := &topo.producers[i]
		p := producerView{parts: make([]tracker, shape.partitions), unordered: shape.unordered}
		if shape.publishes() {
			p.found = slices.Repeat([]int32{nowhere}, shape.partitions)
		}
		v.producers = append(v.producers, p)
	}
	return v
}

// What producerView.found holds besides a partition.
const (
	nowhere    = -1
	everywhere = -2 // in several partitions
)

// locate notes in which partition a publishing client's message was found.
func (p *producerView) locate(client uint32, partition int32) {
	switch p.found[client] {
	case nowhere, partition:
		p.found[client] = partition
	default:
		p.found[client] = everywhere
	}
}

// see takes one record's value. fresh tells that it is a data message of this run seen for the first time.
func (v *topicView) see(value []byte, partition int32, s *Stamp) (fresh bool) {
	at, err := s.FindStamp(value, 0)
	if at < 0 || err != nil || s.Run != v.run || s.Kind != KindData {
		return false
	}
	if int(s.Producer) >= len(v.producers) {
		return false
	}
	p := &v.producers[s.Producer]
	switch {
	case int(s.Partition) >= len(p.parts):
		return false
	case p.found != nil:
		p.locate(s.Partition, partition)
	case int32(s.Partition) != partition:
		return false
	}
	switch v.gaps.arrive(&p.parts[s.Partition], s.PartSeq) {
	case arrivedDuplicate:
		p.doubled++
		return false
	case arrivedReordered:
		if !p.unordered {
			p.reordered++
		}
	}
	p.inTopic++
	return true
}

// has reports whether the message was found.
func (v *topicView) has(producer int, s send) bool {
	return v.gaps.has(&v.producers[producer].parts[s.partition], s.partSeq)
}
