package testkit

import "bytes"

// Fault decides what becomes of each delivery. It is called by one goroutine at a time and must not wait.
type Fault func(Delivery) Action

// Delivery is one record on its way to one client.
type Delivery struct {
	// Client numbers the clients from 0, in the order in which a record was first due to them. A client that was thrown
	// out and comes back with the same channels keeps its number.
	Client int
	// Nth is how many data messages were due to the client before this record.
	Nth       int
	Topic     string
	Partition int32
	Offset    int64
	Key       string
	Value     []byte // shared: not to be changed
	// Data is whether it is a data message; the others are markers.
	Data bool
	// Replayed is whether it is given to a client that came back since it missed it.
	Replayed bool
}

// Deed is what is done with a record.
type Deed int

// The deeds. Where a record is missing afterwards the client gets nothing else in its place.
const (
	Pass       Deed = iota
	Drop            // not delivered
	Duplicate       // delivered twice
	Delay           // delivered right after the next data message of its stream
	Hold            // delivered when Action.Until is closed; others overtake it
	Stall           // likewise, and all that is due to the client later waits behind it
	Corrupt         // delivered with the value's last byte outside the stamp changed
	BreakStamp      // delivered with a byte of the stamp changed
	Foreign         // delivered, and Action.Payload besides
	Stray           // delivered, and to another client besides that does not follow it
	Close           // not delivered: the client is thrown out with Action.Code
)

// Action is what a Fault wants done with a delivery. The zero value passes it.
type Action struct {
	Do      Deed
	Until   <-chan struct{}
	Payload []byte
	Code    int
	// Notice tells the client besides that so many records of the channel were dropped; 0 tells it nothing.
	Notice int64
}

// Counts is what the gateway did, data messages alone. Each is counted where it is done: Delivered, Duplicate and
// Reordered from what was written to each client, whatever the Fault had ordered.
type Counts struct {
	Due       int64 // records × clients that follow them; of conflated ones, those that were not skipped
	Delivered int64 // first copies written, corrupt ones included
	Duplicate int64 // further copies
	Reordered int64 // first copies written below the highest offset of their stream (RFC 4737)
	Dropped   int64
	Broken    int64 // written with a broken stamp: nobody can tell which message it was
	Corrupt   int64
	Foreign   int64 // frames besides
	Stray     int64
	Missed    int64 // due to a client that was thrown out and not back yet
	ThrownOut int64 // connections closed by order
	Replayed  int64 // sent to a client that came back: copies of delivered messages, or what it missed
	Reported  int64 // sum of the notices
	Conflated int64 // skipped since a newer record of the key came
}

// stampMark begins a stamp, stampKindAt is where in it it says what it is for, and dataKind what data messages have there.
const (
	stampMark   = "~W1"
	stampKindAt = 3
	dataKind    = 'd'
	stampSize   = 80
)

// stampAt is where in a value its stamp stands, or −1.
func stampAt(value []byte) int {
	at := bytes.Index(value, []byte(stampMark))
	if at >= 0 && len(value) < at+stampSize {
		return -1
	}
	return at
}

func isData(value []byte) bool {
	at := stampAt(value)
	return at >= 0 && value[at+stampKindAt] == dataKind
}

// outsideStamp is the last byte of a value that is not of its stamp; of one that is nothing else, the last.
func outsideStamp(value []byte) int {
	at := stampAt(value)
	if at > 0 && at+stampSize == len(value) {
		return at - 1
	}
	return len(value) - 1
}
