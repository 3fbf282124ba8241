package loadgen

import "time"

// client is one WebSocket client. There may be tens of thousands: what few of them have stands in seldom, and nothing is
// kept that can be computed. Its worker's mutex guards all but group, index, worker and lane, which never change, and
// deflate and dials.
//
// What every message touches comes first, in two cache lines.
type client struct {
	group, index int
	trackers     []tracker
	frames       frameReader
	comeback     *comeback // nil where it keeps no positions
	stats        clientStats

	// deflate is what the target agreed to at the newest dial, dials how often it was dialled again. Both are of whoever keeps
	// the client connected at the time: its goroutine, or its worker's poller.
	deflate deflateTerms
	fed     bool // anything but control frames came from the target
	thrown  bool // the target closed the newest session and there is no other
	present bool // by the plan
	due     bool // present, and not about to leave
	linked  bool // connected
	dials   int32

	sessions int32
	worker   *worker
	lane     *lane // what it publishes; nil for nothing
	talk     talk
	seldom   *seldom // nil where it has nothing of it
	cameAt   time.Time
	backAt   int64 // the same where it had left before, Unix ns; else 0
	// answeredAt is when the newest answer arrived that put subscriptions in force, Unix ns; 0 where markers do.
	answeredAt int64
}

// seldom is what few clients have.
type seldom struct {
	window []byte        // what compressed messages may refer to; nil unless agreed
	link   *outlet       // of the session, nil where replies are written directly
	shed   map[int]int64 // messages that the target said it dropped for this client, by partition or key
	past   [][]stint     // by stream: what it had when it left; nil where it never did
	back   []uint64      // by stream: how far it was sent when the client came back after being thrown out
	// neverJoined names a stream that no marker came on in time.
	neverJoined string
}

// rarely returns what the client has of what few have, to be read.
func (c *client) rarely() seldom {
	if c.seldom == nil {
		return seldom{}
	}
	return *c.seldom
}

// rare returns the same to be changed.
func (c *client) rare() *seldom {
	if c.seldom == nil {
		c.seldom = &seldom{}
	}
	return c.seldom
}
