package loadgen

import (
	"bytes"
	"math"
	"testing"
)

// plainNatural is natural as it is said: digit by digit.
func plainNatural(data []byte) (n int64, size int) {
	for ; size < len(data) && data[size] >= '0' && data[size] <= '9'; size++ {
		if n > (math.MaxInt64-9)/10 {
			return 0, 0
		}
		n = n*10 + int64(data[size]-'0')
	}
	return n, size
}

func FuzzNatural(f *testing.F) {
	for _, text := range []string{
		"", "7", "1234567", "12345678", "12345678,", "123456789012345678", "1234567890123456\xb0", "0000000000000000000000000000042",
		"9223372036854775799", "9223372036854775800", "9223372036854775807", "99999999999999999999", "12:45678", "12/45678", "\xfa2345678", "1234567\xff",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, size := natural(data)
		if want, wantSize := plainNatural(data); n != want || size != wantSize {
			t.Errorf("%q: got %d in %d bytes; want %d in %d", data, n, size, want, wantSize)
		}
	})
}

// TestNaturalOfEveryLength: numbers of any length, each digit in any place, and what is no digit in any place.
func TestNaturalOfEveryLength(t *testing.T) {
	for length := range 24 {
		for at := range length + 1 {
			for _, b := range []byte("0123456789/:\x00\x2f\x3a\x29\xb5\xff") {
				text := bytes.Repeat([]byte("5"), length)
				if at < length {
					text[at] = b
				}
				n, size := natural(text)
				if want, wantSize := plainNatural(text); n != want || size != wantSize {
					t.Fatalf("%q: got %d in %d bytes; want %d in %d", text, n, size, want, wantSize)
				}
			}
		}
	}
}

func FuzzMark(f *testing.F) {
	f.Add([]byte(`{"type":"message","received_at_ns":12,"queued_at_ns":13}`), `"queued_at_ns":`)
	f.Add([]byte("aaaaaab"), "aab")
	f.Add([]byte("zz"), "zzz")
	f.Add([]byte(`~ts~ts:5`), "~ts:")
	f.Add([]byte(""), "x")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		m := newMark(text)
		if got, want := m.index(data), bytes.Index(data, []byte(text)); got != want {
			t.Errorf("%q in %q: got %d; want %d", text, data, got, want)
		}
	})
}

// TestMarkGoesByItsRarestByte, which in a message is not the quote that a field's name begins with.
func TestMarkGoesByItsRarestByte(t *testing.T) {
	for text, want := range map[string]byte{`"received_at_ns":`: 'v', `"queued_at_ns":`: 'q', `"ts":`: 's', "#": '#'} {
		if m := newMark(text); m.text[m.rare] != want {
			t.Errorf("%s: got %q; want %q", text, m.text[m.rare], want)
		}
	}
}

func BenchmarkGatewayStamps(b *testing.B) {
	head := []byte(`{"type":"message","channel":"t","topic":"t","partition":0,"offset":1234,"received_at_ns":1234567890123456789,"queued_at_ns":1234567890123456789}` + "\n")
	received, queued := newMark(`"received_at_ns":`), newMark(`"queued_at_ns":`)
	b.ReportAllocs()
	for b.Loop() {
		if gatewayStamp(head, &received) != gatewayStamp(head, &queued) {
			b.Fatal("they differ")
		}
	}
}
