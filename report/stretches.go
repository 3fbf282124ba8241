package report

import (
	"fmt"
	"slices"
)

// stretch is a part of the run in which deliveries came much later than usual: what a stall leaves behind.
type stretch struct {
	startAt, endAt int64 // Unix ns: about when the latest of them was due, and when the last had come
	late           int64 // the latest, ns
	kafka, sendLag int64 // the most that the observer and the generator were late meanwhile, ns
}

// A moment is late where its slowest delivery took both so many times the usual, the median moment's slowest, and so much
// longer.
const (
	lateTimes = 4
	lateBy    = 200e6 // ns
)

// lateStretches lists the run's stretches, those that touch as one.
func lateStretches(t *timeline) []stretch {
	usual := usualMax(t)
	var list []stretch
	for i := range t.moments {
		m := &t.moments[i]
		if m.e2e.max < lateTimes*usual || m.e2e.max-usual < lateBy {
			continue
		}
		s := stretch{startAt: max(m.startAt+(m.endAt-m.startAt)/2-m.e2e.max, t.moments[0].startAt), endAt: m.endAt, late: m.e2e.max}
		if n := len(list); n > 0 && s.startAt <= list[n-1].endAt {
			before := &list[n-1]
			before.startAt, before.endAt = min(before.startAt, s.startAt), s.endAt
			before.late = max(before.late, s.late)
			continue
		}
		list = append(list, s)
	}
	for i := range list {
		list[i].lookUpstream(t)
	}
	return list
}

// lookUpstream takes in how late the observer and the generator were in all of the stretch: what they were late with
// arrived at the clients after that, maybe in a later moment.
func (s *stretch) lookUpstream(t *timeline) {
	for i := range t.moments {
		if m := &t.moments[i]; m.endAt > s.startAt && m.startAt < s.endAt {
			s.kafka, s.sendLag = max(s.kafka, m.kafka.max), max(s.sendLag, m.sendLag.max)
		}
	}
}

// usualMax is the median over the moments of their slowest delivery.
func usualMax(t *timeline) int64 {
	var all []int64
	for i := range t.moments {
		if d := t.moments[i].e2e; d.count > 0 {
			all = append(all, d.max)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)-1)/2]
}

// cause says where the time was lost, as far as the control arm tells.
func (s *stretch) cause() string {
	switch {
	case s.sendLag >= s.late/2:
		return fmt.Sprintf("the generator itself sent up to %s late", formatNS(float64(s.sendLag)))
	case s.kafka >= s.late/2:
		return fmt.Sprintf("Kafka's side was late: the observer beside the clients read up to %s after the send", formatNS(float64(s.kafka)))
	case s.kafka > 0:
		return fmt.Sprintf("not Kafka: the observer had everything read meanwhile within %s of its send", formatNS(float64(s.kafka)))
	}
	return "the observer read nothing meanwhile"
}
