package loadgen

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// positions is how far a client is in its topic: the offset that it expects next of each partition, and of which topic
// of that name. The zero value knows nothing.
type positions struct {
	epoch string  // as it stands inside a JSON string
	next  []int64 // by partition; below 0 where it is not known
}

func newPositions(partitions int) positions {
	return positions{next: slices.Repeat([]int64{-1}, partitions)}
}

// known reports whether there is anything to tell.
func (p *positions) known() bool {
	return slices.ContainsFunc(p.next, func(offset int64) bool { return offset >= 0 })
}

// advance notes that the record at the offset arrived. A record from before never takes a position back.
func (p *positions) advance(partition, offset int64) {
	if partition < int64(len(p.next)) {
		p.next[partition] = max(p.next[partition], offset+1)
	}
}

// object is the positions in a topic as they are told: {"TOPIC":{"epoch":"…","next":{"0":17}}}.
func (p *positions) object(topic string) string {
	b := fmt.Appendf(nil, `{"%s":{"epoch":"%s","next":{`, insideJSON(topic), p.epoch)
	first := true
	for partition, offset := range p.next {
		if offset < 0 {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = strconv.AppendInt(append(b, '"'), int64(partition), 10)
		b = strconv.AppendInt(append(b, '"', ':'), offset, 10)
	}
	return string(append(b, "}}}"...))
}

// told is one topic's entry of an object of positions. Its slices are those of the message.
type told struct{ epoch, next []byte }

// take takes what a target told. Of another epoch all that was known is forgotten. onlyNew leaves the partitions alone
// whose position is known: a target that answers a client that came back tells from where on it is live, and what lies
// between is still to come.
func (p *positions) take(t told, onlyNew bool, intern func([]byte) string) {
	if string(t.epoch) != p.epoch {
		p.epoch = intern(t.epoch)
		for i := range p.next {
			p.next[i] = -1
		}
	}
	s := scanner{data: t.next}
	s.offsets(func(partition, offset int64) {
		if partition < int64(len(p.next)) && (p.next[partition] < 0 || !onlyNew) {
			p.next[partition] = max(p.next[partition], offset)
		}
	})
}

// findPositions finds a topic's entry in the object that the first field of the mark's name holds; the mark is the name with
// its quotes. Topics' names hold nothing that JSON would escape. What is no such object to its end is not taken.
func findPositions(message, mark []byte, topic string) (t told, ok bool) {
	s := scanner{data: message}
	for field := false; !field; field = s.take(':') { // the name may be a value too
		at := bytes.Index(s.data[s.at:], mark)
		if at < 0 {
			return told{}, false
		}
		s.at += at + len(mark)
	}
	whole := s.members(func(name []byte) bool {
		if string(name) != topic {
			return s.skip()
		}
		ok = true
		t = told{}
		return s.entry(&t)
	})
	if !whole || !ok || t.next == nil {
		return told{}, false
	}
	return t, true
}

// scanner reads JSON as far as positions need it. Its methods report whether what they look for was there.
type scanner struct {
	data []byte
	at   int
}

// space skips white space.
func (s *scanner) space() {
	for s.at < len(s.data) && bytes.IndexByte([]byte(" \t\n\r"), s.data[s.at]) >= 0 {
		s.at++
	}
}

// take skips white space and the byte behind it.
func (s *scanner) take(want byte) bool {
	s.space()
	found := s.at < len(s.data) && s.data[s.at] == want
	if found {
		s.at++
	}
	return found
}

// text reads a string and returns what stands between its quotes.
func (s *scanner) text() (inside []byte, ok bool) {
	if !s.take('"') {
		return nil, false
	}
	from := s.at
	for ; s.at < len(s.data); s.at++ {
		switch s.data[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			return s.data[from : s.at-1], true
		}
	}
	s.at = len(s.data)
	return nil, false
}

// number reads a natural number.
func (s *scanner) number() (n int64, ok bool) {
	s.space()
	n, size := natural(s.data[s.at:])
	s.at += size
	return n, size > 0
}

// members reads an object and calls f at each member's value, which f reads.
func (s *scanner) members(f func(name []byte) bool) bool {
	if !s.take('{') {
		return false
	}
	if s.take('}') {
		return true
	}
	for {
		name, ok := s.text()
		if !ok || !s.take(':') || !f(name) {
			return false
		}
		if !s.take(',') {
			return s.take('}')
		}
	}
}

// entry reads one topic's positions.
func (s *scanner) entry(t *told) bool {
	return s.members(func(name []byte) (ok bool) {
		switch string(name) {
		case "epoch":
			t.epoch, ok = s.text()
			return ok
		case "next":
			s.space()
			from := s.at
			ok = s.offsets(func(int64, int64) {})
			t.next = s.data[from:s.at]
			return ok
		}
		return s.skip()
	})
}

// offsets reads an object of offsets by partition.
func (s *scanner) offsets(each func(partition, offset int64)) bool {
	return s.members(func(name []byte) bool {
		partition, size := natural(name)
		offset, ok := s.number()
		if ok = ok && size > 0 && size == len(name); ok {
			each(partition, offset)
		}
		return ok
	})
}

// skip reads any value up to the comma or bracket that ends it, without looking at what it says.
func (s *scanner) skip() bool {
	for depth := 0; s.at < len(s.data); {
		switch s.data[s.at] {
		case '"':
			if _, ok := s.text(); !ok {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				return true
			}
			if s.data[s.at] != ',' {
				depth--
			}
		}
		s.at++
	}
	return false
}
