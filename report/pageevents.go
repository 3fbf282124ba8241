package report

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/weirbench/weir/results"
)

// drawnEvents bounds how many events are marked in the charts, listedEvents how many are listed, and notableEvents how
// many are told on top.
const (
	drawnEvents   = 60
	listedEvents  = 500
	notableEvents = 8
)

// fillEvents lists the events, marks in the charts those that are not the phases, which are shaded, and tells on top what
// is notable: late stretches, and events that are not the run's ordinary course.
func (p *page) fillEvents(events []results.Event, t *timeline) {
	marks := newMarks(t)
	for i, e := range events {
		if i == listedEvents {
			p.MoreEvents = fmt.Sprintf("%s more are in the run's log.", formatCount(int64(len(events)-i)))
			break
		}
		row := eventRow{Kind: string(e.Kind), Phase: clean(e.Phase), Text: clean(e.Text)}
		if badEvent(e.Kind) {
			row.Class = "bad"
		}
		if e.Count > 1 {
			row.Count = formatCount(e.Count) + "×"
		}
		if len(t.moments) > 0 {
			at := sinceStart(t, e.AtNS)
			row.At = timeText(at)
			if e.Kind != results.EventPhase && e.Kind != results.EventGC { // these are shaded, and those many
				row.Number = marks.mark(e, at)
			}
		}
		p.Events = append(p.Events, row)
	}
	p.Data.Events = append(p.Data.Events, marks.drawn...)
	late := p.fillLate(t)
	p.Notable = notable(late, marks.told)
}

// badEvent reports whether an event of the kind is a defect by itself.
func badEvent(kind results.EventKind) bool {
	return kind == results.EventClockStep || kind == results.EventThreshold || kind == results.EventTarget
}

// fillLate shades the late stretches, and returns what is to be told of them.
func (p *page) fillLate(t *timeline) (rows []eventRow) {
	for _, s := range lateStretches(t) {
		from, to := sinceStart(t, s.startAt), sinceStart(t, s.endAt)
		late := formatNS(float64(s.late))
		p.Data.Late = append(p.Data.Late, lateData{from, to, "up to " + late + " late"})
		rows = append(rows, eventRow{At: fmt.Sprintf("%.1f–%.1f s", from, to), Kind: "late", Class: "bad",
			Text: fmt.Sprintf("deliveries came up to %s late; %s", late, s.cause())})
	}
	return rows
}

// marks are the numbered marks of the charts. Events of one kind that a chart could not tell apart share one.
type marks struct {
	drawn  []eventData
	apart  float64 // seconds; nearer ones of a kind share a mark
	last   map[results.EventKind]float64
	told   []eventRow
	number map[results.EventKind]int
}

func newMarks(t *timeline) *marks {
	m := &marks{last: map[results.EventKind]float64{}, number: map[results.EventKind]int{}}
	if n := len(t.moments); n > 0 {
		m.apart = sinceStart(t, t.moments[n-1].endAt) / 80
	}
	return m
}

// mark returns the event's number, or nothing where there are too many.
func (m *marks) mark(e results.Event, at float64) string {
	if n := m.number[e.Kind]; n > 0 && at-m.last[e.Kind] < m.apart {
		m.last[e.Kind] = at
		told := &m.told[slices.IndexFunc(m.told, func(r eventRow) bool { return r.Number == strconv.Itoa(n) })]
		told.Count = moreEvents(told.Count)
		return told.Number
	}
	if len(m.drawn) == drawnEvents {
		return ""
	}
	n := len(m.drawn) + 1
	m.drawn = append(m.drawn, eventData{at, n, badEvent(e.Kind)})
	m.last[e.Kind], m.number[e.Kind] = at, n
	row := eventRow{Number: strconv.Itoa(n), At: timeText(at), Kind: string(e.Kind), Text: clean(e.Text)}
	if badEvent(e.Kind) {
		row.Class = "bad"
	}
	m.told = append(m.told, row)
	return row.Number
}

// moreEvents counts the events that share a mark beyond the first.
func moreEvents(before string) string {
	n, _ := strconv.Atoi(before)
	return strconv.Itoa(n + 1)
}

// notable is what is told on top: the late stretches, then what is a defect by itself, then the rest in its order.
func notable(late, told []eventRow) []eventRow {
	rows := slices.Clone(late)
	rest := slices.Clone(told)
	slices.SortStableFunc(rest, func(a, b eventRow) int {
		rank := func(r eventRow) int {
			if r.Class == "bad" {
				return 0
			}
			return 1
		}
		return rank(a) - rank(b)
	})
	for _, row := range rest {
		if row.Count != "" {
			row.Text += ", and " + row.Count + " more of the kind at about that time"
			row.Count = ""
		}
		rows = append(rows, row)
	}
	if more := len(rows) - notableEvents; more > 0 {
		rows = append(rows[:notableEvents], eventRow{Text: fmt.Sprintf("%d more are among the events below.", more)})
	}
	return rows
}
