package gateway

import "strconv"

// What a member of a consumer group has its hub do.

// noticeMoved: the group has given the partition to another member. Its message
// has fields of its own.
const noticeMoved noticeKind = "moved"

// notifyMoved tells all who are subscribed to the topic or a key in it that
// records of a partition no longer come by this gateway, from the offset on.
func (h *hub) notifyMoved(t *topic, partition int32, from int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settle(t)
	for ch := range t.channels {
		if len(ch.members) == 0 {
			continue
		}
		payload := appendMovedNotice(nil, ch, partition, from)
		for _, m := range ch.members {
			m.client.queue.pushReply(payload)
		}
	}
}

func appendMovedNotice(b []byte, ch *channel, partition int32, from int64) []byte {
	b = appendJSONString(append(b, `{"type":"notice","kind":`...), string(noticeMoved))
	b = ch.appendName(b)
	b = strconv.AppendInt(append(b, `,"partition":`...), int64(partition), 10)
	b = strconv.AppendInt(append(b, `,"offset":`...), from, 10)
	return append(b, '}')
}

// suspend closes the clients there are, each when it has the answers to what it
// has published and its queue is written out, and admits no more until resume.
func (h *hub) suspend() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.suspended = true
	h.settleAll()
	for c := range h.clients {
		c.queue.drain()
	}
}

// resume admits clients again.
func (h *hub) resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.suspended = false
}

// flushHeld sends what conflation and batching hold of a partition.
func (h *hub) flushHeld(t *topic, partition int32) {
	h.publishing.Lock()
	defer h.publishing.Unlock()
	if t.conflator != nil {
		t.conflator.flushPartition(partition)
	}
	h.flushGathered()
}

// oldestHeld is the lowest offset of a partition that conflation holds. Batching
// holds nothing afterwards that was published before.
func (h *hub) oldestHeld(t *topic, partition int32) (offset int64, ok bool) {
	h.flushGathered()
	if t.conflator == nil {
		return 0, false
	}
	h.publishing.Lock()
	defer h.publishing.Unlock()
	return t.conflator.oldest(partition)
}

// flushPartition sends what is held of a partition. The intervals go on.
func (c *conflator) flushPartition(partition int32) {
	for k := c.first; k != nil; k = k.next {
		if k.held && k.record.partition == partition {
			k.held = false
			c.send(&k.record)
		}
	}
}

// oldest is the lowest offset of a partition that is held.
func (c *conflator) oldest(partition int32) (offset int64, ok bool) {
	for k := c.first; k != nil; k = k.next {
		if k.held && k.record.partition == partition && (!ok || k.record.offset < offset) {
			offset, ok = k.record.offset, true
		}
	}
	return offset, ok
}
