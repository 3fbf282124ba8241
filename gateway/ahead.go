package gateway

// A client that comes from a gateway which was faster has had records that this one has yet to read. They are not sent
// to it again, and it is not told positions that are behind its own, until this gateway is there. What is known of that
// ends with the records that it is about.

// ahead are the positions at which the gateway itself is not yet: another one
// was when the client was there.
func (tr *topicReplay) ahead() (skip map[int32]int64) {
	parts := tr.topic.log.parts
	note := func(p int32, offset int64) {
		if skip == nil {
			skip = make(map[int32]int64)
		}
		skip[p] = offset
	}
	for p, offset := range tr.positions {
		if parts[p].next != unknownOffset && offset > parts[p].next {
			note(int32(p), offset)
		}
	}
	for p, offset := range tr.given {
		if int(p) >= len(parts) || parts[p].next == unknownOffset {
			note(p, offset)
		}
	}
	return skip
}

// skips reports whether the client has had the record from another gateway.
func (m *member) skips(msg *message) bool {
	until, ok := m.skip[msg.partition]
	if !ok {
		return false
	}
	if msg.offset < until {
		return true
	}
	if delete(m.skip, msg.partition); len(m.skip) == 0 {
		m.skip = nil
	}
	return false
}

// isAhead reports whether the client has had more from another gateway than this
// one has read: its positions are better than those that it could be told.
func (at *clientTopic) isAhead() bool {
	parts := at.topic.log.parts
	for p, offset := range at.ahead {
		if int(p) >= len(parts) || parts[p].next < offset {
			return true
		}
	}
	at.ahead = nil
	return false
}

// aheadLost takes out what is known of a partition that was truncated, and returns the notice as it is for the member,
// which may have had more than this gateway.
func (m *member) aheadLost(n notice) []byte {
	if until := m.skip[n.partition]; until-1 > n.lastOffset {
		n.lastOffset = until - 1
		n.count = n.lastOffset - n.firstOffset + 1
	}
	if delete(m.skip, n.partition); len(m.skip) == 0 {
		m.skip = nil
	}
	at := m.client.topic(m.channel.topic)
	if delete(at.ahead, n.partition); len(at.ahead) == 0 {
		at.ahead = nil
	}
	return n.append(nil)
}

// forgetAhead is for a topic that was created anew: nobody has had any of it. What was gathered is settled.
func (h *hub) forgetAhead(t *topic) {
	for ch := range t.channels {
		for _, m := range ch.members {
			m.skip = nil
			m.client.topic(t).ahead = nil
			m.client.regroup(t)
		}
	}
}
