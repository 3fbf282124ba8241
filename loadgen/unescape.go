package loadgen

import (
	"unicode/utf16"
	"unicode/utf8"
)

// unescape appends what the inside of a JSON string stands for (RFC 8259, section 7) until it has appended limit bytes or
// a few more, at a quote, or at the text's end. used is how much of the text that was; ok is false where it ends at what
// is no escape. Surrogates without their other half become U+FFFD, as in package encoding/json.
func unescape(dst, text []byte, limit int) (appended []byte, used int, ok bool) {
	stop := len(dst) + limit
	at := 0
	for len(dst) < stop && at < len(text) && text[at] != '"' {
		if text[at] == '\\' {
			var size int
			if dst, size = unescapeOne(dst, text[at:]); size == 0 {
				return dst, at, false
			}
			at += size
			continue
		}
		run := text[at:min(len(text), at+stop-len(dst))]
		plain := 0
		for plain < len(run) && run[plain] != '\\' && run[plain] != '"' {
			plain++
		}
		dst = append(dst, run[:plain]...)
		at += plain
	}
	return dst, at, true
}

// unescapeOne appends what the escape at the beginning of text stands for. size is 0 where none is there.
func unescapeOne(dst, text []byte) (appended []byte, size int) {
	if len(text) < 2 {
		return dst, 0
	}
	switch text[1] {
	case '"', '\\', '/':
		return append(dst, text[1]), 2
	case 'b':
		return append(dst, '\b'), 2
	case 'f':
		return append(dst, '\f'), 2
	case 'n':
		return append(dst, '\n'), 2
	case 'r':
		return append(dst, '\r'), 2
	case 't':
		return append(dst, '\t'), 2
	case 'u':
		first, ok := unit(text)
		if !ok {
			return dst, 0
		}
		if second, ok := unit(text[6:]); ok {
			if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
				return utf8.AppendRune(dst, r), 12
			}
		}
		return utf8.AppendRune(dst, first), 6 // U+FFFD for half a pair
	}
	return dst, 0
}

// unit reads \uXXXX.
func unit(text []byte) (u rune, ok bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	for _, c := range text[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		u = u<<4 | rune(c)
	}
	return u, true
}
