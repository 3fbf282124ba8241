package loadgen

// topicView is a topic as one reader of it found it: by producer and partition, which messages are there. It is the
// reference that the clients are measured against.
type topicView struct {
	run       uint64
	gaps      gapStore
	producers []producerView
}

// producerView is one producer's messages in its topic.
type producerView struct {
	parts     []tracker
	inTopic   int64
	doubled   int64
	reordered int64
}

func newTopicView(topo *topology, gapLimit int) *topicView {
	v := &topicView{run: topo.run, gaps: gapStore{limit: gapLimit}}
	for i := range topo.producers {
		v.producers = append(v.producers, producerView{parts: make([]tracker, topo.producers[i].partitions)})
	}
	return v
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
	if int(s.Partition) >= len(p.parts) || int32(s.Partition) != partition {
		return false
	}
	switch v.gaps.arrive(&p.parts[s.Partition], s.PartSeq) {
	case arrivedDuplicate:
		p.doubled++
		return false
	case arrivedReordered:
		p.reordered++
	}
	p.inTopic++
	return true
}

// has reports whether the message was found.
func (v *topicView) has(producer int, s send) bool {
	return v.gaps.has(&v.producers[producer].parts[s.partition], s.partSeq)
}
