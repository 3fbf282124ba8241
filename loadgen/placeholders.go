package loadgen

import "strings"

// cutText cuts a text at its placeholders: those {names} for which known says so. Other braces are text like any. each
// gets the pieces in order, a literal or a placeholder with its braces, never both.
func cutText(text string, known func(hole string) bool, each func(literal, hole string)) {
	begin := 0 // of the literal that is being read
	for at := 0; at < len(text); at++ {
		if text[at] != '{' {
			continue
		}
		size := strings.IndexByte(text[at:], '}') + 1
		if hole := text[at : at+size]; size == 0 || !known(hole) {
			continue
		}
		if begin < at {
			each(text[begin:at], "")
		}
		each("", text[at:at+size])
		begin = at + size
		at = begin - 1
	}
	if begin < len(text) {
		each(text[begin:], "")
	}
}
