package loadgen

import "sync/atomic"

// pending counts, for one producer, the client streams that still wait for a marker, so that markers go only where
// somebody waits. It is safe for concurrent use.
type pending struct {
	total  atomic.Int64
	byPart []atomic.Int32
	byKey  []atomic.Int32
}

func newPending(partitions, keys int) *pending {
	return &pending{byPart: make([]atomic.Int32, partitions), byKey: make([]atomic.Int32, keys)}
}

// add changes the count of the stream (producer, key id) or (producer, partition id) by n.
func (p *pending) add(byKey bool, id int, n int32) {
	if byKey {
		p.byKey[id].Add(n)
	} else {
		p.byPart[id].Add(n)
	}
	p.total.Add(int64(n))
}
