package loadgen

import (
	"math"
	"slices"
	"sort"
	"time"
)

// poissonCells is a Poisson process with a rate that varies, of which any arrival can be computed alone. It is a process
// of rate 1 along the rate's area, taken back to time by the area's inverse (Çinlar, Introduction to Stochastic
// Processes, 1975, p. 96: a non-stationary Poisson process is a stationary one on the clock of its expectation function;
// Tijms, A First Course in Stochastic Models, theorem 1.3.1: a stretch's count has the area as its mean). The area is
// cut into cells; each cell's count is an independent Poisson number whose mean is the cell's area, and given the count
// the arrivals of a cell are sorted uniforms (the order statistics property; Ross, Stochastic Processes, theorem 2.3.1).
type poissonCells struct {
	width float64 // of a cell, in area; the last one may be narrower
	area  float64
	draw  draw
	upTo  []uint64 // arrivals in cells 0…c
}

const (
	// cellArrivals keeps the sort of a cell short.
	cellArrivals = 64
	// maxCells bounds the memory of one phase's cell counts.
	maxCells = 1 << 20
)

func newPoissonCells(area float64, d draw) *poissonCells {
	p := &poissonCells{area: area, draw: d}
	if !(area > 0) {
		return p
	}
	p.width = max(cellArrivals, area/maxCells)
	cells := int(math.Ceil(area / p.width))
	p.upTo = make([]uint64, cells)
	var total uint64
	for c := range cells {
		from, to := p.bounds(c)
		total += uint64(poissonCount(to-from, draw{d.at(uint64(c) << 1)}))
		p.upTo[c] = total
	}
	return p
}

// bounds returns the area before the cell and at its end.
func (p *poissonCells) bounds(cell int) (from, to float64) {
	return float64(cell) * p.width, min(float64(cell+1)*p.width, p.area)
}

func (p *poissonCells) total() uint64 {
	if len(p.upTo) == 0 {
		return 0
	}
	return p.upTo[len(p.upTo)-1]
}

// holding returns the cell of arrival k.
func (p *poissonCells) holding(k uint64) int {
	return sort.Search(len(p.upTo), func(c int) bool { return k < p.upTo[c] })
}

// before returns the number of arrivals before the cell.
func (p *poissonCells) before(cell int) uint64 {
	if cell == 0 {
		return 0
	}
	return p.upTo[cell-1]
}

// dues appends the cell's arrival times, sorted, since the segment's start.
func (p *poissonCells) dues(seg *segment, cell int, dst []time.Duration) []time.Duration {
	from, to := p.bounds(cell)
	// The bounds are computed like those of the cells beside this one, so that order holds across cells too.
	earliest, latest := seg.due(from), seg.due(to)
	d := draw{p.draw.at(uint64(cell)<<1 | 1)}
	for i := range p.upTo[cell] - p.before(cell) {
		dst = append(dst, min(max(seg.due(from+(to-from)*d.unit(i)), earliest), latest))
	}
	slices.Sort(dst)
	return dst
}
