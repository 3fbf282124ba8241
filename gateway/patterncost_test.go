package gateway

import (
	"fmt"
	"strings"
	"testing"
)

// What is remembered of keys is bounded in bytes, be it many keys, long ones, or ones with many patterns, whether they come
// before the keys or after; and what is found stays right.
func TestMatchedKeysAreBounded(t *testing.T) {
	for _, tt := range []struct {
		name                     string
		keys, keyBytes, patterns int
	}{
		{"many keys", 20_000, 0, 1},
		{"long keys", 1000, 100 << 10, 1},
		{"keys too long to be kept", 20, 1 << 20, 1},
		{"many patterns", 1000, 10, 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var set patternSet
			for i := range tt.patterns {
				set.add(&channel{key: fmt.Sprint(i), glob: newGlob("*")})
			}
			want := tt.patterns
			for i := range tt.keys {
				key := fmt.Append(nil, i, strings.Repeat("k", tt.keyBytes))
				if n := len(set.matching(key)); n != want {
					t.Fatalf("key %d: got %d channels; want %d", i, n, want)
				}
				if i%100 == 50 {
					late := &channel{key: fmt.Sprint("late", i), glob: newGlob("*")}
					set.add(late)
					want++
					if n := len(set.matching(key)); n != want {
						t.Fatalf("key %d and one pattern more: got %d channels; want %d", i, n, want)
					}
				}
				bytes := 0
				for key, k := range set.matched {
					bytes += k.bytes(key)
					if i%97 > 0 {
						bytes = set.matchedBytes // not summed each time
						break
					}
				}
				if bytes != set.matchedBytes || bytes > maxMatchedBytes {
					t.Fatalf("key %d: %d bytes are remembered, counted as %d; want at most %d", i, bytes, set.matchedBytes, maxMatchedBytes)
				}
			}
		})
	}
}

// A pattern that costs too much is refused, and so are too many of one client and too many that a key could meet; what a
// client has or leaves takes no room.
func TestPatternsAreBounded(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	h.maxPatterns = 3
	subscribe := func(c *client, patterns ...string) string {
		if err := h.subscribe(c, &request{Patterns: patterns}); err != nil {
			return string(err.code) + ": " + err.message
		}
		return ""
	}
	c := newMuteClient(newSink(nil), &h.cfg, h.hub)
	long, stars := strings.Repeat("k", maxPatternBytes-1)+"*", strings.Repeat("*k", maxWildcards)
	for _, tt := range []struct {
		patterns []string
		want     string
	}{
		{[]string{"prices/k" + long}, "bad_request: pattern \"prices/" + strings.Repeat("k", 73) + "\"…: what follows the topic has more than 256 bytes"},
		{[]string{"prices/" + stars + "*"}, "bad_request: pattern \"prices/" + stars + "*\" has more than 8 *"},
		{[]string{"prices/" + long, "prices/" + stars}, ""},
		{[]string{"prices/a*", "prices/b*"}, "too_many_channels: 4 patterns are more than a client may have (3)"},
		{[]string{"prices/a*", "prices/a*", "prices/" + long}, ""},
		{[]string{"prices/b*"}, "too_many_channels: 4 patterns are more than a client may have (3)"},
	} {
		if got := subscribe(c, tt.patterns...); got != tt.want {
			t.Errorf("%q: got %q; want %q", tt.patterns, got, tt.want)
		}
	}
	if err := h.unsubscribe(c, &request{Patterns: []string{"prices/a*", "prices/never*"}}); err != nil {
		t.Error(err)
	}
	if got := subscribe(c, "prices/b*"); got != "" {
		t.Errorf("after one was left: got %q; want it taken", got)
	}
	h.maxPatterns = maxPatternsAlike
	h.maxChannels = maxPatternsAlike + 10
	var alike []string
	for i := range maxPatternsAlike - 1 {
		alike = append(alike, fmt.Sprintf("prices/x*%d", i))
	}
	crowd := newMuteClient(newSink(nil), &h.cfg, h.hub)
	if got := subscribe(crowd, alike...); got != "" {
		t.Fatal(got)
	}
	const refused = "too_many_channels: pattern \"prices/x*b\": the topic has as many that begin alike before their first * as it may (1000)"
	for _, tt := range []struct {
		patterns []string
		want     string
	}{
		{[]string{"prices/x*a", "prices/x*b"}, refused},
		{[]string{"prices/y*b", "prices/x*17", "prices/x*17"}, ""}, // another beginning, and what others have already
		{[]string{"prices/x*a"}, ""},
		{[]string{"prices/x*b"}, refused},
	} {
		other := newMuteClient(newSink(nil), &h.cfg, h.hub)
		if got := subscribe(other, tt.patterns...); got != tt.want {
			t.Errorf("%q: got %q; want %q", tt.patterns, got, tt.want)
		}
	}
}

// BenchmarkMatchCostliest is the match of a key that was not met before, with as many and as costly patterns as one
// client may have.
func BenchmarkMatchCostliest(b *testing.B) {
	for _, of := range []struct {
		name                       string
		patterns, wildcards, bytes int
	}{{"1000 of 1024 bytes and 500 wildcards", 1000, 500, 1024}, {"100 of 256 bytes and 8 wildcards", 100, 8, 256}} {
		b.Run(of.name, func(b *testing.B) {
			s := new(patternSet)
			for i := range of.patterns {
				part := strings.Repeat("a", (of.bytes-6)/of.wildcards-1)
				pattern := strings.Repeat("*"+part, of.wildcards) + "*" + fmt.Sprintf("b%04d*", i)
				s.add(&channel{key: pattern, glob: newGlob(pattern)})
			}
			key := []byte(strings.Repeat("a", 1010) + "000000")
			for i := 0; b.Loop(); i++ {
				copy(key[1010:], fmt.Sprintf("%06d", i%1_000_000))
				s.matching(key)
			}
		})
	}
}

// BenchmarkMatchWhilePatternsChange is the match of a key that is met again and again, while 1,000 patterns stay and one
// comes or goes before each record.
func BenchmarkMatchWhilePatternsChange(b *testing.B) {
	s := new(patternSet)
	for i := range 1000 {
		pattern := fmt.Sprintf("*-%d", i)
		s.add(&channel{key: pattern, glob: newGlob(pattern)})
	}
	other := &channel{key: "*x", glob: newGlob("*x")}
	key := []byte("eu-17")
	for i := 0; b.Loop(); i++ {
		if i%2 == 0 {
			s.add(other)
		} else {
			s.remove(other)
		}
		s.matching(key)
	}
}
