package report

import (
	"fmt"

	"github.com/weirbench/weir/results"
)

// warnings lists the doubts that travel with the figures and change no verdict: what makes health doubtful is there.
func warnings(r *results.Run, s *Summary) []Remark {
	list := []Remark{}
	warn := func(yes bool, code, format string, args ...any) {
		if yes {
			list = append(list, Remark{code, fmt.Sprintf(format, args...)})
		}
	}
	c := s.Audit.Classes
	warn(s.Audit.Available && !s.Audit.CorruptionChecked, "corruption_unchecked",
		"corruption was not checked: the wire form hides the values' bytes")
	early := steadyClasses(r.Plan, r.Audit, measureScope(r.Plan, nil)).Early
	warn(early > 0, "early", "%s sent before the subscription was known to be in force", pluralIs(early, "delivery"))
	warn(c.Foreign > 0, "foreign", "%s without a stamp of this run", plural(c.Foreign, "frame"))
	warn(s.Health.Figures.CoalescedShare > coalescedShare, "coalesced",
		"%s of deliveries shared a read with a later one: their read time, and so their latency, is an upper bound",
		formatShare(s.Health.Figures.CoalescedShare))
	warn(r.Health != nil && r.Health.ReceiveTimestamps == "program", "receive_lag_unknown",
		"the kernel gave no receive timestamps: the generator's own delay of reading is part of the latency, and unknown")
	thrownOut := s.CountersAll[results.CountThrownOut]
	warn(thrownOut > 0, "thrown_out", "the target closed %s", plural(thrownOut, "connection"))
	failed := s.CountersAll[results.CountConnectFail]
	warn(failed > 0, "connect_fail", "%s failed", plural(failed, "dial"))
	for _, a := range s.Clients.Absences {
		warn(a.notable(), "absent", "%s", a.sentence())
	}
	if r.Audit != nil {
		for _, t := range r.Audit.Reference {
			warn(t.Incomplete != "", "reference_incomplete", "topic %s could not be read back in full for producer %s: %s", t.Topic, t.Producer, t.Incomplete)
			warn(t.AckedGone > 0, "topic_gone", "topic %s lacks %s of producer %s", t.Topic, plural(t.AckedGone, "acknowledged message"), t.Producer)
			warn(t.Doubled > 0, "topic_doubled", "topic %s holds %s of producer %s more than once", t.Topic, plural(t.Doubled, "message"), t.Producer)
			warn(t.Reordered > 0, "topic_reordered", "topic %s has %s of producer %s out of order", t.Topic, plural(t.Reordered, "message"), t.Producer)
		}
	}
	for _, name := range closedLoops(r.Plan) {
		warn(true, "closed_loop", "the clients of %s wait for an answer before they think and send again, a closed loop: while the "+
			"pipeline is slow they send less, so their latencies hide coordinated omission", name)
	}
	for _, f := range s.Thresholds {
		warn(f.Note != "" && f.Note != roundTripNote, "threshold_support", "threshold %s: %s", f.Text, f.Note)
	}
	return append(list, eventWarnings(r.Events)...)
}

// eventWarnings are the warnings that were recorded while the run went on, equal ones once.
func eventWarnings(events []results.Event) []Remark {
	var list []Remark
	index := map[string]int{}
	var counts []int64
	for _, e := range events {
		if e.Kind != results.EventWarning {
			continue
		}
		i, seen := index[e.Text]
		if !seen {
			i = len(list)
			index[e.Text] = i
			list = append(list, Remark{"event", e.Text})
			counts = append(counts, 0)
		}
		counts[i] += max(1, e.Count)
	}
	for i, n := range counts {
		if n > 1 {
			list[i].Text += fmt.Sprintf(" (%s times)", formatCount(n))
		}
	}
	return list
}
