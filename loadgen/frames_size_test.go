package loadgen

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// feedInReads feeds a stream in reads of the poller's size.
func feedInReads(r *frameReader, stream []byte, stock *leftovers, each func(frame, bool) error) error {
	const read = 64 << 10
	for len(stream) > 0 {
		n := min(read, len(stream))
		if err := r.feed(stream[:n], stock, each); err != nil {
			return err
		}
		stream = stream[n:]
	}
	return nil
}

// TestLargeMessagesAllocateNothing: one of 256 KiB took 700 KB of new memory, each time, since what it had grown to was not
// kept.
func TestLargeMessagesAllocateNothing(t *testing.T) {
	for _, kib := range []int{64, 65, 128, 256, 1024} {
		stream := serverFrame(opText, true, make([]byte, kib<<10))
		var r frameReader
		var stock leftovers
		bytes := 0
		each := func(f frame, _ bool) error { bytes += len(f.payload); return nil }
		got := testing.AllocsPerRun(10, func() {
			if err := feedInReads(&r, stream, &stock, each); err != nil {
				t.Fatal(err)
			}
		})
		if got != 0 || bytes != 11*kib<<10 {
			t.Errorf("%d KiB: got %v allocations and %d bytes; want none and %d", kib, got, bytes, 11*kib<<10)
		}
	}
}

// TestMemoryOfAMessageIsTakenOnce, as its header says, and is no more than it takes.
func TestMemoryOfAMessageIsTakenOnce(t *testing.T) {
	stream := serverFrame(opText, true, make([]byte, 200<<10))
	var r frameReader
	if err := r.feed(stream[:64<<10], nil, nil); err != nil {
		t.Fatal(err)
	}
	if got := cap(r.unfinished.rest); got != len(stream) {
		t.Errorf("with 64 KiB of it there are %d bytes of memory; want the %d of the frame", got, len(stream))
	}
}

// TestPromisesFillNoMemory: a target may say that a frame is long and send no more of it.
func TestPromisesFillNoMemory(t *testing.T) {
	promise := binary.BigEndian.AppendUint64([]byte{0x80 | opText, 127}, maxFrame)
	var r frameReader
	if err := r.feed(promise, nil, nil); err != nil {
		t.Fatal(err)
	}
	if got := cap(r.unfinished.rest); got > roomAhead*len(promise) {
		t.Errorf("%d bytes took %d bytes of memory; want at most %d", len(promise), got, roomAhead*len(promise))
	}
}

// TestBehindWhatWasUnfinished: what a read has behind the rest of a frame is handed on in place.
func TestBehindWhatWasUnfinished(t *testing.T) {
	one := serverFrame(opText, true, make([]byte, 1000))
	stream := append(append(append([]byte(nil), one...), one...), one...)
	var r frameReader
	var stock leftovers
	inPlace := 0
	each := func(f frame, _ bool) error {
		if &f.payload[len(f.payload)-1] == &stream[2*len(one)-1] || &f.payload[len(f.payload)-1] == &stream[3*len(one)-1] {
			inPlace++
		}
		return nil
	}
	for _, part := range [][]byte{stream[:500], stream[500:]} {
		if err := r.feed(part, &stock, each); err != nil {
			t.Fatal(err)
		}
	}
	if inPlace != 2 {
		t.Errorf("%d messages were handed on where they had been read; want 2", inPlace)
	}
}

// BenchmarkFrameSizes is what a byte costs of messages of a size that come in reads of the poller's.
func BenchmarkFrameSizes(b *testing.B) {
	for _, kib := range []int{32, 63, 64, 65, 128, 256} {
		b.Run(fmt.Sprintf("%dKiB", kib), func(b *testing.B) {
			stream := serverFrame(opText, true, make([]byte, kib<<10))
			var r frameReader
			var stock leftovers
			whole := 0
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				if err := feedInReads(&r, stream, &stock, func(frame, bool) error { whole++; return nil }); err != nil {
					b.Fatal(err)
				}
			}
			if whole != b.N {
				b.Fatalf("%d messages of %d", whole, b.N)
			}
		})
	}
}
