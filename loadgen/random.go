package loadgen

import (
	"math"
	"math/bits"
)

// mix is splitmix64's finaliser (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): a
// bijection whose output bits each depend on every input bit. It makes random values a function of (seed, i) instead of
// a state, so that any message can be computed alone.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// draw is an independent random stream of numbers, indexed instead of stepped.
type draw struct{ base uint64 }

// The purposes that draws are made for; each has its own stream under one seed.
const (
	purposeKey = iota + 1
	purposeSize
	purposePayload
	purposeArrivals
	purposeBackoff
	purposePublisher // which client of a group publishes a message
	purposeThink
	purposeFirstThought
	purposeSchema // what is in the fields of messages by a schema
)

func newDraw(seed uint64, owner int, purpose uint64) draw {
	return draw{mix(mix(seed+0x9e3779b97f4a7c15) + uint64(owner)<<8 + purpose)}
}

// at returns the i-th number, uniform over 64 bits.
func (d draw) at(i uint64) uint64 { return mix(d.base + (i+1)*0x9e3779b97f4a7c15) }

// below returns the i-th number scaled to [0, n) by Lemire's multiplication; its bias is below n/2^64.
func (d draw) below(i, n uint64) uint64 {
	hi, _ := bits.Mul64(d.at(i), n)
	return hi
}

// unit returns the i-th number in [0, 1).
func (d draw) unit(i uint64) float64 { return float64(d.at(i)>>11) / (1 << 53) }

// poissonCount draws from a Poisson distribution of the given mean, using numbers i, i+1, … of d: Knuth's product of
// uniforms in pieces of mean ≤ 500, so that exp(−mean) does not underflow (the sum of Poissons is a Poisson).
func poissonCount(mean float64, d draw) int {
	n, i := 0, uint64(0)
	for mean > 0 {
		piece := math.Min(mean, 500)
		mean -= piece
		limit := math.Exp(-piece)
		for p := d.unit(i); p > limit; p *= d.unit(i) {
			n++
			i++
		}
		i++
	}
	return n
}
