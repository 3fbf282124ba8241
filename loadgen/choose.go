package loadgen

import (
	"math"
	"sort"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// chooser says which key, partition and size message i of one sender has: a function of (seed, i) and, where the hot keys
// move, of when the message is due.
type chooser struct {
	kind         scenarios.KeyKind
	keys         uint64
	partitions   uint64
	keyDraw      draw
	sizeDraw     draw
	size         scenarios.Size
	bins         []float64 // cumulative shares, histogram only
	zipf         []float64 // cumulative shares, zipf only
	hot          hotSet
	keyPartition []uint32 // by key id
	keyNames     [][]byte // by key id
}

func newChooser(p *scenarios.Plan, sender, partitions int) *chooser {
	from := p.Senders()[sender]
	c := &chooser{
		kind: from.Keys.Kind, partitions: uint64(partitions), size: from.Size,
		keyDraw: newDraw(p.Seed, sender, purposeKey), sizeDraw: newDraw(p.Seed, sender, purposeSize),
	}
	if c.size.Kind == scenarios.SizeHistogram {
		c.bins = binShares(c.size.Bins)
	}
	if c.kind == scenarios.KeysNone {
		return c
	}
	c.keys = uint64(from.Keys.Count)
	c.keyPartition = make([]uint32, c.keys)
	c.keyNames = make([][]byte, c.keys)
	for k := range c.keyNames {
		c.keyNames[k] = []byte(scenarios.KeyName(k))
		c.keyPartition[k] = partitionOf(c.keyNames[k], partitions)
	}
	switch c.kind {
	case scenarios.KeysZipf:
		c.zipf = zipfShares(from.Keys.Count, from.Keys.Skew)
	case scenarios.KeysHotSet:
		c.hot = newHotSet(from.Keys)
	}
	return c
}

// choose returns the key id (NoKey without keys) and the partition of message i, which is due so long after the load's
// beginning.
func (c *chooser) choose(i uint64, due time.Duration) (key, partition uint32) {
	switch c.kind {
	case scenarios.KeysNone:
		return NoKey, uint32(i % c.partitions)
	case scenarios.KeysUniform:
		key = uint32(c.keyDraw.below(i, c.keys))
	case scenarios.KeysZipf:
		key = uint32(min(sort.SearchFloat64s(c.zipf, c.keyDraw.unit(i)), len(c.zipf)-1))
	case scenarios.KeysHotSet:
		key = uint32(c.hot.key(c.keyDraw.unit(i), due))
	default:
		key = uint32(i % c.keys)
	}
	return key, c.keyPartition[key]
}

// keyName is the key as records carry it; nil for NoKey.
func (c *chooser) keyName(key uint32) []byte {
	if key == NoKey {
		return nil
	}
	return c.keyNames[key]
}

// share is the part of the sender's messages that go to a partition; where hot keys move, the largest part that ever does.
func (c *chooser) share(partition uint32) float64 {
	switch c.kind {
	case scenarios.KeysNone:
		return 1 / float64(c.partitions)
	case scenarios.KeysHotSet:
		return c.hot.largestShare(func(key uint64) bool { return c.keyPartition[key] == partition })
	}
	share := 0.0
	for k, p := range c.keyPartition {
		switch {
		case p != partition:
		case c.zipf == nil:
			share += 1 / float64(c.keys)
		case k == 0:
			share += c.zipf[0]
		default:
			share += c.zipf[k] - c.zipf[k-1]
		}
	}
	return share
}

// zipfShares returns the cumulative shares of n keys of which the k-th has a share proportional to k^−s.
func zipfShares(n int, s float64) []float64 {
	shares := make([]float64, n)
	sum := 0.0
	for k := range shares {
		sum += math.Pow(float64(k+1), -s)
		shares[k] = sum
	}
	for k := range shares {
		shares[k] /= sum
	}
	return shares
}

// partitionOf is Kafka's default partitioner for keyed records: murmur2 of the key, sign bit cleared, modulo the number
// of partitions (org.apache.kafka.common.utils.Utils.murmur2), so that any consumer finds keys where it expects them.
func partitionOf(key []byte, partitions int) uint32 {
	return (murmur2(key) & 0x7fffffff) % uint32(partitions)
}

// murmur2 is Austin Appleby's 32-bit MurmurHash2 with Kafka's seed.
func murmur2(b []byte) uint32 {
	const m, r = 0x5bd1e995, 24
	h := uint32(0x9747b28c) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(b[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
