package report

import (
	"fmt"
	"slices"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// Returns is what became of clients that came back with their positions, over the whole run.
type Returns struct {
	Returns  int64 `json:"returns"`  // sessions after a client's first
	Resumed  int64 `json:"resumed"`  // of them, those that the target went on with
	Failed   int64 `json:"failed"`   // of them, those of which it said that it could not, or not with all
	Replayed int64 `json:"replayed"` // deliveries of what was due before the client was back
	// TellsCaughtUp is whether the target says when a client has all that it missed. Where it does not, nobody knows.
	TellsCaughtUp bool `json:"tells_caught_up"`
}

func returnsOf(p *scenarios.Plan, all map[string]int64) Returns {
	resume := p.Gateway.Profile.Resume
	return Returns{
		TellsCaughtUp: resume != nil && resume.CaughtUp != "",
		Returns:       all[results.CountReturns], Resumed: all[results.CountResumed], Failed: all[results.CountResumeFailed], Replayed: all[results.CountReplayed],
	}
}

// returnsLine says who came back, and how soon they had what they missed; empty where nobody did.
func returnsLine(r Returns, caughtUp Latency) string {
	if r.Returns == 0 {
		return ""
	}
	text := plural(r.Returns, "return")
	if r.Resumed == r.Returns {
		text += ", all resumed"
	} else {
		text += fmt.Sprintf(", %s resumed", formatCount(r.Resumed))
		if r.Failed > 0 {
			text += fmt.Sprintf(", %s told that it was not possible", formatCount(r.Failed))
		}
		if fresh := r.Returns - r.Resumed - r.Failed; fresh > 0 {
			text += fmt.Sprintf(", %s unanswered or without a position", formatCount(fresh))
		}
	}
	switch {
	case !r.TellsCaughtUp:
		text += "; when they had caught up is not known, since the target does not say it"
	case caughtUp.Count > 0:
		cells := latencyCells(caughtUp)
		text += fmt.Sprintf("; caught up p50 %s, p99 %s, max %s", cells[0], cells[2], cells[4])
		if late := r.Resumed - caughtUp.Count; late > 0 {
			text += fmt.Sprintf(" (%s never)", formatCount(late))
		}
	}
	return text + fmt.Sprintf("; %s replayed", formatCount(r.Replayed))
}

// replayedAlone is how many deliveries have their latency in the stage replay and in no other end-to-end stage.
func replayedAlone(within scope, a *results.Audit) (n int64) {
	if a == nil {
		return 0
	}
	for _, row := range a.Rows {
		if within.has(rowLabel(row)) {
			n += row.Replayed
		}
	}
	return n
}

// absenceExcuses reports whether clients of the group come and go by plan and get nothing of what they missed: what was on
// its way to one that leaves is undetermined, and what reaches one that comes back before its marker is early, with no
// fault of anybody.
func absenceExcuses(p *scenarios.Plan, group string) bool {
	forgets := false
	for i := range p.Clients {
		forgets = forgets || p.Clients[i].Name == group && !p.Resumes(i)
	}
	return forgets && slices.Contains(comingGroups(p), group)
}
