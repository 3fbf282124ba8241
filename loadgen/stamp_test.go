package loadgen

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func drawStamp(t *rapid.T) Stamp {
	return Stamp{
		Kind:      rapid.SampledFrom([]Kind{KindData, KindJoin, KindFinal}).Draw(t, "kind"),
		Run:       rapid.Uint64Range(0, maxRun).Draw(t, "run"),
		Producer:  rapid.Uint32Range(0, maxProducer).Draw(t, "producer"),
		Partition: rapid.Uint32Range(0, maxPartition).Draw(t, "partition"),
		PartSeq:   rapid.Uint64Range(0, maxSeq).Draw(t, "partSeq"),
		Key:       rapid.Uint32Range(0, NoKey).Draw(t, "key"),
		KeySeq:    rapid.Uint64Range(0, maxSeq).Draw(t, "keySeq"),
		DueAt:     rapid.Int64().Draw(t, "due"),
		SentAt:    rapid.Int64().Draw(t, "sent"),
		ValueSize: rapid.Uint32Range(0, maxValueSize).Draw(t, "size"),
		Offset:    rapid.Uint32Range(0, maxOffset).Draw(t, "offset"),
		ValueSum:  rapid.Uint32().Draw(t, "sum"),
	}
}

func TestStampRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawStamp(t)
		var buf [StampSize]byte
		want.Put(buf[:])
		for _, c := range buf {
			if c != '~' && digitValue[c] == invalidDigit {
				t.Fatalf("byte %q is not safe in URLs and JSON", c)
			}
		}
		var got Stamp
		if err := got.Parse(buf[:]); err != nil {
			t.Fatalf("parse: %v", err)
		}
		if got != want {
			t.Errorf("got %+v; want %+v", got, want)
		}
	})
}

func TestStampRefusesAnyChangedByte(t *testing.T) {
	s := Stamp{Kind: KindData, Run: 7, PartSeq: 99, DueAt: 1 << 60}
	var buf [StampSize]byte
	s.Put(buf[:])
	for i := range buf {
		for _, b := range []byte{0, 'A', 'z', '~', buf[i] ^ 1, 0xff} {
			if b == buf[i] {
				continue
			}
			changed := buf
			changed[i] = b
			var got Stamp
			if err := got.Parse(changed[:]); err == nil {
				t.Fatalf("byte %d changed from %q to %q and the stamp was accepted", i, buf[i], b)
			}
		}
	}
}

// stamped is a value of the given size with the stamp at offset.
func stamped(s Stamp, size, offset int) []byte {
	v := bytes.Repeat([]byte("x"), size)
	s.ValueSize, s.Offset = uint32(size), uint32(offset)
	s.ValueSum = sumAround(v, offset)
	s.Put(v[offset:])
	return v
}

func TestStampFoundInAnyWrapping(t *testing.T) {
	value := stamped(Stamp{Kind: KindData, PartSeq: 5}, 128, 0)
	inside := stamped(Stamp{Kind: KindData, PartSeq: 5}, 300, 40)
	wrap := func(before string, v []byte, after string) []byte {
		return append(append([]byte(before), v...), after...)
	}
	for _, c := range []struct {
		name   string
		frame  []byte
		stamps int
		intact bool
	}{
		{"bare", value, 1, true},
		{"prefixed", wrap("Message from topic: ", value, ""), 1, true},
		{"json", wrap(`{"data":"`, value, `"}`), 1, true},
		{"inside a payload", wrap(`{"data":"`, inside, `"}`), 1, true},
		{"several", append(wrap("", value, "\n"), value...), 2, true},
		{"truncated", value[:100], 1, false},
		{"cut short in front of another", slices.Concat(value[:100], value), 2, false},
		{"none", []byte("hello"), 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, intact := 0, true
			var s Stamp
			for from := 0; ; {
				at, err := s.FindStamp(c.frame, from)
				if at < 0 {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				ok, end := s.ValueIntact(c.frame, at)
				intact = intact && ok
				n, from = n+1, end
			}
			if n != c.stamps || intact != c.intact {
				t.Errorf("got %d stamps, intact %v; want %d, %v", n, intact, c.stamps, c.intact)
			}
		})
	}
}

func TestStampParseAllocatesNothing(t *testing.T) {
	frame := append([]byte(`{"type":"message"}`), stamped(Stamp{Kind: KindData}, 256, 0)...)
	var s Stamp
	got := testing.AllocsPerRun(100, func() {
		at, _ := s.FindStamp(frame, 0)
		s.ValueIntact(frame, at)
	})
	if got != 0 {
		t.Errorf("got %v allocations; want 0", got)
	}
}

func FuzzStamp(f *testing.F) {
	f.Add([]byte("hello"), 0)
	f.Add(stamped(Stamp{Kind: KindData, PartSeq: 5}, 128, 3), 0)
	f.Add([]byte("~W1~W1~W1"), 1)
	f.Fuzz(func(t *testing.T, frame []byte, from int) {
		if from < 0 || from > len(frame) {
			return
		}
		var s Stamp
		for {
			at, err := s.FindStamp(frame, from)
			if at < 0 {
				return
			}
			from = at + 1
			if err != nil {
				continue
			}
			_, end := s.ValueIntact(frame, at)
			if end <= at || end > len(frame) {
				t.Fatalf("value ends at %d in a frame of %d", end, len(frame))
			}
			again := make([]byte, StampSize)
			s.Put(again)
			if !bytes.Equal(again, frame[at:at+StampSize]) {
				t.Fatalf("accepted %q, which encodes as %q", frame[at:at+StampSize], again)
			}
		}
	})
}

func BenchmarkStampFindAndCheck(b *testing.B) {
	frame := append([]byte(`{"type":"message","topic":"prices","partition":3,"offset":123}`+"\n"), stamped(Stamp{Kind: KindData}, 256, 0)...)
	var s Stamp
	b.ReportAllocs()
	for b.Loop() {
		at, _ := s.FindStamp(frame, 0)
		s.ValueIntact(frame, at)
	}
}
