package report

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// count adds to a counter of the feed in a phase.
func (f *fixture) count(phase, name string, n int64) { f.countOf(phase, name, "feed", n) }

func (f *fixture) countOf(phase, name, producer string, n int64) {
	for _, in := range f.intervals {
		if in.Phase == phase {
			in.Counters = append(in.Counters, counter(name, phase, "", producer, n))
			return
		}
	}
}

// absent makes messages of the feed refused or unanswered, of which the topic holds only some.
func (f *fixture) absent(phase string, refused, unanswered, written int64) {
	f.count(phase, results.CountRefused, refused)
	f.count(phase, results.CountUndetermined, unanswered)
	f.count(phase, results.CountObserved, -(refused + unanswered - written))
	t := &f.audit.Reference[0]
	t.Refused += refused
	t.Unsettled += unanswered
	t.Acked -= refused + unanswered
	t.InTopic -= refused + unanswered - written
}

// gone takes acknowledged messages of the feed out of the topic.
func (f *fixture) gone(phase string, n int64) {
	f.count(phase, results.CountObserved, -n)
	f.audit.Reference[0].AckedGone += n
	f.audit.Reference[0].InTopic -= n
}

// observed makes the observer read all that was sent, but for what absent takes away.
func (f *fixture) observed() {
	for phase, n := range map[string]int64{scenarios.PhaseWarmUp: 1000, "steady": 4000, "burst": 4000} {
		f.count(phase, results.CountObserved, n)
	}
}

// talk makes the viewers send 600 messages in steady, all acknowledged and in the topic rooms, where nobody reads.
func talk(f *fixture) *results.TopicAudit {
	publishing(f.plan, nil)
	f.plan.Clients[0].Publish.Name, f.plan.Clients[0].Publish.Topic = "talk", "rooms"
	f.countOf("steady", results.CountSent, "talk", 600)
	f.audit.Reference = append(f.audit.Reference, results.TopicAudit{Topic: "rooms", Producer: "talk", Sent: 600, Acked: 600, InTopic: 600, Source: "final read"})
	return &f.audit.Reference[1]
}

// A run that lost its sends on the way into the topic must not pass, though every expected delivery arrived: once 490 of
// 600 were never acknowledged, and the verdict was that all was well.
func TestWhatIsNotTaken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		change  func(*fixture)
		verdict Verdict
		lines   []string // beside the account; the first is among the verdict's reasons where that is broken or none
	}{
		{"everything taken", func(f *fixture) { f.observed() }, VerdictPassed, nil},
		{"unanswered and written", func(f *fixture) { f.observed(); f.absent("steady", 0, 478, 478) }, VerdictPassed, nil},
		{"refused and unanswered", func(f *fixture) { f.observed(); f.absent("steady", 12, 478, 0) }, VerdictBroken, []string{
			"490 of 8,000 messages of feed (6.1%) never got into topic prices: 12 refused by Kafka; 478 never acknowledged and not there"}},
		{"some of the unanswered written", func(f *fixture) { f.observed(); f.absent("burst", 0, 478, 400) }, VerdictBroken, []string{
			"78 of 8,000 messages of feed (0.975%) never got into topic prices: 78 never acknowledged and not there"}},
		{"one", func(f *fixture) { f.observed(); f.absent("steady", 1, 0, 0) }, VerdictBroken, []string{
			"1 of 8,000 messages of feed (0.0125%) never got into topic prices: 1 refused by Kafka"}},
		{"in the warm-up alone", func(f *fixture) { f.observed(); f.absent(scenarios.PhaseWarmUp, 10, 30, 0) }, VerdictPassed, nil},
		{"in both, told apart by the observer", func(f *fixture) {
			f.observed()
			f.absent(scenarios.PhaseWarmUp, 10, 100, 60)
			f.absent("steady", 0, 400, 50)
		}, VerdictBroken, []string{"350 of 8,000 messages of feed (4.38%) never got into topic prices: 350 never acknowledged and not there"}},
		{"in both, and no observer to tell", func(f *fixture) {
			f.absent(scenarios.PhaseWarmUp, 0, 100, 60)
			f.absent("steady", 0, 400, 50)
		}, VerdictBroken, []string{
			"at least 290 of 8,000 messages of feed (3.62%) never got into topic prices: at least 290 never acknowledged and not there",
			"up to 390 of 8,000 messages of feed (4.88%) may never have got into topic prices: they were never acknowledged, and the topic as read back does not tell"}},
		{"acknowledged and gone besides", func(f *fixture) { f.observed(); f.absent("steady", 0, 20, 8); f.gone("steady", 5) }, VerdictBroken, []string{
			"12 of 8,000 messages of feed (0.15%) never got into topic prices: 12 never acknowledged and not there"}},
		{"acknowledged and gone in one of two phases", func(f *fixture) {
			f.observed()
			f.absent(scenarios.PhaseWarmUp, 0, 40, 0)
			f.absent("steady", 0, 20, 8)
			f.gone("steady", 5)
		}, VerdictBroken, []string{
			"at least 12 of 8,000 messages of feed (0.15%) never got into topic prices: at least 12 never acknowledged and not there",
			"up to 17 of 8,000 messages of feed (0.213%) may never have got into topic prices: they were never acknowledged, and the topic as read back does not tell"}},
		{"not read back in full", func(f *fixture) {
			f.observed()
			f.absent("steady", 0, 478, 0)
			f.audit.Reference[0].Incomplete = "the brokers are gone"
		}, VerdictNone, []string{
			"up to 478 of 8,000 messages of feed (6%) may never have got into topic prices: they were never acknowledged, and the topic as read back does not tell"}},
		{"no acknowledgement asked for", func(f *fixture) {
			f.plan.Producers[0].Acks = "none"
			f.observed()
			f.absent("steady", 0, 30, 0)
			f.count("steady", results.CountUndetermined, 3970) // all of them are open
			f.count("burst", results.CountUndetermined, 4000)
			f.count(scenarios.PhaseWarmUp, results.CountUndetermined, 1000)
		}, VerdictBroken, []string{"30 of 8,000 messages of feed (0.375%) never got into topic prices: 30 not there, and no acknowledgement was asked for"}},
		{"the send buffer full", func(f *fixture) {
			f.observed()
			f.absent("steady", 25, 0, 0)
			f.count("steady", results.CountOverflow, 20)
		}, VerdictBroken, []string{"25 of 8,000 messages of feed (0.312%) never got into topic prices: 5 refused by Kafka; " +
			"20 refused since the send buffer was full, for Kafka accepted nothing for longer than the producer's stall allows"}},
		{"clients refused", func(f *fixture) {
			r := talk(f)
			r.Acked, r.Refused, r.Unsettled, r.InTopic = 550, 45, 5, 550
			f.countOf("steady", results.CountRefused, "talk", 45)
			f.countOf("steady", results.CountOverflow, "talk", 3)
			f.countOf("steady", results.CountUndetermined, "talk", 5)
			f.countOf("steady", results.CountObserved, "talk", 550)
		}, VerdictBroken, []string{"the gateway did not take 50 of 600 messages of talk (8.3%) for topic rooms: 42 refused by the gateway, or the client " +
			"was not connected; 3 refused since too much of what their client had sent was unanswered; 5 never acknowledged and not there"}},
		// Three were refused and written all the same, and five unanswered ones are not there: the topic tells of two.
		{"clients refused by a gateway that wrote it", func(f *fixture) {
			r := talk(f)
			r.Acked, r.Refused, r.Unsettled, r.InTopic = 592, 3, 5, 595
			f.countOf("steady", results.CountRefused, "talk", 3)
			f.countOf("steady", results.CountUndetermined, "talk", 5)
			f.countOf("steady", results.CountObserved, "talk", 595)
		}, VerdictBroken, []string{
			"the gateway did not take at least 5 of 600 messages of talk (0.83%) for topic rooms: 3 refused by the gateway, or the client was not connected; " +
				"at least 2 never acknowledged and not there",
			"up to 5 of 600 messages of talk (0.83%) may never have got into topic rooms: they were never acknowledged, and the topic as read back does not tell"}},
		{"a run cut off", func(f *fixture) { f.observed(); f.absent("steady", 0, 478, 0); erring(f) }, VerdictNone, nil},
		{"a run killed", func(f *fixture) { f.observed(); f.absent("steady", 12, 478, 0); killed(f) }, VerdictBroken, []string{
			"12 of 8,000 messages of feed (0.15%) never got into topic prices: 12 refused by Kafka"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := passing()
			test.change(f)
			s := f.summarise(t)
			if got := notTakenLines(s.Audit.NotTaken); !slices.Equal(got, test.lines) {
				t.Errorf("got  %q\nwant %q", got, test.lines)
			}
			if s.Verdict != test.verdict || len(test.lines) > 0 && !slices.Contains(s.Reasons, test.lines[0]) {
				t.Errorf("got %s, %q; want %s", s.Verdict, s.Reasons, test.verdict)
			}
		})
	}
}

// Every report has what was not taken, and a pipeline that looks at the JUnit file alone fails by a case of that name.
func TestNotTakenIsShown(t *testing.T) {
	t.Parallel()
	f := passing()
	f.absent("steady", 12, 478, 0)
	s := f.summarise(t)
	const want = "490 of 8,000 messages of feed (6.1%) never got into topic prices: 12 refused by Kafka; 478 never acknowledged and not there"
	var terminal, markdown bytes.Buffer
	for out, write := range map[*bytes.Buffer]func(io.Writer) error{
		&terminal: func(w io.Writer) error { return Terminal(w, s, TerminalOptions{}) },
		&markdown: func(w io.Writer) error { return Markdown(w, s) },
	} {
		if err := write(out); err != nil {
			t.Fatal(err)
		}
	}
	page := renderHTML(t, f)
	for name, text := range map[string]string{
		"terminal": strings.Join(strings.Fields(terminal.String()), " "), "Markdown": markdown.String(), "HTML": page[strings.Index(page, `id="delivery"`):],
	} {
		if n := strings.Count(text, want); n == 0 || n != 2 && name == "terminal" {
			t.Errorf("%s: got %d times %q", name, n, want)
		}
	}
	suite, _ := junitOf(t, s)
	if got, want := outcomes(suite), []string{"run/verdict: failure", "delivery/audit.not_taken: failure"}; !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
	f.audit.Reference[0].Incomplete = "the brokers are gone"
	for _, in := range f.intervals {
		in.Counters = slices.DeleteFunc(in.Counters, func(c results.Counter) bool { return c.Name == results.CountRefused })
	}
	suite, _ = junitOf(t, f.summarise(t))
	if got, want := outcomes(suite), []string{"run/verdict: error", "delivery/audit.not_taken: skipped"}; !slices.Equal(got, want) {
		t.Errorf("not told: got %q; want %q", got, want)
	}
}

// What clients publish comes up through the gateway: what the topic shows as wrong of it is the gateway's or Kafka's, and
// breaks the contract whether anybody reads the topic or not.
func TestReferenceOfPublishersIsChargedToTheWayUp(t *testing.T) {
	t.Parallel()
	const by = " by the gateway or Kafka, on the way up from the clients of talk: topic rooms as read back "
	for _, test := range []struct {
		name   string
		change func(*fixture, *results.TopicAudit)
		want   string // empty: passed
	}{
		{"whole", func(*fixture, *results.TopicAudit) {}, ""},
		{"acknowledged and gone", func(_ *fixture, r *results.TopicAudit) { r.AckedGone, r.InTopic = 3, 597 }, "3 acknowledged messages were lost" + by + "lacks them"},
		{"doubled", func(_ *fixture, r *results.TopicAudit) { r.Doubled = 2 }, "2 messages were doubled" + by + "holds them twice"},
		{"doubled, as it may", func(f *fixture, r *results.TopicAudit) {
			f.plan.Gateway.Guarantees.Delivery, r.Doubled = "at-least-once", 2
		}, ""},
		{"reordered", func(_ *fixture, r *results.TopicAudit) { r.Reordered = 1 }, "1 message was reordered" + by + "has them so"},
		{"reordered, as it may", func(f *fixture, r *results.TopicAudit) {
			f.plan.Gateway.Guarantees.Ordered, r.Reordered = false, 1
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := passing()
			test.change(f, talk(f))
			s := f.summarise(t)
			if test.want == "" && s.Verdict != VerdictPassed || test.want != "" && (s.Verdict != VerdictBroken || !slices.Equal(s.Reasons, []string{test.want})) {
				t.Errorf("got %s, %q; want %q", s.Verdict, s.Reasons, test.want)
			}
		})
	}
}
