package testbed

// processID is one process: a number and when it was started, since numbers come again.
type processID struct {
	pid   int
	start uint64 // clock ticks since the machine's start
}

// processReading is what the kernel says of one process at one time.
type processReading struct {
	id     processID
	parent int   // the parent's number
	own    int64 // clock ticks of its threads, those that ended included
	waited int64 // clock ticks of the children that it has waited for, with all that these had waited for
}

// cpuAccount adds up the processor time of processes that come and go. When a child ends, its time appears once more as its
// parent's, later than or before the reading in which it was missed first, or never: a sum over those that are there falls
// and leaps. The account never falls and counts each tick once: what a child was counted with is taken off what its parent
// is credited. The zero value is empty. Its owner guards it.
type cpuAccount struct {
	ticks int64
	last  map[processID]countedProcess
}

// countedProcess is a process as the last reading had it.
type countedProcess struct {
	own, waited int64
	parent      processID // zero for one that isn't followed
	// owed is time of ended descendants that was counted while they lived and is not in waited yet.
	owed int64
}

// add takes a reading of all processes that are there and returns the clock ticks spent so far, in their whole lives. A
// process that is seen for the first time brings all that it has spent.
func (a *cpuAccount) add(now []processReading) int64 {
	byPid := map[int]processID{}
	for _, r := range now {
		byPid[r.pid()] = r.id
	}
	ended := a.ended(byPid)
	next := make(map[processID]countedProcess, len(now))
	for _, r := range now {
		c := countedProcess{own: r.own, waited: r.waited, parent: byPid[r.parent]}
		before, known := a.last[r.id]
		if !known {
			a.ticks += r.own + r.waited
			next[r.id] = c
			continue
		}
		a.ticks += max(0, r.own-before.own)
		credited := r.waited - before.waited - before.owed - ended[r.id]
		if credited < 0 {
			// The reading came before the wait. What is owed from the reading before that was never waited for and is dropped,
			// lest it hide another child's time.
			c.owed = min(-credited, ended[r.id])
		}
		a.ticks += max(0, credited)
		next[r.id] = c
	}
	a.last = next
	return a.ticks
}

func (r processReading) pid() int { return r.id.pid }

// ended is, for each process that is there, what those of its descendants were counted with that are there no more.
func (a *cpuAccount) ended(there map[int]processID) map[processID]int64 {
	owed := map[processID]int64{}
	for id, c := range a.last {
		if there[id.pid] == id {
			continue
		}
		heir := c.parent
		for heir != (processID{}) && there[heir.pid] != heir {
			heir = a.last[heir].parent
		}
		if heir != (processID{}) {
			owed[heir] += c.own + c.waited + c.owed
		}
	}
	return owed
}
