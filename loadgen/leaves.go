package loadgen

// leaves is when a client that resumes was away by plan. An absence begins when the client leaves as the scenario says and
// ends when the first dial of its return begins; from then on what it lacks is the target's affair. What was due in an
// absence has its latency in the stage replay alone, unless the target ended or refused a session since. Everything else
// is in e2e, without the time that the client was away by plan between its being due and its being read: a target that was
// behind before the client left is late with that in e2e, and nothing is late for the client's own absence.
type leaves struct {
	absences []absence // that are over, in order
	leftAt   int64     // when the one that goes on began, Unix ns; 0 for none
	faultAt  int64     // when the target ended a session or refused one last, Unix ns
}

// absence is one by plan, Unix ns.
type absence struct{ from, until int64 }

// leave begins an absence, if none goes on.
func (l *leaves) leave(at int64) {
	if l.leftAt == 0 {
		l.leftAt = at
	}
}

// comes ends the absence that goes on and reports whether there was one. A dial that began before it belongs to the stay
// before.
func (l *leaves) comes(at int64) bool {
	if l.leftAt == 0 || at < l.leftAt {
		return false
	}
	l.absences = append(l.absences, absence{l.leftAt, at})
	l.leftAt = 0
	return true
}

// excuses reports whether what was due then and arrives now is late for the plan's sake alone.
func (l *leaves) excuses(dueAt int64) bool {
	for i := len(l.absences) - 1; i >= 0 && l.absences[i].until > dueAt; i-- {
		if a := l.absences[i]; a.from <= dueAt {
			return l.faultAt < a.until
		}
	}
	return false
}

// awayFor is how long of the time between two instants the client was away by plan, ns.
func (c *client) awayFor(from, to int64) (away int64) {
	if c.comeback == nil || !c.worker.swarm.groups[c.group].resumes {
		return 0
	}
	list := c.comeback.absences
	for i := len(list) - 1; i >= 0 && list[i].until > from; i-- {
		away += max(0, min(list[i].until, to)-max(list[i].from, from))
	}
	return away
}
