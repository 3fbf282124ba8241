package gateway

import (
	"container/list"
	"sync"
	"time"
)

const (
	// maxMessageID bounds a client's id of a message, in bytes.
	maxMessageID = 64
	// maxIDBytes bounds the memory of all ids that are remembered, of those in
	// flight beside, which BufferBytes bounds.
	maxIDBytes = 64 << 20
	// idBytes is about what an id takes beside its text.
	idBytes = 400
)

// errNoIdentity is what an id is refused with where clients say who they are and
// this one has not: another's message of the same id would be taken for it, and
// it would be told that it is written, which it would not be.
var errNoIdentity = &requestError{ErrorNoIdentity, `a message_id is a client's own, and this client's token does not say whose it is ("sub")`}

// messageKey is what a message's id is unique in: a client's own where clients
// say who they are, else anybody's.
type messageKey struct {
	subject, channel, id string
}

func (k messageKey) bytes() int { return idBytes + len(k.subject) + len(k.channel) + len(k.id) }

// outcome is what became of a publish message.
type outcome struct {
	kind      string // answerPublished, answerRefused or answerUndetermined
	partition int32  // of a published one
	offset    int64
	reason    *requestError // of the others
}

// append is the answer to the message of an id, or to one that was sent again.
func (o outcome) append(b []byte, id *uint64, duplicate bool) []byte {
	if o.kind == answerPublished {
		b = appendPublished(b, id, o.partition, o.offset)
	} else {
		b = appendUnpublished(b, o.kind, id, o.reason)
	}
	if duplicate {
		b = append(b[:len(b)-1], `,"duplicate":true}`...)
	}
	return b
}

// rememberedID is a message that was sent under an id.
type rememberedID struct {
	key     messageKey
	settled bool
	outcome outcome
	at      time.Time      // of the outcome
	waiting []waitingReply // for it
}

// waitingReply is a message that was sent again while the first was in flight.
type waitingReply struct {
	client *client
	id     *uint64
}

// messageIDs remembers what became of the messages that clients gave an id, for
// a time since then, so that one that is sent again is written once. Refused
// ones are forgotten at once: nothing was written. Where memory is short the
// oldest are forgotten early, and counted.
type messageIDs struct {
	keep     time.Duration
	most     int // bytes
	counters *counters

	mu      sync.Mutex
	byKey   map[messageKey]*rememberedID
	settled list.List // of *rememberedID, by time of their outcome
	bytes   int       // of the settled
}

func newMessageIDs(keep time.Duration, counters *counters) *messageIDs {
	return &messageIDs{keep: keep, most: maxIDBytes, counters: counters, byKey: make(map[messageKey]*rememberedID)}
}

// begin returns a new entry where the key is not remembered. Else it returns the
// outcome, or nil for both where it is still to come and the reply waits for it.
func (m *messageIDs) begin(key messageKey, reply waitingReply, now time.Time) (first *rememberedID, known *outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now)
	before, ok := m.byKey[key]
	switch {
	case !ok:
		first = &rememberedID{key: key}
		m.byKey[key] = first
		return first, nil
	case before.settled:
		return nil, &before.outcome
	}
	before.waiting = append(before.waiting, reply)
	return nil, nil
}

// settle notes the outcome and returns who waits for it, to be answered.
func (m *messageIDs) settle(r *rememberedID, o outcome, now time.Time) []waitingReply {
	m.mu.Lock()
	defer m.mu.Unlock()
	waiting := r.waiting
	r.waiting = nil
	if o.kind == answerRefused {
		delete(m.byKey, r.key)
		return waiting
	}
	r.settled, r.outcome, r.at = true, o, now
	m.settled.PushBack(r)
	m.bytes += r.key.bytes()
	m.forget(now)
	return waiting
}

// forget lets go of what is too old, or too much.
func (m *messageIDs) forget(now time.Time) {
	for e := m.settled.Front(); e != nil; e = m.settled.Front() {
		r := e.Value.(*rememberedID)
		old := now.Sub(r.at) >= m.keep
		if !old && m.bytes <= m.most {
			break
		}
		if !old {
			m.counters.idsForgotten.Add(1)
		}
		m.settled.Remove(e)
		m.bytes -= r.key.bytes()
		delete(m.byKey, r.key)
	}
	m.counters.ids.Store(int64(m.settled.Len()))
}
