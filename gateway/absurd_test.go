package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// Positions that nobody can have are refused, or taken for what there is, and
// cost nothing that lasts.
func TestAbsurdPositions(t *testing.T) {
	g := start(t, nil)
	c := g.dial()
	c.send(`{"type":"subscribe","channels":["chat"],"positions":true}`)
	epoch := c.read().Positions["chat"].Epoch
	resume := func(next string) string {
		return fmt.Sprintf(`{"type":"subscribe","id":3,"channels":["chat/k"],"resume":{"chat":{"epoch":"%s","next":{%s}}}}`, epoch, next)
	}
	var many strings.Builder
	for p := range 4000 {
		fmt.Fprintf(&many, `"%d":1,`, p+4)
	}
	var topics strings.Builder
	for n := range 2000 {
		fmt.Fprintf(&topics, `"t%d":{"next":{"0":1}},`, n)
	}
	const wants = `{"0":{"first":0,"last":9223372036854775806}}`
	for _, tt := range []struct{ name, send, code, lost string }{
		{"negative partition", resume(`"-1":0`), "bad_request", ""},
		{"negative offset", resume(`"0":-1`), "bad_request", ""},
		{"offset of 2^63", resume(`"0":9223372036854775808`), "bad_request", ""},
		{"partition of 2^31", resume(`"2147483648":0`), "bad_request", ""},
		{"partition that is no number", resume(`"x":0`), "bad_request", ""},
		{"fraction", resume(`"0":0.5`), "bad_request", ""},
		{"offset of 2^63-1", resume(`"0":9223372036854775807`), "", wants},
		{"last partition", resume(`"2147483647":7`), "", "null"},
		{"thousands of partitions", resume(strings.TrimSuffix(many.String(), ",")), "", "null"},
		{"thousands of topics", strings.Replace(resume(`"0":0`), `"resume":{`, `"resume":{`+topics.String(), 1), "", "null"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := g.dial()
			c.t = t
			c.send(tt.send)
			m := c.read()
			if tt.code != "" {
				if m.Type != "error" || m.Code != tt.code {
					t.Errorf("got %.300s; want %s", m.Raw, tt.code)
				}
				return
			}
			lost := string(m.Lost["chat"])
			if lost == "" {
				lost = "null"
			}
			if m.Type != "subscribed" || lost != tt.lost || len(m.Positions["chat"].Next) != 4 || len(m.Positions) != 1 {
				t.Errorf("got %.300s; want 4 partitions and lost %s", m.Raw, tt.lost)
			}
			if m := c.read(); m.Type != "caught_up" {
				t.Errorf("got %.300s; want caught_up", m.Raw)
			}
			c.ws.Close()
		})
	}
}

// A client that resumes again and again while nothing gets done has so many requests, and no more.
func TestResumptionsAreBounded(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	h.replayer = newReplayer(&h.cfg, h.hub, nil)
	c := newMuteClient(nil, &h.cfg, h.hub)
	req := &request{Channels: []string{"prices/k"}, Resume: map[string]resumePositions{"prices": {}}}
	var first *resumption
	for n := range maxResumptions {
		r, err := h.subscribeNow(c, req)
		if r == nil || err != nil {
			t.Fatalf("request %d: got %v, %v; want a replay", n, r, err)
		}
		first = r
	}
	if r, err := h.subscribeNow(c, req); r != nil || err == nil || err.code != ErrorTooManyRequests {
		t.Errorf("one more: got %v, %v; want %s", r, err, ErrorTooManyRequests)
	}
	close(h.replayer.stopped)
	if err := h.replayer.begin(first); err == nil || err.code != ErrorShuttingDown {
		t.Errorf("at the end: got %v; want %s", err, ErrorShuttingDown)
	}
	if r, err := h.subscribeNow(c, req); r == nil || err != nil {
		t.Errorf("when one is done: got %v, %v; want a replay", r, err)
	}
}

// Names that are too long to be kept, questions that are too long to be answered
// under the hub's lock, and patterns in the URL are refused.
func TestAbsurdNames(t *testing.T) {
	g := start(t, func(c *Config) { c.Limits.ChannelsPerClient = 10 })
	c := g.dial()
	long, fits := strings.Repeat("k", maxKeyBytes+1), strings.Repeat("k", maxKeyBytes)
	for _, tt := range []struct{ name, send, want string }{
		{"channel", `{"type":"subscribe","channels":["prices/` + long + `"]}`, "bad_request"},
		{"pattern", `{"type":"subscribe","patterns":["prices/` + long + `"]}`, "bad_request"},
		{"presence", `{"type":"presence","channels":["prices/` + long + `"]}`, "bad_request"},
		{"many", `{"type":"presence","channels":["prices"` + strings.Repeat(`,"prices"`, 10) + `]}`, "too_many_channels"},
		{"fits", `{"type":"subscribe","channels":["prices/` + fits + `"]}`, ""},
	} {
		c.send(tt.send)
		if m := c.read(); m.Code != tt.want || len(m.Raw) > 2*maxKeyBytes {
			t.Errorf("%s: got %.200s; want %q", tt.name, m.Raw, tt.want)
		}
	}
	for _, query := range []string{"channel=%2Fprices%2Fk*", "channel=prices/" + long} {
		var refused received
		if status := g.get("/ws?"+query, &refused); status != http.StatusBadRequest || refused.Type != "error" {
			t.Errorf("%.40s: got %d %s", query, status, refused.Code)
		}
	}
	ws, resp, err := websocket.DefaultDialer.Dial("ws://"+g.addr+"/ws?patterns=prices/*&pattern=prices/*", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	ws.Close()
	if s := g.eventually("all but one are gone", func(s Stats) bool { return s.Connections == 1 }); s.Subscriptions != 1 {
		t.Errorf("subscriptions: got %d; want 1", s.Subscriptions)
	}
}
