package loadgen

import "bytes"

// valueForm is how values stand in a target's messages.
type valueForm uint8

const (
	formPlain   valueForm = iota
	formEscaped           // inside a JSON string
	formBase64
)

// valueForms are the forms as a profile names them.
var valueForms = map[string]valueForm{"": formPlain, "json": formEscaped, "base64": formBase64}

// extent is where a value stands in a message.
type extent struct {
	begin  int  // of what stands for it
	end    int  // behind what belongs to it, by what its stamp says
	next   int  // where the next stamp may begin: behind its own where the value can't be trusted to be there
	intact bool // whole and unchanged
}

// valueReader finds values in messages of one form. It allocates nothing but the space that it keeps. Its owner guards it.
type valueReader struct {
	form  valueForm
	space []byte // what a value is decoded into
	// Of a message with base64: where each image of the start mark is found next, where the text that is being read
	// begins, and of the stamp that was found last how it stands there.
	images [3]int
	text   int
	found  base64Stamp
}

// begin is called before a message is read.
func (r *valueReader) begin(form valueForm) {
	r.form = form
	if form == formBase64 {
		r.images, r.text = [3]int{-1, -1, -1}, -1
	}
}

// find looks for the next stamp at or after from. at is −1 where there is none; err tells that one begins there and is
// broken, and skip where to look on where it is, or is another run's.
func (r *valueReader) find(s *Stamp, message []byte, from int) (at, skip int, err error) {
	if r.form == formBase64 {
		return r.findBase64(s, message, from)
	}
	at, err = s.FindStamp(message, from)
	return at, at + len(startMark), err
}

// locate says where the value of the stamp stands that find has found at.
func (r *valueReader) locate(s *Stamp, message []byte, from, at int) extent {
	switch r.form {
	case formEscaped:
		return r.locateEscaped(s, message, from, at)
	case formBase64:
		return r.locateBase64(s, message)
	}
	return s.locate(message, at)
}

// locate says where a value stands that is passed on as it is, by the stamp in it.
func (s *Stamp) locate(message []byte, at int) extent {
	intact, next := s.ValueIntact(message, at)
	return extent{begin: at - int(s.Offset), end: s.reach(at, next, len(message)), next: next, intact: intact}
}

// hasMark reports whether a stamp begins in a part of a message.
func (r *valueReader) hasMark(part []byte) bool {
	if r.form != formBase64 {
		return bytes.Contains(part, startMarkBytes)
	}
	for _, image := range markImages {
		if bytes.Contains(part, image.text) {
			return true
		}
	}
	return false
}

// locateEscaped is locate for a value inside a JSON string. The search goes back no further than from, where the value
// before ended.
func (r *valueReader) locateEscaped(s *Stamp, message []byte, from, at int) extent {
	begin, stop := at-int(s.Offset), at-int(s.Offset)+int(s.ValueSize)
	if begin >= from && stop <= len(message) && at+StampSize <= stop {
		whole := message[begin:stop]
		if bytes.IndexByte(whole, '\\') < 0 && bytes.IndexByte(whole, '"') < 0 {
			if e := s.locate(message, at); e.intact {
				return e
			}
		}
	}
	opening := openingQuote(message, from, at)
	before, _, valid := unescape(r.space[:0], message[opening:at], at-opening)
	offset := len(before)
	e := extent{begin: opening}
	if over := offset - int(s.Offset); over > 0 {
		_, used, _ := unescape(before[offset:], message[opening:at], over)
		e.begin += used
	}
	missing := max(int(s.ValueSize)-int(s.Offset), StampSize)
	value, used, rest := unescape(before, message[at:], missing)
	r.space = value
	e.next, e.end = at+StampSize, max(at+used, at+StampSize)
	if first := offset - int(s.Offset); valid && rest && first >= 0 && len(value)-first == int(s.ValueSize) &&
		sumAround(value[first:], int(s.Offset)) == s.ValueSum {
		e.intact, e.next = true, e.end
	}
	return e
}

// openingQuote returns where the JSON string begins that at is inside of, or from where none does.
func openingQuote(message []byte, from, at int) int {
	for limit := at; ; {
		quote := bytes.LastIndexByte(message[from:limit], '"')
		if quote < 0 {
			return from
		}
		quote += from
		first := quote // of the backslashes in front of it
		for first > from && message[first-1] == '\\' {
			first--
		}
		if (quote-first)%2 == 0 {
			return quote + 1
		}
		limit = first
	}
}
