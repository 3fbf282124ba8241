package report

import (
	"fmt"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// The limits of how long clients that come and go may be absent beyond the plan, as a share of the time that the plan has
// them there. Coming back takes a dial, so that it is never none. A share at its limit is within it.
const (
	absentNoted  = 0.01
	absentBroken = 0.05
)

// Absence is how long the clients of a group that comes and goes by plan were not connected when they were to be, over
// the measure phases. They expect no delivery meanwhile, so the account of deliveries knows nothing of it.
type Absence struct {
	Group       string `json:"group"`
	AbsentMS    int64  `json:"absent_ms"`
	PlannedMS   int64  `json:"planned_ms"`
	FailedDials int64  `json:"failed_dials"`
	ThrownOut   int64  `json:"thrown_out"`
}

// absences lists the groups that come and go, in the plan's order, each name once; those of which the run does not say
// how long they were to be there are left out.
func absences(p *scenarios.Plan, e *evidence) []Absence {
	list := []Absence{}
	for _, group := range comingGroups(p) {
		within := measureScope(p, map[string]string{"group": group})
		count := func(name string) int64 { return e.count(name, within.has) }
		a := Absence{Group: group, AbsentMS: count(results.CountAbsent), PlannedMS: count(results.CountPlanned),
			FailedDials: count(results.CountConnectFail), ThrownOut: count(results.CountThrownOut)}
		if a.PlannedMS > 0 {
			list = append(list, a)
		}
	}
	return list
}

func (a Absence) share() float64 { return float64(a.AbsentMS) / float64(a.PlannedMS) }

// breaks reports whether the target took so few of the clients that the run says nothing for it.
func (a Absence) breaks() bool { return a.share() > absentBroken }

// notable reports whether the absence is to be mentioned, and breaks nothing.
func (a Absence) notable() bool { return a.share() > absentNoted && !a.breaks() }

// sentence says who was absent, for how long, and what the target did to them.
func (a Absence) sentence() string {
	text := fmt.Sprintf("clients of %s were not connected for %s of the time that the scenario has them there", a.Group, formatShare(a.share()))
	if a.breaks() {
		text += ": the target did not take them"
	}
	switch dials := plural(a.FailedDials, "dial"); {
	case a.FailedDials > 0 && a.ThrownOut > 0:
		text += fmt.Sprintf(" (%s failed, %s)", dials, pluralIs(a.ThrownOut, "client")+" thrown out")
	case a.FailedDials > 0:
		text += fmt.Sprintf(" (%s failed)", dials)
	case a.ThrownOut > 0:
		text += fmt.Sprintf(" (%s)", pluralIs(a.ThrownOut, "client")+" thrown out")
	}
	return text
}
