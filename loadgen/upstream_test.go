package loadgen

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// chatPlan is a chat of two rooms: four clients publish to their room and read it, another reads everything.
func chatPlan(url string, seeds []string) *scenarios.Plan {
	p := enginePlan(url, seeds)
	p.Kafka.Topics[0].Partitions = 2
	p.Producers = nil
	p.Clients = []scenarios.ClientGroup{
		{
			Name: "chatters", Count: 4, ConnectRate: 1000, Reconnect: true, Subscribe: scenarios.Subscribe{Topic: "t", Keys: 1},
			Publish: &scenarios.Publish{
				Name: "talk", Topic: "t", Keys: 2, Rate: scenarios.Hold(50), Arrivals: scenarios.ArrivalsConstant,
				Size: scenarios.Size{Kind: scenarios.SizeFixed, Min: 100, Max: 100},
			},
		},
		{Name: "viewers", Count: 1, ConnectRate: 1000, Reconnect: true, Subscribe: scenarios.Subscribe{Topic: "t", All: true}},
	}
	return p
}

// chatMessages is how many messages chatPlan's clients publish, and chatReaders how many clients get each.
const (
	chatMessages = 60
	chatReaders  = 3
)

// chat is an engine under test with all that it recorded.
type chat struct {
	*Engine
	gateway  *testkit.Gateway
	counters map[countKey]int64
	series   map[seriesKey]int64 // how many values
}

func newChat(t *testing.T, change func(*scenarios.Plan), fault testkit.PublishFault) *chat {
	t.Helper()
	return dialChat(t, change, fault, nil)
}

func dialChat(t *testing.T, change func(*scenarios.Plan), fault testkit.PublishFault,
	dial func(ctx context.Context, network, addr string) (net.Conn, error),
) *chat {
	t.Helper()
	kafka := testkit.Kafka(t, 2, "t")
	c := &chat{counters: map[countKey]int64{}, series: map[seriesKey]int64{}}
	c.gateway = testkit.StartGateway(t, testkit.Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 2, PublishFault: fault})
	plan := chatPlan(c.gateway.URL(), kafka.ListenAddrs())
	if change != nil {
		change(plan)
	}
	var err error
	c.Engine, err = Start(t.Context(), Options{
		Plan: plan, Run: 77, Seeds: plan.Kafka.Seeds, URL: plan.Gateway.URL, Partitions: map[string]int{"t": 2},
		TopicName: func(s string) string { return s }, NetDial: dial,
		Sink: func(iv *results.Interval, _ []results.Event) error {
			for _, n := range iv.Counters {
				c.counters[countKey{n.Name, n.Label}] += n.Value
			}
			for i := range iv.Series {
				c.series[seriesKey{iv.Series[i].Stage, iv.Series[i].Label}] += iv.Series[i].Count()
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// run walks the phases and returns the account. ctx bounds what comes after the load.
func (c *chat) run(t *testing.T, ctx context.Context) (*results.Audit, *results.Health) {
	t.Helper()
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.drainToFinals(ctx)
	audit, health, err := c.Finish(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return audit, health
}

// drainToFinals drains until every stream has its final marker: where messages are missing a drain takes all the time it
// has, and nothing follows a marker here.
func (c *chat) drainToFinals(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil && c.producers[0].final.total.Load() > 0 {
			<-tick.C
		}
		cancel()
	})
	c.Drain(ctx)
}

// classes sums the account over the groups.
func classes(audit *results.Audit) (sum results.Classes) {
	for _, row := range audit.Rows {
		sum.Add(row.Classes)
	}
	return sum
}

// TestPublishedIsAccountedFor plants each of a gateway's faults on the way to Kafka three times, and the account names
// exactly that. A gateway that acknowledges before Kafka does, and loses what it acknowledged, is the first of them.
func TestPublishedIsAccountedFor(t *testing.T) {
	t.Parallel()
	const planted, all = 3, chatReaders * chatMessages
	whole := results.TopicAudit{Topic: "t", Producer: "talk", Sent: chatMessages, Acked: chatMessages, InTopic: chatMessages, Source: sourceFinalRead}
	for _, c := range []struct {
		name      string
		deed      testkit.PublishDeed
		reference func(*results.TopicAudit)
		rows      results.Classes // unseen merged into lost: which it is depends on what was published last
	}{
		{"passed on", testkit.PassOn, func(*results.TopicAudit) {}, results.Classes{Expected: all, Delivered: all}},
		{"acknowledged and lost", testkit.LosePublish,
			func(r *results.TopicAudit) { r.InTopic, r.AckedGone = chatMessages-planted, planted },
			results.Classes{Expected: all, Delivered: all - chatReaders*planted, Lost: chatReaders * planted}},
		{"written twice", testkit.DoublePublish,
			func(r *results.TopicAudit) { r.Doubled = planted },
			results.Classes{Expected: all, Delivered: all, Duplicate: chatReaders * planted}},
		{"reordered", testkit.DelayPublish,
			func(r *results.TopicAudit) { r.Reordered = planted },
			results.Classes{Expected: all, Delivered: all, Reordered: chatReaders * planted}},
		{"refused", testkit.RefusePublish,
			func(r *results.TopicAudit) {
				r.Acked, r.Refused, r.InTopic = chatMessages-planted, planted, chatMessages-planted
			},
			results.Classes{Expected: all - chatReaders*planted, Delivered: all - chatReaders*planted}},
		{"refused and written", testkit.LieAboutRefuse,
			func(r *results.TopicAudit) { r.Acked, r.Refused = chatMessages-planted, planted },
			results.Classes{Expected: all - chatReaders*planted, Delivered: all - chatReaders*planted, Stray: chatReaders * planted}},
		{"left open and written", testkit.LeaveOpen,
			func(r *results.TopicAudit) { r.Acked, r.Unsettled = chatMessages-planted, planted },
			results.Classes{Expected: all, Delivered: all}},
		{"never answered and written", testkit.Unanswered,
			func(r *results.TopicAudit) { r.Acked, r.Unsettled = chatMessages-planted, planted },
			results.Classes{Expected: all, Delivered: all}},
		{"never answered and lost", testkit.LoseUnanswered,
			func(r *results.TopicAudit) {
				r.Acked, r.Unsettled, r.InTopic = chatMessages-planted, planted, chatMessages-planted
			},
			results.Classes{Expected: all - chatReaders*planted, Delivered: all - chatReaders*planted}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			chat := newChat(t, nil, func(p testkit.Publish) testkit.PublishDeed {
				if slices.Contains([]int{5, 17, 30}, p.Nth) {
					return c.deed
				}
				return testkit.PassOn
			})

			audit, health := chat.run(t, t.Context())
			want := whole
			c.reference(&want)
			if len(audit.Reference) != 1 || audit.Reference[0] != want {
				t.Errorf("got the reference %+v\nwant %+v", audit.Reference, want)
			}
			got := classes(audit)
			got.Lost, got.Unseen = got.Lost+got.Unseen, 0
			if got != c.rows || len(audit.Defects) > 0 {
				t.Errorf("got  %+v, defects %q\nwant %+v", got, audit.Defects, c.rows)
			}
			if health.PlannedMessages != chatMessages || health.SentMessages != chatMessages || health.UnsentMessages != 0 {
				t.Errorf("got %+v; want all %d messages planned and sent", health, chatMessages)
			}
			label := results.Label{Phase: "m", Producer: "talk"}
			for name, n := range map[string]int64{
				results.CountSent: want.Sent, results.CountAcked: want.Acked, results.CountRefused: want.Refused,
				results.CountUndetermined: want.Unsettled, results.CountExpected: all, results.CountObserved: want.InTopic, results.CountOverflow: 0,
			} {
				if got := chat.counters[countKey{name, label}]; got != n {
					t.Errorf("%s: got %d; want %d", name, got, n)
				}
			}
			if got := chat.series[seriesKey{results.StageAck, label}]; got != want.Acked {
				t.Errorf("got %d acknowledgements timed; want %d", got, want.Acked)
			}
			trips := chat.series[seriesKey{results.StageRoundTrip, results.Label{Phase: "m", Group: "chatters", Producer: "talk"}}]
			if delivered := c.rows.Delivered + c.rows.Stray; trips != delivered/chatReaders {
				t.Errorf("got %d round trips; want %d: each client reads what it publishes", trips, delivered/chatReaders)
			}
		})
	}
}

// TestThrownOutPublisherGoesOn: a client whose connection ends before the answer comes back and goes on with its numbers.
// What was on its way is settled by the topic, what fell due meanwhile is refused and leaves no gap.
func TestThrownOutPublisherGoesOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		deed    testkit.PublishDeed
		written int64
	}{{"written", testkit.CloseAfter, 1}, {"not written", testkit.CloseBefore, 0}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			chat := newChat(t, func(p *scenarios.Plan) { p.Phases.Measure[0].Duration = time.Second }, func(p testkit.Publish) testkit.PublishDeed {
				if p.Nth == 20 {
					return c.deed
				}
				return testkit.PassOn
			})
			audit, _ := chat.run(t, t.Context())
			ref, did := audit.Reference[0], chat.gateway.PublishCounts()
			if ref.Sent != 200 || ref.Acked+ref.Refused+ref.Unsettled != ref.Sent || ref.Unsettled == 0 {
				t.Errorf("got %+v; want 200 sends, at least one of them unsettled", ref)
			}
			if ref.InTopic != did.Written || ref.AckedGone != 0 || ref.Doubled != 0 || ref.Reordered != 0 {
				t.Errorf("got %+v; want the %d that were written, in order", ref, did.Written)
			}
			if sum := classes(audit); sum.Expected != chatReaders*did.Written || sum.Delivered+sum.Missing() != sum.Expected || len(audit.Defects) > 0 {
				t.Errorf("got %+v, defects %q; want %d expected", sum, audit.Defects, chatReaders*did.Written)
			}
			lanes := chat.producers[0].up.lanes
			for i, l := range lanes {
				if sent, due := chat.producers[0].ledger.partSeq[i], l.tried; due != 50 || sent > due {
					t.Errorf("client %d: %d messages of %d due have numbers", i, sent, due)
				}
			}
			thrownOut := int64(0)
			for key, n := range chat.counters {
				if key.name == results.CountThrownOut {
					thrownOut += n
				}
			}
			if thrownOut != 1 {
				t.Errorf("got %d clients thrown out; want 1", thrownOut)
			}
		})
	}
}

// TestStuckGatewayHoldsNothingUp: a gateway stops reading. The schedule goes on, what can't be kept any more is refused,
// and the run ends, whether it has time left or not.
func TestStuckGatewayHoldsNothingUp(t *testing.T) {
	t.Parallel()
	for _, interrupted := range []bool{false, true} {
		t.Run(fmt.Sprintf("interrupted %v", interrupted), func(t *testing.T) {
			t.Parallel()
			small := func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				return conn, conn.(*net.TCPConn).SetWriteBuffer(4096) // so that little fills the kernel's buffers
			}
			chat := dialChat(t, func(p *scenarios.Plan) {
				p.Phases.DrainDeadline = missingDrain
				p.Clients[0].Publish.Rate = scenarios.Hold(500)
				p.Clients[0].Publish.Size = scenarios.Size{Kind: scenarios.SizeFixed, Min: 60_000, Max: 60_000}
			}, func(p testkit.Publish) testkit.PublishDeed {
				if p.Nth < 4 {
					return testkit.PassOn
				}
				return testkit.StopReading
			}, small)
			for _, l := range chat.producers[0].up.lanes {
				l.limit = 100_000 // the plan's own would outlast a stall of half a minute
			}
			if err := chat.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := chat.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if err := chat.Load(ctx); err != nil {
				t.Fatal(err)
			}
			if interrupted {
				cancel()
			}
			chat.Drain(ctx)
			audit, health, err := chat.Finish(ctx)
			if err != nil {
				t.Fatal(err)
			}
			ref := audit.Reference[0]
			if ref.Sent == 0 || ref.Acked > 4 || ref.Acked+ref.Refused+ref.Unsettled != ref.Sent {
				t.Errorf("got %+v; want at most 4 sends acknowledged and the others in the account", ref)
			}
			// An interrupt may cut a schedule short that the machine made late.
			if !interrupted && (ref.Sent != 600 || health.UnsentMessages != 0 || health.OverflowMessages == 0) || health.OverflowMessages > ref.Refused {
				t.Errorf("got %+v, %+v; want all 600 messages sent or refused, some since too much waited", ref, health)
			}
			if len(audit.Defects) > 0 {
				t.Errorf("got the defects %q; want none", audit.Defects)
			}
			if left := chat.producers[0].unanswered.Load(); left != 0 {
				t.Errorf("%d sends are in no account", left)
			}
		})
	}
}

// TestPublishersCloseAfterAnyVerb: whatever was called last, Close leaves nothing running. TestMain checks for leaks.
func TestPublishersCloseAfterAnyVerb(t *testing.T) {
	t.Parallel()
	for verbs := range 5 {
		t.Run(fmt.Sprint(verbs), func(t *testing.T) {
			chat := newChat(t, func(p *scenarios.Plan) { p.Clients[0].Publish.Think = &scenarios.Think{} }, nil)
			for _, verb := range []func() error{
				func() error { return chat.Connect(t.Context()) }, func() error { return chat.Join(t.Context()) },
				func() error { return chat.Load(t.Context()) }, func() error { chat.Drain(t.Context()); return nil },
			}[:verbs] {
				if err := verb(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestLoadEndsEarly: an interrupt ends the load, and what was published is in the account.
func TestLoadEndsEarly(t *testing.T) {
	t.Parallel()
	for _, think := range []bool{false, true} {
		t.Run(fmt.Sprintf("closed loop %v", think), func(t *testing.T) {
			t.Parallel()
			chat := newChat(t, func(p *scenarios.Plan) {
				p.Phases.Measure[0].Duration = time.Hour
				if think {
					p.Clients[0].Publish.Rate, p.Clients[0].Publish.Think = scenarios.Curve{}, &scenarios.Think{Mean: 5 * time.Millisecond}
				}
			}, nil)
			if err := chat.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := chat.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- chat.Load(ctx) }()
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for chat.gateway.PublishCounts().Acked < 20 {
				<-tick.C
			}
			cancel()
			if err := <-ended; err == nil {
				t.Error("got no reason for the load's end")
			}
			chat.Drain(t.Context())
			audit, _, err := chat.Finish(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ref := audit.Reference[0]
			if ref.Sent < 20 || ref.Acked != ref.Sent || ref.InTopic != ref.Sent {
				t.Errorf("got %+v; want all that was sent acknowledged and in the topic", ref)
			}
			if sum := classes(audit); sum != (results.Classes{Expected: chatReaders * ref.Sent, Delivered: chatReaders * ref.Sent}) {
				t.Errorf("got %+v; want all delivered", sum)
			}
		})
	}
}

// TestClosedLoop: a client's next message is due exactly its thought after the answer to its last, the first ones are
// spread over one thought, nothing is sent after the load's end, and nobody plans how many it will be.
func TestClosedLoop(t *testing.T) {
	t.Parallel()
	const thought = 20 * time.Millisecond
	chat := newChat(t, func(p *scenarios.Plan) {
		b := p.Clients[0].Publish
		b.Rate, b.Think = scenarios.Curve{}, &scenarios.Think{Mean: thought}
		p.Phases.Measure = []scenarios.MeasurePhase{{Name: "m", Duration: time.Second}, {Name: "n", Duration: 500 * time.Millisecond}}
	}, nil)
	audit, health := chat.run(t, t.Context())
	sent := audit.Reference[0].Sent
	if most := int64(4 * (1500/20 + 1)); sent < 4 || sent > most {
		t.Errorf("got %d messages; want at most %d, since a client thinks after each", sent, most)
	}
	if sum := classes(audit); sum != (results.Classes{Expected: chatReaders * sent, Delivered: chatReaders * sent}) || len(audit.Defects) > 0 {
		t.Errorf("got %+v, defects %q; want all %d delivered", sum, audit.Defects, chatReaders*sent)
	}
	if health.PlannedMessages != 0 || health.SentMessages != 0 || health.UnsentMessages != 0 {
		t.Errorf("got %+v; want nothing planned", health)
	}
}

// TestWhatCantBePublishedIsRefused: of a client that is not connected, or that has too much on its way, nothing goes out,
// so that its stream gets no gap; the one is no overflow, the other is.
func TestWhatCantBePublishedIsRefused(t *testing.T) {
	topo, err := newTopology(chatPlan("ws://h/", nil), 1, func(s string) string { return s }, map[string]int{"t": 2})
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPublisher(topo, 0, newRecorderPool())
	if err != nil {
		t.Fatal(err)
	}
	target, conn := testkit.TCPPair(t)
	defer target.Close()
	p.up.gathered.Store(true)
	l := p.up.lanes[3]
	out := newOutlet(conn, l.limit)
	check := func(what string, sent bool, numbered uint64, unnumbered, overflow int64) {
		t.Helper()
		if got := p.publish(l, 3, 0, 0, 0); got != sent {
			t.Errorf("%s: published %v; want %v", what, got, sent)
		}
		if p.ledger.partSeq[3] != numbered || p.ledger.unnumbered != unnumbered || p.acked.counts[ackRefused] != unnumbered || p.acked.counts[ackOverflow] != overflow {
			t.Errorf("%s: %d have numbers, %d none, %d refused, %d overflows; want %d, %d, %d, %d", what,
				p.ledger.partSeq[3], p.ledger.unnumbered, p.acked.counts[ackRefused], p.acked.counts[ackOverflow], numbered, unnumbered, unnumbered, overflow)
		}
	}
	check("not connected", false, 0, 1, 0)
	l.connect(out)
	check("connected", true, 1, 1, 0)
	l.most = 1
	check("one on its way", false, 1, 2, 1)
	p.publishMarker(KindJoin, l)
	if p.publishMarker(KindJoin, l); l.mark != l.lastID || l.lastID != firstPublishID+2 {
		t.Errorf("got marker %d of %d; want it not repeated before it is answered", l.mark, l.lastID)
	}
	l.answered(l.lastID, sendAcked, 5) // the marker's answer
	if got := p.unanswered.Load(); got != 1 || p.ledger.acked != 0 {
		t.Errorf("%d without an answer, %d acknowledged; want the marker's answer to be none of data", got, p.ledger.acked)
	}
	l.answered(l.lastID-1, sendAcked, 5)
	check("answered", true, 2, 2, 1)
	l.disconnect(out)
	if got := p.unanswered.Load(); got != 0 || len(p.ledger.unsettled) != 1 || p.ledger.acked != 1 {
		t.Errorf("%d without an answer, %d unsettled, %d acknowledged; want 0, 1, 1", got, len(p.ledger.unsettled), p.ledger.acked)
	}
	check("gone", false, 2, 3, 1)
}

// newTestLoop is the loop of a chat's clients that think.
func newTestLoop(t *testing.T, think scenarios.Think) (*closedLoop, []*lane) {
	t.Helper()
	plan := chatPlan("ws://h/", nil)
	plan.Clients[0].Publish.Think, plan.Clients[0].Publish.Rate = &think, scenarios.Curve{}
	plan.Phases.Measure = []scenarios.MeasurePhase{{Name: "m", Duration: 20 * time.Second}, {Name: "n", Duration: 20 * time.Second}}
	topo, err := newTopology(plan, 1, func(s string) string { return s }, map[string]int{"t": 2})
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPublisher(topo, 0, newRecorderPool())
	if err != nil {
		t.Fatal(err)
	}
	return p.up.loop, p.up.lanes
}

// TestNoAnswerDoesNotStopAClient: after ten seconds it thinks and goes on; an answer that comes later changes nothing.
func TestNoAnswerDoesNotStopAClient(t *testing.T) {
	l, lanes := newTestLoop(t, scenarios.Think{Mean: time.Second})
	for _, first := range l.ready {
		if first.due < 0 || first.due >= time.Second {
			t.Errorf("client %d's first message is due at %v; want it within one thought", first.client, first.due)
		}
	}
	l.ready = nil
	l.awaited[2], l.overdue = 1007, []thought{{2, 1007, int64(3 * time.Second)}}
	l.answer(thought{2, 1006, int64(4 * time.Second)}) // to a message that it does not wait for any more
	l.goOn(lanes, epoch{}, 3*time.Second+answerTimeout-1)
	if _, _, ok := l.due(); ok || l.next() != 3*time.Second+answerTimeout {
		t.Errorf("got %+v, something to do at %v; want nothing before the time is up", l.ready, l.next())
	}
	l.goOn(lanes, epoch{}, 3*time.Second+answerTimeout)
	if client, due, ok := l.due(); !ok || client != 2 || due != 3*time.Second+answerTimeout+time.Second {
		t.Errorf("got client %d at %v, %v; want client 2 a thought after its time was up", client, due, ok)
	}
	l.answer(thought{2, 1007, int64(15 * time.Second)})
	l.goOn(lanes, epoch{}, 15*time.Second)
	if len(l.ready) != 1 {
		t.Errorf("got %+v; want the late answer to change nothing", l.ready)
	}
}

// TestLateLookKeepsToThePhase: an answer of the phase before that is read late must not bring a message into it.
func TestLateLookKeepsToThePhase(t *testing.T) {
	l, lanes := newTestLoop(t, scenarios.Think{Mean: time.Second})
	l.ready, l.phase = nil, 1
	l.awaited[1] = 1001
	l.answer(thought{1, 1001, 100 + int64(18*time.Second)})
	l.goOn(lanes, epoch{unix: 100}, 21*time.Second)
	if _, due, _ := l.due(); due != 20*time.Second {
		t.Errorf("got %v; want the beginning of the phase that the stream is in", due)
	}
}

func TestThoughtsAreExponential(t *testing.T) {
	l, _ := newTestLoop(t, scenarios.Think{Mean: time.Second, Exponential: true})
	const n = 20_000
	sum, above := 0.0, 0
	for i := range uint64(n) {
		d := l.pause(int(i%4), i/4)
		sum += d.Seconds()
		if d > time.Second {
			above++
		}
	}
	if mean := sum / n; mean < 0.97 || mean > 1.03 {
		t.Errorf("got a mean of %.3f s; want 1", mean)
	}
	if share := float64(above) / n; share < 0.35 || share > 0.386 {
		t.Errorf("got %.3f above the mean; want 1/e", share)
	}
}

// TestPublishFrames: placeholders are filled in and escaped, and answers are told by their beginnings.
func TestPublishFrames(t *testing.T) {
	p := scenarios.ReferenceProfile()
	p.Publish.Frame = `{"a":{"b":{id},"{nothing}":"{channel}|{topic}|{key}|{client}","v":"{value}"}}`
	f := newPublishFrame(p.Publish)
	lane := f.text.lane(&terms{topic: `t"x`, key: "k3", channel: `t"x/k3`, client: `g\-0`})
	got := string(lane.append(nil, 1007, []byte("say \"hi\" \\ \n")))
	if want := `{"a":{"b":1007,"{nothing}":"t\"x/k3|t\"x|k3|g\\-0","v":"say \"hi\" \\ \u000a"}}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for text, want := range map[string]struct {
		outcome outcome
		id      uint64
		ok      bool
	}{
		`{"type":"published","id":1007,"partition":2,"offset":123}`: {sendAcked, 1007, true},
		`{"type":"refused","id":8,"code":"x"}`:                      {sendRefused, 8, true},
		`{"type":"undetermined","id":9}`:                            {sendUnsettled, 9, true},
		`{"type":"published"}`:                                      {sendAcked, 0, true},
		`{"type":"error","id":1}`:                                   {0, 0, false},
		``:                                                          {0, 0, false},
	} {
		outcome, id, ok := f.answer([]byte(text))
		if outcome != want.outcome || id != want.id || ok != want.ok {
			t.Errorf("%s: got %d, %d, %v; want %+v", text, outcome, id, ok, want)
		}
	}
	if got, want := string(f.withoutID([]byte(`{"type":"refused","id":8,"code":"x"}`))), `{"type":"refused","id":…,"code":"x"}`; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
	p.Publish.Refused, p.Publish.Failed = "", ""
	if _, _, ok := f.answer([]byte(`anything`)); ok {
		t.Error("an empty beginning matched")
	}
}

// TestLanesHaveTheirChannels: a client writes to its key's channel, and one without keys to the topic's, as the profile
// names them.
func TestLanesHaveTheirChannels(t *testing.T) {
	for keys, want := range map[int]string{0: "t||chat-3|t", 2: "t/k1|k1|chat-3|t"} {
		plan := chatPlan("ws://h/", nil)
		plan.Clients[0].Name, plan.Clients[0].Publish.Keys = "chat", keys
		plan.Gateway.Profile.Publish.Frame = "{channel}|{key}|{client}|{topic}"
		topo, err := newTopology(plan, 1, func(s string) string { return s }, map[string]int{"t": 2})
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPublisher(topo, 0, oneRecorder())
		if err != nil {
			t.Fatal(err)
		}
		if got := string(p.up.lanes[3].frame.append(nil, 1, nil)); got != want {
			t.Errorf("%d keys: got %s; want %s", keys, got, want)
		}
	}
}

func FuzzPublishFrame(f *testing.F) {
	f.Add(`{"id":{id},"v":"{value}"}`, `{"type":"published","id":18446744073709551615}`)
	f.Add(`{{{}`, ``)
	f.Fuzz(func(t *testing.T, frame, answer string) {
		p := scenarios.ReferenceProfile()
		p.Publish.Frame = frame
		pf := newPublishFrame(p.Publish)
		pf.text.lane(&terms{}).append(nil, 1, []byte(answer))
		pf.answer([]byte(answer))
		pf.withoutID([]byte(answer))
	})
}

// TestOutletKeepsFramesWhole: a reader that is slow makes the kernel take parts of frames, and pongs come in between from
// another goroutine. Every frame arrives whole, those of each writer in order.
func TestOutletKeepsFramesWhole(t *testing.T) {
	target, conn := testkit.TCPPair(t)
	defer target.Close()
	if err := conn.SetWriteBuffer(4096); err != nil {
		t.Fatal(err)
	}
	o := newOutlet(conn, 1<<30)
	const frames = 2000
	done := make(chan struct{})
	for writer := range 2 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range frames {
				payload := append([]byte{byte(writer), byte(i >> 8), byte(i)}, make([]byte, 700*(1-writer))...)
				if _, err := o.Write(appendServerFrame(nil, opBinary, payload)); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	var next [2]int
	var r frameReader
	buf := make([]byte, 1000)
	for next != [2]int{frames, frames} {
		n, err := target.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.feed(buf[:n], nil, func(f frame, _ bool) error {
			w := f.payload[0]
			if i := int(f.payload[1])<<8 | int(f.payload[2]); i != next[w] {
				return fmt.Errorf("writer %d: got frame %d; want %d", w, i, next[w])
			}
			next[w]++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	<-done
	<-done
	o.end()
	if _, err := o.Write([]byte("x")); err == nil {
		t.Error("an outlet that has ended took a frame")
	}
}

// appendServerFrame is a frame without a mask, which the generator's own reader takes.
func appendServerFrame(dst []byte, opcode byte, payload []byte) []byte {
	dst = append(dst, 0x80|opcode)
	if len(payload) < 126 {
		dst = append(dst, byte(len(payload)))
	} else {
		dst = append(dst, 126, byte(len(payload)>>8), byte(len(payload)))
	}
	return append(dst, payload...)
}

// TestPublishAllocatesNothing guards the hot path.
func TestPublishAllocatesNothing(t *testing.T) {
	target, conn := testkit.TCPPair(t)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		buf := make([]byte, 1<<16)
		for {
			if _, err := target.Read(buf); err != nil {
				return
			}
		}
	}()
	topo, err := newTopology(chatPlan("ws://h/", nil), 1, func(s string) string { return s }, map[string]int{"t": 2})
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPublisher(topo, 0, newRecorderPool())
	if err != nil {
		t.Fatal(err)
	}
	l := p.up.lanes[1]
	out := newOutlet(conn, l.limit)
	l.connect(out)
	i := uint64(0)
	got := testing.AllocsPerRun(1000, func() {
		p.publish(l, i, 0, 0, 0)
		l.answered(l.lastID, sendAcked, 1)
		i++
	})
	if got != 0 {
		t.Errorf("got %v allocations a message; want 0", got)
	}
	if p.ledger.acked != int64(i) {
		t.Errorf("got %d acknowledged; want %d", p.ledger.acked, i)
	}
	l.disconnect(out)
	_ = target.Close()
	<-drained
}

// TestStreamsAreThoseFollowed sets the layout of the streams against the definition: a message belongs to a stream of
// each client that follows its topic or its key, messages of one stream share it and no others do, and a stream that is
// expected is one that a message can have.
func TestStreamsAreThoseFollowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := drawPlan(t)
		partitions := map[string]int{}
		for _, topic := range plan.Kafka.Topics {
			partitions[topic.Name] = topic.Partitions
		}
		topo, err := newTopology(plan, 1, func(s string) string { return s }, partitions)
		if err != nil {
			t.Fatal(err)
		}
		for g := range topo.groups {
			for c := range plan.Clients[g].Count {
				checkStreams(t, topo, g, c)
			}
		}
	})
}

func checkStreams(t *rapid.T, topo *topology, g, c int) {
	group := &topo.groups[g]
	sub := topo.plan.Clients[g].Subscribe
	keys := scenarios.ClientKeys(sub, c, topo.plan.KeyCount(sub.Topic))
	found := map[int]streamKey{}
	for i, s := range topo.plan.Senders() {
		each := func(st Stamp, name streamKey) {
			st.Producer = uint32(i)
			follows := s.Topic == sub.Topic && (sub.All || st.Key != NoKey && slices.Contains(keys, int(st.Key)))
			at, _ := group.streamOf(c, &st)
			if (at >= 0) != follows {
				t.Fatalf("group %+v, client %d: stream %d of %+v; want it followed: %v", sub, c, at, st, follows)
			}
			if at < 0 {
				return
			}
			if got, ok := group.streamID(c, at); !ok || got != name || !topo.expects(group, c, at) {
				t.Fatalf("group %+v, client %d: stream %d is %+v, %v; want %+v, expected", sub, c, at, got, ok, name)
			}
			found[at] = name
		}
		byKey := !sub.All || topo.plan.Conflation(s.Topic) > 0
		switch {
		case s.Group >= 0:
			for p := range s.Clients {
				key := uint32(NoKey)
				if s.Keys.Kind != scenarios.KeysNone {
					key = uint32(p % s.Keys.Count)
				}
				each(Stamp{Partition: uint32(p), Key: key}, streamKey{i, false, p})
			}
		case s.Keys.Kind == scenarios.KeysNone:
			for p := range topo.producers[i].partitions {
				each(Stamp{Partition: uint32(p), Key: NoKey}, streamKey{i, false, p})
			}
		default:
			for k := range s.Keys.Count {
				p := topo.producers[i].choose.keyPartition[k]
				name := streamKey{i, byKey, k}
				if !byKey {
					name.id = int(p)
				}
				each(Stamp{Partition: p, Key: uint32(k)}, name)
			}
		}
	}
	expected := 0
	for at := range group.perClient {
		if topo.expects(group, c, at) {
			expected++
		}
	}
	if expected != len(found) {
		t.Fatalf("group %+v, client %d: %d streams are expected; want %d", sub, c, expected, len(found))
	}
}
