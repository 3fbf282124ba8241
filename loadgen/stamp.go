package loadgen

import (
	"bytes"
	"errors"
	"hash/crc32"
)

// StampSize is the length of an encoded stamp in bytes.
const StampSize = 80

// Kind says what a stamped message is for.
type Kind byte

// The kinds of messages. Markers belong to no audit class.
const (
	KindData  Kind = 'd'
	KindJoin  Kind = 'j' // PartSeq and KeySeq are those of the next data message of their streams
	KindFinal Kind = 'f' // likewise, and no data message follows
)

// NoKey is the key id of a message without a key.
const NoKey = 1<<30 - 1

// The widest values that the fields hold.
const (
	maxRun       = 1<<48 - 1
	maxProducer  = 1<<24 - 1
	maxPartition = 1<<18 - 1
	maxSeq       = 1<<42 - 1
	maxValueSize = 1<<24 - 1
	maxOffset    = 1<<18 - 1
)

// Stamp is what every message carries through the pipeline. Times are Unix nanoseconds of the sender's realtime clock.
type Stamp struct {
	Kind      Kind
	Run       uint64 // 48 bits
	Producer  uint32 // index in the plan, 24 bits
	Partition uint32 // 18 bits
	PartSeq   uint64 // sequence number in (producer, partition), 42 bits
	Key       uint32 // key id, 30 bits; NoKey where there is none
	KeySeq    uint64 // sequence number in (producer, key), 42 bits
	DueAt     int64
	SentAt    int64
	ValueSize uint32 // bytes of the whole value, the stamp included, 24 bits
	Offset    uint32 // of the stamp in the value, 18 bits
	ValueSum  uint32 // CRC-32C of the value's bytes outside the stamp
}

// The layout, in characters of six bits each between the marks:
//
//	~W1 kind run:8 producer:4 partition:3 partSeq:7 key:5 keySeq:7 dueAt:11 sentAt:11 size:4 offset:3 sum:6 check:6 ~
const (
	startMark = "~W1"
	endMark   = '~'

	atKind      = 3
	atRun       = 4
	atProducer  = 12
	atPartition = 16
	atPartSeq   = 19
	atKey       = 26
	atKeySeq    = 31
	atDue       = 38
	atSent      = 49
	atSize      = 60
	atOffset    = 64
	atSum       = 67
	atCheck     = 73
	atEnd       = 79
)

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// invalidDigit marks bytes outside the alphabet; its top bits survive the OR over a field.
const invalidDigit = 0xff

var digitValue = func() (t [256]byte) {
	for i := range t {
		t[i] = invalidDigit
	}
	for i := range len(digits) {
		t[digits[i]] = byte(i)
	}
	return t
}()

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrStamp means that the bytes are not a whole and unharmed stamp.
var ErrStamp = errors.New("no valid stamp")

func putDigits(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = digits[v&63]
		v >>= 6
	}
}

// Put encodes s into the first StampSize bytes of dst. Fields wider than their place are cut; the plan's limits keep
// them inside it.
func (s *Stamp) Put(dst []byte) {
	_ = dst[StampSize-1]
	copy(dst, startMark)
	dst[atKind] = byte(s.Kind)
	putDigits(dst[atRun:atProducer], s.Run)
	putDigits(dst[atProducer:atPartition], uint64(s.Producer))
	putDigits(dst[atPartition:atPartSeq], uint64(s.Partition))
	putDigits(dst[atPartSeq:atKey], s.PartSeq)
	putDigits(dst[atKey:atKeySeq], uint64(s.Key))
	putDigits(dst[atKeySeq:atDue], s.KeySeq)
	putDigits(dst[atDue:atSent], uint64(s.DueAt))
	putDigits(dst[atSent:atSize], uint64(s.SentAt))
	putDigits(dst[atSize:atOffset], uint64(s.ValueSize))
	putDigits(dst[atOffset:atSum], uint64(s.Offset))
	putDigits(dst[atSum:atCheck], uint64(s.ValueSum))
	putDigits(dst[atCheck:atEnd], uint64(crc32.Checksum(dst[:atCheck], castagnoli)))
	dst[atEnd] = endMark
}

// seal completes s with what it tells of the value that it stands in at the given offset, and writes it there.
func (s *Stamp) seal(value []byte, at int) {
	s.ValueSize, s.Offset, s.ValueSum = uint32(len(value)), uint32(at), sumAround(value, at)
	s.Put(value[at:])
}

// Parse decodes the stamp at the beginning of src into s. It allocates nothing and never panics.
func (s *Stamp) Parse(src []byte) error {
	if len(src) < StampSize || string(src[:atKind]) != startMark || src[atEnd] != endMark {
		return ErrStamp
	}
	t := (*stampText)(src)
	check := t.check()
	if check.bad&badDigit != 0 || check.value != uint64(crc32.Checksum(src[:atCheck], castagnoli)) {
		return ErrStamp
	}
	s.Kind = Kind(src[atKind])
	if !t.take(s) || (s.Kind != KindData && s.Kind != KindJoin && s.Kind != KindFinal) {
		return ErrStamp
	}
	return nil
}

// FindStamp looks for the next stamp in frame at or after from. at is where it begins, or −1 where no start mark is
// left. err tells that a start mark is there and the stamp behind it is broken.
func (s *Stamp) FindStamp(frame []byte, from int) (at int, err error) {
	i := bytes.Index(frame[from:], startMarkBytes)
	if i < 0 {
		return -1, nil
	}
	return from + i, s.Parse(frame[from+i:])
}

var startMarkBytes = []byte(startMark)

// sumAround is the CRC-32C of a value without the stamp at offset.
func sumAround(value []byte, offset int) uint32 {
	sum := uint32(0)
	if offset > 0 {
		sum = crc32.Update(0, castagnoli, value[:offset])
	}
	return crc32.Update(sum, castagnoli, value[offset+StampSize:])
}

// ValueIntact reports whether the value that the stamp at frame[at:] belongs to is whole and unchanged, and where to look
// for the next stamp: behind the value, or right behind this stamp where the value can't be trusted to be there.
func (s *Stamp) ValueIntact(frame []byte, at int) (intact bool, end int) {
	begin := at - int(s.Offset)
	stop := begin + int(s.ValueSize)
	if begin < 0 || stop > len(frame) || stop < at+StampSize {
		return false, at + StampSize
	}
	if sumAround(frame[begin:stop], int(s.Offset)) != s.ValueSum {
		return false, at + StampSize
	}
	return true, stop
}

// reach is where the value that the stamp at frame[at:] belongs to ends by what the stamp says, whether its bytes are
// intact or not; next where the frame does not reach that far.
func (s *Stamp) reach(at, next, frame int) int {
	if stop := at - int(s.Offset) + int(s.ValueSize); stop > next && stop <= frame {
		return stop
	}
	return next
}
