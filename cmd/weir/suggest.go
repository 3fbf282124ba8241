package main

// nearest returns the candidate within a third of word's length in edits, or "".
func nearest(word string, candidates []string) string {
	const longest = 64 // beyond it nothing is a slip of the pen
	if len(word) > longest {
		return ""
	}
	best, bestEdits := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if n := edits(word, c); n < bestEdits {
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
