package loadgen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// worker is one share of the clients with all that is measured of them. Its mutex guards everything below it and the
// clients' own state; it is held while a socket's bytes are taken apart and while a reading is handed over.
type worker struct {
	swarm  *swarm
	poller *poller // nil where connections are read by goroutines; set before the first is opened

	mu       sync.Mutex
	space    receiveSpace
	meter    *meter
	gaps     gapStore
	waiting  []awaited // deliveries whose message the observer has not read yet
	unseen   int64     // deliveries that the observer's time could not be found for
	spread   []sample
	remarks  remarks // what the target said beside messages: refusals, notices
	closings remarks // why it ended connections
	// coalesced is how many messages were read together with later ones.
	coalesced int64
	foreigns  int64    // frames without a stamp, in all
	heard     []string // the first of those, and of those that the profile knows, before the load
	marked    bool     // a join marker came to any of its clients, or an answer that joins
	stamp     Stamp
	pings     int // of the profile's, in the frame that is taken apart
	inflater  inflater
	stock     leftovers
	values    valueReader
	out       []byte // what is sent in answer to a control frame
	answers   []byte // frames that are sent at the end of the read that is taken apart
	text      []byte // one of them, while it is made
	// attendance is by group; slowest is by sender of a conflated topic the longest that the target took to have a message.
	attendance []attendance
	slowest    []int64
	epochs     map[string]string // told by the target, each once
	drains     bool              // nobody comes or goes by plan any more
}

// takeRead takes the bytes of one read of a client's connection. The worker is locked.
func (w *worker) takeRead(c *client, p []byte, kernelAt, readAt int64, reply io.Writer) error {
	arrivedAt := readAt
	if kernelAt != 0 {
		arrivedAt = kernelAt
	}
	here := w.swarm.topo.cell(int(w.swarm.phase.Load()), c.group, -1)
	w.meter.count(here, countReads, 1)
	w.meter.count(here, countBytes, int64(len(p)))
	if kernelAt != 0 {
		w.meter.record(here, stageReceiveLag, readAt-kernelAt)
	}
	err := c.frames.feed(p, &w.stock, func(f frame, last bool) error {
		return w.takeFrame(c, f, arrivedAt, last, reply)
	})
	if err == nil && w.gaps.err != nil {
		w.swarm.fail(w.gaps.err)
	}
	if len(w.answers) > 0 {
		err = errors.Join(err, w.sendAnswers(reply))
	}
	return err
}

// errClosed is the target's close frame.
var errClosed = errors.New("the target closed the connection")

func (w *worker) takeFrame(c *client, f frame, arrivedAt int64, last bool, reply io.Writer) error {
	switch f.opcode {
	case opText, opBinary:
		if f.compressed {
			message, err := w.inflate(c, f.payload)
			if err != nil {
				return err
			}
			f.payload = message
		}
		if w.swarm.profile.framed {
			w.swarm.profile.framing.take(w, c, f, arrivedAt, last)
		} else {
			w.takeMessage(c, f.payload, arrivedAt, last)
		}
		return w.answerPings(reply)
	case opPing:
		w.out = appendClientFrame(w.out[:0], opPong, f.payload)
		return w.pong(reply, w.out)
	case opClose:
		w.out = appendClientFrame(w.out[:0], opClose, f.payload)
		_, _ = reply.Write(w.out) // the connection ends either way
		return closeReason(f.payload)
	}
	return nil
}

// takeMessage takes one whole message, which may carry several stamped values, or none.
func (w *worker) takeMessage(c *client, payload []byte, arrivedAt int64, last bool) {
	w.takeValues(c, payload, w.swarm.profile.form, arrivedAt, last)
}

// takeValues takes a message whose values stand in it in the given form.
func (w *worker) takeValues(c *client, payload []byte, form valueForm, arrivedAt int64, last bool) {
	w.values.begin(form)
	s, values := &w.stamp, &w.values
	raw := form == formPlain // as most are: they don't pay for the search in other forms
	from, taken := 0, 0      // where the next stamp may begin, and what has been accounted to a value
	named := 0               // where the id of the message that was acknowledged last ends
	for {
		var at, skip int
		var err error
		if raw {
			at, err = s.FindStamp(payload, from)
			skip = at + len(startMark)
		} else {
			at, skip, err = values.find(s, payload, from)
		}
		if at < 0 {
			break
		}
		if err != nil || !w.swarm.topo.owns(s) {
			w.foreign(c)
			from = skip
			continue
		}
		c.fed = true
		var v extent
		if raw {
			v = s.locate(payload, at)
		} else {
			v = values.locate(s, payload, from, at)
		}
		head := w.takeGap(c, payload[taken:max(taken, v.begin)], taken == 0, arrivedAt)
		if c.comeback != nil {
			w.notePosition(c, s, head)
		}
		if w.swarm.profile.acknowledge != nil {
			named = max(named, w.acknowledge(payload, max(named, max(taken, v.begin)-len(head)), v))
		}
		if s.Kind == KindData {
			w.takeData(c, s, head, v.intact, arrivedAt, last)
		} else {
			w.takeMarker(c, s)
		}
		from, taken = v.next, v.end
	}
	if from == 0 || w.swarm.profile.separator != nil {
		w.takeTail(c, payload[taken:], taken == 0, arrivedAt)
	}
}

// owns reports whether a stamp is of this run and names a sender of it and one of its partitions or clients.
func (t *topology) owns(s *Stamp) bool {
	return s.Run == t.run && int(s.Producer) < len(t.producers) && int(s.Partition) < t.producers[s.Producer].partitions
}

func (w *worker) foreign(c *client) {
	c.fed = true
	w.foreigns++
	w.meter.count(w.swarm.topo.cell(int(w.swarm.phase.Load()), c.group, -1), countForeign, 1)
}

// takeControl takes a message without any stamp.
func (w *worker) takeControl(c *client, payload []byte, arrivedAt int64) {
	if c.lane != nil && w.takeAnswer(c.lane, payload, arrivedAt) {
		return
	}
	w.hear(payload)
	means := w.swarm.profile.meaning(payload)
	if c.comeback != nil {
		w.noteControl(c, payload, means, arrivedAt)
	}
	if joined := w.swarm.profile.joined; joined != nil && means == meansControl && bytes.HasPrefix(payload, joined) {
		w.takeJoined(c, arrivedAt)
	}
	switch means {
	case meansForeign:
		w.foreign(c)
	case meansRefusal:
		w.remarks.add("the target refused a request: " + w.quote(payload))
	case meansNotice:
		w.takeNotice(c, payload)
	case meansPing:
		w.pings++
	}
}

// quote is the beginning of a target's message, without secrets: they are taken out before it is cut.
func (w *worker) quote(payload []byte) string {
	return fmt.Sprintf("%.200s", w.remarks.hide.Text(string(payload[:min(len(payload), 4096)])))
}

// takeNotice books what the target says it dropped for this client, by the partition or key of the channel it names: it
// excuses what is missing there and nowhere else. A count below one, or one that no run can have, reports nothing.
func (w *worker) takeNotice(c *client, payload []byte) {
	n, err := parseNotice(payload)
	if err == nil && n.Kind == noticeSlow {
		if !w.swarm.groups[c.group].slow { // on purpose
			w.remarks.add("the target told a client that it reads too slowly")
		}
		return
	}
	if err != nil || n.Kind != noticeDropped || n.Count < 1 || n.Count > maxSeq {
		w.remarks.add("the target told a client: " + w.quote(payload))
		return
	}
	id := n.Partition
	group := &w.swarm.topo.groups[c.group]
	if !group.plan.Subscribe.All {
		id = w.swarm.keyOf(c, n.Channel)
	}
	shed := c.rare().shed
	if shed == nil {
		shed = map[int]int64{}
		c.seldom.shed = shed
	}
	if _, known := shed[id]; known || len(shed) < max(len(c.trackers), group.partitions) {
		shed[id] += n.Count
	}
	w.meter.count(w.swarm.topo.cell(int(w.swarm.phase.Load()), c.group, -1), countReportedShed, n.Count)
}

// takeMarker takes a join or final marker.
func (w *worker) takeMarker(c *client, s *Stamp) {
	w.marked = true
	w.swarm.producers[s.Producer].marking.echo.take(s.SentAt)
	stream, seq := w.swarm.topo.groups[c.group].streamOf(c.index, s)
	if stream < 0 {
		return
	}
	t := &c.trackers[stream]
	if t.flag&flagExpected == 0 || s.Kind == KindJoin && s.SentAt < c.backAt { // kept from before it came back
		return
	}
	if w.swarm.profile.joined != nil {
		if t.flag&flagJoined == 0 {
			return // markers put nothing in force, and the final one is repeated
		}
	} else if t.flag&flagJoined == 0 || t.flag&flagRejoin != 0 {
		first := t.flag&flagJoined == 0
		t.join(max(seq, c.pastEnd(stream)))
		w.swarm.joined(c, stream, first)
	}
	if s.Kind == KindFinal && t.flag&flagFinal == 0 {
		t.flag |= flagFinal
		if seq > t.next {
			w.gaps.open(t, span{t.next, seq})
			t.next = seq
		}
		w.swarm.sawFinal(c, stream)
		w.settle(t)
	}
}

// settle counts a stream as done once it is closed and nothing of it is missing.
func (w *worker) settle(t *tracker) {
	if t.flag&(flagFinal|flagSettled) == flagFinal && t.gaps == 0 {
		t.flag |= flagSettled
		w.swarm.open.Add(-1)
	}
}

// takeData takes one data message.
func (w *worker) takeData(c *client, s *Stamp, head []byte, intact bool, arrivedAt int64, last bool) {
	topo := w.swarm.topo
	due := s.DueAt - w.swarm.loadUnix.Load()
	phase := topo.phaseAt(due)
	cell := topo.cell(phase, c.group, int(s.Producer))
	stream, seq := topo.groups[c.group].streamOf(c.index, s)
	if stream < 0 || c.trackers[stream].flag&flagExpected == 0 {
		w.meter.count(cell, countStray, 1)
		return
	}
	t := &c.trackers[stream]
	shape := &topo.producers[s.Producer]
	again := t.flag&flagRejoin != 0
	kept := false // the target may have had the value for long
	switch first := t.flag&flagJoined == 0; {
	case shape.conflation == 0:
	case w.swarm.profile.joined != nil:
		kept = again || s.SentAt < c.answeredAt
	// What was sent before the client left says nothing about what it gets since it is back.
	case again || first && seq >= c.pastEnd(stream):
		kept = true
		t.join(seq)
		w.swarm.joined(c, stream, first)
	}
	if t.flag&flagJoined == 0 && c.comeback != nil && c.comeback.resumed && w.swarm.groups[c.group].resumes {
		t.join(seq) // the target goes on with a subscription that is in force
		w.swarm.joined(c, stream, true)
	}
	if t.flag&flagJoined == 0 {
		w.meter.count(cell, countEarly, 1)
		return
	}
	switch w.gaps.arrive(t, seq) {
	case arrivedEarly:
		w.meter.count(cell, countEarly, 1)
		return
	case arrivedDuplicate:
		if again || s.SentAt < c.answeredAt {
			w.meter.count(cell, countEarly, 1)
		} else {
			w.meter.count(cell, countDuplicate, 1)
		}
		return
	case arrivedReordered:
		if !shape.unordered {
			w.meter.count(cell, countReordered, 1)
		}
		w.settle(t)
	}
	w.meter.count(cell, countDelivered, 1)
	if shape.conflation > 0 {
		w.complete(c, stream)
		if !kept {
			w.noteSlowest(c, s, head, arrivedAt)
		}
	}
	if !intact {
		w.meter.count(cell, countCorrupt, 1)
	}
	// A slow client's read time is the program's, and what is replayed comes at once.
	if !last && !w.swarm.groups[c.group].slow && c.replayOf(s.DueAt) != replayedLeave {
		w.meter.count(cell, countCoalesced, 1)
		w.coalesced++
	}
	w.measure(c, s, head, cell, phase, arrivedAt)
}
