package loadgen

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/scrub"
	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// oddTarget is a WebSocket server that follows a topic and speaks as its functions say.
type oddTarget struct {
	// subscribed returns the channels that a handshake asks for.
	subscribed func(r *http.Request) []string
	// message takes a client's message; it may subscribe.
	message func(c *oddConn, opcode int, text string)
	// channel names a record's channel; frames makes frames of the records for one client.
	channel func(r *kgo.Record) string
	frames  func(values [][]byte) [][]byte
	opcode  int
	// send sends the values to one client where frames alone can't say how.
	send func(c *oddConn, values [][]byte)
	tls  *tls.Config // nil for plain text

	url      string
	upgrader websocket.Upgrader
	mu       sync.Mutex
	conns    map[*oddConn]bool
	past     []*oddConn // those that have ended
	requests []*http.Request
	closes   []int // codes of the clients' close frames
}

type oddConn struct {
	*websocket.Conn
	channels map[string]bool
	ready    bool
	// What a target counts of its own.
	wanted, got int
}

func startOddTarget(t *testing.T, seeds []string, o *oddTarget) *oddTarget {
	t.Helper()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ConsumeTopics("t"), kgo.FetchMaxWait(200*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.url, o.conns = "ws://"+listener.Addr().String()+"/base", map[*oddConn]bool{}
	if o.opcode == 0 {
		o.opcode = websocket.TextMessage
	}
	if o.tls != nil {
		o.url = "wss" + strings.TrimPrefix(o.url, "ws")
		listener = tls.NewListener(listener, o.tls)
	}
	life, end := context.WithCancel(context.Background())
	server := &http.Server{ReadHeaderTimeout: time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	var wg sync.WaitGroup
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		o.serve(w, r)
	})
	wg.Go(func() { _ = server.Serve(listener) })
	wg.Go(func() {
		for life.Err() == nil {
			o.deliver(kafka.PollFetches(life))
		}
	})
	t.Cleanup(func() {
		end()
		_ = server.Close()
		o.mu.Lock()
		for c := range o.conns {
			_ = c.Close()
		}
		o.mu.Unlock()
		wg.Wait()
		kafka.Close()
	})
	return o
}

func (o *oddTarget) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := o.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	c := &oddConn{Conn: conn, channels: map[string]bool{}, ready: true}
	o.mu.Lock()
	o.requests = append(o.requests, r)
	if o.subscribed != nil {
		for _, name := range o.subscribed(r) {
			c.channels[name] = true
		}
	}
	if o.message != nil {
		o.message(c, 0, "")
	}
	o.conns[c] = true
	o.mu.Unlock()
	for {
		opcode, text, err := conn.ReadMessage()
		o.mu.Lock()
		if err != nil {
			delete(o.conns, c)
			o.past = append(o.past, c)
			var closed *websocket.CloseError
			if errors.As(err, &closed) {
				o.closes = append(o.closes, closed.Code)
			}
			o.mu.Unlock()
			return
		}
		if o.message != nil {
			o.message(c, opcode, string(text))
		}
		o.mu.Unlock()
	}
}

func (o *oddTarget) deliver(fetches kgo.Fetches) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.conns {
		var values [][]byte
		fetches.EachRecord(func(r *kgo.Record) {
			if c.ready && c.channels[o.channel(r)] {
				values = append(values, r.Value)
			}
		})
		if o.send != nil {
			o.send(c, values)
			continue
		}
		frames := values
		if o.frames != nil && len(values) > 0 {
			frames = o.frames(values)
		}
		for _, f := range frames {
			_ = c.WriteMessage(o.opcode, f)
		}
	}
}

// runThrough runs the plan to its end and returns the account and what was told on the way.
func runThrough(t *testing.T, plan *scenarios.Plan, during func(e *Engine)) (*results.Audit, []*results.Interval, []results.Event) {
	t.Helper()
	var given, intervals []*results.Interval
	var events []results.Event
	e, err := Start(t.Context(), Options{
		Plan: plan, Run: 77, Seeds: plan.Kafka.Seeds, URL: plan.Gateway.URL, Partitions: map[string]int{"t": plan.Kafka.Topics[0].Partitions},
		TopicName: func(s string) string { return s },
		Sink: func(iv *results.Interval, evs []results.Event) error {
			kept := *iv
			kept.Series = nil
			for _, s := range iv.Series { // the engine's again once this returns
				var own results.Series
				if err := results.MergeSeries(&own, s); err != nil {
					return err
				}
				kept.Series = append(kept.Series, own)
			}
			given, intervals, events = append(given, iv), append(intervals, &kept), append(events, evs...)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, verb := range []func(context.Context) error{e.Connect, e.Join, e.Load} {
		if err := verb(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if during != nil {
		during(e)
	}
	e.Drain(t.Context())
	audit, _, err := e.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, iv := range given {
		if iv.Series != nil {
			t.Errorf("interval %d has %d series still; want none, the engine makes later ones in their memory", iv.Index, len(iv.Series))
		}
	}
	return audit, intervals, events
}

func byTopic(*kgo.Record) string { return "t" }

func channelByKey(r *kgo.Record) string { return "t:" + string(r.Key) }

// TestOddTargets: each speaks another way, and all is delivered to whom it is for, nothing else.
func TestOddTargets(t *testing.T) {
	t.Parallel()
	wrapped := func(values [][]byte) [][]byte {
		var lines [][]byte
		for _, v := range values {
			lines = append(lines, []byte(`{}`), fmt.Appendf(nil, `{"in":%d,"value":"%s","q":5}`, time.Now().UnixNano(), v), []byte("ok: nothing"))
		}
		return [][]byte{append(bytes.Join(lines, []byte("\n")), '\n')}
	}
	for _, c := range []struct {
		name    string
		profile scenarios.WireProfile
		keys    bool
		target  *oddTarget
	}{
		{"bare", scenarios.BareProfile(), false, &oddTarget{channel: byTopic, subscribed: func(*http.Request) []string { return []string{"t"} }}},
		{"path and query", scenarios.WireProfile{
			KeyChannel: "{topic}:{key}", Path: "rooms/{client}", Query: []scenarios.Pair{{Name: "ch", Value: "{channel}"}}, Subprotocol: "odd.v1",
		}, true, &oddTarget{
			channel: channelByKey, upgrader: websocket.Upgrader{Subprotocols: []string{"odd.v1"}}, opcode: websocket.BinaryMessage,
			subscribed: func(r *http.Request) []string {
				if !strings.HasPrefix(r.URL.Path, "/base/rooms/g-") || r.Header.Get("Sec-Websocket-Protocol") != "odd.v1" {
					return nil
				}
				return r.URL.Query()["ch"]
			},
		}},
		{"a frame a channel, binary", scenarios.WireProfile{KeyChannel: "{topic}:{key}", Greet: []string{"hello"}, Subscribe: "+{channel}", Binary: true}, true, &oddTarget{
			channel: channelByKey, message: func(c *oddConn, opcode int, text string) {
				if name, ok := strings.CutPrefix(text, "+"); ok && opcode == websocket.BinaryMessage && c.ready {
					c.channels[name] = true
				}
				c.ready = c.ready && text != "" || text == "hello" || text == ""
			},
		}},
		{"several messages a frame, pings among them", scenarios.WireProfile{
			Channel: "{topic}", Subscribe: "{channels}", Separator: "\n", Ping: "{}", Pong: "pong", Control: []string{"ok:"}, ReceivedAt: `"in":`, QueuedAt: `"q":`,
		}, false, &oddTarget{channel: byTopic, frames: wrapped, message: func(c *oddConn, opcode int, text string) {
			switch text {
			case "":
				c.ready = false
				_ = c.WriteMessage(websocket.TextMessage, []byte("ok: you\n{}"))
			case `["t"]`:
				c.channels["t"] = true
			case "pong": // nothing comes to who does not answer
				c.ready = true
			}
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			kafka := testkit.Kafka(t, 1, "t")
			target := startOddTarget(t, kafka.ListenAddrs(), c.target)
			plan := enginePlan(target.url, kafka.ListenAddrs())
			plan.Gateway.Profile = c.profile
			want := results.Classes{Expected: 60, Delivered: 60}
			if c.keys {
				plan.Producers[0].Keys = scenarios.Keys{Kind: scenarios.KeysRoundRobin, Count: 5}
				plan.Clients[0].Subscribe = scenarios.Subscribe{Topic: "t", Keys: 2}
				want = results.Classes{Expected: 24, Delivered: 24}
			}
			audit, intervals, events := runThrough(t, plan, nil)
			if len(audit.Rows) != 1 || audit.Rows[0].Classes != want || len(audit.Defects) > 0 || audit.NeverJoinedCount > 0 {
				t.Errorf("got %+v, defects %q; want %+v; events %v", audit.Rows, audit.Defects, want, events)
			}
			stages := map[results.Stage]int64{}
			for _, iv := range intervals {
				for _, s := range iv.Series {
					stages[s.Stage] += s.Count()
				}
			}
			if c.profile.QueuedAt != "" && (stages[results.StageGatewayIn] != 60 || stages[results.StageGatewayOut] != 0) {
				t.Errorf("got %v; want each message's own time of reception, and no time of the message before", stages)
			}
		})
	}
}

// TestSecretIsNowhere: the target gets the token and tells it back in every way it has.
func TestSecretIsNowhere(t *testing.T) {
	const canary = `canary-"7f3a-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789`
	const inQuery = "query-canary &=%9c1d-0123456789-0123456789"
	t.Setenv("WEIR_TEST_CANARY", canary)
	t.Setenv("WEIR_TEST_QUERY_CANARY", inQuery)
	kafka := testkit.Kafka(t, 1, "t")
	var once sync.Map
	target := startOddTarget(t, kafka.ListenAddrs(), &oddTarget{channel: byTopic, subscribed: func(r *http.Request) []string {
		if r.Header.Get("Authorization") != "Bearer "+canary || r.URL.Query().Get("token") != "v1-"+inQuery {
			return nil
		}
		return []string{"t"}
	}, message: func(c *oddConn, _ int, _ string) {
		if _, again := once.LoadOrStore(c.RemoteAddr().String(), true); again {
			return
		}
		for _, text := range []string{"err: " + canary, "err: " + strings.Repeat("x", 180) + canary, "note: " + canary, canary, "err: " + inQuery, "err: " + url.QueryEscape(inQuery)} {
			_ = c.WriteMessage(websocket.TextMessage, []byte(text))
		}
	}})
	plan := enginePlan(target.url, kafka.ListenAddrs())
	plan.Phases.DrainDeadline = missingDrain
	plan.Gateway.Profile = scenarios.WireProfile{
		Name: "odd", Refusal: "err:", Notice: "note:",
		Headers: []scenarios.HandshakeHeader{{Name: "Authorization", Value: "Bearer ", Secret: &scenarios.Secret{Env: "WEIR_TEST_CANARY"}}},
		Query:   []scenarios.Pair{{Name: "token", Value: "v1-", Secret: &scenarios.Secret{Env: "WEIR_TEST_QUERY_CANARY"}}},
	}
	_, _, events := runThrough(t, plan, func(*Engine) {
		target.mu.Lock()
		defer target.mu.Unlock()
		for c := range target.conns {
			_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4000, (" you said " + canary)[:60]), time.Now().Add(time.Second))
		}
	})
	target.mu.Lock()
	defer target.mu.Unlock()
	if len(target.requests) == 0 || target.requests[0].Header.Get("Authorization") != "Bearer "+canary ||
		target.requests[0].URL.Query().Get("token") != "v1-"+inQuery {
		t.Fatal("the target did not get the tokens")
	}
	all := fmt.Sprint(events)
	for _, want := range []string{"refused a request: err: [secret]", "told a client: note: [secret]"} {
		if !strings.Contains(all, want) {
			t.Errorf("got %s; want %q in it", all, want)
		}
	}
	if i := strings.Index(all, canary[:8]); i >= 0 {
		t.Errorf("the secret is in %q", all[i:])
	}
	if i := strings.Index(all, inQuery[:8]); i >= 0 {
		t.Errorf("the query's secret is in %q", all[i:])
	}
	if i := strings.Index(all, url.QueryEscape(inQuery)[:8]); i >= 0 {
		t.Errorf("the query's secret is in %q", all[i:])
	}
	// A dial's error quotes what a server answered.
	plan.Gateway.URL, plan.Phases.ConnectDeadline = testkit.StrangerTCP(t, canary+"\r\n\r\n"), 300*time.Millisecond
	err := newTestEngine(t, plan).Connect(t.Context())
	if err == nil || !strings.Contains(err.Error(), scrub.Hidden) || strings.Contains(err.Error(), canary[:8]) {
		t.Errorf("got %v; want it without the secret", err)
	}
}

// TestClientsComeAndGo: a curve and churn over real connections. The account holds, nothing is lost, leaving is no
// disconnect, and the target sees close frames with 1000.
func TestClientsComeAndGo(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 1, "t")
	target := startOddTarget(t, kafka.ListenAddrs(), &oddTarget{channel: byTopic, subscribed: func(*http.Request) []string { return []string{"t"} }})
	plan := enginePlan(target.url, kafka.ListenAddrs())
	plan.Gateway.Profile = scenarios.BareProfile()
	plan.Clients = []scenarios.ClientGroup{
		{Name: "curve", Count: 4, ConnectRate: 1000, Subscribe: scenarios.Subscribe{Topic: "t", All: true}, Reconnect: true},
		{Name: "churn", Count: 4, ConnectRate: 1000, Subscribe: scenarios.Subscribe{Topic: "t", All: true}, Reconnect: true,
			Churn: &scenarios.Churn{Session: 500 * time.Millisecond, Away: 200 * time.Millisecond}},
		{Name: "late", Count: 2, ConnectRate: 1000, Subscribe: scenarios.Subscribe{Topic: "t", All: true}, Reconnect: true},
	}
	plan.Phases.Measure = []scenarios.MeasurePhase{
		{Name: "m", Duration: 800 * time.Millisecond, Clients: map[string]scenarios.Curve{
			"curve": {Kind: scenarios.CurveSteps, From: 4, To: 1, Steps: 2}, "late": scenarios.Hold(0),
		}},
		{Name: "n", Duration: 1200 * time.Millisecond, Clients: map[string]scenarios.Curve{"curve": {Kind: scenarios.CurveRamp, From: 1, To: 4}}},
	}
	// Clients that are there at the end close with 1000 too: who has left is looked at before.
	audit, intervals, events := runThrough(t, plan, func(e *Engine) {
		if e.swarm.early != 8 {
			t.Errorf("%d clients were there before the load; want 8", e.swarm.early)
		}
		target.awaitClose(t, websocket.CloseNormalClosure)
	})
	sum := map[string]int64{}
	expected := int64(0)
	for _, r := range audit.Rows {
		expected += r.Expected
		if r.Lost+r.Unseen+r.Shed+r.Duplicate+r.Stray+r.Foreign+r.Corrupt+r.Reordered != 0 {
			t.Errorf("got %+v; want nothing but deliveries and what was on its way", r)
		}
	}
	for _, iv := range intervals {
		for _, c := range iv.Counters {
			sum[c.Name] += c.Value
		}
	}
	if len(audit.Defects) > 0 || sum[results.CountThrownOut] != 0 || sum[results.CountConnectFail] != 0 {
		t.Errorf("got defects %q, %v; events %v", audit.Defects, sum, events)
	}
	if sum[results.CountLeft] < 3 || sum[results.CountConnected] <= 8 {
		t.Errorf("got %v; want at least the 3 that leave by the curve, and somebody coming beside the first 8", sum)
	}
	if sum[results.CountExpected] != expected {
		t.Errorf("while the run went %d were expected, in the end %d", sum[results.CountExpected], expected)
	}
}

// awaitClose waits until a client has closed its connection with the code.
func (o *oddTarget) awaitClose(t *testing.T, code int) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprintf("a client closes with code %d", code), func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return slices.Contains(o.closes, code)
	})
}

// TestGroupsOfOneName: their figures are one group's, and their clients are told apart.
func TestGroupsOfOneName(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 1, "t")
	gateway := testkit.StartGateway(t, testkit.Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1})
	plan := enginePlan(gateway.URL(), kafka.ListenAddrs())
	plan.Clients = append(plan.Clients, plan.Clients[0], scenarios.ClientGroup{Name: "silent", Count: 1, ConnectRate: 100})
	audit, intervals, _ := runThrough(t, plan, nil)
	want := results.AuditRow{Phase: "m", Group: "g", Producer: "p", Classes: results.Classes{Expected: 120, Delivered: 120}}
	if len(audit.Rows) != 1 || audit.Rows[0] != want || audit.ClientsTotal != 4 {
		t.Errorf("got %+v of %d clients; want %+v alone, of 4", audit.Rows, audit.ClientsTotal, want)
	}
	var names []string
	for _, c := range audit.Worst {
		names = append(names, c.Client)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"g/0", "g/1", "g/2", "g/3"}) {
		t.Errorf("got the clients %v", names)
	}
	for _, iv := range intervals {
		seen := map[seriesKey]bool{}
		for _, s := range iv.Series {
			key := seriesKey{s.Stage, s.Label}
			if seen[key] {
				t.Errorf("%v is there twice in one interval", key)
			}
			seen[key] = true
		}
	}
}
