package report

import (
	"fmt"
	"strings"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// verdictInput is what the verdict is formed from.
type verdictInput struct {
	status     results.Status
	end        *results.End // nil for a log without one
	health     HealthReport
	guarantees scenarios.Guarantees
	classes    results.Classes // of the measure phases; what arrived alone where the audit is not closed
	audit      *results.Audit  // nil where it is not closed
	conflated  int64           // deliveries shed where a declared conflation covers it
	left       int64           // undetermined deliveries to groups that come and go by plan
	absences   []Absence       // of these groups
	published  publications    // where nobody reads by plan
	notTaken   []NotTaken      // of the measure phases
	publishers map[string]bool // the senders that are clients of the gateway
	thresholds []Finding
	damage     string
}

// judgeVerdict forms the verdict, with the reasons for it. What can be asserted of a run that is not complete is
// asserted; a pass never is. It is pure.
func judgeVerdict(in verdictInput) (Verdict, []string) {
	if in.end != nil && in.end.Interrupted {
		return VerdictNone, append([]string{"the run was interrupted"}, brokenReasons(in)...)
	}
	var reasons []string
	for _, r := range in.health.Reasons {
		if r.State == HealthInvalid {
			reasons = append(reasons, r.Text)
		}
	}
	if len(reasons) > 0 {
		return VerdictInvalid, append(endReason(in), reasons...)
	}
	if broken := brokenReasons(in); len(broken) > 0 {
		return VerdictBroken, append(endReason(in), broken...)
	}
	if failed := failedReasons(in); len(failed) > 0 {
		return VerdictFailed, failed
	}
	if why := noVerdictReason(in); why != "" {
		return VerdictNone, []string{why}
	}
	return VerdictPassed, []string{passedReason(in)}
}

// endReason is how a run ended that did not end well, by an error or not at all, which is said first whatever the verdict.
func endReason(in verdictInput) []string {
	switch {
	case in.end == nil && in.damage != "":
		return []string{"the run's log is cut off: " + in.damage}
	case in.end == nil:
		return []string{"the run did not end: it was killed, or is still going on"}
	case in.end.Error != "":
		return []string{"the run ended with an error: " + in.end.Error}
	}
	return nil
}

// noVerdictReason says why a run without a finding is no pass either.
func noVerdictReason(in verdictInput) string {
	if ended := endReason(in); ended != nil {
		return ended[0]
	}
	switch {
	case in.status != results.StatusComplete:
		return "the run ended early: " + orElse(in.end.Reason, "no reason was recorded")
	case in.audit == nil:
		return "the run has no audit: nobody knows what was to be delivered"
	case in.health.Figures.Record == nil:
		return "the run has no health record: nobody knows whether the generator kept up"
	}
	for _, n := range in.notTaken {
		if unknown := n.unknown(); unknown != "" {
			return unknown
		}
	}
	return ""
}

func passedReason(in verdictInput) string {
	all, and := fmt.Sprintf("all %s arrived", plural(in.classes.Expected, "expected delivery")), " and "
	switch rest := restOf(in); {
	case in.classes.Expected == 0:
		all = in.published.sentence()
	case len(rest) > 0:
		all = fmt.Sprintf("%s of %s arrived; %s", formatCount(in.classes.Delivered), plural(in.classes.Expected, "expected delivery"), strings.Join(rest, ", "))
		and = "; "
	}
	if permitted := permittedOf(in); permitted != "" {
		all += "; " + permitted
		and = "; "
	}
	switch n := len(in.thresholds); n {
	case 0:
		return all + "; the scenario has no threshold"
	case 1:
		return all + and + "the threshold held"
	default:
		return fmt.Sprintf("%s%sall %d thresholds held", all, and, n)
	}
}

// permittedOf says what is wrong with deliveries and breaks no guarantee of this target's, though it would break another's.
func permittedOf(in verdictInput) string {
	var said []string
	if n := in.classes.Duplicate; n > 0 {
		said = append(said, fmt.Sprintf("%s delivered again, as %s permits", pluralIs(n, "message"), orElse(in.guarantees.Delivery, "its guarantee")))
	}
	if n := in.classes.Reordered; n > 0 {
		said = append(said, fmt.Sprintf("%s out of order, which the target does not guarantee", pluralIs(n, "delivery")))
	}
	return strings.Join(said, "; ")
}

// restOf says what became of the expected deliveries that did not arrive and break no contract.
func restOf(in verdictInput) (rest []string) {
	c := in.classes
	for _, r := range []struct {
		count int64
		text  string
	}{
		{in.conflated, "conflated as declared"},
		{in.left, "on their way to clients that left"},
		{c.Shed - in.conflated, "shed as the target's policy declares"},
		{c.Undetermined - in.left, "undetermined, since their sends were never settled"},
	} {
		if r.count > 0 {
			rest = append(rest, fmt.Sprintf("%s %s", were(r.count), r.text))
		}
	}
	return rest
}

// were writes a count and the verb: 1 was, 2 were.
func were(n int64) string {
	if n == 1 {
		return "1 was"
	}
	return formatCount(n) + " were"
}

// failedReasons lists the thresholds that failed, and an abort by one.
func failedReasons(in verdictInput) []string {
	var reasons []string
	for _, f := range in.thresholds {
		if f.Result == OutcomeFail {
			reasons = append(reasons, fmt.Sprintf("threshold %s failed: %s", f.Text, f.Reason))
		}
	}
	if in.status == results.StatusAborted {
		reasons = append(reasons, "the run was aborted by a threshold: "+orElse(in.end.Reason, "no reason was recorded"))
	}
	return reasons
}

// forbidden reports whether a target that declares g may not cause a single delivery of the audit's class. Loss is
// forbidden by either guarantee, within a session.
func forbidden(class string, g scenarios.Guarantees) bool {
	switch class {
	case "lost", "unseen", "corrupt", "stray":
		return true
	case "shed":
		return !g.Sheds
	case "duplicate":
		return g.Delivery == "at-most-once"
	case "reordered":
		return g.Ordered
	}
	return false
}

// brokenReasons lists how delivery broke what the target guarantees. The first sentences say what the clients missed,
// the later ones what of it the topic as read back charges to Kafka or the producer.
func brokenReasons(in verdictInput) []string {
	c, g := in.classes, in.guarantees
	var reasons []string
	because := func(yes bool, format string, args ...any) {
		if yes {
			reasons = append(reasons, fmt.Sprintf(format, args...))
		}
	}
	of := func(n int64) string { // 40 of 24,000 expected deliveries (0.167%) were
		verb := "were"
		if n == 1 {
			verb = "was"
		}
		return fmt.Sprintf("%s of %s (%s) %s", formatCount(n), plural(c.Expected, "expected delivery"), part(n, c.Expected), verb)
	}
	because(forbidden("lost", g) && c.Lost > 0, "%s lost; %s forbids it", of(c.Lost), orElse(g.Delivery, "either guarantee"))
	// A run that was cut off had no drain deadline to wait for.
	because(forbidden("unseen", g) && c.Unseen > 0 && in.status != results.StatusPartial, "%s unseen when the drain deadline passed", of(c.Unseen))
	because(forbidden("shed", g) && c.Shed > in.conflated, "%s shed; the target declares that it sheds nothing"+beside(in.conflated), of(c.Shed-in.conflated))
	because(forbidden("duplicate", g) && c.Duplicate > 0, "%s delivered again; at-most-once forbids it", pluralIs(c.Duplicate, "message"))
	because(forbidden("reordered", g) && c.Reordered > 0, "%s out of order; the target guarantees it", pluralIs(c.Reordered, "delivery"))
	because(forbidden("corrupt", g) && c.Corrupt > 0, "%s corrupt", pluralIs(c.Corrupt, "delivery"))
	because(forbidden("stray", g) && c.Stray > 0, "%s to clients that had not subscribed to them, or of refused sends", pluralIs(c.Stray, "delivery"))
	reasons = append(reasons, notTakenReasons(in.notTaken)...)
	for _, a := range in.absences {
		because(a.breaks(), "%s", a.sentence())
	}
	if in.audit != nil {
		because(in.audit.NeverJoinedCount > 0, "%s never received a marker, or the answer that the profile calls joined, for all that they subscribed to", plural(int64(in.audit.NeverJoinedCount), "client"))
		reasons = append(reasons, referenceReasons(in)...)
	}
	return reasons
}

// beside says what is shed as declared.
func beside(conflated int64) string {
	if conflated == 0 {
		return ""
	}
	return " but what it conflates"
}

// referenceReasons charge to Kafka and the producers what the topic shows as wrong already, and to the gateway as well what
// came up through it. A topic may double or reorder where the target's guarantee permits it; what was acknowledged and is
// gone breaks either guarantee. What the clients' publishing broke is broken whether anybody was to read it or not.
func referenceReasons(in verdictInput) []string {
	var reasons []string
	for _, t := range in.audit.Reference {
		up := in.publishers[t.Producer]
		where := fmt.Sprintf("by Kafka or producer %s, not by the gateway: topic %s as read back", t.Producer, t.Topic)
		if up {
			where = fmt.Sprintf("by the gateway or Kafka, on the way up from the clients of %s: topic %s as read back", t.Producer, t.Topic)
		}
		if t.AckedGone > 0 && (up || in.classes.Missing() > 0) {
			reasons = append(reasons, fmt.Sprintf("%s lost %s lacks them", pluralIs(t.AckedGone, "acknowledged message"), where))
		}
		if t.Doubled > 0 && (up || in.classes.Duplicate > 0) && forbidden("duplicate", in.guarantees) {
			reasons = append(reasons, fmt.Sprintf("%s doubled %s holds them twice", pluralIs(t.Doubled, "message"), where))
		}
		if t.Reordered > 0 && (up || in.classes.Reordered > 0) && forbidden("reordered", in.guarantees) {
			reasons = append(reasons, fmt.Sprintf("%s reordered %s has them so", pluralIs(t.Reordered, "message"), where))
		}
	}
	return reasons
}

// part writes a share, as a percentage.
func part(n, of int64) string {
	if of == 0 {
		return "of none"
	}
	return formatShare(float64(n) / float64(of))
}

// pluralIs writes a count, its noun and the verb: 1 message was, 2 messages were.
func pluralIs(n int64, noun string) string {
	if n == 1 {
		return plural(n, noun) + " was"
	}
	return plural(n, noun) + " were"
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
