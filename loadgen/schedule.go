package loadgen

import (
	"math"
	"slices"
	"sort"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// Schedule says when each message of one producer is due. It is computed from the plan alone: Due(i) is arithmetic, so
// that a run can be repeated, split and checked. It is immutable and safe for concurrent use; a [Cursor] walks it.
type Schedule struct {
	segments []segment
	total    uint64
}

// segment is one phase's stretch of a schedule.
type segment struct {
	phase  int // index into LoadPhases
	start  time.Duration
	length time.Duration
	rate   float64
	first  uint64 // index of its first message
	count  uint64
	cells  *poissonCells // nil for constant arrivals
}

// LoadPhase is a phase in which producers send.
type LoadPhase struct {
	Name     string
	Measured bool
	Start    time.Duration // since the load's start
	End      time.Duration
}

// LoadPhases lists the warm-up, where there is one, and the measure phases.
func LoadPhases(p *scenarios.Plan) []LoadPhase {
	var phases []LoadPhase
	var at time.Duration
	add := func(name string, length time.Duration, measured bool) {
		phases = append(phases, LoadPhase{Name: name, Measured: measured, Start: at, End: at + length})
		at += length
	}
	if p.Phases.WarmUp > 0 {
		add(scenarios.PhaseWarmUp, p.Phases.WarmUp, false)
	}
	for _, m := range p.Phases.Measure {
		add(m.Name, m.Duration, true)
	}
	return phases
}

// NewSchedule computes the schedule of the plan's producer with the given index. The warm-up runs at the rates of the
// first measure phase.
func NewSchedule(p *scenarios.Plan, producer int) *Schedule {
	prod := p.Senders()[producer]
	s := &Schedule{}
	measure := 0
	for i, phase := range LoadPhases(p) {
		rate := p.RateIn(p.Phases.Measure[measure], prod).From
		if phase.Measured {
			measure++
		}
		seg := segment{phase: i, start: phase.Start, length: phase.End - phase.Start, rate: rate, first: s.total}
		if prod.Arrivals == scenarios.ArrivalsPoisson {
			seg.cells = newPoissonCells(seg, newDraw(p.Seed, producer, purposeArrivals+uint64(i)<<32))
			seg.count = seg.cells.total()
		} else {
			seg.count = constantCount(rate, seg.length)
		}
		s.total += seg.count
		s.segments = append(s.segments, seg)
	}
	return s
}

// constantCount is the number of k ≥ 0 with k/rate < length.
func constantCount(rate float64, length time.Duration) uint64 {
	if rate <= 0 || length <= 0 {
		return 0
	}
	exact := rate * length.Seconds()
	return uint64(math.Ceil(exact - 1e-9*math.Max(1, exact)))
}

// Total is the number of messages that the schedule plans.
func (s *Schedule) Total() uint64 { return s.total }

// Measured is the number of messages planned in measure phases.
func (s *Schedule) Measured(phases []LoadPhase) (n uint64) {
	for _, seg := range s.segments {
		if phases[seg.phase].Measured {
			n += seg.count
		}
	}
	return n
}

// Due returns when message i is due, since the load's start, for i < Total.
func (s *Schedule) Due(i uint64) time.Duration {
	c := Cursor{schedule: s}
	c.seek(i)
	return c.Due()
}

// Cursor walks a schedule in order at a few nanoseconds a step. It yields what [Schedule.Due] computes; it only
// remembers where in it it stands.
type Cursor struct {
	schedule *Schedule
	index    uint64
	segment  int
	cell     int
	cellDue  []time.Duration // the due times of the current cell, sorted
	cellOf   int             // segment of cellDue plus one; 0 for none
}

// Cursor returns a cursor at message 0.
func (s *Schedule) Cursor() *Cursor {
	c := &Cursor{schedule: s}
	c.seek(0)
	return c
}

func (c *Cursor) seek(i uint64) {
	c.index = i
	c.segment = sort.Search(len(c.schedule.segments), func(k int) bool {
		seg := &c.schedule.segments[k]
		return i < seg.first+seg.count
	})
}

// Done reports whether all messages have been passed.
func (c *Cursor) Done() bool { return c.index >= c.schedule.total }

// Index is the message the cursor stands at.
func (c *Cursor) Index() uint64 { return c.index }

// Phase is the load phase of the current message.
func (c *Cursor) Phase() int { return c.schedule.segments[c.segment].phase }

// Due is when the current message is due. The cursor must not be Done.
func (c *Cursor) Due() time.Duration {
	seg := &c.schedule.segments[c.segment]
	k := c.index - seg.first
	if seg.cells != nil {
		return c.poissonDue(seg, k)
	}
	due := time.Duration(math.Round(float64(k) * (float64(time.Second) / seg.rate)))
	return seg.start + min(due, seg.length-1)
}

func (c *Cursor) poissonDue(seg *segment, k uint64) time.Duration {
	cell := seg.cells.holding(k)
	if c.cellOf != c.segment+1 || c.cell != cell {
		c.cellDue = seg.cells.dues(cell, c.cellDue[:0])
		c.cell, c.cellOf = cell, c.segment+1
	}
	return seg.start + c.cellDue[k-seg.cells.before(cell)]
}

// Next moves to the following message.
func (c *Cursor) Next() {
	c.index++
	for c.segment < len(c.schedule.segments) {
		seg := &c.schedule.segments[c.segment]
		if c.index < seg.first+seg.count {
			return
		}
		c.segment++
	}
}

// poissonCells is a Poisson process of which any arrival can be computed alone: time is cut into cells, each cell's
// count is an independent Poisson number, and given the count the arrivals of a cell are sorted uniforms (the order
// statistics property; Ross, Stochastic Processes, theorem 2.3.1).
type poissonCells struct {
	cell   time.Duration
	length time.Duration
	draw   draw
	upTo   []uint64 // arrivals in cells 0…c
}

// maxCells bounds the memory of one segment's cell counts.
const maxCells = 1 << 17

func newPoissonCells(seg segment, d draw) *poissonCells {
	// Cells of about 64 arrivals keep the sort of a cell short.
	cell := 100 * time.Millisecond
	if seg.rate > 0 {
		cell = time.Duration(64 / seg.rate * float64(time.Second))
	}
	cell = max(cell, seg.length/maxCells+1, time.Microsecond)
	p := &poissonCells{cell: cell, length: seg.length, draw: d}
	var total uint64
	for c := 0; time.Duration(c)*cell < seg.length; c++ {
		width := min(cell, seg.length-time.Duration(c)*cell)
		total += uint64(poissonCount(seg.rate*width.Seconds(), draw{d.at(uint64(c) << 1)}))
		p.upTo = append(p.upTo, total)
	}
	return p
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
func (p *poissonCells) dues(cell int, dst []time.Duration) []time.Duration {
	start := time.Duration(cell) * p.cell
	width := min(p.cell, p.length-start)
	d := draw{p.draw.at(uint64(cell)<<1 | 1)}
	for i := range p.upTo[cell] - p.before(cell) {
		dst = append(dst, start+time.Duration(d.below(i, uint64(width))))
	}
	slices.Sort(dst)
	return dst
}
