package scenarios

import (
	"fmt"
	"strings"
)

// maxSuggested bounds a list of candidates; it holds all of the language's own.
const maxSuggested = 32

// didYouMean returns " (did you mean x?)" for the candidate nearest to word, or the list of candidates where none is
// near, or nothing where there are none.
func didYouMean(word string, candidates []string) string {
	if near := Nearest(word, candidates); near != "" {
		return fmt.Sprintf(" (did you mean %s?)", near)
	}
	if len(candidates) == 0 {
		return ""
	}
	shown := candidates
	if len(shown) > maxSuggested {
		shown = shown[:maxSuggested]
	}
	list := strings.Join(shown, ", ")
	if len(shown) < len(candidates) {
		list += ", …"
	}
	return fmt.Sprintf(" (there is %s)", list)
}

// Nearest returns the candidate that word may have been meant to be: within a third of its length in edits, case and the
// marks between words apart; or "".
func Nearest(word string, candidates []string) string {
	if len(word) > 64 {
		return ""
	}
	fold := func(s string) string { return strings.ToLower(strings.NewReplacer("_", "-", " ", "-").Replace(s)) }
	best, bestEdits := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if len(c) > 64 {
			continue
		}
		if n := edits(fold(word), fold(c)); n < bestEdits {
			best, bestEdits = c, n
		}
	}
	return best
}

// edits is the optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
func edits(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
