package loadgen

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirbench/weir/scenarios"
)

// profiledSwarm is a swarm of the plan that is not connected to anything.
func profiledSwarm(t *testing.T, plan *scenarios.Plan) *swarm {
	t.Helper()
	same := func(s string) string { return s }
	topo, err := newTopology(plan, 1, same, map[string]int{"t": 1})
	if err != nil {
		t.Fatal(err)
	}
	var producers []*producer
	var seen [][]*sightings
	for i := range topo.producers {
		shape := &topo.producers[i]
		keys := shape.keys
		producers = append(producers, &producer{shape: shape, join: newPending(1, keys), final: newPending(1, keys), ledger: newLedger(1, keys)})
		seen = append(seen, []*sightings{newSightings(2)})
	}
	s, err := newSwarm(topo, Options{Plan: plan, URL: plan.Gateway.URL, TopicName: same, Workers: 1}, producers, seen, oneRecorder())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keyedPlan has a group of clients that follow two keys each.
func keyedPlan(profile scenarios.WireProfile) *scenarios.Plan {
	plan := enginePlan("ws://127.0.0.1:1/ws?v=1", nil)
	plan.Gateway.Profile = profile
	plan.Producers[0].Keys = scenarios.Keys{Kind: scenarios.KeysRoundRobin, Count: 4}
	plan.Clients[0].Subscribe = scenarios.Subscribe{Topic: "t", Keys: 2}
	return plan
}

// sent is the payloads of client frames, each with its opcode before it.
func sent(t *testing.T, frames []byte) (texts []string) {
	t.Helper()
	for len(frames) > 0 {
		n, head := int(frames[1]&0x7f), 2
		if n == 126 {
			n, head = int(frames[2])<<8|int(frames[3]), 4
		}
		mask, payload := frames[head:head+4], slices.Clone(frames[head+4:head+4+n])
		for i := range payload {
			payload[i] ^= mask[i&3]
		}
		texts = append(texts, string('0'+rune(frames[0]&0x0f))+string(payload))
		frames = frames[head+4+n:]
	}
	return texts
}

func TestGreetings(t *testing.T) {
	centrifugo := scenarios.WireProfile{
		Name: "c", Channel: "{topic}", KeyChannel: "{topic}:{key}", Greet: []string{`{"connect":{"name":"{client}"}}`, `hello {topic}`},
		Subscribe: `{"subscribe":{"channel":"{channel}","key":"{key}"}}`, Binary: true,
	}
	odd := centrifugo
	odd.KeyChannel = `"{key}"\{client}`
	for _, c := range []struct {
		name    string
		profile scenarios.WireProfile
		want    []string
	}{
		{"reference", scenarios.ReferenceProfile(), []string{`1{"type":"subscribe","id":1,"channels":["t/k2","t/k3"]}`}},
		{"bare", scenarios.BareProfile(), nil},
		{"one frame a channel, binary", centrifugo, []string{
			`2{"connect":{"name":"g-1"}}`, `2hello t`, `2{"subscribe":{"channel":"t:k2","key":"k2"}}`, `2{"subscribe":{"channel":"t:k3","key":"k3"}}`,
		}},
		{"escaped", odd, []string{
			`2{"connect":{"name":"g-1"}}`, `2hello t`, `2{"subscribe":{"channel":"\"k2\"\\g-1","key":"k2"}}`, `2{"subscribe":{"channel":"\"k3\"\\g-1","key":"k3"}}`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := profiledSwarm(t, keyedPlan(c.profile))
			if got := sent(t, s.greeting(s.clients[1])); !slices.Equal(got, c.want) {
				t.Errorf("got %q; want %q", got, c.want)
			}
		})
	}
}

// TestGreetingOfAPublisher: a client that follows nothing subscribes to nothing.
func TestGreetingOfAPublisher(t *testing.T) {
	plan := keyedPlan(scenarios.ReferenceProfile())
	plan.Gateway.Profile.Greet = []string{"I am {client} and follow {channels}"}
	plan.Gateway.Profile.Query = []scenarios.Pair{{Name: "channel", Value: "{channel}"}}
	plan.Clients[0].Subscribe = scenarios.Subscribe{}
	s := profiledSwarm(t, plan)
	if got, want := sent(t, s.greeting(s.clients[1])), []string{"1I am g-1 and follow []"}; !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
	if got, want := s.callOf(s.clients[1]).url, plan.Gateway.URL; got != want {
		t.Errorf("got the URL %s; want %s", got, want)
	}
}

func TestURLs(t *testing.T) {
	profile := scenarios.WireProfile{
		Name: "u", Channel: "{topic}", KeyChannel: "{topic}/{key}?", Path: "/rooms/{client}/{topic}",
		Query: []scenarios.Pair{{Name: "ch&", Value: "x {channel}"}, {Name: "all", Value: "{channels}"}},
	}
	s := profiledSwarm(t, keyedPlan(profile))
	u, err := url.Parse(s.callOf(s.clients[0]).url)
	if err != nil {
		t.Fatal(err)
	}
	if u.Path != "/ws/rooms/g-0/t" {
		t.Errorf("got the path %q", u.Path)
	}
	want := url.Values{"v": {"1"}, "ch&": {"x t/k0?", "x t/k1?"}, "all": {`["t/k0?","t/k1?"]`}}
	if got := u.Query(); got.Encode() != want.Encode() {
		t.Errorf("got the query %v; want %v", got, want)
	}
	plan := keyedPlan(profile)
	plan.Gateway.Profile.Path, plan.Gateway.Profile.Query = "{channel}", nil
	plan.Clients[0].Subscribe.Keys = 1
	s = profiledSwarm(t, plan)
	if got, want := s.callOf(s.clients[1]).url, "ws://127.0.0.1:1/ws/t%2Fk1%3F?v=1"; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
	if got, want := s.callOf(s.clients[1]).shown, "ws://127.0.0.1:1/ws/{channel}?v=1"; got != want {
		t.Errorf("errors name %s; want %s", got, want)
	}
}

// TestProfileErrorsNameTheField: all of them at once.
func TestProfileErrorsNameTheField(t *testing.T) {
	plan := keyedPlan(scenarios.WireProfile{
		Channel: "{key}", KeyChannel: "{channel}", Path: "a b/{channel}", Query: []scenarios.Pair{{Value: "x"}},
		Headers: []scenarios.HandshakeHeader{
			{Name: "a b"}, {Name: "sec-websocket-key"}, {Name: "X", Value: "a\nb"}, {Name: "Y", Value: "{key}"},
		},
		Subprotocol: "a,b", Greet: []string{"{channel}"}, Subscribe: "{channel}", Control: []string{""}, Ping: "p",
	})
	_, err := compileProfile(plan)
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{
		"channel: only", "key_channel: only", "key_channel: clients of group g", "path: \"a b/{channel}\" is not", "path: {channel} and {key} stand for one",
		"query[0]", "headers[0]", "headers[1]", "headers[2]", "headers[3]", "subprotocol", "greet[0]", "control[0]", "pong",
	} {
		if !strings.Contains(err.Error(), "gateway.profile."+want) {
			t.Errorf("got %v; want it to name %s", err, want)
		}
	}
	if got := strings.Count(err.Error(), "\n") + 1; got != 14 {
		t.Errorf("got %d errors; want 14", got)
	}
	plan.Gateway.Profile = scenarios.WireProfile{Subscribe: "{channels}", Path: "a?b", Pong: "p"}
	plan.Clients[0].Subscribe = scenarios.Subscribe{Topic: "t", All: true}
	_, err = compileProfile(plan)
	for _, want := range []string{"channel: clients of group g", "path: \"a?b\" holds", "ping"} {
		if err == nil || !strings.Contains(err.Error(), "gateway.profile."+want) {
			t.Errorf("got %v; want it to name %s", err, want)
		}
	}
}

func TestSecretsComeFirst(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("to\x01ken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	plan := keyedPlan(scenarios.BareProfile())
	plan.Gateway.Profile.Headers = []scenarios.HandshakeHeader{
		{Name: "A", Secret: &scenarios.Secret{Env: "WEIR_TEST_NO_SUCH_VARIABLE"}}, {Name: "B", Secret: &scenarios.Secret{File: file}},
	}
	p, err := compileProfile(plan)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.readSecrets()
	if err == nil || !strings.Contains(err.Error(), "headers[0]") || !strings.Contains(err.Error(), "WEIR_TEST_NO_SUCH_VARIABLE") ||
		!strings.Contains(err.Error(), "headers[1]") || strings.Contains(err.Error(), "ken") {
		t.Errorf("got %v; want both headers named and no secret", err)
	}
	t.Setenv("WEIR_TEST_TOKEN", "abc")
	plan.Gateway.Profile.Headers = []scenarios.HandshakeHeader{
		{Name: "Authorization", Value: "Bearer ", Secret: &scenarios.Secret{Env: "WEIR_TEST_TOKEN"}}, {Name: "X-Client", Value: "{client}"}, {Name: "X-Client", Value: "2"},
	}
	s := profiledSwarm(t, plan)
	want := http.Header{"Authorization": {"Bearer abc"}, "X-Client": {"g-1", "2"}}
	if got := s.callOf(s.clients[1]).header; got.Get("Authorization") != "Bearer abc" || !slices.Equal(got["X-Client"], want["X-Client"]) {
		t.Errorf("got %v; want %v", got, want)
	}
}

func TestMeanings(t *testing.T) {
	plan := keyedPlan(scenarios.ReferenceProfile())
	plan.Gateway.Profile.Ping, plan.Gateway.Profile.Pong = "{}", "{}"
	reference, err := compileProfile(plan)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := compileProfile(keyedPlan(scenarios.BareProfile()))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]meaning{
		`{"type":"hello","protocol":1}`:            meansControl,
		`{"type":"subscribed","id":1}`:             meansControl,
		`{"type":"error","id":1,"code":"x"}`:       meansRefusal,
		`{"type":"notice","kind":"dropped"}`:       meansNotice,
		`{"type":"message","topic":"t"}` + "\nabc": meansForeign,
		`{}`:  meansPing,
		`{} `: meansForeign,
		``:    meansForeign,
	} {
		if got := reference.meaning([]byte(text)); got != want {
			t.Errorf("%s: got %d; want %d", text, got, want)
		}
		if got := bare.meaning([]byte(text)); got != meansForeign {
			t.Errorf("%s: got %d from the bare profile; want %d", text, got, meansForeign)
		}
	}
	for text, want := range map[string]int64{
		`{"received_at_ns":1234,"x":1}`: 1234, `{"received_at_ns":1234`: 1234, `{"received_at_ns":"12"}`: 0, `{}`: 0,
		`{"received_at_ns":99999999999999999999}`: 0, `"received_at_ns":`: 0,
	} {
		if got := gatewayStamp([]byte(text), &reference.receivedAt); got != want {
			t.Errorf("%s: got %d; want %d", text, got, want)
		}
	}
	if got := gatewayStamp([]byte("abc"), &mark{}); got != 0 {
		t.Errorf("got %d from a target that gives no stamps; want 0", got)
	}
}

// FuzzTemplates: what a placeholder stands for can neither leave its JSON string nor its part of a URL, and texts without
// placeholders stay as they are.
func FuzzTemplates(f *testing.F) {
	f.Add("{channels}{channel}{client}", `a"b`)
	f.Add(`{"type":{topic}{{key}}}`, "\x00\xff{client}")
	f.Add("{chan{channel}nels}", "\\")
	f.Fuzz(func(t *testing.T, text, term string) {
		parsed := parseTemplate(text)
		literals := ""
		for _, p := range parsed {
			literals += p.literal + p.hole
			if (p.literal == "") == (p.hole == "") {
				t.Fatalf("%q: a part is %+v", text, p)
			}
		}
		if literals != text {
			t.Fatalf("got %q of %q", literals, text)
		}
		with := &terms{client: term, topic: term, key: term, channel: term, channels: []string{term}}
		var got string
		if err := json.Unmarshal([]byte(`"`+parseTemplate("{channel}").message(with)+`"`), &got); err != nil || got != strings.ToValidUTF8(term, "\ufffd") && !strings.ContainsRune(got, '\ufffd') {
			t.Fatalf("%q: got %q, %v inside a JSON string", term, got, err)
		}
		var array []string
		if err := json.Unmarshal([]byte(parseTemplate("{channels}").message(with)), &array); err != nil || len(array) != 1 {
			t.Fatalf("%q: got %q, %v as an array", term, array, err)
		}
		u, err := url.Parse("ws://h/a/" + parseTemplate("{channel}").expand(with, url.PathEscape, true) + "/b?q=" + url.QueryEscape(parsed.plain(with)))
		if err != nil {
			t.Fatal(err)
		}
		if u.Path != "/a/"+term+"/b" || u.Query().Get("q") != parsed.plain(with) {
			t.Fatalf("%q, %q: got %q and %q", text, term, u.Path, u.Query())
		}
	})
}
