package loadgen

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// history is one generated run without sockets and brokers: a random plan, what its producers sent, what of it stands
// in the topics, and what reached each client in which order. It keeps an account of its own, from what it planted and
// by sets instead of gaps, that the audit's must equal.
type history struct {
	t         *rapid.T
	clean     bool // nothing is planted
	pool      *recorderPool
	plan      *scenarios.Plan
	topo      *topology
	producers []*producer
	swarm     *swarm
	view      *topicView
	complete  bool // the reference is
	logs      [][][]historyRecord
	sent      [][]historyMessage // by producer
	readers   []*historyReader
	rows      map[results.Label]*results.Classes // the account
	foreign   int64
	shedBy    map[shedKey]int64
	clocks    []int                   // by producer: how many of its messages have been sent
	live      map[results.Label]int64 // what is expected while the run goes, refused sends included
	skipped   int64                   // shed since a newer value came
	slowest   []int64                 // by sender
	late      []int64                 // by sender: how late the target had a value at most, as it says
	unnumber  []int64                 // by sender, refused before they had a number
	steps     int                     // left until the streams' ends are known
}

// historyRecord is one record of a producer's part of a partition.
type historyRecord struct {
	Stamp
	phase int
	sent  int // messages that the producer had sent by then, itself included
}

// fate is what became of a send.
type fate int

const (
	fateAcked fate = iota
	fateDoubled
	fateGone           // acked and not in the topic
	fateRefused        // and not written
	fateRefusedWritten // a broker that lies
	fateUnsettledWritten
	fateUnsettledAbsent
	fateUnsettledUnread // written, and the reference did not come that far
)

type historyMessage struct {
	send
	phase int
	fate  fate
}

// shedKey is where a report of shed messages counts: one client's partition or key.
type shedKey struct {
	reader *historyReader
	id     int
}

// historyReader is one client as the history sees it.
type historyReader struct {
	*client
	streams  map[int]*historyStream
	held     []historyRecord
	absent   int  // records to come that it misses, since it is thrown out
	retaken  bool // and was taken back just now
	gone     bool
	troubled int           // how often the target throws it out, in a hundred records
	reported map[int]int64 // by partition or key
	varies   bool          // it leaves and comes back by plan
	away     int           // records to come that it misses, since it left
	closing  bool          // final markers have come: nobody leaves any more
	past     []historyStint
	given    []historyRecord // data
	marks    []historyRecord
	resumes  bool // it gets what it missed when it comes back
	resumed  bool // the target said that it goes on
	missed   []historyRecord
	// unanswered is how many records come before the answer to its subscription; answered is when the newest came.
	unanswered int
	answered   int64
}

// historyStint is a stream that a client left.
type historyStint struct {
	historyStream
	at     int // stream
	end    uint64
	thrown bool
}

type historyStream struct {
	joined, rejoin, final bool
	complete              bool // a conflated one
	base, finalSeq        uint64
	floor                 uint64 // the end of the stint before
	back                  uint64 // how far it was sent when the client came back after being thrown out
	seen                  map[uint64]bool
	highest               int64
}

func (h *history) chance(percent int, what string) bool {
	return !h.clean && rapid.IntRange(0, 99).Draw(h.t, what) < percent
}

// drawPlan is a plan of a few dozen messages.
func drawPlan(t *rapid.T) *scenarios.Plan {
	p := &scenarios.Plan{
		Name: "history", Seed: rapid.Uint64().Draw(t, "seed"), IntervalNS: time.Second, Objective: time.Millisecond,
		Gateway: scenarios.GatewayPlan{Profile: scenarios.ReferenceProfile()}, Audit: scenarios.AuditLimits{Gaps: 10_000},
	}
	if rapid.Bool().Draw(t, "an answer joins") {
		p.Gateway.Profile.Joined = `{"type":"subscribed"`
	}
	p.Gateway.Guarantees.Resumes = rapid.Bool().Draw(t, "the target resumes")
	topics := rapid.IntRange(1, 2).Draw(t, "topics")
	conflated := rapid.IntRange(0, 2).Draw(t, "about conflation") == 0 // else the first topic may be by chance
	for i := range topics {
		p.Kafka.Topics = append(p.Kafka.Topics, scenarios.Topic{Name: fmt.Sprintf("t%d", i), Partitions: rapid.IntRange(1, 3).Draw(t, "partitions")})
	}
	further := 0
	if !conflated {
		further = rapid.IntRange(0, 1).Draw(t, "further producers")
	}
	for i := range topics + further {
		prod := scenarios.Producer{
			Name: fmt.Sprintf("p%d", i), Topic: fmt.Sprintf("t%d", i%topics), Rate: scenarios.Hold(rapid.Float64Range(1, 20).Draw(t, "rate")),
			Arrivals: rapid.SampledFrom([]scenarios.Arrivals{scenarios.ArrivalsConstant, scenarios.ArrivalsPoisson}).Draw(t, "arrivals"),
			Size:     scenarios.Size{Kind: scenarios.SizeFixed, Min: 90, Max: 90},
			Acks:     rapid.SampledFrom([]string{"all", "all", "none"}).Draw(t, "acks"),
		}
		prod.Keys.Kind = rapid.SampledFrom([]scenarios.KeyKind{scenarios.KeysNone, scenarios.KeysRoundRobin, scenarios.KeysUniform, scenarios.KeysZipf, scenarios.KeysHotSet}).Draw(t, "keys")
		if conflated && i == 0 {
			prod.Keys.Kind, prod.Rate = scenarios.KeysUniform, scenarios.Hold(rapid.Float64Range(20, 60).Draw(t, "rate of the conflated"))
		}
		if prod.Keys.Kind != scenarios.KeysNone {
			prod.Keys.Count, prod.Keys.Skew = rapid.IntRange(1, 5).Draw(t, "key count"), 1.1
			prod.Keys.Hot, prod.Keys.HotShare, prod.Keys.HotMove = 1, 0.8, 100*time.Millisecond
		}
		p.Producers = append(p.Producers, prod)
	}
	if rapid.Bool().Draw(t, "warm-up") {
		p.Phases.WarmUp = 500 * time.Millisecond
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "measure phases") {
		m := scenarios.MeasurePhase{Name: fmt.Sprintf("m%d", i), Duration: 300 * time.Millisecond}
		if rapid.Bool().Draw(t, "own rate") {
			m.Rates = map[string]scenarios.Curve{"p0": scenarios.Hold(rapid.Float64Range(0, 40).Draw(t, "rate in phase"))}
		}
		p.Phases.Measure = append(p.Phases.Measure, m)
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "groups") {
		g := scenarios.ClientGroup{
			Name: fmt.Sprintf("g%d", i), Count: rapid.IntRange(1, 2).Draw(t, "clients"), ConnectRate: 1,
			Reconnect: rapid.Bool().Draw(t, "reconnect"), Resume: rapid.Bool().Draw(t, "resumes"),
		}
		if rapid.IntRange(0, 3).Draw(t, "name of another") == 0 {
			g.Name = "g0"
		}
		if rapid.Bool().Draw(t, "comes and goes") {
			g.Churn = &scenarios.Churn{Session: time.Second, Away: time.Second}
		}
		g.Subscribe.Topic = fmt.Sprintf("t%d", rapid.IntRange(0, topics-1).Draw(t, "topic"))
		keys := p.KeyCount(g.Subscribe.Topic)
		if g.Subscribe.All = keys == 0 || rapid.Bool().Draw(t, "all"); !g.Subscribe.All {
			g.Subscribe.Keys = rapid.IntRange(1, keys).Draw(t, "keys of a client")
		}
		p.Clients = append(p.Clients, g)
	}
	if !conflated {
		drawPublishers(t, p, topics)
	}
	for _, topic := range p.Kafka.Topics {
		var writers []scenarios.Sender
		for _, s := range p.Senders() {
			if s.Topic == topic.Name {
				writers = append(writers, s)
			}
		}
		if len(writers) == 1 && writers[0].Group < 0 && writers[0].Keys.Kind != scenarios.KeysNone && (conflated || rapid.Bool().Draw(t, "conflated")) {
			p.Gateway.Conflate = append(p.Gateway.Conflate, scenarios.Conflation{
				Topic: topic.Name, Interval: time.Duration(rapid.IntRange(1, 200).Draw(t, "conflation, ms")) * time.Millisecond,
			})
		}
	}
	return p
}

// drawPublishers lets some of the groups publish whose clients stay and that no other shares a name with, and adds one
// that follows nothing.
func drawPublishers(t *rapid.T, p *scenarios.Plan, topics int) {
	if rapid.Bool().Draw(t, "a group that follows nothing") {
		p.Clients = append(p.Clients, scenarios.ClientGroup{Name: "silent", Count: 2, ConnectRate: 1})
	}
	named := map[string]int{}
	for _, g := range p.Clients {
		named[g.Name]++
	}
	for i := range p.Clients {
		if p.Clients[i].Churn != nil || named[p.Clients[i].Name] > 1 || !rapid.Bool().Draw(t, "publishes") {
			continue
		}
		p.Clients[i].Count = rapid.IntRange(1, 5).Draw(t, "publishers")
		topic := rapid.IntRange(0, topics-1).Draw(t, "publishes to")
		p.Clients[i].Publish = &scenarios.Publish{
			Name: fmt.Sprintf("up%d", i), Topic: fmt.Sprintf("t%d", topic), Keys: rapid.IntRange(0, 4).Draw(t, "publishers' keys"),
			Rate:     scenarios.Hold(rapid.Float64Range(1, 10).Draw(t, "publishing rate")),
			Arrivals: rapid.SampledFrom([]scenarios.Arrivals{scenarios.ArrivalsConstant, scenarios.ArrivalsPoisson}).Draw(t, "arrivals"),
			Size:     scenarios.Size{Kind: scenarios.SizeFixed, Min: 90, Max: 90},
		}
	}
}

// oneRecorder is a pool that gives the same recorder again and again: histories look at counts alone, and a recorder a
// cell of each of thousands of histories would be most of their time.
func oneRecorder() *recorderPool {
	r := results.NewRecorder()
	return &recorderPool{fresh: func() *results.Recorder { return r }}
}

func newHistory(t *rapid.T, clean bool, pool *recorderPool) *history {
	h := &history{
		t: t, clean: clean, pool: pool, plan: drawPlan(t), rows: map[results.Label]*results.Classes{}, shedBy: map[shedKey]int64{},
		live: map[results.Label]int64{}, complete: clean || rapid.Bool().Draw(t, "complete reference"),
	}
	partitions := map[string]int{}
	for _, topic := range h.plan.Kafka.Topics {
		partitions[topic.Name] = topic.Partitions
	}
	same := func(s string) string { return s }
	var err error
	if h.topo, err = newTopology(h.plan, 99, same, partitions); err != nil {
		t.Fatal(err)
	}
	var seen [][]*sightings
	for i := range h.topo.producers {
		shape := &h.topo.producers[i]
		p := &producer{
			index: i, shape: shape, run: h.topo.run, acks: shape.plan.Acks != "none",
			join: newPending(shape.partitions, shape.keys), final: newPending(shape.partitions, shape.keys),
			ledger: newLedgerOf(shape),
		}
		if shape.publishes() {
			if p, err = newPublisher(h.topo, i, h.pool); err != nil {
				t.Fatal(err)
			}
		}
		h.producers = append(h.producers, p)
		h.slowest = append(h.slowest, int64(rapid.IntRange(0, 100).Draw(t, "slowest, ms"))*int64(time.Millisecond))
		parts := make([]*sightings, shape.partitions)
		for k := range parts {
			parts[k] = newSightings(2)
		}
		seen = append(seen, parts)
	}
	o := Options{Plan: h.plan, URL: "ws://127.0.0.1:1/", TopicName: same, Workers: rapid.IntRange(1, 2).Draw(t, "workers")}
	if h.swarm, err = newSwarm(h.topo, o, h.producers, seen, h.pool); err != nil {
		t.Fatal(err)
	}
	h.swarm.loadUnix.Store(0)
	h.swarm.phase.Store(0)
	h.clocks = make([]int, len(h.producers))
	h.late = make([]int64, len(h.producers))
	for i, e := range h.swarm.expectations {
		e.position = func(byKey bool, id int) uint64 { return h.position(i, byKey, id) }
	}
	for _, c := range h.swarm.clients {
		r := &historyReader{
			reported: map[int]int64{}, client: c, streams: map[int]*historyStream{}, varies: h.plan.Clients[c.group].Churn != nil,
			troubled: rapid.SampledFrom([]int{1, 1, 10}).Draw(t, "troubled"), resumes: h.swarm.groups[c.group].resumes,
		}
		h.begin(r)
		h.ask(r)
		h.readers = append(h.readers, r)
	}
	return h
}

// produce walks the schedules and writes the logs.
func (h *history) produce() {
	h.view = newTopicView(h.topo, 10_000)
	for i, p := range h.producers {
		h.logs = append(h.logs, make([][]historyRecord, p.shape.partitions))
		h.sent = append(h.sent, nil)
		h.markAll(i, KindJoin)
		for cur := p.shape.schedule.Cursor(); !cur.Done(); cur.Next() {
			h.sendNext(i, cur)
			if p.shape.conflation == 0 && rapid.IntRange(0, 9).Draw(h.t, "marker") == 0 {
				h.markAll(i, KindJoin)
			}
		}
		if p.shape.conflation == 0 {
			h.markAll(i, KindFinal)
		}
		h.unnumber = append(h.unnumber, p.ledger.unnumbered)
		if p.shape.publishes() {
			h.swap(i)
		}
		h.read(i)
	}
	h.steps = rapid.IntRange(1, 100).Draw(h.t, "steps until the ends are known")
}

// sendNext sends the message that the cursor stands at.
func (h *history) sendNext(i int, cur *Cursor) {
	p := h.producers[i]
	p.ledger.enter(cur.Phase())
	p.ledger.sent++
	var s send
	if p.shape.publishes() {
		if h.chance(5, "not connected") {
			p.ledger.unnumbered++
			return
		}
		s = p.ledger.take(NoKey, uint32(p.up.laneOf(cur.Index()).index))
	} else {
		s = p.ledger.take(p.shape.choose.choose(cur.Index(), cur.Due()))
	}
	p.ledger.note(s, int64(cur.Due()))
	h.book(i, historyMessage{s, cur.Phase(), h.fateOf(p)}, int64(cur.Due()))
}

// swap has the gateway write some of what clients publish in another order.
func (h *history) swap(producer int) {
	for _, log := range h.logs[producer] {
		for i := 0; i+1 < len(log); i++ {
			a, b := log[i], log[i+1]
			if a.Kind == KindData && b.Kind == KindData && a.PartSeq != b.PartSeq && h.chance(10, "swapped") {
				log[i], log[i+1] = b, a
			}
		}
	}
}

// learnEnds tells the clients where conflated streams end: all has been sent.
func (h *history) learnEnds() {
	h.steps = -1
	for i, p := range h.producers {
		if p.shape.conflation > 0 {
			h.clocks[i] = len(h.sent[i])
		}
		p.endStreams()
		if p.shape.conflation > 0 {
			h.swarm.closeConflated(i)
		}
	}
	for _, r := range h.readers {
		if r.away == 0 {
			h.endConflated(r)
		}
	}
}

// endConflated completes the conflated streams that the client has all of, if it is known by now.
func (h *history) endConflated(r *historyReader) {
	for at := range r.trackers {
		key, _ := h.topo.groups[r.group].streamID(r.index, at)
		if h.topo.producers[key.producer].conflation == 0 || !h.topo.expects(&h.topo.groups[r.group], r.index, at) {
			continue
		}
		if r.streams[at] == nil {
			r.streams[at] = &historyStream{seen: map[uint64]bool{}, highest: -1}
		}
		s := r.streams[at]
		s.complete = h.steps < 0 && (!s.joined || h.ended(key, s))
	}
}

// ended reports whether a conflated stream has its last number.
func (h *history) ended(key streamKey, s *historyStream) bool {
	return max(int64(s.base), s.highest+1) >= int64(h.producers[key.producer].ledger.keySeq[key.id])
}

func (h *history) fateOf(p *producer) fate {
	if !h.chance(15, "trouble with the send") {
		return fateAcked
	}
	fates := []fate{fateDoubled, fateRefused, fateRefusedWritten, fateUnsettledWritten, fateUnsettledAbsent}
	if p.acks {
		fates = append(fates, fateGone)
	}
	if !h.complete {
		fates = append(fates, fateUnsettledUnread)
	}
	return rapid.SampledFrom(fates).Draw(h.t, "fate")
}

// book answers the send and writes its records.
func (h *history) book(producer int, m historyMessage, due int64) {
	l := h.producers[producer].ledger
	h.sent[producer] = append(h.sent[producer], m)
	copies := 1
	switch m.fate {
	case fateDoubled:
		copies = 2
	case fateGone, fateRefused, fateUnsettledAbsent:
		copies = 0
	}
	switch {
	case m.fate == fateRefused || m.fate == fateRefusedWritten:
		l.answer(m.send, sendRefused)
	case !h.producers[producer].acks:
	case m.fate >= fateUnsettledWritten:
		l.answer(m.send, sendUnsettled)
	default:
		l.answer(m.send, sendAcked)
	}
	for range copies {
		h.logs[producer][m.partition] = append(h.logs[producer][m.partition], historyRecord{h.stamp(producer, KindData, m.send, due), m.phase, len(h.sent[producer])})
	}
}

func (h *history) stamp(producer int, kind Kind, s send, due int64) Stamp {
	key := s.key
	if shape := &h.topo.producers[producer]; shape.publishes() {
		key = shape.clientKey(s.partition)
	}
	return Stamp{
		Kind: kind, Run: h.topo.run, Producer: uint32(producer), Partition: s.partition, PartSeq: s.partSeq,
		Key: key, KeySeq: s.keySeq, DueAt: due, SentAt: due,
	}
}

// markAll writes a marker on each stream that somebody may follow, as a producer does.
func (h *history) markAll(producer int, kind Kind) {
	p := h.producers[producer]
	mark := func(key, partition uint32) {
		s := p.ledger.at(key, partition)
		stamp := h.stamp(producer, kind, s, 0)
		stamp.SentAt = math.MaxInt64 // since everybody came
		h.logs[producer][partition] = append(h.logs[producer][partition], historyRecord{stamp, -1, len(h.sent[producer])})
	}
	for k := range p.shape.choose.keyPartition {
		if p.shape.publishes() {
			break
		}
		mark(uint32(k), p.shape.choose.keyPartition[k])
	}
	for part, used := range p.shape.used {
		if used {
			mark(p.shape.repKey[part], uint32(part))
		}
	}
}

// value is a record's bytes.
func (r *historyRecord) value() []byte { return stamped(r.Stamp, 90, 0) }

// read makes the reference of a producer's topic.
func (h *history) read(producer int) {
	unread := map[send]bool{}
	for _, m := range h.sent[producer] {
		unread[m.send] = m.fate == fateUnsettledUnread
	}
	var s Stamp
	for partition, log := range h.logs[producer] {
		for i := range log {
			r := &log[i]
			message := send{r.PartSeq, r.KeySeq, r.Partition, r.Key}
			in := int32(partition)
			if shape := &h.topo.producers[producer]; shape.publishes() {
				message.key, in = NoKey, h.partitionOf(shape, r.Key)
			}
			if r.Kind == KindData && unread[message] {
				continue
			}
			h.view.see(r.value(), in, &s)
		}
	}
}

// position is how far a stream has been sent.
func (h *history) position(producer int, byKey bool, id int) (n uint64) {
	if producer >= len(h.sent) {
		return 0 // nothing has been sent yet
	}
	for _, m := range h.sent[producer][:h.clocks[producer]] {
		if !byKey && int(m.partition) == id || byKey && m.key != NoKey && int(m.key) == id {
			n++
		}
	}
	return n
}

// partitionOf is where the gateway puts a published message.
func (h *history) partitionOf(shape *producerShape, key uint32) int32 {
	n := h.plan.Topic(shape.plan.Topic).Partitions
	if key == NoKey {
		return int32(rapid.IntRange(0, n-1).Draw(h.t, "gateway's partition"))
	}
	return int32(partitionOf([]byte(scenarios.KeyName(int(key))), n))
}

// deliver plays the logs to every client, in order within each and interleaved anyhow between them and the clients.
func (h *history) deliver() {
	logs := make([][][]historyRecord, len(h.readers))
	var open []int
	for i, r := range h.readers {
		logs[i] = h.logsFor(r)
		if len(logs[i]) > 0 {
			open = append(open, i)
		}
	}
	for len(open) > 0 {
		at := rapid.IntRange(0, len(open)-1).Draw(h.t, "reader")
		i := open[at]
		k := rapid.IntRange(0, len(logs[i])-1).Draw(h.t, "log")
		h.step(h.readers[i], logs[i][k][0])
		if logs[i][k] = logs[i][k][1:]; len(logs[i][k]) == 0 {
			logs[i] = slices.Delete(logs[i], k, k+1)
		}
		if len(logs[i]) == 0 {
			open = slices.Delete(open, at, at+1)
		}
	}
	h.drain()
	for _, r := range h.readers {
		for _, late := range r.held {
			h.give(r, late)
		}
	}
	if h.steps > 0 {
		h.learnEnds()
	}
	for i := range h.clocks {
		h.clocks[i] = len(h.sent[i])
	}
}

// logsFor is what of the logs the client may get to see.
func (h *history) logsFor(r *historyReader) (logs [][]historyRecord) {
	for p := range h.logs {
		for _, log := range h.logs[p] {
			if !h.byAnswer() && rapid.IntRange(0, 5).Draw(h.t, "late") == 0 {
				final := slices.IndexFunc(log, func(rec historyRecord) bool { return rec.Kind == KindFinal })
				log = log[rapid.IntRange(0, max(final, 0)).Draw(h.t, "from"):]
			}
			if log = h.followed(r, log); len(log) > 0 {
				logs = append(logs, log)
			}
		}
	}
	return logs
}

// leave has the client go by plan, whatever it is doing. Some messages are on their way.
func (h *history) leave(r *historyReader) {
	for p := range h.clocks {
		h.clocks[p] = min(h.clocks[p]+rapid.SampledFrom([]int{0, 1, 3, 10}).Draw(h.t, "on their way"), len(h.sent[p]))
	}
	group := &h.topo.groups[r.group]
	for at, s := range r.streams {
		if !s.joined || r.resumes {
			continue
		}
		key, _ := group.streamID(r.index, at)
		past := historyStint{*s, at, h.position(key.producer, key.byKey, key.id), r.thrown}
		r.past = append(r.past, past)
		r.streams[at] = &historyStream{seen: map[uint64]bool{}, highest: -1, floor: past.end}
	}
	h.swarm.left(r.client)
	r.held, r.gone, r.absent = nil, false, 0
	r.away = rapid.IntRange(1, 8).Draw(h.t, "away")
}

// comeBack ends an absence by plan. A gateway may send again what it sent in the session before.
func (h *history) comeBack(r *historyReader) {
	r.away = 0
	h.swarm.arrive(r.client)
	h.begin(r)
	h.ask(r)
	h.endConflated(r)
	h.replay(r)
}

// replay: a marker from before it came back says nothing about the subscription that it has now.
func (h *history) replay(r *historyReader) {
	if n := len(r.marks); n > 0 && !r.resumes && h.chance(30, "replay a marker") {
		mark := r.marks[rapid.IntRange(0, n-1).Draw(h.t, "which")]
		mark.SentAt = r.backAt - 1
		r.worker.takeMessage(r.client, mark.value(), 0, true)
	}
	if n := len(r.given); n > 0 && h.chance(30, "replay") {
		for _, rec := range r.given[rapid.IntRange(max(0, n-3), n-1).Draw(h.t, "from"):] {
			h.give(r, rec)
		}
	}
}

// followed is what of a log the client subscribed to.
func (h *history) followed(r *historyReader, log []historyRecord) []historyRecord {
	group := &h.topo.groups[r.group]
	return slices.DeleteFunc(slices.Clone(log), func(rec historyRecord) bool {
		stream, _ := group.streamOf(r.index, &rec.Stamp)
		return stream < 0
	})
}

// step gives the client its next record, or does something else to it.
func (h *history) step(r *historyReader, rec historyRecord) {
	if h.steps--; h.steps == 0 {
		h.learnEnds()
	}
	h.clocks[rec.Producer] = max(h.clocks[rec.Producer], rec.sent)
	h.lateAnswer(r, rec.Kind == KindFinal)
	if r.resumes && (r.away > 0 || r.absent > 0 || r.gone) {
		r.missed = append(r.missed, rec)
	}
	if r.away > 0 {
		stays := rec.Kind != KindFinal || h.chance(50, "away at the end") || r.resumes && rapid.Bool().Draw(h.t, "back for the drain")
		if r.away--; r.away > 0 && stays {
			return
		}
		if h.comeBack(r); r.resumes || rec.Kind != KindFinal {
			return
		}
		h.lateAnswer(r, true)
	}
	restless := 15
	if r.retaken {
		restless, r.retaken = 1, false
	}
	if r.closing = r.closing || rec.Kind == KindFinal; r.varies && !r.closing && rapid.IntRange(0, restless).Draw(h.t, "leaves") == 0 {
		if r.resumes && r.absent == 0 && !r.gone {
			r.missed = append(r.missed, rec)
		}
		h.leave(r)
		return
	}
	switch {
	case r.gone:
		return
	case r.absent > 0:
		if r.absent--; r.absent == 0 {
			r.retaken = true
			h.begin(r)
			h.ask(r)
			for at, s := range r.streams {
				if r.resumes {
					break
				}
				if s.rejoin = s.rejoin || s.joined; s.joined {
					key, _ := h.topo.groups[r.group].streamID(r.index, at)
					s.back = h.position(key.producer, key.byKey, key.id)
				}
			}
		}
		return
	case h.throwsOut(r):
		h.swarm.thrownOut(r.client, errClosed)
		if r.held = nil; r.resumes {
			r.missed = append(r.missed, rec)
		}
		if r.gone = !h.plan.Clients[r.group].Reconnect; !r.gone {
			r.absent = rapid.IntRange(1, 6).Draw(h.t, "absent")
		}
		return
	case h.chance(1, "stray"):
		h.stray(r)
	case h.chance(1, "foreign"):
		h.foreign++
		broken := rec.value()
		broken[20] ^= 1
		frame := rapid.SampledFrom([][]byte{[]byte("hello"), {}, broken, stamped(Stamp{Kind: KindData, Run: 5}, 90, 0)}).Draw(h.t, "frame")
		r.worker.takeMessage(r.client, frame, 0, true)
	case !h.unordered(r) && h.chance(1, "notice"):
		n := rapid.Int64Range(-1, 3).Draw(h.t, "reported")
		shape := &h.topo.producers[rec.Producer]
		partition := int(rec.Partition)
		if shape.publishes() {
			partition = 0 // a topic of one partition, or
			if rec.Key != NoKey {
				partition = int(h.partitionOf(shape, rec.Key))
			}
		}
		id := partition
		if !h.topo.groups[r.group].plan.Subscribe.All {
			id = int(rec.Key)
		}
		r.reported[id] += max(n, 0)
		r.worker.takeMessage(r.client, fmt.Appendf(nil, `{"type":"notice","kind":"dropped","channel":"%s/%s","partition":%d,"count":%d}`,
			h.plan.Clients[r.group].Subscribe.Topic, scenarios.KeyName(int(rec.Key)), partition, n), 0, true)
	}
	h.deal(r, rec)
}

// deal delivers a record, or has something happen to it.
func (h *history) deal(r *historyReader, rec historyRecord) {
	if rec.Kind != KindData {
		if !h.chance(10, "marker dropped") {
			h.give(r, rec)
		}
		return
	}
	switch {
	case !h.stream(r, rec).joined && !r.resumed && !h.chance(20, "before the join"):
		// A gateway delivers nothing before its subscription is in force.
	case h.chance(8, "dropped"), h.topo.producers[rec.Producer].conflation > 0 && h.chance(30, "conflated"):
	case h.chance(8, "held"):
		r.held = append(r.held, rec)
	case h.chance(8, "doubled"):
		h.give(r, rec)
		h.give(r, rec)
	default:
		h.give(r, rec)
	}
	if len(r.held) > 0 && h.chance(40, "released") {
		late := r.held[0]
		r.held = r.held[1:]
		h.give(r, late)
	}
}

// unordered reports whether some of what the reader follows is spread over several partitions: which notice excuses what
// is the audit's choice then.
func (h *history) unordered(r *historyReader) bool {
	return slices.ContainsFunc(h.topo.groups[r.group].blocks, func(b streamBlock) bool { return h.topo.producers[b.producer].unordered })
}

func (h *history) stream(r *historyReader, rec historyRecord) *historyStream {
	at, _ := h.topo.groups[r.group].streamOf(r.index, &rec.Stamp)
	if r.streams[at] == nil {
		r.streams[at] = &historyStream{seen: map[uint64]bool{}, highest: -1}
	}
	return r.streams[at]
}

// row is the account's row for a reader's record or message.
func (h *history) row(r *historyReader, producer, phase int) *results.Classes {
	label := results.Label{Phase: h.topo.phases[phase].Name, Group: h.plan.Clients[r.group].Name, Producer: h.topo.producers[producer].plan.Name}
	if h.rows[label] == nil {
		h.rows[label] = &results.Classes{}
	}
	return h.rows[label]
}

// give delivers a record to the client and books what that amounts to.
func (h *history) give(r *historyReader, rec historyRecord) {
	value := rec.value()
	s := h.stream(r, rec)
	_, seq := h.topo.groups[r.group].streamOf(r.index, &rec.Stamp)
	if rec.Kind != KindData {
		if s.rejoin = s.rejoin && h.byAnswer(); !s.joined && !h.byAnswer() {
			s.joined, s.base = true, max(seq, s.floor)
		}
		if rec.Kind == KindFinal && s.joined && !s.final {
			s.final, s.finalSeq = true, seq
		}
		r.worker.takeMessage(r.client, value, 0, true)
		if rec.Kind == KindJoin {
			r.marks = append(r.marks, rec)
		}
		return
	}
	r.given = append(r.given, rec)
	shape := &h.topo.producers[rec.Producer]
	rejoin, inForce := s.rejoin, s.joined && !s.rejoin
	if h.byAnswer() {
		again := rec.SentAt < r.answered
		inForce = inForce && !again
		rejoin = rejoin || again
	} else if shape.conflation > 0 {
		if s.rejoin = false; !s.joined && seq >= s.floor {
			s.joined, s.base = true, seq
		}
	}
	if !s.joined && r.resumed {
		s.joined, s.base = true, seq // the subscription is the one that it had
	}
	row := h.row(r, int(rec.Producer), rec.phase)
	wrapped, late := h.wrap(&rec)
	corrupt := h.chance(3, "corrupt")
	if corrupt {
		value[85]++
	}
	switch {
	case !s.joined || seq < s.base || rejoin && s.seen[seq]:
		row.Early++
	case s.seen[seq]:
		row.Duplicate++
	default:
		if (int64(seq) < s.highest || s.final && seq < s.finalSeq) && !shape.unordered {
			row.Reordered++
		}
		if corrupt {
			row.Corrupt++
		}
		if inForce {
			h.late[rec.Producer] = max(h.late[rec.Producer], late)
		}
		s.seen[seq] = true
		s.highest = max(s.highest, int64(seq))
		if shape.conflation > 0 && h.steps < 0 && h.ended(streamKey{int(rec.Producer), true, int(rec.Key)}, s) {
			s.complete = true
		}
	}
	r.worker.takeMessage(r.client, append(wrapped, value...), historyArrival, true)
}

// historyArrival is when everything arrives: nothing is received later by the target.
const historyArrival = int64(time.Minute)

// wrap returns what stands before the value in one of the forms that targets send, and how late the target says it had it.
func (h *history) wrap(rec *historyRecord) (head []byte, late int64) {
	switch rapid.IntRange(0, 2).Draw(h.t, "form") {
	case 0:
		return nil, 0
	case 1:
		return []byte("Message from topic: "), 0
	}
	late = int64(rapid.IntRange(1, 150).Draw(h.t, "received late, ms")) * int64(time.Millisecond)
	return fmt.Appendf(nil, `{"type":"message","received_at_ns":%d,"queued_at_ns":13}`+"\n", rec.SentAt+late), late
}

// stray gives the client a message that it does not follow, if there is any.
func (h *history) stray(r *historyReader) {
	for p := range h.logs {
		for _, log := range h.logs[p] {
			for _, rec := range log {
				if at, _ := h.topo.groups[r.group].streamOf(r.index, &rec.Stamp); at < 0 && rec.Kind == KindData {
					h.row(r, p, rec.phase).Stray++
					r.worker.takeMessage(r.client, rec.value(), 0, true)
					return
				}
			}
		}
	}
}

// account fills in what is expected, delivered and missing.
func (h *history) account() {
	for _, r := range h.readers {
		for _, past := range r.past {
			h.accountStint(r, &past)
		}
		for at, s := range r.streams {
			if s.joined {
				h.accountStint(r, &historyStint{*s, at, math.MaxUint64, r.thrown})
			}
		}
	}
}

// accountStint accounts for what the client was to receive of a stream from its join on until it left, or to the end.
func (h *history) accountStint(r *historyReader, s *historyStint) {
	stream, _ := h.topo.groups[r.group].streamID(r.index, s.at)
	for _, m := range h.sent[stream.producer] {
		if seq, mine := m.in(stream); mine && seq >= s.base && seq < s.end {
			if sender := &h.topo.producers[stream.producer]; sender.conflation == 0 {
				h.live[results.Label{Phase: h.topo.phases[m.phase].Name, Producer: sender.plan.Name}]++
			}
			h.accountFor(r, s, m, shedKey{r, h.noticed(r, stream)}, stream.producer, seq)
		}
	}
}

// in is the message's number in a stream of its sender; mine tells whether it belongs there.
func (m *historyMessage) in(stream streamKey) (seq uint64, mine bool) {
	if stream.byKey {
		return m.keySeq, m.key != NoKey && int(m.key) == stream.id
	}
	return m.partSeq, int(m.partition) == stream.id
}

// noticed is what the target's notices call a stream.
func (h *history) noticed(r *historyReader, stream streamKey) int {
	shape := &h.topo.producers[stream.producer]
	key := stream.id
	if shape.publishes() {
		key = int(shape.clientKey(uint32(stream.id)))
	}
	switch {
	case !h.plan.Clients[r.group].Subscribe.All:
		return key
	case shape.publishes() && h.view.producers[stream.producer].parts[stream.id].next == 0:
		return -1 // nothing of it is in the topic: no notice can mean it
	case shape.publishes() && key == NoKey:
		return 0
	case shape.publishes() || stream.byKey:
		return int(partitionOf([]byte(scenarios.KeyName(key)), h.plan.Topic(shape.plan.Topic).Partitions))
	}
	return stream.id
}

// superseded reports whether a conflating gateway may have skipped the message: by every newer value that arrived.
func (h *history) superseded(s *historyStint, m historyMessage, producer int) bool {
	for newer := range s.seen {
		if h.skippableFor(newer, m, producer) {
			return true
		}
	}
	return false
}

// skippableFor reports whether a gateway that conflates as declared may skip the message for a newer one of its key.
func (h *history) skippableFor(newer uint64, m historyMessage, producer int) bool {
	shape := &h.topo.producers[producer]
	if shape.conflation == 0 || newer <= m.keySeq {
		return false
	}
	sentAt := h.producers[producer].ledger.sentAt[m.key]
	return sentAt[newer]-sentAt[m.keySeq] <= int64(shape.conflation)*11/10+max(h.slowest[producer], h.late[producer])
}

// onItsWay reports whether the message, or what a conflating gateway may skip it for, may have been on its way when the
// client left: the target had not thrown it out.
func (h *history) onItsWay(s *historyStint, m historyMessage, producer int, seq uint64) bool {
	if seq >= s.back {
		return true
	}
	return slices.ContainsFunc(h.sent[producer], func(newer historyMessage) bool {
		return newer.key == m.key && newer.keySeq >= s.back && newer.keySeq < s.end && !h.absent(producer, newer) &&
			h.skippableFor(newer.keySeq, m, producer)
	})
}

// absent reports whether the message counts as one that may not be there: it was refused, or it was not found.
func (h *history) absent(producer int, m historyMessage) bool {
	unsettled := m.fate >= fateUnsettledWritten || !h.producers[producer].acks
	return m.fate == fateRefused || m.fate == fateRefusedWritten || unsettled && (m.fate == fateUnsettledAbsent || m.fate == fateUnsettledUnread)
}

func (h *history) accountFor(r *historyReader, s *historyStint, m historyMessage, shed shedKey, producer int, seq uint64) {
	row := h.row(r, producer, m.phase)
	arrived := s.seen[seq]
	unsettled := m.fate >= fateUnsettledWritten || !h.producers[producer].acks
	inView := m.fate != fateUnsettledAbsent && m.fate != fateUnsettledUnread
	switch {
	case m.fate == fateRefused || m.fate == fateRefusedWritten:
		if arrived {
			row.Stray++
		}
		return
	case arrived:
		row.Delivered++
	case unsettled && !inView && h.complete:
		return
	case unsettled && !inView:
		row.Undetermined++
	case h.superseded(s, m, producer):
		row.Shed++
		h.skipped++
	case int64(seq) < s.highest || s.final && seq < s.finalSeq || s.thrown:
		row.Lost++
		h.shedBy[shed]++
	case s.end < math.MaxUint64 && !h.onItsWay(s, m, producer, seq): // sent while the target had it thrown out
		row.Lost++
		h.shedBy[shed]++
	case s.end < math.MaxUint64:
		row.Undetermined++
	default:
		row.Unseen++
		h.shedBy[shed]++
	}
	row.Expected++
}

// close ends the history and returns the audit.
func (h *history) close() *results.Audit {
	totals := map[countKey]int64{}
	for _, w := range h.swarm.workers {
		r := w.handOver()
		for i, n := range r.counts {
			totals[countKey{r.layout.counters[i%len(r.layout.counters)], r.layout.cells[i/len(r.layout.counters)]}] += n
		}
	}
	ref := reference{view: h.view, source: sourceFinalRead, complete: h.complete}
	return closeAudit(&auditor{topo: h.topo, swarm: h.swarm, producers: h.producers, reference: ref, totals: totals, slowest: h.slowest})
}

// check compares the audit with the history's own account.
func (h *history) check(audit *results.Audit) {
	var foreign, shed, wantShed, conflated, reported int64
	got := map[results.Label]results.Classes{}
	for _, row := range audit.Rows {
		foreign += row.Foreign
		row.Foreign = 0
		shed += row.Shed
		conflated += row.Conflated
		if row.Classes != (results.Classes{}) {
			got[results.Label{Phase: row.Phase, Group: row.Group, Producer: row.Producer}] = row.Classes
		}
		if !row.Holds() {
			h.t.Fatalf("the identity does not hold: %+v", row)
		}
	}
	want := map[results.Label]results.Classes{}
	for label, c := range h.rows {
		if *c != (results.Classes{}) {
			want[label] = *c
		}
	}
	for key, missing := range h.shedBy {
		reported += min(key.reader.reported[key.id], missing)
	}
	wantShed = h.skipped + reported
	if foreign != h.foreign || shed != wantShed || conflated != h.skipped {
		h.t.Fatalf("got %d foreign, %d shed, %d of them conflated; want %d, %d, %d", foreign, shed, conflated, h.foreign, wantShed, h.skipped)
	}
	if reported > 0 { // which of the missing are the shed ones is the audit's choice
		got, want = h.shedMerged(got), h.shedMerged(want)
	}
	if !maps.Equal(got, want) {
		h.t.Fatalf("got the account %+v\nwant            %+v", got, want)
	}
	if len(audit.Defects) > 0 {
		h.t.Fatalf("got defects %q; want none", audit.Defects)
	}
	h.checkReference(audit)
	h.checkWaiting()
	live := map[results.Label]int64{}
	h.swarm.expected(func(_ string, label results.Label, n int64) { live[label] += n })
	if !maps.Equal(live, h.live) {
		h.t.Fatalf("while the run went %v were expected; want %v", live, h.live)
	}
}

// checkWaiting: a stream is waited for until it is closed and whole, or its client gone, and no longer.
func (h *history) checkWaiting() {
	var open, unjoined, joins, finals, wantOpen, wantUnjoined, wantJoins, wantFinals, late int64
	for _, r := range h.readers {
		for at := range r.trackers {
			if !h.topo.expects(&h.topo.groups[r.group], r.index, at) {
				continue
			}
			s := r.streams[at]
			if s == nil {
				s = &historyStream{}
			}
			whole, final := s.whole(), s.final
			if key, _ := h.topo.groups[r.group].streamID(r.index, at); h.topo.producers[key.producer].conflation > 0 {
				whole, final = s.complete, s.complete
				add(&late, !h.byAnswer() && r.away == 0 && !s.joined) // nothing came since the client is back
			}
			add(&wantOpen, r.away == 0 && !r.gone && !whole)
			add(&wantUnjoined, r.away == 0 && !s.joined)
			add(&wantJoins, !h.byAnswer() && r.away == 0 && (!s.joined || s.rejoin))
			add(&wantFinals, r.away == 0 && !final)
		}
	}
	open, unjoined = h.swarm.open.Load(), h.swarm.unjoined.Load()
	for _, p := range h.producers {
		joins += p.join.total.Load()
		finals += p.final.total.Load()
	}
	if open != wantOpen || unjoined != wantUnjoined || joins != wantJoins || finals != wantFinals {
		h.t.Fatalf("%d streams are open, %d unjoined, %d wait for a join marker, %d for a final one; want %d, %d, %d, %d",
			open, unjoined, joins, finals, wantOpen, wantUnjoined, wantJoins, wantFinals)
	}
	if h.clean && (open != 0 || joins != late || finals != 0) {
		h.t.Fatalf("%d streams of a clean history are open, %d wait for a join marker, %d for a final one; want 0, %d, 0", open, joins, finals, late)
	}
}

// whole reports whether the stream was closed and has no gap.
func (s *historyStream) whole() bool {
	for seq := s.base; seq < s.finalSeq; seq++ {
		if !s.seen[seq] {
			return false
		}
	}
	return s.final
}

func add(n *int64, yes bool) {
	if yes {
		*n++
	}
}

func (h *history) shedMerged(rows map[results.Label]results.Classes) map[results.Label]results.Classes {
	merged := map[results.Label]results.Classes{}
	for label, c := range rows {
		c.Lost, c.Unseen, c.Shed = c.Lost+c.Unseen+c.Shed, 0, 0
		merged[label] = c
	}
	return merged
}

// topicReordered counts what stands in the topic behind a later message of its stream.
func (h *history) topicReordered(producer int) (n int64) {
	fates := map[uint64]fate{}
	shape := &h.topo.producers[producer]
	for part, log := range h.logs[producer] {
		for _, m := range h.sent[producer] {
			if int(m.partition) == part {
				fates[m.partSeq] = m.fate
			}
		}
		seen, highest := map[uint64]bool{}, int64(-1)
		for _, r := range log {
			if r.Kind != KindData || fates[r.PartSeq] == fateUnsettledUnread {
				continue
			}
			add(&n, !shape.unordered && !seen[r.PartSeq] && int64(r.PartSeq) < highest)
			seen[r.PartSeq], highest = true, max(highest, int64(r.PartSeq))
		}
	}
	return n
}

func (h *history) checkReference(audit *results.Audit) {
	for i, p := range h.producers {
		want := results.TopicAudit{
			Topic: p.shape.plan.Topic, Producer: p.shape.plan.Name, Sent: int64(len(h.sent[i])) + h.unnumber[i], Refused: h.unnumber[i],
			Reordered: h.topicReordered(i), Source: sourceFinalRead,
		}
		for _, m := range h.sent[i] {
			refused := m.fate == fateRefused || m.fate == fateRefusedWritten
			absent := m.fate == fateUnsettledAbsent || m.fate == fateUnsettledUnread
			add(&want.Refused, refused)
			add(&want.Unsettled, p.acks && m.fate >= fateUnsettledWritten || !p.acks && absent)
			add(&want.Acked, p.acks && !refused && m.fate < fateUnsettledWritten)
			add(&want.InTopic, !absent && m.fate != fateRefused && m.fate != fateGone)
			add(&want.Doubled, m.fate == fateDoubled)
			add(&want.AckedGone, h.complete && m.fate == fateGone)
		}
		if got := audit.Reference[i]; got != want {
			h.t.Fatalf("got the reference %+v\nwant              %+v", got, want)
		}
	}
}

// histories checks n generated histories.
func histories(t *testing.T, n int, clean bool) {
	t.Helper()
	const perCheck = 100 // rapid's own number
	pool := oneRecorder()
	for range n / perCheck {
		rapid.Check(t, func(t *rapid.T) {
			h := newHistory(t, clean, pool)
			h.produce()
			h.deliver()
			h.account()
			h.check(h.close())
			if clean {
				h.checkClean()
			}
		})
	}
}

// checkClean: nothing was planted, so nothing may be found.
func (h *history) checkClean() {
	for label, c := range h.rows {
		// What is on its way when a client leaves is undetermined, and early where the client is back before it arrives.
		if want := (results.Classes{Expected: c.Expected, Delivered: c.Expected - c.Undetermined, Undetermined: c.Undetermined, Early: c.Early}); *c != want {
			h.t.Fatalf("%v: got %+v; want %+v", label, *c, want)
		}
		if h.allResume(label.Group) && c.Undetermined+c.Early != 0 {
			h.t.Fatalf("%v: got %+v; want nothing that absence excuses", label, *c)
		}
	}
}

// TestCleanHistoriesRaiseNoAlarm: whatever the plan, the interleaving, the moment of each join and the repetition of
// markers.
func TestCleanHistoriesRaiseNoAlarm(t *testing.T) {
	t.Parallel()
	histories(t, 1000, true)
}

// TestPlantedHistoriesAreAccountedFor: exactly what was planted is found, by phase, group and producer.
func TestPlantedHistoriesAreAccountedFor(t *testing.T) {
	t.Parallel()
	histories(t, 1000, false)
}
