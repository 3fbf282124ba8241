package loadgen

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"
)

// begin begins a session. A client that resumes tells where it was, and gets what it missed.
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
	r.worker.takeMessage(r.client, []byte(answer), 0, true)
	missed := r.missed
	r.missed = nil
	for _, rec := range missed {
		h.deal(r, rec)
	}
	if r.sessions > 1 {
		r.worker.takeMessage(r.client, []byte(`{"type":"caught_up","id":1}`), 0, true)
	}
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
		}
	}
}

// allResume reports whether all clients of that group's name get what they miss.
func (h *history) allResume(group string) bool {
	return !slices.ContainsFunc(h.readers, func(r *historyReader) bool {
		return h.plan.Clients[r.group].Name == group && !r.resumes
	})
}
