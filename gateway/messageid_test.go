package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (c *testClient) publishAs(messageID string, id int, channel, value string) {
	c.t.Helper()
	c.send(fmt.Sprintf(`{"type":"publish","id":%d,"message_id":%q,"channel":%q,"value":%q}`, id, messageID, channel, value))
}

// A message that is sent again is written once and has the same answer: from
// another connection, too, and whatever else it holds.
func TestPublishTwice(t *testing.T) {
	g := startOpen(t, nil)
	c, other := g.dial(), g.dial()
	c.publishAs("m1", 1, "orders/k", "one")
	first := c.wantAnswer("published", 1, "")
	if strings.Contains(string(first.Raw), "duplicate") {
		t.Errorf("got %s; want no duplicate", first.Raw)
	}
	other.publishAs("m1", 2, "orders/k", "another")
	want := strings.Replace(strings.TrimSuffix(string(first.Raw), "}"), `"id":1`, `"id":2`, 1) + `,"duplicate":true}`
	if got := string(other.read().Raw); got != want {
		t.Errorf("sent again: got %s; want %s", got, want)
	}
	// Another id and another channel are others.
	c.publishAs("m2", 3, "orders/k", "two")
	c.wantAnswer("published", 3, "")
	c.publishAs("m1", 4, "orders/j", "three")
	c.wantAnswer("published", 4, "")
	if s := g.stats(); s.Published != 3 || s.PublishDuplicates != 1 || s.PublishIDs != 3 {
		t.Errorf("stats: %+v; want 3 published, 1 duplicate, 3 ids", s)
	}
	written(t, g.cluster, "orders", 3)
}

// One that is sent again while the first is on its way waits for it, though who
// sent the first is gone.
func TestPublishTwiceInFlight(t *testing.T) {
	g := startOpen(t, nil)
	arrived, release := holdProduce(t, g.cluster)
	c, other := g.dial(), g.dial()
	c.publishAs("m1", 1, "orders/k", "one")
	within10s(t, "a produce request", arrived)
	other.publishAs("m1", 1, "orders/k", "one")
	other.publishAs("m1", 2, "orders/k", "one")
	other.send(`{"type":"subscribe","id":9,"channels":["chat"]}`)
	other.wantAnswer("subscribed", 9, "")
	c.ws.Close()
	g.eventually("the first is gone", func(s Stats) bool { return s.Connections == 1 })
	release()
	for id := 1; id <= 2; id++ {
		if m := other.wantAnswer("published", id, ""); !strings.HasSuffix(string(m.Raw), `,"duplicate":true}`) {
			t.Errorf("got %s; want a duplicate", m.Raw)
		}
	}
	written(t, g.cluster, "orders", 1)
}

// A refused message may be sent again; of an undetermined one nothing more gets
// known.
func TestPublishTwiceAfterFailure(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		g := startOpen(t, nil)
		f := g.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "orders", Err: kerr.InvalidRecord, Count: 1})
		c := g.dial()
		c.publishAs("m1", 1, "orders/k", "one")
		c.wantAnswer(answerRefused, 1, ErrorKafka)
		f.Remove()
		c.publishAs("m1", 2, "orders/k", "one")
		if m := c.wantAnswer("published", 2, ""); strings.Contains(string(m.Raw), "duplicate") {
			t.Errorf("got %s; want a first", m.Raw)
		}
	})
	t.Run("undetermined", func(t *testing.T) {
		h := newTestHub(t, SlowDisconnect)
		ids := h.publisher.ids
		key := messageKey{"", "orders/k", "m1"}
		first, _ := ids.begin(key, waitingReply{}, time.Now())
		ids.settle(first, outcome{kind: answerUndetermined, reason: &requestError{ErrorKafka, "why"}}, time.Now())
		again, known := ids.begin(key, waitingReply{}, time.Now())
		if again != nil || known == nil {
			t.Fatalf("got %v, %v; want what is known", again, known)
		}
		const want = `{"type":"undetermined","code":"kafka","message":"why","duplicate":true}`
		if got := string(known.append(nil, nil, true)); got != want {
			t.Errorf("got %s; want %s", got, want)
		}
	})
}

// Ids are forgotten when their time is over, and before where there are too many.
func TestMessageIDsAreForgotten(t *testing.T) {
	var counters counters
	ids := newMessageIDs(time.Minute, &counters)
	now := time.Now()
	key := func(i int) messageKey { return messageKey{"", "orders", fmt.Sprint("m", i)} }
	known := func(i int, at time.Time) bool {
		first, o := ids.begin(key(i), waitingReply{}, at)
		if first != nil {
			ids.settle(first, outcome{kind: answerRefused}, at) // it is free again
		}
		return o != nil
	}
	publish := func(i int, at time.Time) {
		first, _ := ids.begin(key(i), waitingReply{}, at)
		if first == nil {
			t.Fatalf("id %d is known", i)
		}
		ids.settle(first, outcome{kind: answerPublished}, at)
	}
	publish(1, now)
	publish(2, now.Add(time.Second))
	if !known(1, now.Add(time.Minute-1)) || known(1, now.Add(time.Minute)) || !known(2, now.Add(time.Minute)) {
		t.Error("ids are not remembered for a minute each")
	}
	// One in flight is not forgotten, however long.
	inFlight, _ := ids.begin(key(3), waitingReply{}, now)
	if again, o := ids.begin(key(3), waitingReply{}, now.Add(time.Hour)); again != nil || o != nil {
		t.Error("one in flight is forgotten")
	}
	if waiting := ids.settle(inFlight, outcome{kind: answerPublished}, now.Add(time.Hour)); len(waiting) != 1 {
		t.Errorf("waiting: got %d; want 1", len(waiting))
	}
	later := now.Add(2 * time.Hour)
	ids.most = 3 * key(4).bytes()
	for i := 4; i < 8; i++ {
		publish(i, later)
	}
	if known(4, later) || !known(5, later) || !known(7, later) {
		t.Error("not the oldest alone is forgotten for want of memory")
	}
	if s := counters.stats(""); s.IDsForgotten != 1 || s.PublishIDs != 3 {
		t.Errorf("stats: %d forgotten, %d ids; want 1 and 3", s.IDsForgotten, s.PublishIDs)
	}
	if len(ids.byKey) != 3 || ids.bytes != ids.most {
		t.Errorf("%d keys of %d bytes; want 3 of %d", len(ids.byKey), ids.bytes, ids.most)
	}
}

// Who a client is is part of what an id is unique in, and of the keys that the
// gateway chooses.
func TestPublishersSubject(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	p := h.publisher
	p.topics = map[string]*openTopic{"orders": {name: "orders"}, "rooms": {name: "rooms"}, "log": {name: "log"}}
	p.cfg.Publish.Keys = map[string]string{"rooms": "user-{subject}", "log": "all"}
	tests := []struct {
		subject, channel, want string // the key, or what is wrong
	}{
		{"", "orders", "<nil>"}, {"", "orders/", ""}, {"ann", "orders/k/1", "k/1"},
		{"ann", "rooms", "user-ann"}, {"", "log", "all"},
		{"ann", "rooms/k", "bad_request"}, {"ann", "rooms/", "bad_request"}, {"", "rooms", "bad_request"}, {"", "log/k", "bad_request"},
		{"ann", "none", "not_open"},
	}
	for _, tt := range tests {
		_, key, refused := p.target(&client{who: &identity{subject: tt.subject}}, tt.channel)
		got := string(key)
		if key == nil {
			got = "<nil>"
		}
		if refused != nil {
			got = string(refused.code)
		}
		if got != tt.want {
			t.Errorf("%s to %s: got %s; want %s", tt.subject, tt.channel, got, tt.want)
		}
	}
}

func TestMessageIDField(t *testing.T) {
	long := strings.Repeat("x", maxMessageID)
	for _, tt := range []struct{ field, want string }{
		{`"a\u0062"`, "ab"}, {`"` + long + `"`, long}, {`null`, ""},
		{`""`, `field "message_id" has 0 bytes (from 1 to 64)`},
		{`"` + long + `x"`, `field "message_id" has 65 bytes (from 1 to 64)`},
		{`7`, `field "message_id" is not a string`},
	} {
		text := []byte(`{"type":"publish","message_id":` + tt.field + `,"channel":"r","value":"v"}`)
		say := func(f publishFields) string {
			r, refused := f.request()
			if refused != nil {
				return refused.message
			}
			return r.messageID
		}
		req, err := decodeRequest(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := say(req.publishFields()); got != tt.want {
			t.Errorf("%s: got %s; want %s", tt.field, got, tt.want)
		}
		if f, ok := scanPublish(text); ok && say(f) != tt.want {
			t.Errorf("%s, scanned: got %s; want %s", tt.field, say(f), tt.want)
		}
	}
}
