package loadgen

import "sync/atomic"

// pending counts, for one sender, the client streams that still wait for a marker, so that markers go only where
// somebody waits: by key, and by what a stamp's Partition is. It is safe for concurrent use.
type pending struct {
	total  atomic.Int64
	byPart []atomic.Int32
	byKey  []atomic.Int32
}

func newPending(partitions, keys int) *pending {
	return &pending{byPart: make([]atomic.Int32, partitions), byKey: make([]atomic.Int32, keys)}
}

// add changes the stream's count by n.
func (p *pending) add(stream streamKey, n int32) {
	if stream.byKey {
		p.byKey[stream.id].Add(n)
	} else {
		p.byPart[stream.id].Add(n)
	}
	p.total.Add(int64(n))
}

// clone returns the counts as they are.
func (p *pending) clone() *pending {
	c := newPending(len(p.byPart), len(p.byKey))
	for i := range p.byPart {
		c.byPart[i].Store(p.byPart[i].Load())
	}
	for i := range p.byKey {
		c.byKey[i].Store(p.byKey[i].Load())
	}
	c.total.Store(p.total.Load())
	return c
}
