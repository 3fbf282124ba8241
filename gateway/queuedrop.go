package gateway

// drop notes that a record or a batch, which all in front precedes and which
// nothing that is still droppable precedes, is not delivered.
func (q *queue) drop(msg *message, m *member) {
	q.counters.dropped.Add(int64(msg.count()))
	if msg.parts == nil {
		q.noteDrop(msg, m)
		return
	}
	for i, r := range msg.parts.records {
		q.noteDrop(r, msg.parts.member(i, m))
	}
}

func (q *queue) noteDrop(msg *message, m *member) {
	if run := m.run(msg.partition); run != nil && run.epoch == q.epoch && !run.taken {
		run.lastOffset = msg.offset
		run.count++
		return
	}
	run := &dropRun{
		notice: notice{
			kind: noticeDropped, channel: m.channel, partition: msg.partition,
			firstOffset: msg.offset, lastOffset: msg.offset, count: 1,
		},
		epoch: q.epoch,
		// The numbers may grow, and what is counted must not.
		sizeBytes: m.channel.noticeBytes,
	}
	m.setRun(msg.partition, run)
	q.front = append(q.front, entry{msg: &message{kind: kindDrops, drops: run}})
	q.bytes += run.sizeBytes
	q.wake()
}
