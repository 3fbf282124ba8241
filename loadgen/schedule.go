package loadgen

import (
	"math"
	"sort"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// Schedule says when each message of one sender is due. It is computed from the plan alone: Due(i) is arithmetic, so
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
	when   *inverse
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

// NewSchedule computes the schedule of the plan's sender with the given index. The warm-up holds the level that the
// first measure phase begins with.
func NewSchedule(p *scenarios.Plan, sender int) *Schedule {
	from := p.Senders()[sender]
	s := &Schedule{}
	measure := 0
	for i, phase := range LoadPhases(p) {
		m := p.Phases.Measure[measure]
		rate := p.RateIn(m, from)
		if phase.Measured {
			measure++
		} else {
			rate = scenarios.Hold(rate.Level(0, m.Duration))
		}
		s.append(segment{phase: i, start: phase.Start, length: phase.End - phase.Start}, rate, from.Arrivals,
			newDraw(p.Seed, sender, purposeArrivals+uint64(i)<<32))
	}
	return s
}

// append adds a phase at whose arrivals the given rate is kept.
func (s *Schedule) append(seg segment, rate scenarios.Curve, arrivals scenarios.Arrivals, d draw) {
	area := rate.Area(seg.length, seg.length)
	seg.when, seg.first = newInverse(rate, seg.length), s.total
	if arrivals == scenarios.ArrivalsPoisson {
		seg.cells = newPoissonCells(area, d)
		seg.count = seg.cells.total()
	} else {
		seg.count = constantCount(area)
	}
	s.total += seg.count
	s.segments = append(s.segments, seg)
}

// constantCount is the number of whole k ≥ 0 below the area, of which rounding may have made a little more than it is:
// 0.1/s for 700 s are 70 messages and not 71.
func constantCount(area float64) uint64 {
	if !(area > 0) {
		return 0
	}
	return uint64(math.Ceil(area - max(1e-9, 1e-12*area)))
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
	return seg.start + seg.due(float64(k))
}

// due is when the phase's area exceeds x, since the phase's start: a time within the phase.
func (seg *segment) due(x float64) time.Duration {
	at := time.Duration(math.Round(seg.when.at(x) * float64(time.Second)))
	return min(max(at, 0), seg.length-1)
}

func (c *Cursor) poissonDue(seg *segment, k uint64) time.Duration {
	cell := seg.cells.holding(k)
	if c.cellOf != c.segment+1 || c.cell != cell {
		c.cellDue = seg.cells.dues(seg, cell, c.cellDue[:0])
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
