package report

import (
	"slices"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// populations says which deliveries of a run each latency is judged over.
type populations struct {
	slow      map[string]bool // groups that read slowly on purpose: theirs is e2e_slow, and e2e is the others'
	conflated map[string]bool // senders to a conflated topic: what conflation sheds of theirs is not missing
	coming    map[string]bool // groups that come and go by plan
	excused   map[string]bool // of these, those that get nothing of what they missed
}

func populationsOf(p *scenarios.Plan) populations {
	w := populations{slow: map[string]bool{}, conflated: map[string]bool{}, coming: map[string]bool{}, excused: map[string]bool{}}
	for _, g := range p.Clients {
		w.coming[g.Name], w.excused[g.Name] = comesAndGoes(p, g.Name), absenceExcuses(p, g.Name)
		if g.Slow != nil {
			w.slow[g.Name] = true
		}
	}
	for _, s := range p.Senders() {
		if p.Conflation(s.Topic) > 0 {
			w.conflated[s.Name] = true
		}
	}
	return w
}

// deliveries is how many deliveries within the scope the stage, e2e or e2e_slow, is judged over: those that were to
// happen. Nobody can say of an undetermined one whether it was; it is left out, and makes the run doubtful. What was
// replayed after an absence by plan has a stage of its own. ok is false where the audit has no such row.
func (w populations) deliveries(stage results.Stage, within scope, a *results.Audit) (n int64, ok bool) {
	if a == nil {
		return 0, false
	}
	conflated := w.conflation(a)
	for _, row := range a.Rows {
		if !within.has(rowLabel(row)) || w.slow[row.Group] != (stage == results.StageE2ESlow) {
			continue
		}
		ok = true
		n += row.Expected - row.Undetermined - conflated(row) - row.Replayed
	}
	return n, ok
}

// conflatedShed is how many deliveries were shed where the declared conflation covers it.
func (w populations) conflatedShed(within scope, a *results.Audit) (n int64) {
	if a == nil {
		return 0
	}
	conflated := w.conflation(a)
	for _, row := range a.Rows {
		if within.has(rowLabel(row)) {
			n += conflated(row)
		}
	}
	return n
}

// conflation says how much of a row's shed deliveries the declared conflation covers. Of an account that does not tell
// them apart it is all that is shed of a conflated topic.
func (w populations) conflation(a *results.Audit) func(results.AuditRow) int64 {
	told := slices.ContainsFunc(a.Rows, func(row results.AuditRow) bool { return row.Conflated > 0 })
	return func(row results.AuditRow) int64 {
		switch {
		case !w.conflated[row.Producer]:
			return 0
		case told:
			return min(row.Conflated, row.Shed)
		}
		return row.Shed
	}
}

// left is how many undetermined deliveries were on their way to clients of groups that come and go by plan and get nothing
// of what they missed.
func (w populations) left(within scope, a *results.Audit) (n int64) {
	if a == nil {
		return 0
	}
	for _, row := range a.Rows {
		if w.excused[row.Group] && within.has(rowLabel(row)) {
			n += row.Undetermined
		}
	}
	return n
}

// due is how many deliveries were to happen, of the groups that read slowly too: those expected without what was
// conflated as declared and what was on its way to clients that left by plan.
func (w populations) due(within scope, a *results.Audit) int64 {
	classes, _ := within.classes(a)
	return classes.Expected - w.conflatedShed(within, a) - w.left(within, a)
}

func rowLabel(row results.AuditRow) results.Label {
	return results.Label{Phase: row.Phase, Group: row.Group, Producer: row.Producer}
}

// stage is the one that the group's end-to-end latency is recorded as.
func (w populations) stage(group string) results.Stage {
	if w.slow[group] {
		return results.StageE2ESlow
	}
	return results.StageE2E
}

// closedLoops names the senders that wait for an answer before they send again, each once.
func closedLoops(p *scenarios.Plan) []string {
	var names []string
	for _, s := range p.Senders() {
		if s.Think != nil && !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

// unsteady names the senders of which the expected deliveries, counted as they are sent, are no measure of what is to
// arrive in e2e: their topic is conflated, or one of its readers is slow on purpose, comes and goes, or is not there
// throughout.
func unsteady(p *scenarios.Plan) map[string]bool {
	w := populationsOf(p)
	names := map[string]bool{}
	for _, s := range p.Senders() {
		varies := slices.ContainsFunc(p.Clients, func(g scenarios.ClientGroup) bool {
			return g.Subscribe.Topic == s.Topic && (w.slow[g.Name] || w.coming[g.Name])
		})
		if varies || w.conflated[s.Name] {
			names[s.Name] = true
		}
	}
	return names
}

// comesAndGoes reports whether clients of the group leave and come back by plan.
func comesAndGoes(p *scenarios.Plan, group string) bool {
	churns := slices.ContainsFunc(p.Clients, func(g scenarios.ClientGroup) bool { return g.Name == group && g.Churn != nil })
	return churns || slices.ContainsFunc(p.Phases.Measure, func(m scenarios.MeasurePhase) bool {
		_, moves := m.Clients[group]
		return moves
	})
}

// comingGroups lists the groups that come and go, in the plan's order, each name once.
func comingGroups(p *scenarios.Plan) []string {
	var names []string
	for _, g := range p.Clients {
		if !slices.Contains(names, g.Name) && comesAndGoes(p, g.Name) {
			names = append(names, g.Name)
		}
	}
	return names
}

// leaves is what of a group's expected deliveries is undetermined, where its clients come and go by plan.
type leaves struct {
	group                  string
	undetermined, expected int64
}

// leavesOf lists the groups that come and go and get nothing of what they missed, in the plan's order, each name once.
func leavesOf(p *scenarios.Plan, audit *results.Audit) (list []leaves) {
	for _, group := range comingGroups(p) {
		if !absenceExcuses(p, group) {
			continue
		}
		classes, _ := measureScope(p, map[string]string{"group": group}).classes(audit)
		list = append(list, leaves{group, classes.Undetermined, classes.Expected})
	}
	return list
}

// steadyClasses is the account of the measure phases without the groups that absence excuses.
func steadyClasses(p *scenarios.Plan, audit *results.Audit, within scope) (c results.Classes) {
	if audit == nil {
		return c
	}
	for _, row := range audit.Rows {
		if within.phases[row.Phase] && !absenceExcuses(p, row.Group) {
			c.Add(row.Classes)
		}
	}
	return c
}
