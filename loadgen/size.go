package loadgen

import (
	"math"
	"sort"

	"github.com/weirbench/weir/scenarios"
)

// sizeOf returns the size of message i's value in bytes.
func (c *chooser) sizeOf(i uint64) int {
	switch c.size.Kind {
	case scenarios.SizeUniform:
		return c.size.Min + int(c.sizeDraw.below(i, uint64(c.size.Max-c.size.Min+1)))
	case scenarios.SizeLognormal:
		return c.lognormalSize(i)
	case scenarios.SizeHistogram:
		u := c.sizeDraw.unit(i)
		at := sort.Search(len(c.bins)-1, func(k int) bool { return u < c.bins[k] })
		return c.size.Bins[at].Bytes
	}
	return c.size.Min
}

// lognormalSize is the median times e to the power of sigma times a normal number, which is drawn by inverting the
// normal distribution function (Devroye, Non-Uniform Random Variate Generation, 1986, section II.2). What falls outside
// the bounds is set to them.
func (c *chooser) lognormalSize(i uint64) int {
	// The middles of 2^52 equal parts of (0, 1), mirrored without rounding: never 0 or 1, where the inverse is infinite.
	u := (float64(c.sizeDraw.at(i)>>12) + 0.5) / (1 << 52)
	normal := math.Sqrt2 * math.Erfinv(2*u-1)
	size := math.Round(float64(c.size.Median) * math.Exp(c.size.Sigma*normal))
	return int(min(max(size, float64(c.size.Min)), float64(c.size.Max)))
}

// binShares returns the cumulative shares of a histogram's bins.
func binShares(bins []scenarios.SizeBin) []float64 {
	shares := make([]float64, len(bins))
	sum := 0.0
	for k, bin := range bins {
		sum += bin.Weight
		shares[k] = sum
	}
	for k := range shares {
		shares[k] /= sum
	}
	return shares
}
