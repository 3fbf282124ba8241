package gateway

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestGlobMatches(t *testing.T) {
	for _, test := range []struct {
		pattern, key string
		want         bool
	}{
		{"eu-*", "eu-", true}, {"eu-*", "eu-1/a", true}, {"eu-*", "eu", false}, {"eu-*", "xeu-1", false},
		{"*", "", true}, {"*", "\xff", true}, {"", "", true}, {"", "a", false}, {"a", "a", true}, {"a", "ab", false},
		{"a*a", "a", false}, {"a*a", "aa", true}, {"a*ab*b", "aab", false}, {"a*ab*b", "aabb", true},
		{"*ab*ab*", "abab", true}, {"*ab*ab*", "aba", false}, {"a.c", "abc", false}, {"**", "x", true},
	} {
		if got := newGlob(test.pattern).matches(test.key); got != test.want {
			t.Errorf("%q matches %q: got %t; want %t", test.pattern, test.key, got, test.want)
		}
	}
}

// However patterns come and go, the set finds those that match, as a regular
// expression of each would.
func TestPatternSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var set patternSet
		held := make(map[string]*channel)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			pattern := rapid.StringMatching(`[ab*]{0,5}`).Draw(t, "pattern")
			if ch, ok := held[pattern]; ok {
				set.remove(ch)
				delete(held, pattern)
			} else {
				held[pattern] = &channel{key: pattern, ofKey: true, glob: newGlob(pattern)}
				set.add(held[pattern])
			}
			key := rapid.StringMatching(`[ab]{0,6}`).Draw(t, "key")
			var got, want []string
			for _, ch := range set.matching([]byte(key)) {
				got = append(got, ch.key)
			}
			for p := range held {
				if regexp.MustCompile("^" + strings.ReplaceAll(p, "*", ".*") + "$").MatchString(key) {
					want = append(want, p)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("key %q: got %q; want %q", key, got, want)
			}
		}
	})
}

// A client with a topic, keys and patterns gets each record once, and after it
// has left one of them by the others.
func TestRecordsComeOnceByPatterns(t *testing.T) {
	g := start(t, nil)
	c := g.dial()
	c.send(`{"type":"subscribe","id":1,"channels":["prices","prices/eu-1"],"patterns":["prices/eu-*","prices/*1"]}`)
	c.read()
	keys := []string{"eu-1", "eu-2", "us-1", "us-2"}
	for i, gone := range []string{`"channels":["prices"]`, `"patterns":["prices/eu-*"]`, `"patterns":["prices/*1"]`} {
		want := [][]string{keys, keys[:3], {"eu-1", "us-1"}}[i]
		for _, key := range keys {
			g.produce(0, keyed(key, 0, 1)...)
		}
		for _, key := range want {
			if m := c.read(); m.Key == nil || *m.Key != key {
				t.Fatalf("got %s; want key %s", m.Raw, key)
			}
		}
		c.send(`{"type":"unsubscribe","id":2,` + gone + `}`)
		if m := c.read(); m.Type != "unsubscribed" {
			t.Fatalf("got %s; want unsubscribed", m.Raw)
		}
	}
	if s := g.stats(); s.Subscriptions != 1 {
		t.Errorf("%d subscriptions; want 1", s.Subscriptions)
	}
}

func TestPresence(t *testing.T) {
	g := start(t, nil)
	c := g.dial("prices/k")
	other := g.dial("prices/k", "prices")
	const asked = `{"type":"presence","id":5,"channels":["prices/k","prices","prices/none","prices/k"]}`
	c.send(asked)
	if got, want := string(c.read().Raw), `{"type":"presence","id":5,"counts":{"prices/k":2,"prices":1,"prices/none":0}}`; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
	other.ws.Close()
	g.eventually("the other has gone", func(s Stats) bool { return s.Connections == 1 })
	c.send(asked)
	if got, want := string(c.read().Raw), `{"type":"presence","id":5,"counts":{"prices/k":1,"prices":0,"prices/none":0}}`; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
	c.send(`{"type":"presence","id":6,"channels":["nosuch/k"]}`)
	if m := c.read(); m.Code != string(ErrorUnknownChannel) {
		t.Errorf("got %s; want unknown_channel", m.Raw)
	}
}

// A partition that moves to another gateway is told to who follows a pattern, too.
func TestMovedTellsPatterns(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	told := make(chan []byte, 8)
	c := h.join(t, func(b []byte) { told <- slices.Clone(b) })
	if refused := h.subscribe(c, &request{Type: requestSubscribe, Patterns: []string{"prices/eu-*"}}); refused != nil {
		t.Fatal(refused)
	}
	h.notifyMoved(h.topics["prices"], 3, 150)
	want := []byte(`{"type":"notice","kind":"moved","pattern":"prices/eu-*","topic":"prices","partition":3,"offset":150}`)
	var all []byte
	for !bytes.Contains(all, want) {
		select {
		case b := <-told:
			all = append(all, b...)
		case <-time.After(patience):
			t.Fatalf("got %q; want %s in it", all, want)
		}
	}
}
