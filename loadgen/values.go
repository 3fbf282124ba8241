package loadgen

import (
	"fmt"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// values makes the values of one sender's messages, all but the stamps in them. What it makes is a function of the plan
// and the content alone. It is immutable and safe for concurrent use.
type values struct {
	random   randomText
	template *valueTemplate // nil for other payloads
	lines    *lineFile      // nil for other payloads
	schema   *schemaValues  // nil for other payloads
	largest  int            // bytes that no value exceeds
}

// content is what a message's value depends on.
type content struct {
	seq  uint64 // the message's number: i
	size int    // bytes, of a payload that has no length of its own
	key  []byte // as the record carries it; nil without keys
	due  time.Duration
}

// newValues prepares the payload of the plan's sender with the given index, and reads its file where it has one. The
// error says what the sender's values can't be made of.
func newValues(p *scenarios.Plan, sender int) (*values, error) {
	from := p.Senders()[sender]
	v := &values{largest: max(from.Size.Max, StampSize)}
	var stampAt int // the furthest that a stamp stands
	var err error
	switch from.Payload.Kind {
	case scenarios.PayloadTemplate:
		v.template, err = newTemplate(from.Producer)
		if err == nil {
			stampAt, v.largest = v.template.furthest(from.Producer)
		}
	case scenarios.PayloadLines:
		v.lines, err = readLines(from.Payload.File)
		if err == nil {
			stampAt, v.largest = v.lines.furthest()
		}
	case scenarios.PayloadAvro, scenarios.PayloadProtobuf:
		v.schema, err = newSchemaValues(&from.Payload, newDraw(p.Seed, sender, purposeSchema))
		if err == nil {
			stampAt, v.largest = v.schema.furthest(from.Size.Max)
		}
	}
	switch {
	case err != nil:
	case stampAt > maxOffset:
		err = fmt.Errorf("the stamp may stand %d bytes behind the value's beginning, and no more than %d can be told (move it forward)",
			stampAt, maxOffset)
	case v.largest > maxValueSize:
		err = fmt.Errorf("a value may have %d bytes, and no more than %d can be told (make it smaller)", v.largest, maxValueSize)
	}
	if err != nil {
		return nil, fmt.Errorf("payload of %s: %w", from.Name, err)
	}
	if v.lines == nil {
		v.random = newRandomText(newDraw(p.Seed, sender, purposePayload), from.Producer)
	}
	return v, nil
}

// compose writes a data message's value over buf, or over a new buffer where that is too small, and returns it with where
// in it the stamp belongs: [Stamp.seal] fills those bytes, which hold anything until then.
func (v *values) compose(buf []byte, c *content) (value []byte, stampAt int) {
	switch {
	case v.template != nil:
		return v.template.compose(buf, c, &v.random)
	case v.lines != nil:
		return v.lines.compose(buf, c.seq)
	case v.schema != nil:
		return v.schema.compose(buf, c, &v.random)
	}
	value = sized(buf, max(c.size, StampSize))
	v.random.fill(value, c.seq)
	return value, 0
}

// composeMarker is compose for a marker: as short as the payload allows, and of its form, since a target may refuse what
// is of another.
func (v *values) composeMarker(buf []byte, c *content) (value []byte, stampAt int) {
	short := *c
	short.size = StampSize
	if v.lines != nil {
		short.seq = v.lines.shortest
	}
	if v.schema != nil {
		return v.schema.composeMarker(buf, &short, &v.random)
	}
	return v.compose(buf, &short)
}

// sized returns buf with the given length, or a new buffer where it is too small.
func sized(buf []byte, size int) []byte {
	if cap(buf) < size {
		return make([]byte, size)
	}
	return buf[:size]
}

// randomText is a block of random text that values are cut from: printable, URL- and JSON-safe, and never a start mark.
type randomText struct {
	block  []byte
	starts uint64 // places where a cut may begin
	draw   draw
}

const (
	// smallBlock is large enough that neighbouring messages rarely share bytes and small enough for a cache.
	smallBlock = 64 << 10
	// largeBlock is for values that are compressed many at a time: a compressor that looks 64 KiB back, as those of Kafka's
	// producers do, finds one byte in 64 there again.
	largeBlock = 4 << 20
	// fillerPeriod is the length of text of which a share is filler.
	fillerPeriod = 256
	filler       = 'A'
)

func newRandomText(d draw, from scenarios.Producer) randomText {
	t := randomText{starts: smallBlock, draw: draw{mix(d.base)}}
	c := from.Payload.Compressibility
	if c > 0 || from.Compression != "" && from.Compression != "none" {
		t.starts = largeBlock
	}
	random := fillerPeriod - int(fillerShare(c, from.Compression)*fillerPeriod+0.5)
	t.block = make([]byte, int(t.starts)+from.Size.Max)
	for i := range t.block {
		t.block[i] = filler
		if i%fillerPeriod < random {
			t.block[i] = digits[d.at(uint64(i))&63]
		}
	}
	return t
}

// fillerShare is the share of a text to fill with one letter, so that a compressor takes away about c of it. Random text
// of 64 letters holds 6 bits in 8. What only looks for repetitions (snappy, lz4) leaves all of it. What codes by frequency
// (gzip, zstd, a WebSocket's deflate) takes a quarter, though those of the producers let a text be in which nothing is
// repeated: between nothing and a quarter there is no share for them, and the nearer one is taken.
func fillerShare(c float64, compression string) float64 {
	const entropy, least = 6.0 / 8, 1.0 / 32
	switch {
	case compression == "snappy" || compression == "lz4":
		return min(max(c, 0), 1)
	case c < (1-entropy)/2:
		return 0
	}
	return min(max(1-(1-c)/entropy, least), 1)
}

// fill writes message i's text over dst.
func (t *randomText) fill(dst []byte, i uint64) {
	at := t.draw.below(i, t.starts)
	copy(dst, t.block[at:])
}
