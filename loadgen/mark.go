package loadgen

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
)

// mark is a text that is looked for in every message. Its rarest byte is what the search goes by: bytes.Index goes by the
// first, and that of a JSON field's name stands all over a message. The zero value is no mark.
type mark struct {
	text []byte
	rare int // where in the text its rarest byte stands
}

// commonest are the bytes of JSON and of names in it, the most frequent first; all others are rarer.
const commonest = `":,0123456789e{}taoinsrhldcumfpgwy_bvkxjqz`

// newMark returns the mark of a text.
func newMark(text string) mark {
	m := mark{text: bytesOf(text)}
	least := -1
	for i := range m.text {
		rank := strings.IndexByte(commonest, m.text[i])
		if rank < 0 {
			rank = len(commonest)
		}
		if rank > least {
			m.rare, least = i, rank
		}
	}
	return m
}

// index returns where the mark stands first in data, or −1. It is bytes.Index.
func (m *mark) index(data []byte) int {
	behind := len(m.text) - m.rare // the rarest byte and what follows it
	if behind <= 0 {
		return 0
	}
	for from := m.rare; from+behind <= len(data); {
		i := bytes.IndexByte(data[from:len(data)-behind+1], m.text[m.rare])
		if i < 0 {
			return -1
		}
		at := from + i - m.rare
		if string(data[at:at+len(m.text)]) == string(m.text) {
			return at
		}
		from += i + 1
	}
	return -1
}

// numberBehind reads the digits behind the first place where the mark stands in head.
func numberBehind(head []byte, m *mark) (n int64, ok bool) {
	at := m.index(head)
	if at < 0 {
		return 0, false
	}
	n, size := natural(head[at+len(m.text):])
	return n, size > 0
}

// gatewayStamp reads the digits behind the mark in head, or returns 0.
func gatewayStamp(head []byte, m *mark) int64 {
	if len(m.text) == 0 {
		return 0
	}
	ns, _ := numberBehind(head, m)
	return ns
}

// natural reads the decimal number at the beginning of data and how long it is: 0 where there is none that fits.
func natural(data []byte) (n int64, size int) {
	for size < 2*8 && size+8 <= len(data) { // so many fit whatever they are
		word := binary.LittleEndian.Uint64(data[size:])
		if !eightDigits(word) {
			break
		}
		n = n*1e8 + int64(valueOfEight(word))
		size += 8
	}
	for ; size < len(data) && data[size] >= '0' && data[size] <= '9'; size++ {
		if n > (math.MaxInt64-9)/10 {
			return 0, 0
		}
		n = n*10 + int64(data[size]-'0')
	}
	return n, size
}

// eightDigits reports whether each byte of the word is a decimal digit: its upper half is 3, and still is with 6 more.
func eightDigits(word uint64) bool {
	const upper, six = 0xf0f0f0f0f0f0f0f0, 0x0606060606060606
	return word&upper|(word+six)&upper>>4 == 0x3333333333333333
}

// valueOfEight is the number that eight digits make whose first is the word's lowest byte: neighbours are brought together
// until one number is left (D. Lemire, Quickly parsing eight digits, 2018).
func valueOfEight(word uint64) uint64 {
	word = word & 0x0f0f0f0f0f0f0f0f * (10<<8 + 1) >> 8
	word = word & 0x00ff00ff00ff00ff * (100<<16 + 1) >> 16
	return word & 0x0000ffff0000ffff * (10_000<<32 + 1) >> 32
}
