package loadgen

import (
	"bytes"
	"hash/crc32"
	"testing"

	"pgregory.net/rapid"
)

// plainDigits decodes a field digit by digit.
func plainDigits(src []byte, bad *bool) (v uint64) {
	for _, c := range src {
		d := bytes.IndexByte([]byte(digits), c)
		*bad = *bad || d < 0
		v = v<<6 | uint64(d)&63
	}
	return v
}

// plainParse is Parse as the layout says it.
func plainParse(src []byte) (s Stamp, ok bool) {
	if len(src) < StampSize || string(src[:atKind]) != startMark || src[atEnd] != endMark {
		return s, false
	}
	bad := false
	field := func(from, to int) uint64 { return plainDigits(src[from:to], &bad) }
	s = Stamp{
		Kind: Kind(src[atKind]), Run: field(atRun, atProducer), Producer: uint32(field(atProducer, atPartition)),
		Partition: uint32(field(atPartition, atPartSeq)), PartSeq: field(atPartSeq, atKey), Key: uint32(field(atKey, atKeySeq)),
		KeySeq: field(atKeySeq, atDue), DueAt: int64(field(atDue, atSent)), SentAt: int64(field(atSent, atSize)),
		ValueSize: uint32(field(atSize, atOffset)), Offset: uint32(field(atOffset, atSum)), ValueSum: uint32(field(atSum, atCheck)),
	}
	check := field(atCheck, atEnd)
	known := s.Kind == KindData || s.Kind == KindJoin || s.Kind == KindFinal
	return s, known && !bad && check == uint64(crc32.Checksum(src[:atCheck], castagnoli))
}

func sameParse(t interface{ Fatalf(string, ...any) }, src []byte) {
	var got Stamp
	err := got.Parse(src)
	want, ok := plainParse(src)
	if (err == nil) != ok || ok && got != want {
		t.Fatalf("%q: got %+v, %v; want %+v, %v", src, got, err, want, ok)
	}
}

// resealed gives a changed stamp the check that belongs to it, so that what is wrong in it is all that can refuse it.
func resealed(src []byte) []byte {
	if len(src) >= StampSize {
		putDigits(src[atCheck:atEnd], uint64(crc32.Checksum(src[:atCheck], castagnoli)))
	}
	return src
}

// TestParseAgainstPlain: a stamp of any values, and one with any byte changed, with its check made good and without.
func TestParseAgainstPlain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStamp(t)
		var text [StampSize]byte
		s.Put(text[:])
		sameParse(t, text[:])
		at, b := rapid.IntRange(0, StampSize-1).Draw(t, "at"), rapid.Byte().Draw(t, "byte")
		text[at] = b
		sameParse(t, text[:])
		sameParse(t, resealed(text[:]))
	})
}

func FuzzParseAgainstPlain(f *testing.F) {
	f.Add(stamped(Stamp{Kind: KindData, Run: maxRun, PartSeq: maxSeq, DueAt: -1, SentAt: 1 << 62}, 90, 0))
	f.Add(stamped(Stamp{Kind: KindFinal, Key: NoKey}, 80, 0))
	f.Add([]byte("~W1d"))
	f.Fuzz(func(t *testing.T, src []byte) {
		sameParse(t, src)
		sameParse(t, resealed(bytes.Clone(src)))
	})
}

func BenchmarkStampParse(b *testing.B) {
	text := stamped(Stamp{Kind: KindData, Run: 1 << 40, PartSeq: 1 << 30, DueAt: 1 << 60, SentAt: 1 << 60}, 128, 0)
	var s Stamp
	b.ReportAllocs()
	for b.Loop() {
		if s.Parse(text) != nil {
			b.Fatal("refused")
		}
	}
}
