package loadgen

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// contents draws what is in one message's fields, in the order in which they are asked for, and bounds what there is of
// them.
type contents struct {
	draw  draw
	drawn uint64
	items int
	bytes int
}

// newContents returns what draws the contents of variant k, in each attempt others.
func newContents(d draw, k uint64) func(attempt uint64) *contents {
	return func(attempt uint64) *contents {
		return &contents{draw: draw{mix(mix(d.base) + k<<8 + attempt)}, items: maxEncodedItems, bytes: maxEncodedValue}
	}
}

// errEndless means that a record or message holds itself in each of its values.
var errEndless = errors.New("a message of it would hold itself without end (make the field optional, or a union with null)")

// take counts a field, an item or an entry, of so many bytes beside its own.
func (c *contents) take(size int) error {
	if c.items--; c.items < 0 {
		return fmt.Errorf("a message has more than %d fields, items and entries (take a smaller one)", maxEncodedItems)
	}
	if c.bytes -= size; c.bytes < 0 {
		return fmt.Errorf("a message comes to more than %d KiB without its pad (take a smaller one)", maxEncodedValue>>10)
	}
	return nil
}

func (c *contents) below(n uint64) uint64 {
	c.drawn++
	return c.draw.below(c.drawn, n)
}

// Plausible contents.
const (
	firstMoment  = 1_767_225_600 // 2026-01-01 00:00:00 UTC, in seconds
	momentSpread = 365 * 86_400  // moments are of that year
	daySeconds   = 86_400
	smallNumber  = 10_000
	largeNumber  = 1_000_000_000
	textLength   = 12
)

// moment is a time in units of which a second has so many.
func (c *contents) moment(perSecond uint64) int64 {
	return int64(firstMoment*perSecond + c.below(momentSpread*perSecond))
}

func (c *contents) day() int32 {
	return int32(firstMoment/daySeconds + c.below(momentSpread/daySeconds))
}

func (c *contents) small() int32 { return int32(c.below(smallNumber)) }

func (c *contents) large() int64 { return int64(c.below(largeNumber)) }

// real is an amount with two decimal places.
func (c *contents) real() float64 { return float64(c.below(largeNumber)) / 100 }

func (c *contents) yes() bool { return c.below(2) == 1 }

// text is a word of letters and digits.
func (c *contents) text() string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	text := make([]byte, textLength)
	for i := range text {
		text[i] = letters[c.below(uint64(len(letters)))]
	}
	return string(text)
}

func (c *contents) octets(n int) []byte {
	octets := make([]byte, (n+7)&^7)
	for i := 0; i < n; i += 8 {
		c.drawn++
		binary.LittleEndian.PutUint64(octets[i:], c.draw.at(c.drawn))
	}
	return octets[:n]
}

// uuid is a random one (RFC 9562, section 5.4).
func (c *contents) uuid() string {
	b := c.octets(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
