package loadgen

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// begin begins a session. A client that resumes tells where it was, and gets the answer and what it missed.
func (h *history) begin(r *historyReader) {
	h.swarm.begin(r.client)
	if !r.resumes {
		return
	}
	says := ""
	if r.resumed = r.sessions > 1; r.resumed {
		says = `"resumed":true,`
		if h.chance(10, "says that it can't resume") {
			r.resumed, says = false, `"resumed":false,`
		}
	}
	topic := h.plan.Clients[r.group].Subscribe.Topic
	answer := fmt.Sprintf(`{"type":"subscribed",%s"positions":{%q:{"epoch":"e","next":{"0":0}}}}`, says, topic)
	h.answered(r, answer, 0)
	missed := r.missed
	r.missed = nil
	for _, rec := range missed {
		h.deal(r, rec)
	}
	if r.sessions > 1 {
		r.worker.takeMessage(r.client, []byte(`{"type":"caught_up","id":1}`), 0, true)
	}
}

// ask has a client that does not resume wait for the answer to its subscription, where the profile has one: for so many
// records.
func (h *history) ask(r *historyReader) {
	if h.byAnswer() && !r.resumes {
		r.unanswered = rapid.SampledFrom([]int{1, 1, 2, 5, 20}).Draw(h.t, "records until the answer")
	}
}

func (h *history) byAnswer() bool { return h.swarm.profile.joined != nil }

// lateAnswer gives the client its answer if it is time: what is not planted comes before the final markers.
func (h *history) lateAnswer(r *historyReader, closing bool) {
	if r.unanswered == 0 || r.away > 0 || r.absent > 0 || r.gone {
		return
	}
	if r.unanswered--; r.unanswered == 0 || closing && !h.chance(50, "no answer at the end") {
		r.unanswered = 0
		h.answered(r, `{"type":"subscribed","id":1}`, rapid.Int64Range(0, int64(time.Second)).Draw(h.t, "answered at"))
	}
}

// answered gives the client the answer to its subscription. Where the profile names it, what is sent from now on is expected.
func (h *history) answered(r *historyReader, answer string, at int64) {
	r.worker.takeMessage(r.client, []byte(answer), at, true)
	if !h.byAnswer() {
		return
	}
	r.answered = at
	group := &h.topo.groups[r.group]
	for stream := range r.trackers {
		if !h.topo.expects(group, r.index, stream) {
			continue
		}
		s := r.streams[stream]
		if s == nil {
			s = &historyStream{seen: map[uint64]bool{}, highest: -1}
			r.streams[stream] = s
		}
		if s.rejoin = false; !s.joined {
			key, _ := group.streamID(r.index, stream)
			s.joined, s.base = true, max(h.position(key.producer, key.byKey, key.id), s.floor)
		}
	}
	h.endConflated(r)
}

// throwsOut decides whether the target throws the client out. That of one that resumes and comes back misses nothing.
func (h *history) throwsOut(r *historyReader) bool {
	harmless := r.resumes && h.plan.Clients[r.group].Reconnect && rapid.IntRange(0, 99).Draw(h.t, "thrown out, and resumes") < r.troubled
	return harmless || h.chance(r.troubled, "thrown out")
}

// drain ends the load: clients that resume come back.
func (h *history) drain() {
	h.swarm.draining()
	for _, r := range h.readers {
		switch {
		case !r.resumes:
		case r.away > 0:
			h.comeBack(r)
		case r.absent > 0 && !h.chance(30, "thrown out to the end"):
			r.absent = 0
			h.begin(r)
			h.ask(r)
		}
	}
}

// allResume reports whether all clients of that group's name get what they miss.
func (h *history) allResume(group string) bool {
	return !slices.ContainsFunc(h.readers, func(r *historyReader) bool {
		return h.plan.Clients[r.group].Name == group && !r.resumes
	})
}
