package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// Summarise reads the run's intervals once and says everything about it that is to be said. The error is that of
// reading them.
func Summarise(r *results.Run) (*Summary, error) {
	judge := NewJudge(r.Plan)
	for in, err := range r.Intervals() {
		if err != nil {
			return nil, fmt.Errorf("summarise: %w", err)
		}
		if err := judge.Add(in); err != nil {
			return nil, fmt.Errorf("summarise %s: %w", r.Dir, err)
		}
	}
	return summarise(r, judge), nil
}

// summarise forms the summary from a judge that has seen all of the run's intervals.
func summarise(r *results.Run, judge *Judge) *Summary {
	all := measureScope(r.Plan, nil)
	e := judge.evidence
	stages := mergedStages(e, all)
	s := &Summary{
		SchemaVersion: SchemaVersion,
		Run:           runInfo(r, e, all),
		Status:        r.Status(),
		Latency:       latencies(populationsOf(r.Plan), stages, all, r.Audit),
		Audit:         auditSummary(r.Audit, all, populationsOf(r.Plan)),
		Thresholds:    judge.Final(r.Audit, r.Status()),
		Breakdown:     breakdown(r.Plan, e, r.Audit),
		Clients:       clients(r.Plan, r.Audit),
		Counters:      e.totals(all.has),
		CountersAll:   e.totals(nil),
		Environment:   r.Environment,
		Plan:          r.Plan,
		Dir:           r.Dir,
	}
	s.Audit.NotTaken = notTaken(r.Plan, e, r.Audit, s.Status)
	s.Clients.Absences, s.Clients.Returns = absences(r.Plan, e), returnsOf(r.Plan, s.CountersAll)
	s.Rates = rates(s.Counters, e.elapsed(r.Plan, all, s.Status))
	s.Resources = resources(e, all)
	s.Health = judgeHealth(healthOf(r, e, all, stages))
	s.Warnings = warnings(r, s)
	s.Verdict, s.Reasons = judgeVerdict(verdictInput{
		status:     s.Status,
		end:        r.End,
		health:     s.Health,
		guarantees: r.Plan.Gateway.Guarantees,
		classes:    s.assertable(),
		audit:      r.Audit,
		conflated:  s.Audit.Conflated,
		left:       s.Audit.Left,
		absences:   s.Clients.Absences,
		published:  publicationsOf(r.Plan, e, r.Audit),
		notTaken:   s.Audit.NotTaken,
		publishers: publishers(r.Plan),
		thresholds: s.Thresholds,
		damage:     r.Damage,
	})
	s.Exit = s.ExitCode()
	return s
}

func runInfo(r *results.Run, e *evidence, all scope) RunInfo {
	info := RunInfo{
		Scenario:    r.Plan.Name,
		Description: r.Plan.Description,
		Source:      r.Plan.Source,
		Seed:        r.Plan.Seed,
		StartedAtNS: e.startAt,
		MeasuredNS:  int64(e.elapsed(r.Plan, all, r.Status())),
		Intervals:   e.intervals,
		Damage:      r.Damage,
		Target:      targetName(r.Plan),
		Kafka:       string(r.Plan.Kafka.Provider),
		Profile:     r.Plan.Gateway.Profile.Name,
		Guarantees:  r.Plan.Gateway.Guarantees,
	}
	if env := r.Environment; env != nil {
		info.StartedAtNS = env.StartedAtNS
		info.Target = orElse(env.Gateway, info.Target)
		info.Kafka = orElse(env.Kafka, info.Kafka)
	}
	endAt := e.endAt
	if r.End != nil {
		endAt = r.End.AtNS
		info.Interrupted = r.End.Interrupted
		info.EndReason = r.End.Reason
		info.Error = r.End.Error
	}
	if info.StartedAtNS > 0 {
		info.DurationNS = max(0, endAt-info.StartedAtNS)
	}
	return info
}

func targetName(p *scenarios.Plan) string {
	if p.Gateway.Target == scenarios.TargetExternal {
		return p.Gateway.URL
	}
	return string(p.Gateway.Target)
}

// mergedStages merges each stage over the measure phases, once for all that is read off it.
func mergedStages(e *evidence, all scope) map[results.Stage]results.Series {
	stages := map[results.Stage]results.Series{}
	for _, stage := range stageOrder() {
		stages[stage] = e.latency(stage, all)
	}
	return stages
}

func latencies(w populations, stages map[results.Stage]results.Series, all scope, audit *results.Audit) LatencySet {
	var set LatencySet
	for stage, series := range stages {
		set.set(stage, latencyOf(series))
	}
	set.E2E, set.E2EExpected = w.withExpected(stages[results.StageE2E], results.StageE2E, all, audit)
	if len(w.slow) > 0 {
		set.E2ESlow, set.E2ESlowExpected = w.withExpected(stages[results.StageE2ESlow], results.StageE2ESlow, all, audit)
	}
	return set
}

func auditSummary(audit *results.Audit, all scope, w populations) AuditSummary {
	if audit == nil {
		return AuditSummary{Rows: []results.AuditRow{}, Reference: []results.TopicAudit{}, Defects: []string{}}
	}
	classes, _ := all.classes(audit)
	return AuditSummary{
		Classes:           classes,
		Available:         true,
		CorruptionChecked: audit.CorruptionChecked,
		DeliveryRatio:     share(classes.Delivered, w.due(all, audit)),
		Conflated:         w.conflatedShed(all, audit),
		Left:              w.left(all, audit),
		Rows:              orEmpty(audit.Rows),
		Reference:         orEmpty(audit.Reference),
		Defects:           orEmpty(defects(audit)),
	}
}

// defects are the audit's own, and those of its account that do not add up.
func defects(audit *results.Audit) []string {
	if audit == nil {
		return nil
	}
	found := append([]string(nil), audit.Defects...)
	for _, row := range audit.Rows {
		if !row.Holds() {
			found = append(found, fmt.Sprintf("the account of phase %s, group %s, producer %s does not add up: %d expected, %d delivered, %d missing",
				row.Phase, row.Group, orElse(row.Producer, "–"), row.Expected, row.Delivered, row.Missing()))
		}
	}
	return found
}

// assertable is what can be said of deliveries: the audit's account, or where it was not closed what was counted as it
// arrived.
func (s *Summary) assertable() results.Classes {
	if s.Audit.Available {
		return s.Audit.Classes
	}
	counters := s.Counters
	return results.Classes{
		Expected:  counters[results.CountExpected],
		Delivered: counters[results.CountDelivered],
		Duplicate: counters[results.CountDuplicate],
		Reordered: counters[results.CountReordered],
		Corrupt:   counters[results.CountCorrupt],
		Stray:     counters[results.CountStray],
		Early:     counters[results.CountEarly],
		Foreign:   counters[results.CountForeign],
	}
}

func clients(p *scenarios.Plan, audit *results.Audit) Clients {
	c := Clients{Planned: p.ClientCount(), Objective: p.Objective, NeverJoinedList: []string{}, Absences: []Absence{}, Worst: []results.ClientAudit{}}
	if audit == nil {
		return c
	}
	c.Judged, c.WithinObjective = audit.ClientsTotal, audit.ClientsWithin
	c.WithinShare = share(int64(audit.ClientsWithin), int64(audit.ClientsTotal))
	c.NeverJoined, c.NeverJoinedList = audit.NeverJoinedCount, orEmpty(audit.NeverJoined)
	c.Worst = orEmpty(audit.Worst)
	return c
}

func rates(counters map[string]int64, elapsed time.Duration) Rates {
	seconds := elapsed.Seconds()
	if seconds <= 0 {
		return Rates{}
	}
	per := func(name string) float64 { return float64(counters[name]) / seconds }
	return Rates{
		MeasuredSeconds: seconds,
		Sent:            per(results.CountSent),
		Acked:           per(results.CountAcked),
		Delivered:       per(results.CountDelivered),
		BytesRead:       per(results.CountBytes),
	}
}

func healthOf(r *results.Run, e *evidence, all scope, stages map[results.Stage]results.Series) healthInput {
	classes, _ := all.classes(r.Audit)
	in := healthInput{
		record:    r.Health,
		complete:  r.Status() == results.StatusComplete,
		sendLag:   stages[results.StageSendLag],
		e2e:       stages[results.StageE2E],
		slowE2E:   stages[results.StageE2ESlow],
		roundTrip: stages[results.StageRoundTrip],
		ack:       stages[results.StageAck],
		published: publicationsOf(r.Plan, e, r.Audit).tested,
		leaves:    leavesOf(r.Plan, r.Audit),
		receive:   stages[results.StageReceiveLag],
		slow:      stages[results.StageE2ESlow].Count(),
		replayed:  replayedAlone(all, r.Audit),
		negative:  map[results.Stage]int64{},
		classes:   classes,
		unsettled: unsettled(r, classes, all),
		audited:   r.Audit != nil,
		defects:   defects(r.Audit),
		machine:   machineOf(r, e, all),
		coalesced: e.count(results.CountCoalesced, all.has),
		damage:    r.Damage,
	}
	for stage, series := range stages {
		if stage != results.StageGateway { // signed: a client may well read before the observer does
			in.negative[stage] = negativeCount(series)
		}
	}
	return in
}

// breakdown splits the measure phases. Groups and senders that share a name are one part.
func breakdown(p *scenarios.Plan, e *evidence, audit *results.Audit) Breakdown {
	w := populationsOf(p)
	part := func(label, name string, stage results.Stage) Part {
		within := measureScope(p, map[string]string{label: name})
		classes, _ := within.classes(audit)
		l, expected := w.withExpected(e.latency(stage, within), stage, within, audit)
		return Part{Name: name, Slow: stage == results.StageE2ESlow, Classes: classes, E2E: l, E2EExpected: expected}
	}
	b := Breakdown{ByPhase: []Part{}, ByGroup: []Part{}, ByProducer: []Part{}}
	for _, m := range p.Phases.Measure {
		b.ByPhase = append(b.ByPhase, part("phase", m.Name, results.StageE2E))
	}
	for _, g := range p.Clients {
		if !slices.ContainsFunc(b.ByGroup, func(other Part) bool { return other.Name == g.Name }) {
			b.ByGroup = append(b.ByGroup, part("group", g.Name, w.stage(g.Name)))
		}
	}
	for _, sender := range p.Senders() {
		if !slices.ContainsFunc(b.ByProducer, func(other Part) bool { return other.Name == sender.Name }) {
			b.ByProducer = append(b.ByProducer, part("producer", sender.Name, results.StageE2E))
		}
	}
	return b
}

func share(part, whole int64) *float64 {
	if whole == 0 {
		return nil
	}
	v := float64(part) / float64(whole)
	return &v
}

// orEmpty gives JSON an empty list where there would be null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// unsettled counts the undetermined deliveries that a send without an answer may be the cause of: where every send was
// settled, those to clients that left by plan are not among them.
func unsettled(r *results.Run, classes results.Classes, within scope) int64 {
	if r.Audit != nil && !slices.ContainsFunc(r.Audit.Reference, func(t results.TopicAudit) bool { return t.Unsettled > 0 }) {
		return steadyClasses(r.Plan, r.Audit, within).Undetermined
	}
	return classes.Undetermined
}
