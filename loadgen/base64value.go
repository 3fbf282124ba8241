package loadgen

import (
	"bytes"
	"encoding/base64"
	"slices"
)

// markImage is what a stamp's start mark looks like in base64 (RFC 4648, section 4): three bytes become four characters,
// so that there are three images, by where in its three bytes the mark begins. Each has the four characters that depend on
// nothing but the mark and the kind behind it, which differ among the kinds in no bit that is looked at.
type markImage struct {
	text  []byte
	place int // of the image's first character among its four
}

var markImages = func() (images [3]markImage) {
	for before := range images {
		place := (before*8 + 5) / 6
		encoded := base64.StdEncoding.EncodeToString(slices.Concat(make([]byte, before), startMarkBytes, []byte{byte(KindData), 0, 0}))
		images[before] = markImage{[]byte(encoded[place : place+4]), place}
	}
	return images
}()

// base64Stamp is where a stamp stands in a base64 text.
type base64Stamp struct {
	text   int // where the text begins, or as much of it as is aligned with the stamp
	offset int // of the stamp in what the text stands for
}

// findBase64 is find for values in base64. The image of a mark is one by chance where it is not aligned with the text
// that it stands in; it may be so nevertheless where something is glued to the text's beginning, which a whole stamp tells.
func (r *valueReader) findBase64(s *Stamp, message []byte, from int) (at, skip int, err error) {
	for {
		before, hit := r.nextImage(message, from)
		if hit < 0 {
			return -1, 0, nil
		}
		r.beginText(message, from, hit)
		group := hit - markImages[before].place
		aligned := group >= r.text && (group-r.text)%4 == 0
		from = hit + 1
		if group < r.text {
			continue
		}
		stamp, _ := decodeBase64(r.space[:0], message[group:], before+StampSize)
		r.space = stamp
		err := s.Parse(stamp[min(before, len(stamp)):])
		if err != nil && !aligned {
			continue
		}
		text := group - (group-r.text)/4*4
		r.found = base64Stamp{text, (group-text)/4*3 + before}
		return hit, hit + 4, err
	}
}

// nextImage returns the first image of a start mark at or after from, and how many bytes stand before the mark in its
// three; hit is −1 where there is none.
func (r *valueReader) nextImage(message []byte, from int) (before, hit int) {
	hit = -1
	for i := range markImages {
		if r.images[i] < from {
			r.images[i] = len(message)
			if at := bytes.Index(message[from:], markImages[i].text); at >= 0 {
				r.images[i] = from + at
			}
		}
		if r.images[i] < len(message) && (hit < 0 || r.images[i] < hit) {
			before, hit = i, r.images[i]
		}
	}
	return before, hit
}

// beginText finds where the base64 text begins that hit is inside of. What lies before from has been looked at.
func (r *valueReader) beginText(message []byte, from, hit int) {
	begin := hit
	for begin > from && base64Value[message[begin-1]] != invalidDigit {
		begin--
	}
	if begin > from || from == 0 || r.text < 0 || base64Value[message[from-1]] == invalidDigit {
		r.text = begin
	}
}

// locateBase64 is locate for the stamp that was found last.
func (r *valueReader) locateBase64(s *Stamp, message []byte) extent {
	f := &r.found
	behind := f.text + (f.offset+StampSize)/3*4
	first := f.offset - int(s.Offset)
	if first < 0 || int(s.ValueSize) < int(s.Offset)+StampSize {
		return extent{begin: f.text, end: behind, next: behind}
	}
	e := extent{begin: f.text + first/3*4, next: behind}
	value, used := decodeBase64(r.space[:0], message[e.begin:], first%3+int(s.ValueSize))
	r.space = value
	e.end = max(e.begin+used, behind)
	for e.end < len(message) && message[e.end] == '=' {
		e.end++
	}
	if len(value) < first%3 {
		return e
	}
	if value = value[first%3:]; len(value) == int(s.ValueSize) && sumAround(value, int(s.Offset)) == s.ValueSum {
		e.intact, e.next = true, e.end
	}
	return e
}

// base64Value is what a character of the standard alphabet stands for.
var base64Value = func() (t [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range t {
		t[i] = invalidDigit
	}
	for i := range len(alphabet) {
		t[alphabet[i]] = byte(i)
	}
	return t
}()

// decodeBase64 appends at most limit bytes of what the text stands for, which begins with a whole group, as far as it is
// base64. used is how many characters these took.
func decodeBase64(dst, text []byte, limit int) (appended []byte, used int) {
	if limit > cap(dst)-len(dst) {
		dst = slices.Grow(dst, min(limit, len(text)))
	}
	stop := len(dst) + limit
	at := 0
	for ; len(text)-at >= 4 && stop-len(dst) >= 3; at += 4 {
		a, b, c, d := base64Value[text[at]], base64Value[text[at+1]], base64Value[text[at+2]], base64Value[text[at+3]]
		if (a|b|c|d)&0xc0 != 0 {
			break
		}
		dst = append(dst, a<<2|b>>4, b<<4|c>>2, c<<6|d)
	}
	var bits, n uint32 // of the last group, which is not whole or of which not all is wanted
	for at < len(text) && len(dst) < stop && base64Value[text[at]] != invalidDigit {
		bits, n = bits<<6|uint32(base64Value[text[at]]), n+6
		if at++; n >= 8 {
			n -= 8
			dst = append(dst, byte(bits>>n))
		}
	}
	return dst, at
}
