package report

import (
	"fmt"
	"strings"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// NotTaken is what the pipeline did not take of a sender's messages of the measure phases. Nobody was to receive them, so
// the account of deliveries knows nothing of them.
type NotTaken struct {
	Producer string `json:"producer"` // a producer, or a group's clients that publish
	Topic    string `json:"topic"`
	Sent     int64  `json:"sent"`    // in the measure phases
	Refused  int64  `json:"refused"` // by proof not written
	// Overflow is how many of them were refused on the sender's own side, since too much of it was unanswered already.
	Overflow int64 `json:"overflow"`
	// Unanswered is how many at least were neither acknowledged nor are in the topic as read back, UnansweredMost how many
	// at most. The two differ where the topic could not be read back in full, or holds what the gateway had refused.
	Unanswered     int64 `json:"unanswered"`
	UnansweredMost int64 `json:"unanswered_most"`

	publishes bool // clients do, through the gateway
	noAcks    bool // it asks for no acknowledgement
}

// total is how many were not taken, at least.
func (n NotTaken) total() int64 { return n.Refused + n.Unanswered }

// notTaken lists the senders of which something was not taken, or may not have been, in the plan's order. Without an audit
// only what was refused is known; of a run that was cut off too, since its last messages had no time to be answered.
func notTaken(p *scenarios.Plan, e *evidence, audit *results.Audit, status results.Status) []NotTaken {
	list := []NotTaken{}
	for _, sender := range p.Senders() {
		within := measureScope(p, map[string]string{"producer": sender.Name})
		count := func(name string) int64 { return e.count(name, within.has) }
		n := NotTaken{
			Producer: sender.Name, Topic: sender.Topic, Sent: count(results.CountSent), Overflow: count(results.CountOverflow),
			publishes: sender.Group >= 0, noAcks: sender.Acks == "none",
		}
		n.Refused = max(count(results.CountRefused), n.Overflow)
		if audit != nil && status != results.StatusPartial {
			n.Unanswered, n.UnansweredMost = unanswered(e, within, n, audit)
		}
		if n.Refused > 0 || n.UnansweredMost > 0 {
			list = append(list, n)
		}
	}
	return list
}

// unanswered bounds how many of a sender's messages of the measure phases were neither acknowledged nor refused, and are
// not in the topic as read back. The reference is of the whole run. What the observer read is told apart by phase; where
// it read what the topic holds, it says how many messages of the measure phases are not there.
func unanswered(e *evidence, within scope, n NotTaken, audit *results.Audit) (least, most int64) {
	ref, complete := reference(audit, n.Producer)
	all := max(0, ref.Sent-ref.InTopic-ref.AckedGone-ref.Refused)
	ofSender := func(l results.Label) bool { return l.Producer == n.Producer }
	open := e.count(results.CountUndetermined, within.has)
	most = min(all, open)
	least = all - (e.count(results.CountUndetermined, ofSender) - open) // the other phases' may be missing as well
	if e.count(results.CountObserved, ofSender) == ref.InTopic {
		absent := n.Sent - e.count(results.CountObserved, within.has) - n.Refused
		most = min(most, absent)
		least = max(least, absent-ref.AckedGone)
	}
	if written := ref.InTopic - ref.Acked + ref.AckedGone; n.publishes && written > 0 {
		most = min(open, most+min(written, ref.Refused)) // what a gateway has refused may be there, in place of these
	}
	if !complete {
		least = 0
	}
	most = max(0, most)
	return min(max(0, least), most), most
}

// reference sums what the topic as read back says of a sender; complete is false where it was not read in full.
func reference(audit *results.Audit, producer string) (sum results.TopicAudit, complete bool) {
	complete = true
	for _, t := range audit.Reference {
		if t.Producer != producer {
			continue
		}
		sum.Sent += t.Sent
		sum.Acked += t.Acked
		sum.InTopic += t.InTopic
		sum.AckedGone += t.AckedGone
		sum.Refused += t.Refused
		sum.Source = t.Source
		complete = complete && t.Incomplete == ""
	}
	return sum, complete
}

// sentence says what was not taken, and why: 490 of 600 messages of feed (81.7%) never got into topic prices: …
func (n NotTaken) sentence() string {
	of := fmt.Sprintf("%s%s of %s of %s (%s)", n.bound(), formatCount(n.total()), plural(n.Sent, "message"), n.Producer, part(n.total(), n.Sent))
	if n.publishes { // the gateway may have written what it refused
		return fmt.Sprintf("the gateway did not take %s for topic %s: %s", of, n.Topic, n.why())
	}
	return fmt.Sprintf("%s never got into topic %s: %s", of, n.Topic, n.why())
}

// bound tells that a count is the least that it may be.
func (n NotTaken) bound() string {
	if n.Unanswered < n.UnansweredMost {
		return "at least "
	}
	return ""
}

// why lists what became of the messages.
func (n NotTaken) why() string {
	refused := "refused by Kafka"
	overflow := "refused since the send buffer was full, for Kafka accepted nothing for longer than the producer's stall allows"
	unanswered := "never acknowledged and not there"
	if n.publishes {
		refused = "refused by the gateway, or the client was not connected"
		overflow = "refused since too much of what their client had sent was unanswered"
	}
	if n.noAcks {
		unanswered = "not there, and no acknowledgement was asked for"
	}
	var parts []string
	for _, p := range []struct {
		count int64
		bound string
		text  string
	}{{n.Refused - n.Overflow, "", refused}, {n.Overflow, "", overflow}, {n.Unanswered, n.bound(), unanswered}} {
		if p.count > 0 {
			parts = append(parts, p.bound+formatCount(p.count)+" "+p.text)
		}
	}
	return strings.Join(parts, "; ")
}

// unknown says of what nobody knows whether it was taken; empty where that is known.
func (n NotTaken) unknown() string {
	if n.Unanswered == n.UnansweredMost {
		return ""
	}
	return fmt.Sprintf("up to %s of %s of %s (%s) may never have got into topic %s: they were never acknowledged, and the topic as read back does not tell",
		formatCount(n.UnansweredMost), plural(n.Sent, "message"), n.Producer, part(n.UnansweredMost, n.Sent), n.Topic)
}

// lines are what is said of it beside the account.
func (n NotTaken) lines() []string {
	var lines []string
	if n.total() > 0 {
		lines = append(lines, n.sentence())
	}
	if unknown := n.unknown(); unknown != "" {
		lines = append(lines, unknown)
	}
	return lines
}

// notTakenLines are those of all senders.
func notTakenLines(list []NotTaken) (lines []string) {
	for _, n := range list {
		lines = append(lines, n.lines()...)
	}
	return lines
}

// notTakenReasons are what of it breaks the contract.
func notTakenReasons(list []NotTaken) (reasons []string) {
	for _, n := range list {
		if n.total() > 0 {
			reasons = append(reasons, n.sentence())
		}
	}
	return reasons
}

// publishers names the senders that are clients of the gateway.
func publishers(p *scenarios.Plan) map[string]bool {
	names := map[string]bool{}
	for _, s := range p.Senders() {
		if s.Group >= 0 {
			names[s.Name] = true
		}
	}
	return names
}
