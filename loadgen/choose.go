package loadgen

import (
	"math"
	"sort"

	"github.com/weirbench/weir/scenarios"
)

// chooser says which key, partition and size message i of one producer has: a function of (seed, i).
type chooser struct {
	kind         scenarios.KeyKind
	keys         uint64
	partitions   uint64
	keyDraw      draw
	sizeDraw     draw
	size         scenarios.Size
	zipf         []float64 // cumulative shares, zipf only
	keyPartition []uint32  // by key id
	keyNames     [][]byte  // by key id
}

func newChooser(p *scenarios.Plan, producer, partitions int) *chooser {
	prod := p.Senders()[producer]
	c := &chooser{
		kind: prod.Keys.Kind, partitions: uint64(partitions), size: prod.Size,
		keyDraw: newDraw(p.Seed, producer, purposeKey), sizeDraw: newDraw(p.Seed, producer, purposeSize),
	}
	if c.kind == scenarios.KeysNone {
		return c
	}
	c.keys = uint64(prod.Keys.Count)
	c.keyPartition = make([]uint32, c.keys)
	c.keyNames = make([][]byte, c.keys)
	for k := range c.keyNames {
		c.keyNames[k] = []byte(scenarios.KeyName(k))
		c.keyPartition[k] = partitionOf(c.keyNames[k], partitions)
	}
	if c.kind == scenarios.KeysZipf {
		c.zipf = zipfShares(prod.Keys.Count, prod.Keys.Skew)
	}
	return c
}

// choose returns the key id (NoKey without keys) and the partition of message i.
func (c *chooser) choose(i uint64) (key, partition uint32) {
	switch c.kind {
	case scenarios.KeysNone:
		return NoKey, uint32(i % c.partitions)
	case scenarios.KeysUniform:
		key = uint32(c.keyDraw.below(i, c.keys))
	case scenarios.KeysZipf:
		key = uint32(min(sort.SearchFloat64s(c.zipf, c.keyDraw.unit(i)), len(c.zipf)-1))
	default:
		key = uint32(i % c.keys)
	}
	return key, c.keyPartition[key]
}

// share is the part of the producer's messages that go to a partition.
func (c *chooser) share(partition uint32) float64 {
	if c.kind == scenarios.KeysNone {
		return 1 / float64(c.partitions)
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

// sizeOf returns the size of message i's value in bytes.
func (c *chooser) sizeOf(i uint64) int {
	if c.size.Kind == scenarios.SizeUniform {
		return c.size.Min + int(c.sizeDraw.below(i, uint64(c.size.Max-c.size.Min+1)))
	}
	return c.size.Min
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

// payload is a block of random text that values are cut from: printable, URL- and JSON-safe, and never a start mark.
type payload struct {
	block []byte
	draw  draw
}

// payloadBlock is large enough that neighbouring messages rarely share bytes and small enough for a cache.
const payloadBlock = 64 << 10

func newPayload(p *scenarios.Plan, producer int) payload {
	d := newDraw(p.Seed, producer, purposePayload)
	block := make([]byte, payloadBlock+p.Senders()[producer].Size.Max)
	for i := range block {
		block[i] = digits[d.at(uint64(i))&63]
	}
	return payload{block, draw{mix(d.base)}}
}

// fill writes message i's payload over dst.
func (p payload) fill(dst []byte, i uint64) {
	at := p.draw.below(i, payloadBlock)
	copy(dst, p.block[at:])
}
