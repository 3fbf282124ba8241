package runner

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

// duringLoad calls f once, when some of the load has been delivered.
func duringLoad(f func()) testkit.Fault {
	var once sync.Once
	return func(d testkit.Delivery) testkit.Action {
		if d.Data && d.Nth == 5 {
			once.Do(f)
		}
		return testkit.Action{}
	}
}

// reference is the account of the topic as read back.
func reference(t *testing.T, s *report.Summary) results.TopicAudit {
	t.Helper()
	if len(s.Audit.Reference) != 1 {
		t.Fatalf("got %d references; want 1", len(s.Audit.Reference))
	}
	r := s.Audit.Reference[0]
	if r.Source != "final read" || r.Incomplete != "" {
		t.Errorf("the reference is the %s, incomplete %q; want a complete final read", r.Source, r.Incomplete)
	}
	return r
}

// TestRefusedSendsAreNotExpected: the broker's error proves that it wrote nothing. No client was to receive them, and the
// pipeline that did not take them does not pass.
func TestRefusedSendsAreNotExpected(t *testing.T) {
	t.Parallel()
	var p *pipeline
	p = newPipeline(t, testkit.Options{Fault: duringLoad(func() {
		p.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: testTopic, Err: kerr.MessageTooLarge, Count: 7})
	})})
	p.plan.Phases.DrainDeadline = 3 * time.Second
	s := p.run(t)
	r := reference(t, s)
	if r.Refused < 7 || r.Refused >= sent {
		t.Fatalf("got %d refused; want 7 at least, and not all", r.Refused)
	}
	want := results.TopicAudit{
		Topic: testTopic, Producer: "feed", Sent: sent, Acked: sent - r.Refused, Refused: r.Refused, InTopic: sent - r.Refused, Source: r.Source,
	}
	if r != want {
		t.Errorf("got the reference %+v; want %+v", r, want)
	}
	wantClasses(t, s, results.Classes{Expected: (sent - r.Refused) * followers})
	wantExit(t, s, report.ExitContractBroken)
	wantNotTaken(t, s, report.NotTaken{Refused: r.Refused})
	if got := s.Counters[results.CountRefused]; got != r.Refused {
		t.Errorf("the counters have %d refused; want %d", got, r.Refused)
	}
}

// wantNotTaken requires that the summary names exactly that as not taken of the feed.
func wantNotTaken(t *testing.T, s *report.Summary, want report.NotTaken) {
	t.Helper()
	want.Producer, want.Topic, want.Sent = "feed", testTopic, sent
	if got := s.Audit.NotTaken; len(got) != 1 || got[0] != want {
		t.Errorf("got %+v not taken; want %+v", got, want)
	}
}

// TestUnsettledSendsAreSettledByTheTopic: from some moment on one partition's leader appends and never says so. What
// was appended is expected and arrives; what never got there is not expected.
func TestUnsettledSendsAreSettledByTheTopic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  *kerr.Error
	}{
		{"not enough replicas after append", kerr.NotEnoughReplicasAfterAppend},
		{"timed out", kerr.RequestTimedOut},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var p *pipeline
			p = newPipeline(t, testkit.Options{Fault: duringLoad(func() {
				p.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: testTopic, Partitions: []int32{1}, Err: c.err, Count: -1})
			})})
			s := p.run(t)
			r := reference(t, s)
			if r.Unsettled == 0 || r.Acked+r.Unsettled != sent || r.Refused != 0 {
				t.Errorf("got %+v; want unsettled sends, and all others acked", r)
			}
			if r.InTopic <= r.Acked || r.AckedGone != 0 {
				t.Errorf("got %+v; want some of the unsettled in the topic, and none of the acked gone", r)
			}
			wantClasses(t, s, results.Classes{Expected: r.InTopic * followers})
			if absent := sent - r.InTopic; absent > 0 {
				wantNotTaken(t, s, report.NotTaken{Unanswered: absent, UnansweredMost: absent})
				wantExit(t, s, report.ExitContractBroken)
			} else if len(s.Audit.NotTaken) > 0 {
				t.Errorf("got %+v not taken; want nothing", s.Audit.NotTaken)
			}
		})
	}
}

// TestBrokerThatTakesNothingMoreBreaksTheVerdict: from some moment on every produce request ends its connection, for
// good. What was never written is expected nowhere, so that all that is expected arrives; most sends were lost all the same.
func TestBrokerThatTakesNothingMoreBreaksTheVerdict(t *testing.T) {
	t.Parallel()
	var p *pipeline
	p = newPipeline(t, testkit.Options{Fault: duringLoad(func() {
		p.kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			p.kafka.KeepControl()
			return nil, errors.New("the connection ends"), true
		})
	})})
	s := p.run(t)
	r := reference(t, s)
	if r.Unsettled == 0 || r.Refused != 0 || r.InTopic != r.Acked || r.Acked+r.Unsettled != sent {
		t.Fatalf("got the reference %+v; want unsettled sends that are not in the topic, and all others acked", r)
	}
	wantClasses(t, s, results.Classes{Expected: r.InTopic * followers})
	wantNotTaken(t, s, report.NotTaken{Unanswered: r.Unsettled, UnansweredMost: r.Unsettled})
	wantExit(t, s, report.ExitContractBroken)
}

// TestStalledBrokerShowsAsAckLatency: the schedule goes on while the broker answers nothing for a second.
func TestStalledBrokerShowsAsAckLatency(t *testing.T) {
	t.Parallel()
	const stall = time.Second
	var p *pipeline
	p = newPipeline(t, testkit.Options{Fault: duringLoad(func() {
		over, begin := after(stall)
		p.kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			begin()
			p.kafka.SleepControl(func() { <-over })
			return nil, nil, false
		})
	})})
	p.plan.Phases.Measure[0].Duration = 2 * testMeasure
	p.plan.Phases.DrainDeadline = 20 * time.Second // nothing is missing, so it ends when all has come
	s := p.run(t)
	wantClasses(t, s, results.Classes{Expected: 2 * sent * followers})
	for name, l := range map[string]report.Latency{"ack": s.Latency.Ack, "e2e": s.Latency.E2E, "kafka": s.Latency.Kafka} {
		if got := time.Duration(l.MaxNS); got < stall*9/10 {
			t.Errorf("max of %s: got %v; want about %v or more", name, got, stall)
		}
	}
	if got := time.Duration(s.Latency.SendLag.MaxNS); got > stall/2 {
		t.Errorf("max of send lag: got %v; the stall held up the schedule", got)
	}
	wantExit(t, s, report.ExitPassed)
}

// TestAckedAndGoneIsChargedToKafka: the leader acks batches and throws them away.
func TestAckedAndGoneIsChargedToKafka(t *testing.T) {
	t.Parallel()
	var p *pipeline
	p = newPipeline(t, testkit.Options{Fault: duringLoad(func() {
		p.kafka.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
			return acked(r.(*kmsg.ProduceRequest)), nil, true
		})
	})})
	p.plan.Producers[0].Acks = "leader" // an idempotent producer would notice
	s := p.run(t)
	r := reference(t, s)
	if r.AckedGone == 0 || r.Acked != sent || r.InTopic != sent-r.AckedGone {
		t.Fatalf("got the reference %+v; want all acked and some of them gone", r)
	}
	wantClasses(t, s, results.Classes{Lost: r.AckedGone * followers})
	wantExit(t, s, report.ExitContractBroken)
	if all := strings.Join(s.Reasons, "; "); s.Exit == report.ExitContractBroken && !strings.Contains(all, "by Kafka or producer feed, not by the gateway") {
		t.Errorf("got the reasons %q; want Kafka to be charged", s.Reasons)
	}
}

// acked is the answer that all of a produce request was written.
func acked(r *kmsg.ProduceRequest) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range r.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
		for _, part := range topic.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition = part.Partition
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// TestDoubledInTheTopicIsChargedToKafka: an append is not acked, and a producer without idempotence sends again.
func TestDoubledInTheTopicIsChargedToKafka(t *testing.T) {
	t.Parallel()
	var p *pipeline
	p = newPipeline(t, testkit.Options{Fault: duringLoad(func() {
		p.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: testTopic, Err: kerr.NotEnoughReplicasAfterAppend, Count: 5})
	})})
	p.plan.Phases.DrainDeadline = 20 * time.Second // the producer waits longer before each further attempt
	p.plan.Producers[0].Acks = "leader"
	s := p.run(t)
	r := reference(t, s)
	if r.Doubled == 0 || r.Acked != sent || r.InTopic != sent {
		t.Fatalf("got the reference %+v; want all acked and some doubled", r)
	}
	wantClasses(t, s, results.Classes{Duplicate: r.Doubled * followers, Reordered: r.Reordered * followers})
	wantExit(t, s, report.ExitContractBroken)
	if all := strings.Join(s.Reasons, "; "); s.Exit == report.ExitContractBroken && !strings.Contains(all, "by Kafka or producer feed, not by the gateway") {
		t.Errorf("got the reasons %q; want Kafka to be charged", s.Reasons)
	}
}

// TestAcksNone: nothing is ever acked, and the topic settles everything.
func TestAcksNone(t *testing.T) {
	t.Parallel()
	p := newPipeline(t, testkit.Options{Fault: every(10, testkit.Action{Do: testkit.Drop})})
	p.plan.Producers[0].Acks = "none"
	s := p.run(t)
	r := reference(t, s)
	if r.Acked != 0 || r.Unsettled != 0 || r.InTopic != sent {
		t.Errorf("got the reference %+v; want no ack and everything in the topic", r)
	}
	wantClasses(t, s, results.Classes{Lost: p.gateway.Counts().Dropped})
	wantExit(t, s, report.ExitContractBroken)
}
