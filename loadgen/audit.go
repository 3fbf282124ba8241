package loadgen

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"

	"github.com/weirbench/weir/results"
)

// exclusion is what the audit has to know of a message that was not acknowledged.
type exclusion struct {
	seq     uint64
	refused bool // proved not written; otherwise its fate was never settled, or the topic shows that it is not there
}

// auditor closes the account: it sets what each client was to receive against what arrived.
type auditor struct {
	topo      *topology
	swarm     *swarm
	producers []*producer
	reference reference
	totals    map[countKey]int64 // the clients' counters of the whole run
	slowest   []int64            // by sender, the longest that the observer waited for a message, or the target, ns

	excluded map[streamKey][]exclusion // sorted by sequence number
	rows     map[results.Label]*results.AuditRow
	audit    results.Audit
}

// closeAudit returns the account of the run. All workers and producers have ended.
func closeAudit(a *auditor) *results.Audit {
	a.excluded = map[streamKey][]exclusion{}
	a.rows = map[results.Label]*results.AuditRow{}
	a.audit.CorruptionChecked = true
	for i, p := range a.producers {
		a.auditTopic(i, p)
	}
	for _, list := range a.excluded {
		slices.SortFunc(list, func(x, y exclusion) int { return int(int64(x.seq) - int64(y.seq)) })
	}
	a.takeTotals()
	a.slowest = slices.Clone(a.slowest)
	for _, w := range a.swarm.workers {
		for i, ns := range w.slowest {
			a.slowest[i] = max(a.slowest[i], ns)
		}
	}
	for _, c := range a.swarm.clients {
		a.auditClient(c)
	}
	a.finish()
	return &a.audit
}

// row returns the row of a label, made on first use.
func (a *auditor) row(label results.Label) *results.AuditRow {
	r := a.rows[label]
	if r == nil {
		r = &results.AuditRow{Phase: label.Phase, Group: label.Group, Producer: label.Producer}
		a.rows[label] = r
	}
	return r
}

// takeTotals puts what was counted as it arrived into the rows. Delivered is counted there and expected computed from
// the ledgers, so that the identity between them is a check and not a definition.
func (a *auditor) takeTotals() {
	for key, n := range a.totals {
		if key.label.Group == "" {
			continue
		}
		r := a.row(key.label)
		switch key.name {
		case results.CountDelivered:
			r.Delivered += n
		case results.CountReplayedLeave:
			r.Replayed += n
		case results.CountDuplicate:
			r.Duplicate += n
		case results.CountReordered:
			r.Reordered += n
		case results.CountCorrupt:
			r.Corrupt += n
		case results.CountStray:
			r.Stray += n
		case results.CountEarly:
			r.Early += n
		case results.CountForeign:
			r.Foreign += n
		}
	}
}

// auditTopic sets a producer's sends against the topic as read back, and notes which sends nobody can be asked for.
func (a *auditor) auditTopic(index int, p *producer) {
	l := p.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	view := &a.reference.view.producers[index]
	t := results.TopicAudit{
		Topic: p.shape.plan.Topic, Producer: p.shape.plan.Name, Sent: l.sent, Acked: l.acked, Refused: int64(len(l.refused)) + l.unnumbered,
		InTopic: view.inTopic, Doubled: view.doubled, Reordered: view.reordered, Source: a.reference.source, Incomplete: a.reference.why,
	}
	absent := l.unnumbered
	for _, s := range l.refused {
		if !a.reference.view.has(index, s) {
			absent++
		}
		a.exclude(index, s, true)
	}
	for _, s := range a.unsettled(p) {
		t.Unsettled++
		if !a.reference.view.has(index, s) {
			absent++
			a.exclude(index, s, false)
		}
	}
	if a.reference.complete {
		t.AckedGone = l.sent - view.inTopic - absent
	}
	a.audit.Reference = append(a.audit.Reference, t)
}

// unsettled lists the sends that no answer settled. With acks=0 there are no answers: the sends that the topic does not
// hold are found by computing them again.
func (a *auditor) unsettled(p *producer) []send {
	if p.acks {
		return p.ledger.unsettled
	}
	refused := map[send]bool{}
	for _, s := range p.ledger.refused {
		refused[s] = true
	}
	var all []send
	again := newLedger(p.shape.partitions, p.shape.keys)
	cur := p.shape.schedule.Cursor()
	for ; cur.Index() < uint64(p.ledger.sent); cur.Next() {
		if s := again.take(p.shape.choose.choose(cur.Index(), cur.Due())); !refused[s] && !a.reference.view.has(p.index, s) {
			all = append(all, s)
		}
	}
	return all
}

func (a *auditor) exclude(producer int, s send, refused bool) {
	part := streamKey{producer, false, int(s.partition)}
	a.excluded[part] = append(a.excluded[part], exclusion{s.partSeq, refused})
	if s.key != NoKey {
		key := streamKey{producer, true, int(s.key)}
		a.excluded[key] = append(a.excluded[key], exclusion{s.keySeq, refused})
	}
}

// between returns the exclusions in a span.
func between(list []exclusion, s span) []exclusion {
	from := sort.Search(len(list), func(i int) bool { return list[i].seq >= s.from })
	to := sort.Search(len(list), func(i int) bool { return list[i].seq >= s.to })
	return list[from:to]
}

// auditClient accounts for every stream of one client.
func (a *auditor) auditClient(c *client) {
	w := c.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	group := &a.topo.groups[c.group]
	account := clientAccount{shed: maps.Clone(c.rarely().shed)}
	past := c.rarely().past
	for stream := range c.trackers {
		key, _ := group.streamID(c.index, stream)
		if past != nil {
			for i := range past[stream] {
				a.auditStint(c, &past[stream][i], key, &account)
			}
		}
		if t := &c.trackers[stream]; t.flag&(flagExpected|flagJoined) == flagExpected|flagJoined {
			a.auditStint(c, &stint{tracker: *t, end: stillThere}, key, &account)
		}
	}
	if account.expected > 0 {
		a.closeClient(c, account)
	}
}

// clientAccount is what one client's streams add up to in the measure phases, without what was on its way when it left by
// plan, and how much of the target's reports of
// shed messages is not used up yet.
type clientAccount struct {
	expected, missing int64
	shed              map[int]int64 // by partition or key, as the target's notices name them
}

// stillThere is the end of a stint that lasted to the end of the run.
const stillThere = math.MaxUint64

// excuse uses up reports of shed messages for at most n of them, and returns how many it found.
func (a *clientAccount) excuse(id int, n int64) (shed int64) {
	if id != everywhere {
		shed = min(n, a.shed[id])
		if shed > 0 {
			a.shed[id] -= shed
		}
		return shed
	}
	for _, partition := range slices.Sorted(maps.Keys(a.shed)) {
		shed += a.excuse(partition, n-shed)
	}
	return shed
}

// noticeID is what the target's notices name where they tell of a stream's messages: a key where the client follows keys,
// else the partition that they are in.
func (a *auditor) noticeID(group *groupShape, key streamKey) int {
	p := &a.topo.producers[key.producer]
	switch {
	case group.plan.Subscribe.All && key.byKey:
		return int(p.choose.keyPartition[key.id])
	case group.plan.Subscribe.All && p.publishes():
		return int(a.reference.view.producers[key.producer].found[key.id])
	case p.publishes():
		return int(p.clientKey(uint32(key.id)))
	}
	return key.id
}

func (a *auditor) auditStint(c *client, s *stint, key streamKey, account *clientAccount) {
	for phase := range a.topo.phases {
		a.auditStream(c, s, key, phase, account)
	}
}

// auditStream accounts for one phase of one stream of a client, from when its subscription came into force until it left
// by plan, or to the end. What was on its way when it left is undetermined.
func (a *auditor) auditStream(c *client, stay *stint, key streamKey, phase int, account *clientAccount) {
	t := &stay.tracker
	r := a.producers[key.producer].ledger.phaseRange(phase, key.byKey, key.id)
	r.from, r.to = max(r.from, t.base), min(r.to, stay.end)
	if r.from >= r.to {
		return
	}
	gaps := &c.worker.gaps
	group := &a.topo.groups[c.group]
	row := a.row(results.Label{Phase: a.topo.phases[phase].Name, Group: group.plan.Name, Producer: a.topo.producers[key.producer].plan.Name})
	conflated, excusedBy := a.topo.producers[key.producer].conflation > 0, a.noticeID(group, key)
	excluded := a.excluded[key]
	unwritten, undetermined := a.auditExclusions(row, between(excluded, r), func(seq uint64) bool { return gaps.has(t, seq) })
	expected := int64(r.size()) - unwritten
	row.Expected += expected
	row.Undetermined += undetermined
	onWayFrom := a.onWayFrom(stay, key)
	missing, skipped, onWayLeft := undetermined, int64(0), int64(0)
	gaps.missing(t, r.to, func(s span, tail bool) {
		s.from = max(s.from, r.from)
		skippable := conflated && !tail // only a gap has a newer value above it
		if tail && stay.end != stillThere {
			onWay := span{max(s.from, onWayFrom), s.to}
			if onWay.from < onWay.to {
				n := countIn(excluded, onWay)
				onWayLeft += n
				row.Undetermined += n
				s.to = onWay.from
			}
			tail = false // what is left was sent while the target had thrown the client out
		}
		if s.from >= s.to {
			return
		}
		if skippable {
			newer := gaps.spans(t)[gaps.find(t, s.from)].to // the next arrival is the newer value that was sent first
			from := a.conflatedFrom(key, s, newer)
			skipped += countIn(excluded, span{from, s.to})
			s.to = from
		}
		n := countIn(excluded, s)
		missing += n
		shed := account.excuse(excusedBy, n)
		row.Shed += shed
		if tail && !c.thrown {
			row.Unseen += n - shed
		} else {
			row.Lost += n - shed
		}
	})
	row.Shed += skipped
	row.Conflated += skipped
	if a.topo.phases[phase].Measured {
		account.expected += expected - skipped - onWayLeft
		account.missing += missing
	}
}

// auditExclusions accounts for messages that were not acknowledged: how many are not expected, since nothing was written,
// and of how many nobody knows. What was refused and arrived all the same is stray.
func (a *auditor) auditExclusions(row *results.AuditRow, list []exclusion, arrived func(seq uint64) bool) (unwritten, undetermined int64) {
	for _, x := range list {
		came := arrived(x.seq)
		switch {
		case x.refused:
			unwritten++
			if came {
				row.Stray++
				row.Delivered--
			}
		case came: // a delivery settles it
		case a.reference.complete: // the topic settles it: it was not written
			unwritten++
		default:
			undetermined++
		}
	}
	return unwritten, undetermined
}

// countIn is how many messages of a span are not excluded.
func countIn(excluded []exclusion, s span) int64 {
	return int64(s.size()) - int64(len(between(excluded, s)))
}

// withinShare is the share of a client's expected deliveries that must lie within the objective for the client to count
// as within it.
const withinShare = 0.99

// worstClients is how many clients the record names.
const worstClients = 10

func (a *auditor) closeClient(c *client, account clientAccount) {
	ca := results.ClientAudit{
		Client: a.swarm.clientName(c), Expected: account.expected, Missing: account.missing,
		MaxNS: c.stats.max, WithinShare: 1, Sessions: int(c.sessions),
	}
	judged := account.expected
	if c.comeback != nil {
		judged -= c.comeback.spared // replays have no objective
	}
	if judged > 0 {
		ca.WithinShare = float64(c.stats.within) / float64(judged)
	}
	if c.stats.count > 0 {
		ca.MeanNS = c.stats.sum / c.stats.count
	}
	if !a.swarm.groups[c.group].slow {
		a.audit.ClientsTotal++
		if ca.WithinShare >= withinShare {
			a.audit.ClientsWithin++
		}
	} else if account.missing == 0 { // it is late on purpose
		return
	}
	a.audit.Worst = append(a.audit.Worst, ca)
	if len(a.audit.Worst) > 64*worstClients {
		a.keepWorst()
	}
}

// keepWorst sorts by what is missing, then by the longest latency, and cuts the list.
func (a *auditor) keepWorst() {
	slices.SortStableFunc(a.audit.Worst, func(x, y results.ClientAudit) int {
		if x.Missing != y.Missing {
			return int(y.Missing - x.Missing)
		}
		return int(y.MaxNS - x.MaxNS)
	})
	a.audit.Worst = a.audit.Worst[:min(len(a.audit.Worst), worstClients)]
}

// finish orders the rows and checks the identity of each.
func (a *auditor) finish() {
	a.keepWorst()
	order := map[string]int{}
	for i, label := range a.topo.clientCells() {
		if _, ok := order[label.Phase]; !ok {
			order[label.Phase] = i
		}
	}
	for _, r := range a.rows {
		if r.Classes == (results.Classes{}) {
			continue
		}
		a.audit.Rows = append(a.audit.Rows, *r)
		if !r.Holds() {
			a.audit.Defects = append(a.audit.Defects, fmt.Sprintf(
				"the audit's identity does not hold in phase %s, group %s, producer %s: expected %d, delivered %d, lost %d, unseen %d, shed %d, undetermined %d",
				r.Phase, r.Group, r.Producer, r.Expected, r.Delivered, r.Lost, r.Unseen, r.Shed, r.Undetermined))
		}
	}
	slices.SortFunc(a.audit.Rows, func(x, y results.AuditRow) int {
		if x.Phase != y.Phase {
			return order[x.Phase] - order[y.Phase]
		}
		return slices.Compare([]string{x.Group, x.Producer}, []string{y.Group, y.Producer})
	})
	slices.Sort(a.audit.Defects)
	if view := a.reference.view; view.gaps.err != nil {
		a.audit.Defects = append(a.audit.Defects, fmt.Sprintf("the topics can't serve as reference: %v (at most %d)", view.gaps.err, view.gaps.limit))
	}
	for _, w := range a.swarm.workers {
		if w.gaps.err != nil {
			a.audit.Defects = append(a.audit.Defects, fmt.Sprintf("the account can't be closed: %v (at most %d)", w.gaps.err, w.gaps.limit))
		}
	}
}
