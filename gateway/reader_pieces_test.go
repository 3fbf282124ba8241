package gateway

import (
	"io"
	"runtime"
	"strings"
	"testing"
)

// segments gives one byte a turn.
type segments struct {
	rest string
	read bool
}

func (s *segments) Read(b []byte) (int, error) {
	if s.read {
		return 0, io.EOF
	}
	s.read = true
	n := copy(b, s.rest[:1])
	s.rest = s.rest[n:]
	return n, nil
}

// A message that comes byte by byte, to a reader that borrows its memory, has memory made for it a few times, not once
// a byte.
func TestReaderOfSingleBytesMakesLittleGarbage(t *testing.T) {
	space := make([]byte, 16<<10)
	for name, tt := range map[string]struct {
		message string
		bytes   uint64 // of garbage, at most
	}{
		"small":               {strings.Repeat("x", 300), 4 << 10},
		"within the space":    {strings.Repeat("x", 10_000), 128 << 10},
		"larger than it":      {strings.Repeat("x", 60_000), 256 << 10},
		"as large as allowed": {strings.Repeat("x", 64<<10), 256 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			frame := string(masked(opText, tt.message))
			src := &segments{rest: frame}
			f := newFrameReader(src, 64<<10)
			var got string
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range len(frame) {
				src.read = false
				f.lend(space)
				if _, payload, err := f.next(); err == nil {
					got = string(payload)
				}
				f.keep()
			}
			runtime.ReadMemStats(&after)
			if got != tt.message || f.buf != nil {
				t.Errorf("got %d bytes %.20q, and %d of memory kept; want %d and none", len(got), got, len(f.buf), len(tt.message))
			}
			if made := after.TotalAlloc - before.TotalAlloc; made > tt.bytes+uint64(len(tt.message)) {
				t.Errorf("%d bytes of memory were made for %d bytes; want %d at most", made, len(frame), tt.bytes)
			}
		})
	}
}
