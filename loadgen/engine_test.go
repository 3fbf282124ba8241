package loadgen

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/scenarios"
)

// TestStuckSendsAreAllInTheAccount: Kafka answers everything but produce requests, and the run has no time left. Closing
// the producer's client then fails thousands of sends from a goroutine of the client's own; an account closed before
// those failures were booked had most of the sends neither acked nor unsettled, and called their deliveries unseen.
func TestStuckSendsAreAllInTheAccount(t *testing.T) {
	kafka := testkit.Kafka(t, 1, "t")
	gateway := testkit.StartGateway(t, testkit.Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1})
	plan := enginePlan(gateway.URL(), kafka.ListenAddrs())
	plan.Producers[0].Rate = scenarios.Hold(500_000)
	e := newTestEngine(t, plan)
	if err := e.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	defer close(release)
	kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		kafka.KeepControl()
		kafka.SleepControl(func() { <-release })
		return nil, nil, false
	})
	if err := e.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	audit, _, err := e.Finish(over)
	if err != nil {
		t.Fatal(err)
	}
	ref := audit.Reference[0]
	if ref.Sent == 0 || ref.Unsettled != ref.Sent {
		t.Errorf("got %d sends of which %d are unsettled; want all of them", ref.Sent, ref.Unsettled)
	}
	row := audit.Rows[0]
	if row.Expected != 2*ref.Sent || row.Undetermined != row.Expected || len(audit.Defects) > 0 {
		t.Errorf("got %+v, defects %q; want both clients' %d deliveries undetermined", row, audit.Defects, 2*ref.Sent)
	}
}

// TestMarkersThatKafkaDoesNotTake: the run can't begin, and the reason is told.
func TestMarkersThatKafkaDoesNotTake(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 1, "t")
	gateway := testkit.StartGateway(t, testkit.Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1})
	kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge, Count: -1})
	plan := enginePlan(gateway.URL(), kafka.ListenAddrs())
	plan.Phases.JoinDeadline = time.Second
	e := newTestEngine(t, plan)
	if err := e.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "Kafka has refused a marker", func() bool {
		p := e.producers[0]
		p.ackMu.Lock()
		defer p.ackMu.Unlock()
		return len(p.untaken.all) > 0
	})
	err := e.Join(t.Context())
	failed, ok := errors.AsType[*JoinError](err)
	if !ok || failed.Untaken == 0 || !strings.Contains(err.Error(), "Kafka did not take the markers of producer p: MESSAGE_TOO_LARGE") {
		t.Errorf("got %v; want the markers that Kafka did not take, and its error", err)
	}
}
