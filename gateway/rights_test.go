package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/settings"
)

// naiveMatch is what a permission's pattern means, without any care for time.
func naiveMatch(pattern, subject, name string) bool {
	switch {
	case pattern == "":
		return name == ""
	case strings.HasPrefix(pattern, subjectMark):
		rest, ok := strings.CutPrefix(name, subject)
		return ok && subject != "" && naiveMatch(pattern[len(subjectMark):], subject, rest)
	case strings.HasPrefix(pattern, "**"):
		for i := range len(name) + 1 {
			if naiveMatch(pattern[2:], subject, name[i:]) {
				return true
			}
		}
		return false
	case pattern[0] == '*':
		for i := 0; ; i++ {
			if naiveMatch(pattern[1:], subject, name[i:]) {
				return true
			}
			if i == len(name) || name[i] == '/' {
				return false
			}
		}
	}
	return name != "" && name[0] == pattern[0] && naiveMatch(pattern[1:], subject, name[1:])
}

func FuzzPermissionMatcher(f *testing.F) {
	f.Add("chat/{subject}/**/a*", "bob", "chat/bob/x/y/ab")
	f.Add("***{subject}*", "*", "a/*b")
	f.Add("{subject}{subject}", "", "")
	f.Fuzz(func(t *testing.T, pattern, subject, name string) {
		if len(pattern) > 12 || strings.Count(pattern, "*") > 6 || len(name) > 16 || len(subject) > 8 {
			t.Skip()
		}
		p, ok := newChannelPattern(pattern, subject)
		got := ok && p.matches(name)
		want := naiveMatch(pattern, subject, name) && (subject != "" || !strings.Contains(pattern, subjectMark))
		if got != want {
			t.Errorf("pattern %q of %q, name %q: got %t; want %t", pattern, subject, name, got, want)
		}
	})
}

// A client's pattern is allowed only where each key that it reaches is.
func FuzzPatternReachesNoMore(f *testing.F) {
	f.Add("prices/eu-**", "bob", "eu-*", "eu-7/x")
	f.Add("prices/{subject}**", "*", "a*", "ab")
	f.Add("**", "", "*", "k")
	f.Add("prices/eu-*", "", "eu-*", "eu-/us")
	f.Fuzz(func(t *testing.T, permission, subject, pattern, key string) {
		if len(permission) > 20 || strings.Count(permission, "*") > 6 || len(key) > 16 {
			t.Skip()
		}
		who := &identity{rights: rightsOf([]settings.Permission{{Channels: []string{permission}, Subscribe: true}}, subject, nil)}
		if !who.permitsEvery(actionSubscribe, "prices/"+pattern) || !newGlob(pattern).matches(key) {
			return
		}
		if !naiveMatch(permission, subject, "prices/"+key) {
			t.Errorf("permission %q of %q allows pattern %q, which reaches %q", permission, subject, pattern, key)
		}
	})
}

// Each right is for itself: what one does not name is refused, with nothing done and with the reason.
func TestRightsAreApart(t *testing.T) {
	secret := writeSecret(t, testSecret)
	g := start(t, func(c *Config) {
		c.Tokens = &settings.Tokens{HMACFile: secret}
		c.Permissions = []settings.Permission{
			{Channels: []string{"prices/{subject}*", "prices/{subject}-**"}, Subscribe: true},
			{Channels: []string{"chat/**", "chat"}, Subscribe: true, Presence: true},
			{Channels: []string{"prices/count"}, Presence: true},
		}
	})
	bob := g.dialAs(signHMAC(t, map[string]any{"sub": "bob", "exp": inAnHour()}))
	for _, tt := range []struct{ request, want string }{
		{`{"type":"subscribe","channels":["prices/bob-1"]}`, ""},
		{`{"type":"subscribe","patterns":["prices/bob-*"]}`, ""},
		{`{"type":"subscribe","patterns":["prices/bob*"]}`, `pattern "prices/bob*": no permission allows all that it stands for`},
		{`{"type":"subscribe","patterns":["prices/*"]}`, `pattern "prices/*": no permission allows all that it stands for`},
		{`{"type":"subscribe","patterns":["prices/*bob-"]}`, `pattern "prices/*bob-": no permission allows all that it stands for`},
		{`{"type":"subscribe","channels":["prices"]}`, `channel "prices": no permission allows it`},
		{`{"type":"subscribe","channels":["/prices/bob-1"]}`, `channel "/prices/bob-1": no permission allows it`},
		{`{"type":"presence","channels":["chat","chat/x"]}`, ""},
		{`{"type":"presence","channels":["prices/count"]}`, ""},
		{`{"type":"presence","channels":["prices/bob-1"]}`, `channel "prices/bob-1": no permission allows it`},
		{`{"type":"presence","channels":["chat","prices/eve-1"]}`, `channel "prices/eve-1": no permission allows it`},
		{`{"type":"presence","channels":["prices"]}`, `channel "prices": no permission allows it`},
		{`{"type":"subscribe","channels":["prices/count"]}`, `channel "prices/count": no permission allows it`},
	} {
		bob.send(tt.request)
		switch m := bob.read(); {
		case tt.want == "" && m.Type == "error", tt.want != "" && (m.Code != string(ErrorForbidden) || m.Message != tt.want):
			t.Errorf("%s: got %s; want %q", tt.request, m.Raw, tt.want)
		}
	}
	if s := g.stats(); s.Subscriptions != 2 {
		t.Errorf("subscriptions: got %d; want the channel and the pattern", s.Subscriptions)
	}
}

// Who may have what comes once could go back to the first record that Kafka has kept, by positions of its own making.
func TestResumeIsARight(t *testing.T) {
	secret := writeSecret(t, testSecret)
	g := start(t, func(c *Config) {
		c.Tokens = &settings.Tokens{HMACFile: secret}
		c.Permissions = []settings.Permission{
			{Channels: []string{"prices/**", "chat"}, Subscribe: true},
			{Channels: []string{"prices/**"}, Claim: "role", Value: "trader", Resume: true},
			{Channels: []string{"prices/mine-**"}, Resume: true},
			{Channels: []string{"chat/**"}, Resume: true},
		}
	})
	g.produce(0, &kgo.Record{Key: []byte("k"), Value: []byte("old")})
	g.eventually("the record is read", func(s Stats) bool { return s.Records == 1 })
	as := func(role string) *testClient {
		return g.dialAs(signHMAC(t, map[string]any{"sub": "bob", "role": role, "exp": inAnHour()}))
	}
	guest := as("guest")
	guest.send(`{"type":"subscribe","id":1,"channels":["prices/p"],"positions":true}`)
	m := guest.read()
	epoch := m.Positions["prices"].Epoch
	if m.Type != "subscribed" || epoch == "" {
		t.Fatalf("positions, which are no history: got %s", m.Raw)
	}
	guest = as("guest") // resumes no topic in which it has a channel
	from := `"resume":{"prices":{"epoch":"` + epoch + `","next":{"0":0,"1":0,"2":0,"3":0}}}`
	const why = `: no permission allows to resume `
	for _, tt := range []struct{ names, want string }{
		{`"channels":["prices/k"]`, `channel "prices/k"` + why + `it (subscribe without its topic in resume)`},
		{`"channels":["prices/mine-1","prices/k"]`, `channel "prices/k"` + why + `it (subscribe without its topic in resume)`},
		{`"patterns":["prices/m*"]`, `pattern "prices/m*"` + why + `all that it stands for (subscribe without its topic in resume)`},
		{`"channels":["chat/x"]`, `channel "chat/x": no permission allows it`}, // the right to resume is none to subscribe
	} {
		guest.send(`{"type":"subscribe","id":2,` + tt.names + `,` + from + `}`)
		if m := guest.read(); m.Code != string(ErrorForbidden) || m.Message != tt.want {
			t.Errorf("%s: got %s; want %s", tt.names, m.Raw, tt.want)
		}
	}
	guest.send(`{"type":"subscribe","id":3,"channels":["chat"],"patterns":["prices/mine-*"],` + from + `}`)
	if m := guest.read(); m.Resumed == nil || !*m.Resumed {
		t.Errorf("what it may: got %s", m.Raw)
	}
	trader := as("trader")
	trader.send(`{"type":"subscribe","id":4,"channels":["prices/k"],` + from + `}`)
	if m := trader.read(); m.Resumed == nil || !*m.Resumed {
		t.Errorf("a trader: got %s; want resumed", m.Raw)
	}
	if m := trader.read(); string(m.Value) != "old" {
		t.Errorf("a trader: got %s; want the record", m.Raw)
	}
}

// Where clients say who they are, those of whom nobody knows it once shared one space of ids: one was told that its
// message is written, with the place of another's. Now they are told to leave the id out.
func TestMessageIDNeedsAnIdentity(t *testing.T) {
	secret := writeSecret(t, testSecret)
	g := startOpen(t, func(c *Config) { c.Tokens = &settings.Tokens{HMACFile: secret, Anonymous: true} })
	for _, c := range []*testClient{g.dial(), g.dialAs(signHMAC(t, map[string]any{"exp": inAnHour(), "jti": "t1"}))} {
		c.publishAs("m1", 1, "orders/k", "v")
		c.wantAnswer(answerRefused, 1, ErrorNoIdentity)
		c.publish(2, "orders/k", "v")
		c.wantAnswer("published", 2, "")
	}
	as := func(subject string) *testClient {
		return g.dialAs(signHMAC(t, map[string]any{"sub": subject, "exp": inAnHour()}))
	}
	for id, c := range []*testClient{as("ann"), as("bob"), as("ann")} {
		c.publishAs("m1", id, "orders/k", "v")
		if m := c.wantAnswer("published", id, ""); strings.Contains(string(m.Raw), "duplicate") != (id == 2) {
			t.Errorf("%d: got %s; want a duplicate of ann's alone", id, m.Raw)
		}
	}
	written(t, g.cluster, "orders", 4)
}

// A name that no message could give was accepted in the URL: its acknowledgement named another channel.
func TestChannelThatIsNotUTF8(t *testing.T) {
	g := start(t, nil)
	g.wantRefused(t, "channel="+url.QueryEscape("prices/\xff"), nil, http.StatusBadRequest, ErrorBadRequest)
	g.wantRefused(t, "channel=chat&channel=prices/%c3", nil, http.StatusBadRequest, ErrorBadRequest)
	g.dial("prices/\u00ff", "prices/\ufffd", "prices/\x00")
	if err := g.dialError("prices/a\xff"); err.Message != `channel "prices/a\xff": the name is not UTF-8` {
		t.Errorf("got %s", err.Raw)
	}
}

// dialError is what a handshake is refused with.
func (g *gatewayUnderTest) dialError(channel string) (m received) {
	g.t.Helper()
	g.get("/ws?"+url.Values{"channel": {channel}}.Encode(), &m)
	return m
}
