package results

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// LogName is the name of the log in a run directory.
const LogName = "run.log"

// The log, version 1. All numbers are little-endian, checksums are CRC-32C (RFC 3720, B.4).
//
//	header: magic (8) | version u32 | checksum of magic and version u32
//	record: payload's length u32 | kind u8 | checksum of length, kind and payload u32 | payload
//
// A payload is one JSON object and a newline, so that strings(1) shows a log; a histogram in it is the base64 of the
// V2 compressed encoding, the form that an .hlog has. Records are appended, each in one write, and never changed. A
// reader skips kinds that it does not know and refuses versions that it does not know.
const (
	magic       = "weir\x00log"
	version     = 1
	headerSize  = len(magic) + 4 + 4
	frameSize   = 4 + 1 + 4 // before the payload
	maxPayload  = 64 << 20
	kindPlan    = kind(1)
	kindEnv     = kind(2)
	kindIvl     = kind(3)
	kindEvent   = kind(4)
	kindAudit   = kind(5)
	kindHealth  = kind(6)
	kindEnd     = kind(7)
	kindHighest = kindEnd
)

// kind is a record's type. Zero is none, so that a stretch of zeros, as a file system may leave it, is no record.
type kind uint8

func (k kind) String() string {
	switch k {
	case kindPlan:
		return "plan"
	case kindEnv:
		return "environment"
	case kindIvl:
		return "interval"
	case kindEvent:
		return "event"
	case kindAudit:
		return "audit"
	case kindHealth:
		return "health"
	case kindEnd:
		return "end"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendHeader appends the log's header.
func appendHeader(b []byte) []byte {
	start := len(b)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// checkHeader says what is wrong with a log's first headerSize bytes, or the fewer that there are.
func checkHeader(b []byte) error {
	if len(b) < headerSize {
		if string(b) != string(appendHeader(nil)[:len(b)]) {
			return errNotALog
		}
		return fmt.Errorf("the log is cut off in its first %d bytes: nothing of the run was recorded", headerSize)
	}
	if string(b[:len(magic)]) != magic {
		return errNotALog
	}
	sum := binary.LittleEndian.Uint32(b[len(magic)+4:])
	if sum != crc32.Checksum(b[:len(magic)+4], castagnoli) {
		return errors.New("the log's header is damaged (its checksum does not fit)")
	}
	if v := binary.LittleEndian.Uint32(b[len(magic):]); v != version {
		return fmt.Errorf("the log has format version %d and this weir reads version %d (use the weir that recorded it or a newer one)", v, version)
	}
	return nil
}

var errNotALog = errors.New("the file is not a weir log")

// frame is the head of a record.
type frame struct {
	length   uint32
	kind     kind
	checksum uint32
}

// parseFrame reads the first frameSize bytes of b.
func parseFrame(b []byte) frame {
	return frame{
		length:   binary.LittleEndian.Uint32(b),
		kind:     kind(b[4]),
		checksum: binary.LittleEndian.Uint32(b[5:]),
	}
}

// sealFrame fills in the head of the record in b, whose payload follows the frameSize bytes left free for it.
func sealFrame(b []byte, k kind) {
	binary.LittleEndian.PutUint32(b, uint32(len(b)-frameSize))
	b[4] = byte(k)
	binary.LittleEndian.PutUint32(b[5:], frameChecksum(b[:5], b[frameSize:]))
}

// frameChecksum is the checksum over a record's length and kind, the first five bytes of head, and its payload.
func frameChecksum(head, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(head[:5], castagnoli), castagnoli, payload)
}
