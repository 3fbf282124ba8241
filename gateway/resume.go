package gateway

import "maps"

// answerResume begins a replay: it finds where the client is, holds its channels
// for it, and queues the acknowledgement. Where that takes Kafka's bounds of
// topics that are not given, it does nothing and returns which; nor does it where
// there are too many patterns by now.
func (h *hub) answerResume(r *resumption, bounds map[string]topicBounds) (unknown []string, refused *requestError) {
	h.mu.Lock()
	defer h.mu.Unlock()
	replays := make(map[*topic]*topicReplay)
	r.topics = nil
	lost := make(map[string][]byte)
	for name := range r.request.names {
		t, _, _ := h.parse(name)
		given, resumes := r.request.Resume[t.name]
		if _, held := r.client.members[name]; held || !resumes || replays[t] != nil {
			continue
		}
		tr := &topicReplay{topic: t, given: given.Next, want: &wanted{keys: make(map[string]*member)}}
		b, known := bounds[t.name]
		lo, ok := tr.locate(given.Epoch, b, known)
		if !ok {
			unknown = append(unknown, t.name)
		}
		if lo != nil {
			lost[t.name] = lo.append(nil)
		}
		replays[t] = tr
		r.topics = append(r.topics, tr)
	}
	if len(unknown) > 0 {
		return unknown, nil
	}
	if refused := h.checkPatterns(r.client, r.request); refused != nil {
		return nil, refused
	}
	h.holdMissed(r, replays)
	b := h.subscribed(r.request.ID, r.request.Channels, r.request.Patterns)
	b = b[:len(b)-1]
	h.counters.resumes.Add(1)
	if len(lost) == 0 {
		b = append(b, `,"resumed":true`...)
	} else {
		h.counters.resumesLost.Add(1)
		b = appendByTopic(append(b, `,"resumed":false,"lost":`...), lost)
	}
	b = appendByTopic(append(b, `,"positions":`...), h.positionsOf(r.request, r.topics))
	r.client.queue.pushReply(append(b, '}'))
	return nil, nil
}

// holdMissed holds the channels that are to be replayed, and joins the others.
func (h *hub) holdMissed(r *resumption, replays map[*topic]*topicReplay) {
	c := r.client
	for name := range r.request.names {
		if _, held := c.members[name]; held {
			continue
		}
		m := h.hold(c, name)
		tr := replays[m.channel.topic]
		if tr == nil {
			h.join(m)
			continue
		}
		m.replay = tr
		m.channel.replaying++
		c.topic(tr.topic).replaying++
		tr.want.add(m)
	}
	for _, tr := range r.topics {
		if tr.topic.log.replays == nil {
			tr.topic.log.replays = make(map[*topicReplay]struct{})
		}
		tr.topic.log.replays[tr] = struct{}{}
	}
	r.left = len(r.topics)
	if c.replaying == nil {
		c.replaying = make(chan struct{}, 1)
		c.queue.roomFor()
	}
}

// locate sets the positions from which to replay. Without Kafka's bounds it may
// not be able to.
func (tr *topicReplay) locate(epoch string, bounds topicBounds, known bool) (lost *lostOffsets, ok bool) {
	l := &tr.topic.log
	if epoch != l.epoch {
		if !known {
			return nil, false
		}
		lost = &lostOffsets{epoch: true}
		tr.given = nil
	}
	tr.forgetUnlisted(bounds, known)
	for p := range tr.given {
		if !known && (int(p) >= len(l.parts) || l.parts[p].next == unknownOffset) {
			return nil, false
		}
	}
	tr.positions = make([]int64, len(l.parts))
	for p := range l.parts {
		part := &l.parts[p]
		tr.positions[p] = unknownOffset
		if part.next == unknownOffset {
			continue
		}
		at := tr.given[int32(p)] // a partition that the client does not know is new to it
		first, last := int64(0), int64(-1)
		switch {
		case at >= part.kept && at <= part.next:
		case !known:
			return nil, false
		case at < part.kept:
			if start, listed := bounds.start.Lookup(tr.topic.name, int32(p)); listed && at < start.Offset {
				first, last, at = at, start.Offset-1, start.Offset
			}
		default:
			if end, listed := bounds.end.Lookup(tr.topic.name, int32(p)); listed && at > end.Offset {
				first, last, at = end.Offset, at-1, end.Offset
			}
		}
		tr.positions[p] = at
		if last < first || epoch != l.epoch {
			continue
		}
		if lost == nil {
			lost = &lostOffsets{ranges: make(map[int32][2]int64)}
		}
		lost.ranges[int32(p)] = [2]int64{first, last}
	}
	return lost, true
}

// forgetUnlisted takes what Kafka does not have out of the client's positions:
// they would be kept for each of its channels, in case the partition came.
func (tr *topicReplay) forgetUnlisted(bounds topicBounds, known bool) {
	if !known {
		return
	}
	maps.DeleteFunc(tr.given, func(p int32, _ int64) bool {
		_, listed := bounds.end.Lookup(tr.topic.name, p)
		return !listed
	})
}

// leave takes a channel out of the replay.
func (tr *topicReplay) leave(m *member) {
	if tr.lent {
		tr.want, tr.lent = tr.want.clone(), false
	}
	tr.want.remove(m)
}

// wants is what a replay asks for, of the partition as it is now. It does not
// change any more.
func (h *hub) wants(tr *topicReplay, part int32) (of partitionKey, want *wanted) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := &tr.topic.log
	of = partitionKey{topic: tr.topic.name, epoch: l.epoch, partition: part}
	if int(part) < len(l.parts) {
		of.truncations = l.parts[part].truncations
	}
	tr.lent = true
	return of, tr.want
}

// endReplay forgets a replay, whether it has come to its end or not.
func (h *hub) endReplay(r *resumption) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.client.resumptions--
	for _, tr := range r.topics {
		delete(tr.topic.log.replays, tr)
	}
}
