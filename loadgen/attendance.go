package loadgen

import "time"

// attendance is how many clients of one worker and group were to be there, and how many of these were not connected,
// since a time. The worker's mutex guards it.
type attendance struct {
	due, absent int64
	since       time.Duration // of the load
}

// attend changes whether the client is to be there and whether it is connected. The worker is locked.
func (w *worker) attend(c *client, due, linked bool) {
	w.bookAttendance(c.group)
	a := &w.attendance[c.group]
	a.due += one(due) - one(c.due)
	a.absent += one(due && !linked) - one(c.due && !c.linked)
	c.due, c.linked = due, linked
}

func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// bookAttendance counts the time since it was last called, as far as the load went on. The worker is locked.
func (w *worker) bookAttendance(group int) {
	s := w.swarm
	if !stopped(s.begun) || stopped(s.over) {
		return
	}
	w.bookUntil(group, time.Since(s.loadAt))
}

// bookUntil counts client milliseconds by phase. Both ends are cut to whole ones, so that nothing is lost or counted twice
// however often it is called.
func (w *worker) bookUntil(group int, now time.Duration) {
	a := &w.attendance[group]
	for i := range w.swarm.topo.phases {
		phase := &w.swarm.topo.phases[i]
		from, to := max(a.since, phase.Start), min(now, phase.End)
		if from >= to {
			continue
		}
		ms := int64(to/time.Millisecond - from/time.Millisecond)
		cell := w.swarm.topo.cell(i, group, -1)
		w.meter.count(cell, countPlanned, ms*a.due)
		w.meter.count(cell, countAbsent, ms*a.absent)
	}
	a.since = max(a.since, now)
}

// bookAllAttendance counts the time of those under way. The worker is locked.
func (w *worker) bookAllAttendance() {
	for group := range w.attendance {
		w.bookAttendance(group)
	}
}

// leaving ends the time that the client is to be there: what follows is its goodbye.
func (s *swarm) leaving(c *client) {
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	c.worker.attend(c, false, c.linked)
	if c.comeback != nil {
		c.comeback.leave(time.Now().UnixNano()) // what comes before the connection is closed is live
	}
}
