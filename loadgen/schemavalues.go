package loadgen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/weirbench/weir/scenarios"
)

// Bounds of values by a schema.
const (
	// schemaVariants is how many different contents a sender's messages have, as far as maxVariantBytes allows.
	schemaVariants  = 64
	maxVariantBytes = 4 << 20 // of all of them
	maxEncodedValue = 1 << 20 // of one, without its pad
	maxEncodedItems = 10_000  // fields, items and entries of one, at all levels
	maxEncodedDepth = 100     // records or messages in each other
	markAttempts    = 16      // contents that are tried until none has a start mark in it
	registryHeader  = 1 + 4   // the magic byte and the schema's id
	maxVarint       = 5       // bytes of a length
)

// The texts that stand for the stamp and the pad where a value is encoded once and cut up. No drawn text has a control
// character.
var (
	stampStandIn = "\x02" + strings.Repeat("s", StampSize-2) + "\x03"
	padStandIn   = "\x02pad\x03"
)

// messageForm encodes messages of one schema.
type messageForm interface {
	// encode returns a message with the texts in the stamp's and the pad's fields and all others drawn from c, as it follows
	// the registry's header and the message indexes.
	encode(c *contents, stamp, pad string) ([]byte, error)
	// indexes are the message's place in its file, as the registry's framing tells it; none for Avro.
	indexes() []int
	// zigzag tells how the form writes lengths: as Avro does, or plainly as Protobuf does.
	zigzag() bool
}

// schemaValues makes the values of one sender from messages that were encoded once and cut at the stamp and the pad.
// Message i has the contents of the variant that is drawn for i, and the pad that its size asks for.
type schemaValues struct {
	variants []variant
	shortest int
	draw     draw
	zigzag   bool
}

// variant is one encoded message in the registry's framing: what stands before, between and behind the stamp and the
// pad. Without a pad there is nothing between.
type variant struct {
	head, middle, tail []byte
	padded, padFirst   bool
}

func newSchemaValues(from *scenarios.Payload, draw draw) (*schemaValues, error) {
	form, err := newMessageForm(from)
	if err != nil {
		return nil, err
	}
	v := &schemaValues{draw: draw, zigzag: form.zigzag()}
	header, err := new(sr.ConfluentHeader).AppendEncode(nil, 0, form.indexes())
	if err != nil {
		return nil, fmt.Errorf("frame a message: %w", err)
	}
	left := maxVariantBytes
	for k := range uint64(schemaVariants) {
		one, size, err := newVariant(form, header, newContents(draw, k), from.Schema.PadField != "")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from.Schema.File, err)
		}
		if left -= size; left < 0 && k > 0 {
			break
		}
		v.variants = append(v.variants, one)
		if one.fixed() < v.variants[v.shortest].fixed() {
			v.shortest = int(k)
		}
	}
	return v, nil
}

func newMessageForm(from *scenarios.Payload) (messageForm, error) {
	if from.Schema == nil {
		return nil, fmt.Errorf("an %s payload names no schema", from.Kind)
	}
	if from.Kind == scenarios.PayloadAvro {
		return newAvroForm(from.Schema)
	}
	return newProtobufForm(from.Schema)
}

// newVariant encodes a message and cuts it up. A content in which a start mark came about by chance is drawn again.
func newVariant(form messageForm, header []byte, draws func(attempt uint64) *contents, padded bool) (v variant, size int, err error) {
	for attempt := range uint64(markAttempts) {
		pad := ""
		if padded {
			pad = padStandIn
		}
		message, err := form.encode(draws(attempt), stampStandIn, pad)
		if err != nil {
			return variant{}, 0, err
		}
		if len(message) > maxEncodedValue {
			return variant{}, 0, fmt.Errorf("a message comes to more than %d KiB without its pad (take a smaller one)", maxEncodedValue>>10)
		}
		value := append(bytes.Clone(header), message...)
		if bytes.Contains(value, startMarkBytes) {
			continue
		}
		v, err := cutUp(value, padded, form.zigzag())
		return v, len(value), err
	}
	return variant{}, 0, fmt.Errorf("every message has %s in it, with which stamps begin (change the field that makes it)", startMark)
}

// cutUp finds the stand-ins in an encoded message.
func cutUp(value []byte, padded, zigzag bool) (variant, error) {
	v := variant{padded: padded}
	stamp := bytes.Index(value, []byte(stampStandIn))
	if stamp < 0 || bytes.Count(value, []byte(stampStandIn)) != 1 {
		return variant{}, errors.New("the stamp's field is not in the encoded message once")
	}
	stampEnd := stamp + StampSize
	if !padded {
		v.head, v.tail = value[:stamp], value[stampEnd:]
		return v, nil
	}
	hole := append(appendLength(nil, len(padStandIn), 1, zigzag), padStandIn...)
	pad := bytes.Index(value, hole)
	if pad < 0 || bytes.Count(value, hole) != 1 {
		return variant{}, errors.New("the pad's field is not in the encoded message once")
	}
	padEnd := pad + len(hole)
	if v.padFirst = pad < stamp; v.padFirst {
		v.head, v.middle, v.tail = value[:pad], value[padEnd:stamp], value[stampEnd:]
	} else {
		v.head, v.middle, v.tail = value[:stamp], value[stampEnd:pad], value[padEnd:]
	}
	return v, nil
}

// setID writes the id that the registry gave the schema into every message's header.
func (v *schemaValues) setID(id int) error {
	for i := range v.variants {
		head := v.variants[i].head
		if err := new(sr.ConfluentHeader).UpdateID(head, uint32(id)); err != nil {
			return fmt.Errorf("write the schema's id: %w", err)
		}
		if bytes.Contains(head, startMarkBytes) {
			return fmt.Errorf("the schema's id, %d, makes %s in a value, with which stamps begin (change the schema, so that it gets another)", id, startMark)
		}
	}
	return nil
}

// fixed is the length of all but the pad and its length.
func (v *variant) fixed() int { return len(v.head) + len(v.middle) + len(v.tail) + StampSize }

// appendLength writes a length in so many bytes: with fewer than it takes it would be another, with more its last bytes
// are empty, which readers of both formats take.
func appendLength(dst []byte, n, width int, zigzag bool) []byte {
	u := lengthBits(n, zigzag)
	for range width - 1 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

func lengthBits(n int, zigzag bool) uint64 {
	if zigzag {
		return uint64(n) << 1
	}
	return uint64(n)
}

// lengthSize is how many bytes a length takes.
func lengthSize(n int, zigzag bool) int {
	var buf [binary.MaxVarintLen64]byte
	return binary.PutUvarint(buf[:], lengthBits(n, zigzag))
}

// padFor splits room between a pad and its length. Where a length grows by a byte there is one room that no pad fills with
// the shortest way to write it: there it is written with a byte more.
func padFor(room int, zigzag bool) (pad, width int) {
	for width = 1; width < maxVarint; width++ {
		pad = max(0, room-width)
		if lengthSize(pad, zigzag) <= width {
			break
		}
	}
	return pad, width
}

// furthest returns the furthest that a stamp stands, and the longest that a value is, up to a size asked for.
func (v *schemaValues) furthest(size int) (stampAt, longest int) {
	for i := range v.variants {
		at, n := v.variants[i].measure(size, v.zigzag)
		stampAt, longest = max(stampAt, at), max(longest, n)
	}
	return stampAt, longest
}

// measure returns where the stamp stands in the variant's value of a size, and how long that is.
func (v *variant) measure(size int, zigzag bool) (stampAt, length int) {
	stampAt, length = len(v.head), v.fixed()
	if !v.padded {
		return stampAt, length
	}
	pad, width := padFor(size-length, zigzag)
	if v.padFirst {
		stampAt += width + pad + len(v.middle)
	}
	return stampAt, length + width + pad
}

// compose writes the value; see [values.compose].
func (v *schemaValues) compose(buf []byte, c *content, random *randomText) (value []byte, stampAt int) {
	return v.write(&v.variants[v.draw.below(c.seq, uint64(len(v.variants)))], buf, c, random)
}

// composeMarker writes the shortest value.
func (v *schemaValues) composeMarker(buf []byte, c *content, random *randomText) (value []byte, stampAt int) {
	return v.write(&v.variants[v.shortest], buf, c, random)
}

func (v *schemaValues) write(from *variant, buf []byte, c *content, random *randomText) (value []byte, stampAt int) {
	stampAt, length := from.measure(c.size, v.zigzag)
	value = sized(buf, length)
	at := copy(value, from.head)
	if from.padded && from.padFirst {
		at = v.pad(value, at, from, c, random)
		copy(value[at:], from.middle)
	}
	at = stampAt + StampSize
	if from.padded && !from.padFirst {
		at += copy(value[at:], from.middle)
		at = v.pad(value, at, from, c, random)
	}
	copy(value[at:], from.tail)
	return value, stampAt
}

// pad writes the pad with its length, and returns where it ends. A length may end like the beginning of a start mark, so
// the pad does not begin like the rest of one.
func (v *schemaValues) pad(value []byte, at int, from *variant, c *content, random *randomText) int {
	pad, width := padFor(c.size-from.fixed(), v.zigzag)
	at = len(appendLength(value[:at], pad, width, v.zigzag))
	text := value[at : at+pad]
	random.fill(text, c.seq)
	if pad > 0 && strings.IndexByte(startMark[1:], text[0]) >= 0 {
		text[0] = filler
	}
	return at + pad
}
