package loadgen

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// joinedProfile has clients ask once for all their channels and wait for "ok".
func joinedProfile() scenarios.WireProfile {
	return scenarios.WireProfile{Channel: "{topic}", KeyChannel: "{topic}/{key}", Subscribe: "{channels}", Joined: "ok"}
}

// joinedTarget acknowledges subscriptions. Once it has been given data it does so after so many more messages.
type joinedTarget struct {
	*oddTarget
	begun          bool
	delay          int
	dropped, marks int
	drop           func(s *Stamp) bool
}

func startJoinedTarget(t *testing.T, seeds []string, j *joinedTarget) *joinedTarget {
	j.oddTarget = &oddTarget{channel: byTopic, message: func(c *oddConn, _ int, text string) {
		if text != `["t"]` {
			return
		}
		c.channels["t"], c.wanted = true, 0
		if j.begun {
			c.wanted = j.delay
		}
		if c.wanted == 0 {
			_ = c.WriteMessage(websocket.TextMessage, []byte("ok, you have joined"))
		}
	}, send: func(c *oddConn, values [][]byte) {
		var s Stamp
		for _, v := range values {
			if at, err := s.FindStamp(v, 0); at < 0 || err != nil {
				continue
			}
			j.begun = j.begun || s.Kind == KindData
			if s.Kind == KindJoin {
				j.marks++
			}
			if s.Kind == KindData && j.drop != nil && j.drop(&s) {
				j.dropped++
				continue
			}
			_ = c.WriteMessage(websocket.TextMessage, v)
			if c.wanted > 0 && s.Kind == KindData {
				if c.wanted--; c.wanted == 0 {
					_ = c.WriteMessage(websocket.TextMessage, []byte("ok, you have joined"))
				}
			}
		}
	}}
	startOddTarget(t, seeds, j.oddTarget)
	return j
}

// TestFirstMessageAfterTheAnswerLost: a join marker would have come behind it, and hidden it.
func TestFirstMessageAfterTheAnswerLost(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 1, "t")
	target := &joinedTarget{}
	target.drop = func(s *Stamp) bool { return s.PartSeq == 0 && target.dropped == 0 }
	startJoinedTarget(t, kafka.ListenAddrs(), target)
	plan := enginePlan(target.url, kafka.ListenAddrs())
	plan.Phases.DrainDeadline = missingDrain
	plan.Gateway.Profile = joinedProfile()
	audit, _, events := runThrough(t, plan, nil)
	want := results.Classes{Expected: 60, Delivered: 59, Lost: 1}
	if len(audit.Rows) != 1 || audit.Rows[0].Classes != want || len(audit.Defects) > 0 || audit.NeverJoinedCount > 0 {
		t.Errorf("got %+v, defects %q; want %+v; events %v", audit.Rows, audit.Defects, want, events)
	}
	if target.marks > 0 {
		t.Errorf("the target was given %d join markers; want none", target.marks)
	}
}

// TestAnswerDelayed: a client that comes during the load is answered five messages later. Those are early, all that is
// sent after the answer is expected, and everything is there.
func TestAnswerDelayed(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 1, "t")
	target := startJoinedTarget(t, kafka.ListenAddrs(), &joinedTarget{delay: 5})
	plan := enginePlan(target.url, kafka.ListenAddrs())
	plan.Gateway.Profile = joinedProfile()
	late := plan.Clients[0]
	late.Name = "late"
	plan.Clients = append(plan.Clients, late)
	plan.Phases.Measure = []scenarios.MeasurePhase{
		{Name: "m", Duration: 300 * time.Millisecond, Clients: map[string]scenarios.Curve{"late": scenarios.Hold(0)}},
		{Name: "n", Duration: 700 * time.Millisecond},
	}
	audit, intervals, events := runThrough(t, plan, nil)
	sum, expected, live := map[string]results.Classes{}, int64(0), int64(0)
	for _, r := range audit.Rows {
		all := sum[r.Group]
		all.Add(r.Classes)
		sum[r.Group] = all
		expected += r.Expected
	}
	for _, iv := range intervals {
		for _, c := range iv.Counters {
			if c.Name == results.CountExpected {
				live += c.Value
			}
		}
	}
	there, came := sum["g"], sum["late"]
	if there != (results.Classes{Expected: 200, Delivered: 200}) || len(audit.Defects) > 0 || audit.NeverJoinedCount > 0 {
		t.Errorf("got %+v, defects %q; want all 200; events %v", there, audit.Defects, events)
	}
	if came.Early < 10 || came != (results.Classes{Expected: came.Expected, Delivered: came.Expected, Early: came.Early}) {
		t.Errorf("got %+v; want at least 10 early, and all that is expected delivered", came)
	}
	if live != expected {
		t.Errorf("while the run went %d were expected, in the end %d", live, expected)
	}
}

// TestClientsComeAndGoByAnswers: churn on the reference protocol, whose promise is kept: nothing is lost.
func TestClientsComeAndGoByAnswers(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 1, "t")
	gateway := testkit.StartGateway(t, testkit.Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1})
	plan := enginePlan(gateway.URL(), kafka.ListenAddrs())
	plan.Gateway.Profile.Joined = `{"type":"subscribed"`
	plan.Clients[0].Count = 6
	plan.Clients[0].Churn = &scenarios.Churn{Session: 300 * time.Millisecond, Away: 100 * time.Millisecond}
	plan.Phases.Measure[0].Duration = time.Second
	audit, _, events := runThrough(t, plan, nil)
	for _, r := range audit.Rows {
		want := results.Classes{Expected: r.Expected, Delivered: r.Expected - r.Undetermined, Undetermined: r.Undetermined, Early: r.Early}
		if r.Classes != want {
			t.Errorf("got %+v; want %+v; events %v", r.Classes, want, events)
		}
	}
	if len(audit.Rows) != 1 || len(audit.Defects) > 0 || audit.NeverJoinedCount > 0 {
		t.Errorf("got %+v, defects %q, never joined %q", audit.Rows, audit.Defects, audit.NeverJoined)
	}
}

// joiningEngine has clients that are not connected and are told what a target would send.
func joiningEngine(t *testing.T, profile scenarios.WireProfile, sub scenarios.Subscribe) *Engine {
	t.Helper()
	plan := enginePlan("ws://127.0.0.1:1/", testkit.Kafka(t, 1, "t").ListenAddrs())
	plan.Gateway.Profile, plan.Phases.JoinDeadline = profile, time.Millisecond
	plan.Producers[0].Keys = scenarios.Keys{Kind: scenarios.KeysRoundRobin, Count: 4}
	plan.Clients[0].Subscribe = sub
	e := newTestEngine(t, plan)
	for _, c := range e.swarm.clients {
		e.swarm.begin(c)
	}
	return e
}

// told has a client get a message at the given time.
func (s *swarm) told(client int, text string, arrivedAt int64) {
	c := s.clients[client]
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	c.worker.takeMessage(c, []byte(text), arrivedAt, true)
}

// TestAnswerNeverComes: the deadline names the clients, and a join marker does not stand in.
func TestAnswerNeverComes(t *testing.T) {
	e := joiningEngine(t, joinedProfile(), scenarios.Subscribe{Topic: "t", All: true})
	e.swarm.told(0, "ok", 5)
	e.swarm.told(1, "not ok", 5)
	e.swarm.told(1, string(stamped(Stamp{Kind: KindJoin, Run: e.topo.run, Key: 0}, 100, 0)), 5)
	err := e.Join(t.Context())
	failed, ok := errors.AsType[*JoinError](err)
	if !ok || failed.Missing != 1 || failed.Clients != 2 ||
		!strings.Contains(err.Error(), `1 of 2 clients never got the answer to their subscription, which begins with "ok" (g/1 (0 of 1 answers))`) {
		t.Errorf("got %v; want the client without an answer", err)
	}
	e.swarm.told(1, "ok", 5)
	if err := e.Join(t.Context()); err != nil {
		t.Errorf("got %v; want all to have joined", err)
	}
	if n := e.producers[0].join.total.Load(); n != 0 {
		t.Errorf("%d streams wait for join markers; want none", n)
	}
}

// TestAnswerToEachChannel: a client has joined when as many answers came as it asked for channels; those that came before
// it asked, and those that the profile calls refusals, do not count.
func TestAnswerToEachChannel(t *testing.T) {
	profile := joinedProfile()
	profile.Subscribe, profile.Joined, profile.Refusal = "+{channel}", "+", "+no"
	e := joiningEngine(t, profile, scenarios.Subscribe{Topic: "t", Keys: 3})
	s, c := e.swarm, e.swarm.clients[0]
	lacks := func(want string) {
		t.Helper()
		names, _ := s.neverJoined(1)
		if got := strings.Join(names, ""); got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
	s.told(0, "+t/a", 9)
	lacks("g/0 (1 of 3 answers)")
	s.begin(c) // what the session before was told does not count
	c.talk.askedAt = 10
	s.told(0, "+t/a", 9)
	s.told(0, "+t/a", 10)
	s.told(0, "+no", 11)
	s.told(0, "+t/b", 11)
	lacks("g/0 (2 of 3 answers)")
	s.told(0, "+t/c", 12)
	lacks("g/1 (0 of 3 answers)")
	if c.answeredAt != 12 {
		t.Errorf("answered at %d; want 12", c.answeredAt)
	}
}

// TestSilentWithoutAnswers: no markers are in Kafka, and the silence is told all the same, until somebody is answered.
func TestSilentWithoutAnswers(t *testing.T) {
	e := joiningEngine(t, joinedProfile(), scenarios.Subscribe{Topic: "t", All: true})
	e.swarm.told(0, "huh?", 5)
	start := time.Unix(1000, 0)
	s := silence{swarm: e.swarm, after: 5 * time.Second}
	for _, at := range []time.Duration{0, 4 * time.Second} {
		if err := s.look(start.Add(at)); err != nil {
			t.Errorf("after %v: got %v; want patience", at, err)
		}
	}
	err := s.look(start.Add(5 * time.Second))
	for _, want := range []string{
		`for 5s 2 clients have been connected and none has an answer that begins with "ok"`,
		"(a) 1 messages came without a stamp", "huh?", "(b) the profile's subscribe", "(c) its answer to a subscription begins otherwise",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %q in it", err, want)
		}
	}
	e.swarm.told(1, "ok", 5)
	if err := s.look(start.Add(time.Minute)); err != nil {
		t.Errorf("got %v; want nothing, since a client was answered", err)
	}
}

// TestAnswerBeforeTheQuestion: what comes with the handshake's answer acknowledges a subscription by URL and no other.
func TestAnswerBeforeTheQuestion(t *testing.T) {
	for subscribe, want := range map[string]int{"": 1, "{channels}": 0} {
		profile := joinedProfile()
		profile.Subscribe = subscribe
		e := joiningEngine(t, profile, scenarios.Subscribe{Topic: "t", All: true})
		c := e.swarm.clients[0]
		err := e.swarm.takeEarly(c, 7, []byte("ok"), func(p []byte) error {
			c.worker.takeMessage(c, p, time.Now().UnixNano(), true)
			return nil
		})
		if err != nil || int(c.talk.answers) != want {
			t.Errorf("subscribe %q: got %d answers, %v; want %d", subscribe, c.talk.answers, err, want)
		}
		e.swarm.told(0, "ok", 8)
		if c.trackers[0].flag&flagJoined == 0 {
			t.Errorf("subscribe %q: the client has not joined", subscribe)
		}
	}
}

// TestJoinedProfileErrors: an answer that can't be told from a refusal, and STOMP.
func TestJoinedProfileErrors(t *testing.T) {
	for _, c := range []struct {
		profile scenarios.WireProfile
		want    string
	}{
		{scenarios.WireProfile{Joined: `{"id":2,"sub`, Refusal: `{"id":2`}, "gateway.profile.joined: every answer that begins with"},
		{scenarios.WireProfile{Channel: "{topic}", Joined: "RECEIPT", Framing: framingSTOMP}, "gateway.profile.joined: STOMP has no answer"},
	} {
		plan := enginePlan("ws://127.0.0.1:1/", nil)
		plan.Gateway.Profile = c.profile
		if _, err := compileProfile(plan); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v; want %q in it", err, c.want)
		}
	}
}

// TestSocketIOAnswers: each channel's event is answered by one, and nothing counts before the namespace is there.
func TestSocketIOAnswers(t *testing.T) {
	kafka := testkit.Kafka(t, 1, "t")
	target := startOddTarget(t, kafka.ListenAddrs(), &oddTarget{
		channel:    func(r *kgo.Record) string { return string(r.Key) },
		subscribed: func(*http.Request) []string { return nil },
		message: func(c *oddConn, _ int, text string) {
			switch {
			case text == "":
				_ = c.WriteMessage(websocket.TextMessage, []byte(`42["joined"]`))
				_ = c.WriteMessage(websocket.TextMessage, []byte(`0{"sid":"x"}`))
			case strings.HasPrefix(text, "40"):
				_ = c.WriteMessage(websocket.TextMessage, []byte(`40{"sid":"y"}`))
			case strings.HasPrefix(text, `42["join","`):
				c.channels[strings.TrimSuffix(strings.TrimPrefix(text, `42["join","`), `"]`)] = true
				_ = c.WriteMessage(websocket.TextMessage, []byte(`42["joined"]`))
			}
		},
		frames: func(values [][]byte) (frames [][]byte) {
			for _, v := range values {
				frames = append(frames, append(append([]byte(`42["m","`), v...), `"]`...))
			}
			return frames
		},
	})
	plan := enginePlan(target.url, kafka.ListenAddrs())
	plan.Gateway.Profile = scenarios.WireProfile{KeyChannel: "{key}", Framing: framingSocketIO, Event: "join", Joined: `42["joined"`}
	plan.Producers[0].Keys = scenarios.Keys{Kind: scenarios.KeysRoundRobin, Count: 5}
	plan.Clients[0].Subscribe = scenarios.Subscribe{Topic: "t", Keys: 2}
	audit, _, events := runThrough(t, plan, nil)
	want := results.Classes{Expected: 24, Delivered: 24}
	if len(audit.Rows) != 1 || audit.Rows[0].Classes != want || len(audit.Defects) > 0 || audit.NeverJoinedCount > 0 {
		t.Errorf("got %+v, defects %q; want %+v; events %v", audit.Rows, audit.Defects, want, events)
	}
}
