package report

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes text from a scenario or the wire fit for a terminal: control and formatting characters, which could hide
// or forge what is printed, become a replacement character, line ends a space.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return utf8.RuneError
		}
		return r
	}, s)
}

// cleanEach cleans each text of a list, in place.
func cleanEach(texts []string) []string {
	for i, text := range texts {
		texts[i] = clean(text)
	}
	return texts
}

func runes(s string) int { return utf8.RuneCountInString(s) }

// wrap breaks text at its spaces into lines of at most width characters, longer words anywhere. There is at least one
// line.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && runes(line)+1+runes(word) > width {
			lines = append(lines, line)
			line = ""
		}
		for runes(word) > width {
			head := string([]rune(word)[:width])
			lines = append(lines, head)
			word = word[len(head):]
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// sortedKeys are a map's keys in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
