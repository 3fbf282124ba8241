package gateway

import (
	"slices"
	"strings"
)

// patternMark stands before a pattern where it shares a map with names of
// channels, none of which begins so.
const patternMark = "/"

func trimMark(name string) string { return strings.TrimPrefix(name, patternMark) }

// glob is a pattern of keys, in which * stands for any bytes.
type glob struct {
	prefix   string   // before the first *
	suffix   string   // behind the last
	middle   []string // between them
	anything bool     // there is a *; without it the prefix is the key
}

func newGlob(pattern string) *glob {
	parts := strings.Split(pattern, "*")
	g := &glob{prefix: parts[0]}
	if len(parts) == 1 {
		return g
	}
	g.anything = true
	g.suffix = parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		if part != "" {
			g.middle = append(g.middle, part)
		}
	}
	return g
}

// matches takes each part where it first fits, which finds a match if there is
// one.
func (g *glob) matches(key string) bool {
	rest, ok := strings.CutPrefix(key, g.prefix)
	if !ok || !g.anything {
		return ok && rest == ""
	}
	if rest, ok = strings.CutSuffix(rest, g.suffix); !ok {
		return false
	}
	for _, part := range g.middle {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return true
}

// maxMatchedKeys bounds the keys of a topic for which the matching patterns are
// remembered.
const maxMatchedKeys = 4096

// patternSet is the patterns of a topic that have subscribers. They are found by
// what stands before their first *, so that a key is compared only with those
// that begin as it does; what was found is remembered for each key.
type patternSet struct {
	byName   map[string]*channel
	byPrefix map[string][]*channel
	lengths  []int // of the prefixes, ascending, each as often as there are prefixes of it
	version  uint64
	matched  map[string]matchedKey
}

type matchedKey struct {
	version  uint64
	channels []*channel
}

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
	s.version++
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
	s.version++
	if len(s.byName) == 0 {
		s.matched = nil
	}
}

// matching are the patterns' channels to which a record with this key goes.
func (s *patternSet) matching(key []byte) []*channel {
	if len(s.byName) == 0 {
		return nil
	}
	if m, ok := s.matched[string(key)]; ok && m.version == s.version {
		return m.channels
	}
	name := string(key)
	var found []*channel
	last := -1
	for _, n := range s.lengths {
		if n > len(name) {
			break
		}
		if n == last {
			continue
		}
		last = n
		for _, ch := range s.byPrefix[name[:n]] {
			if ch.glob.matches(name) {
				found = append(found, ch)
			}
		}
	}
	if s.matched == nil || len(s.matched) >= maxMatchedKeys {
		s.matched = make(map[string]matchedKey)
	}
	s.matched[name] = matchedKey{s.version, found}
	return found
}
