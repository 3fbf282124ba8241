package results

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// scanner walks over a log's records up to the first that is torn or fails its checksum. It never takes more memory
// than the log has bytes, whatever a record claims of its length.
type scanner struct {
	in   io.ReaderAt
	size int64
	at   int64 // of the next record; after a false next, of what could not be read

	start   int64 // of this record
	kind    kind
	payload []byte // valid until next is called again

	buf     []byte
	damaged bool  // the log does not end at at
	err     error // the file could not be read
}

// next moves on to the next record.
func (s *scanner) next() bool {
	rest := s.size - s.at
	if rest == 0 {
		return false
	}
	s.damaged = true // until the record has proved whole
	f, ok := s.readFrame(rest)
	if !ok {
		return false
	}
	whole := frameSize + int(f.length)
	s.buf = resize(s.buf, whole)
	if !s.readAt(s.buf, s.at) || frameChecksum(s.buf, s.buf[frameSize:]) != f.checksum {
		return false
	}
	s.start, s.kind, s.payload = s.at, f.kind, s.buf[frameSize:]
	s.at += int64(whole)
	s.damaged = false
	return true
}

// readFrame reads the head at s.at and reports whether its record can be there in full.
func (s *scanner) readFrame(rest int64) (frame, bool) {
	if rest < int64(frameSize) {
		return frame{}, false
	}
	var head [frameSize]byte
	if !s.readAt(head[:], s.at) {
		return frame{}, false
	}
	f := parseFrame(head[:])
	return f, f.length <= maxPayload && int64(f.length) <= rest-int64(frameSize)
}

// readAt fills b. A file that has become shorter is damage, not an error.
func (s *scanner) readAt(b []byte, at int64) bool {
	n, err := s.in.ReadAt(b, at)
	if n == len(b) {
		return true
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return false
}

// describeDamage says what a log of that size lost by the damage at the byte at.
func describeDamage(in io.ReaderAt, at, size int64) string {
	lost := fmt.Sprintf("torn record at byte %d: the last %d bytes were left out", at, size-at)
	if next, found := findRecord(in, at+1, size); found {
		return fmt.Sprintf("%s, though whole records follow from byte %d: the log is damaged in its midst, not cut off", lost, next)
	}
	return lost
}

// findRecord looks for the next whole record at or after from. It tries a byte only where a known kind and a JSON
// object's ends stand as they would in a record, and gives up when it has checked searchBudget bytes in vain.
func findRecord(in io.ReaderAt, from, size int64) (at int64, found bool) {
	r := bufio.NewReaderSize(io.NewSectionReader(in, from, size-from), 1<<16)
	budget := searchBudget
	for at = from; budget > 0; at++ {
		head, err := r.Peek(frameSize + 1)
		if err != nil {
			return 0, false
		}
		if f := parseFrame(head); plausible(f, head[frameSize], size-at) {
			budget -= int64(f.length)
			if recordAt(in, at, f) {
				return at, true
			}
		}
		if _, err := r.Discard(1); err != nil {
			return 0, false
		}
	}
	return 0, false
}

// searchBudget bounds the work on a log that is made of false starts.
const searchBudget = int64(4 * maxPayload)

func plausible(f frame, first byte, rest int64) bool {
	return f.kind >= kindPlan && f.kind <= kindHighest && first == '{' &&
		f.length >= 3 && f.length <= maxPayload && int64(f.length) <= rest-int64(frameSize)
}

func recordAt(in io.ReaderAt, at int64, f frame) bool {
	var tail [2]byte
	end := at + int64(frameSize) + int64(f.length)
	if _, err := in.ReadAt(tail[:], end-2); err != nil && !errors.Is(err, io.EOF) || tail != [2]byte{'}', '\n'} {
		return false
	}
	whole := make([]byte, end-at)
	n, _ := in.ReadAt(whole, at)
	return n == len(whole) && frameChecksum(whole, whole[frameSize:]) == f.checksum
}
