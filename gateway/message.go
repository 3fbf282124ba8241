package gateway

// message is a frame on its way to clients. That of a record is shared by all
// who receive it and never changes; so is a batch of records. A nil notice and a
// zero kind is a record, or, with parts, a batch.
type message struct {
	frame     []byte // nil of a batch, and of a notice of drops
	batch     *batchFrame
	deflates  bool // batch is to be compressed
	kind      messageKind
	partition int32 // of a record
	offset    int64 // of a record
	queuedAt  int64 // of a record, ns since the epoch
	kafkaAt   int64 // of a record, ns since the epoch; 0 where it is not known
	trace     *recordTrace
	drops     *dropRun
	parts     *parts   // of a batch, which has the partition and offset of its first record
	deflated  *message // the same record, compressed, or itself where that does not pay; nil while nobody needed it
}

// size is what the queue counts for the message: its frame, or at most that where it is yet to be built.
func (m *message) size() int {
	switch {
	case m.drops != nil:
		return m.drops.sizeBytes
	case m.batch != nil:
		return m.batch.size
	}
	return len(m.frame)
}

type messageKind uint8

const (
	kindRecord messageKind = iota
	kindReply              // hello, acknowledgements, answers, errors, other notices
	kindPing
	kindPong
	kindDrops // a notice of dropped records, built when it is taken
)

// dropRun is a notice of dropped records that still grows. Its place in the
// queue is where the records were.
type dropRun struct {
	notice
	epoch     uint64 // the queue's when it was begun
	taken     bool   // by the writer; it grows no more
	sizeBytes int    // what the queue counts for it: its frame at most
}

// entry is a place in a queue.
type entry struct {
	msg    *message
	member *member // the subscription by which a record came; nil for others
	// replayed: a record that the client had missed. It has a bound of its own, and its age is no latency.
	replayed bool
}
