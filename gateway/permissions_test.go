package gateway

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"pgregory.net/rapid"

	"github.com/weirbench/weir/internal/settings"
)

func TestChannelPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, subject, name string
		want                   bool
	}{
		{"prices", "", "prices", true},
		{"prices", "", "prices/k7", false},
		{"prices", "", "pricesx", false},
		{"prices/*", "", "prices/k7", true},
		{"prices/*", "", "prices/", true},
		{"prices/*", "", "prices", false},
		{"prices/*", "", "prices/eu/k7", false},
		{"prices/**", "", "prices/eu/k7", true},
		{"*", "", "prices", true},
		{"*", "", "prices/k7", false},
		{"**", "", "prices/k7", true},
		{"*/k7", "", "prices/k7", true},
		{"*/k7", "", "a/b/k7", false},
		{"**/k7", "", "a/b/k7", true},
		{"a*b**c*d", "", "a1b/2/c3d", true},
		{"a*b**c*d", "", "a/b/2/c3d", false},
		{"**a*", "", "a/aaa/a", true},
		{"chat/{subject}", "bob", "chat/bob", true},
		{"chat/{subject}", "bob", "chat/bobby", false},
		{"chat/{subject}", "", "chat/", false},
		{"chat/{subject}", "", "chat/{subject}", false},
		{"chat/{subject}", "*", "chat/bob", false}, // a wildcard in a subject is none
		{"chat/{subject}/*", "**", "chat/**/x", true},
		{"", "", "", true},
		{"", "", "x", false},
	} {
		p, ok := newChannelPattern(tt.pattern, tt.subject)
		if got := ok && p.matches(tt.name); got != tt.want {
			t.Errorf("pattern %q of %q, channel %q: got %t; want %t", tt.pattern, tt.subject, tt.name, got, tt.want)
		}
	}
}

// Patterns match what the same regular expressions do.
func TestChannelPatternsAgainstRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "/", "*", "**"}), 0, 8).Draw(t, "pattern"), "")
		name := rapid.StringMatching(`[ab/]{0,10}`).Draw(t, "name")
		expr := regexp.QuoteMeta(text)
		expr = strings.ReplaceAll(expr, `\*\*`, `(?s:.*)`)
		expr = strings.ReplaceAll(expr, `\*`, `[^/]*`)
		p, _ := newChannelPattern(text, "")
		if got, want := p.matches(name), regexp.MustCompile(`\A(?:`+expr+`)\z`).MatchString(name); got != want {
			t.Errorf("pattern %q, name %q: got %t; want %t", text, name, got, want)
		}
	})
}

func TestRights(t *testing.T) {
	claims := map[string]any{
		"role": "trader", "groups": []any{"staff", json.Number("7"), []any{"nested"}}, "level": json.Number("3"), "vip": true,
	}
	can := func(channels, claim, value string) settings.Permission {
		return settings.Permission{Channels: []string{channels}, Claim: claim, Value: value, Subscribe: true}
	}
	for _, tt := range []struct {
		name        string
		permissions []settings.Permission
		action      action
		want        bool
	}{
		{"none at all", nil, actionSubscribe, true},
		{"anybody", []settings.Permission{can("prices", "", "")}, actionSubscribe, true},
		{"another action", []settings.Permission{can("prices", "", "")}, actionPublish, false},
		{"another channel", []settings.Permission{can("chat", "", "")}, actionSubscribe, false},
		{"claim", []settings.Permission{can("prices", "role", "trader")}, actionSubscribe, true},
		{"claim with another value", []settings.Permission{can("prices", "role", "admin")}, actionSubscribe, false},
		{"claim that is missing", []settings.Permission{can("prices", "team", "")}, actionSubscribe, false},
		{"list", []settings.Permission{can("prices", "groups", "staff")}, actionSubscribe, true},
		{"list with a number", []settings.Permission{can("prices", "groups", "7")}, actionSubscribe, true},
		{"list in a list", []settings.Permission{can("prices", "groups", "nested")}, actionSubscribe, false},
		{"number", []settings.Permission{can("prices", "level", "3")}, actionSubscribe, true},
		{"boolean", []settings.Permission{can("prices", "vip", "true")}, actionSubscribe, true},
		{"the second one", []settings.Permission{can("chat", "", ""), can("**", "role", "trader")}, actionSubscribe, true},
		{"presence", []settings.Permission{{Channels: []string{"chat", "prices"}, Presence: true}}, actionPresence, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			who := &identity{rights: rightsOf(tt.permissions, "bob", claims)}
			if got := who.permits(tt.action, "prices"); got != tt.want {
				t.Errorf("got %t; want %t", got, tt.want)
			}
		})
	}
}

// A client gets what a permission allows, and forbidden for all else, however it asks.
func TestPermissions(t *testing.T) {
	secret := writeSecret(t, testSecret)
	g := startOpen(t, func(c *Config) {
		c.Tokens = &settings.Tokens{HMACFile: secret}
		c.Permissions = []settings.Permission{
			{Channels: []string{"prices/{subject}/*"}, Subscribe: true},
			{Channels: []string{"orders/**"}, Claim: "role", Value: "trader", Publish: true},
		}
	})
	bob := g.dialAs(signHMAC(t, map[string]any{"sub": "bob", "role": "trader", "exp": inAnHour()}), "prices/bob/1")
	bob.send(`{"type":"subscribe","id":1,"channels":["prices/bob/2","prices/eve/1"]}`)
	if m := bob.read(); m.Code != string(ErrorForbidden) || m.Message != `channel "prices/eve/1": no permission allows it` {
		t.Errorf("subscribe to another's: got %s", m.Raw)
	}
	bob.send(`{"type":"subscribe","id":2,"channels":["nosuch"]}`)
	if m := bob.read(); m.Code != string(ErrorForbidden) {
		t.Errorf("subscribe to a topic that there is not: got %s; want forbidden, which does not tell", m.Raw)
	}
	bob.send(`{"type":"subscribe","id":3,"channels":["prices/bob/2"]}`)
	if m := bob.read(); m.Type != "subscribed" {
		t.Errorf("subscribe to one's own: got %s", m.Raw)
	}
	bob.publish(4, "orders/x", "v")
	bob.wantAnswer("published", 4, "")
	bob.publish(5, "chat/x", "v")
	bob.wantAnswer(answerRefused, 5, ErrorForbidden)
	eve := g.dialAs(signHMAC(t, map[string]any{"sub": "eve", "exp": inAnHour()}))
	eve.publish(1, "orders/x", "v")
	eve.wantAnswer(answerRefused, 1, ErrorForbidden)
	g.wantRefused(t, "token="+url.QueryEscape(signHMAC(t, map[string]any{"sub": "eve", "exp": inAnHour()}))+"&channel=prices/bob/1",
		nil, http.StatusForbidden, ErrorForbidden)
	if s := g.stats(); s.Subscriptions != 2 {
		t.Errorf("subscriptions: got %d; want bob's 2", s.Subscriptions)
	}
}

func inAnHour() int64 { return time.Now().Add(time.Hour).Unix() }

// dialAs connects with a token in the header.
func (g *gatewayUnderTest) dialAs(token string, channels ...string) *testClient {
	g.t.Helper()
	u := "ws://" + g.addr + "/ws?" + url.Values{"channel": channels}.Encode()
	ws, resp, err := websocket.DefaultDialer.Dial(u, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		g.t.Fatalf("dial: %v, %+v", err, resp)
	}
	resp.Body.Close()
	g.t.Cleanup(func() { ws.Close() })
	c := &testClient{t: g.t, ws: ws}
	c.read()
	if len(channels) > 0 {
		c.read()
	}
	return c
}

// wantRefused asks for a WebSocket and compares the refusal. It returns the answer's header.
func (g *gatewayUnderTest) wantRefused(t *testing.T, query string, header http.Header, status int, code ErrorCode) http.Header {
	t.Helper()
	ws, resp, err := websocket.DefaultDialer.Dial("ws://"+g.addr+"/ws?"+query, header)
	if err == nil {
		ws.Close()
		t.Fatalf("accepted; want %d %s", status, code)
	}
	if resp == nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body := make([]byte, 1024)
	n, _ := resp.Body.Read(body)
	var m received
	if err := json.Unmarshal(body[:n], &m); err != nil || resp.StatusCode != status || m.Code != string(code) {
		t.Errorf("got %s, %s; want %d, %s", resp.Status, body[:n], status, code)
	}
	return resp.Header
}
