package gateway

import "strings"

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
