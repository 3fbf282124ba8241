package gateway

import (
	"fmt"
	"slices"
	"strings"
)

// Patterns are matched while the hub is held, and so what they may cost is bounded: by what one may be, by how many a
// client may have (Config.Limits.PatternsPerClient), and by how many a key can meet.
const (
	// maxPatternBytes bounds what follows the topic in a pattern, and maxWildcards how often * stands in it.
	maxPatternBytes = 256
	maxWildcards    = 8
	// maxPatternsAlike bounds the different patterns of a topic that begin alike up to their first *.
	maxPatternsAlike = 1000
	// maxMatchedBytes bounds what is remembered of keys in a topic, and matchedOverhead is about what a key costs beside
	// its own length and its channels'.
	maxMatchedBytes = 1 << 20
	matchedOverhead = 96
	// maxPatternChanges is how many patterns may have come and gone until a remembered key is matched anew.
	maxPatternChanges = 64
)

// patternSet is the patterns of a topic that have subscribers. They are found by
// what stands before their first *, so that a key is compared only with those
// that begin as it does; what was found is remembered for each key, and brought
// up to date by the patterns that came and went since.
type patternSet struct {
	byName   map[string]*channel
	byPrefix map[string][]*channel
	lengths  []int // of the prefixes, ascending, each as often as there are prefixes of it

	version uint64                           // how many patterns have come and gone
	changes [maxPatternChanges]patternChange // the last of them: i leads to version i+1

	matched      map[string]*matchedKey
	matchedBytes int
}

type patternChange struct {
	channel *channel
	gone    bool
}

type matchedKey struct {
	version  uint64
	channels []*channel
}

func (k *matchedKey) bytes(key string) int { return matchedOverhead + len(key) + 8*cap(k.channels) }

func (s *patternSet) add(ch *channel) {
	if s.byName == nil {
		s.byName, s.byPrefix = make(map[string]*channel), make(map[string][]*channel)
	}
	s.byName[ch.key] = ch
	prefix := ch.glob.prefix
	if len(s.byPrefix[prefix]) == 0 {
		at, _ := slices.BinarySearch(s.lengths, len(prefix))
		s.lengths = slices.Insert(s.lengths, at, len(prefix))
	}
	s.byPrefix[prefix] = append(s.byPrefix[prefix], ch)
	s.changed(patternChange{ch, false})
}

func (s *patternSet) remove(ch *channel) {
	delete(s.byName, ch.key)
	prefix := ch.glob.prefix
	left := slices.DeleteFunc(s.byPrefix[prefix], func(o *channel) bool { return o == ch })
	s.byPrefix[prefix] = left
	if len(left) == 0 {
		delete(s.byPrefix, prefix)
		at, _ := slices.BinarySearch(s.lengths, len(prefix))
		s.lengths = slices.Delete(s.lengths, at, at+1)
	}
	s.changed(patternChange{ch, true})
	if len(s.byName) == 0 {
		s.matched, s.matchedBytes, s.changes = nil, 0, [maxPatternChanges]patternChange{}
	}
}

func (s *patternSet) changed(c patternChange) {
	s.changes[s.version%maxPatternChanges] = c
	s.version++
}

// hasRoom reports whether so many patterns may be added of which prefix stands before the first *.
func (s *patternSet) hasRoom(prefix string, n int) bool {
	return len(s.byPrefix[prefix])+n <= maxPatternsAlike
}

// matching are the patterns' channels to which a record with this key goes, until the next change.
func (s *patternSet) matching(key []byte) []*channel {
	if len(s.byName) == 0 {
		return nil
	}
	k, known := s.matched[string(key)]
	if known && k.version == s.version {
		return k.channels
	}
	if !known {
		k = &matchedKey{version: s.version, channels: s.find(string(key))}
		s.remember(string(key), k)
		return k.channels
	}
	name := string(key)
	before := k.bytes(name)
	if s.version-k.version <= maxPatternChanges {
		s.update(k, name)
	} else {
		k.channels = s.find(name)
	}
	k.version = s.version
	if s.matchedBytes += k.bytes(name) - before; s.matchedBytes > maxMatchedBytes {
		s.matched, s.matchedBytes = nil, 0
	}
	return k.channels
}

// find compares the key with all patterns that begin as it does.
func (s *patternSet) find(key string) (found []*channel) {
	last := -1
	for _, n := range s.lengths {
		if n > len(key) {
			break
		}
		if n == last {
			continue
		}
		last = n
		for _, ch := range s.byPrefix[key[:n]] {
			if ch.glob.matches(key) {
				found = append(found, ch)
			}
		}
	}
	return slices.Clip(found)
}

// update takes up the changes that the key has yet to meet.
func (s *patternSet) update(k *matchedKey, key string) {
	for v := k.version; v < s.version; v++ {
		c := s.changes[v%maxPatternChanges]
		switch {
		case c.gone:
			k.channels = slices.DeleteFunc(k.channels, func(o *channel) bool { return o == c.channel })
		case c.channel.glob.matches(key):
			k.channels = append(k.channels, c.channel)
		}
	}
}

// remember keeps what was found of a new key. Where that is too much, all others are forgotten; what is too much by
// itself is not kept.
func (s *patternSet) remember(key string, k *matchedKey) {
	size := k.bytes(key)
	if size > maxMatchedBytes/8 {
		return
	}
	if s.matched == nil || s.matchedBytes+size > maxMatchedBytes {
		s.matched, s.matchedBytes = make(map[string]*matchedKey), 0
	}
	s.matched[key] = k
	s.matchedBytes += size
}

// checkPatterns says what would be wrong with the patterns of a request, whose topics were checked.
func (h *hub) checkPatterns(c *client, req *request) *requestError {
	added := make(map[string]struct{})
	alike := make(map[string]int)
	for _, name := range req.Patterns {
		if _, ok := c.members[patternMark+name]; ok {
			continue
		}
		if _, ok := added[name]; ok {
			continue
		}
		added[name] = struct{}{}
		t, pattern, _ := h.parse(name)
		if t.patterns.byName[pattern] != nil {
			continue
		}
		prefix, _, _ := strings.Cut(pattern, "*")
		begin := t.name + "/" + prefix
		if alike[begin]++; !t.patterns.hasRoom(prefix, alike[begin]) {
			return &requestError{ErrorTooManyChannels, fmt.Sprintf("pattern %.80q: the topic has as many that begin alike before their first * as it may (%d)", name, maxPatternsAlike)}
		}
	}
	if n := c.patterns + len(added); n > h.maxPatterns {
		return &requestError{ErrorTooManyChannels, fmt.Sprintf("%d patterns are more than a client may have (%d)", n, h.maxPatterns)}
	}
	return nil
}
