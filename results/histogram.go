package results

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The cookies of the V2 encodings that stand before 64-bit counts of variable length (HdrHistogram, EncodableHistogram).
const (
	plainCookie      = 0x1c849303 | 0x10
	compressedCookie = 0x1c849304 | 0x10
)

// encoder writes histograms in memory of its own, of which a compressor takes most: several times what it compresses. It
// belongs to the one who writes intervals rather than to a sync.Pool, which two collections between intervals empty.
type encoder struct {
	sparse *hdrhistogram.PackedHistogram // what the library lets be read of a histogram without a copy of all counts
	plain  []byte
	out    bytes.Buffer
	zip    *zlib.Writer
}

func newEncoder() *encoder {
	e := &encoder{sparse: hdrhistogram.NewPacked(LowestNS, HighestNS, SignificantDigits)}
	e.zip = zlib.NewWriter(&e.out)
	return e
}

// histogram writes the base64 V2 compressed form that HdrHistogram's tools read; "" for an empty histogram. It is
// hdrhistogram's Encode without its garbage, which collections during a run would pay for: see docs/BENCHMARKS.md.
func (e *encoder) histogram(h *hdrhistogram.Histogram) (string, error) {
	if total(h) == 0 {
		return "", nil
	}
	if err := checkGeometry(h); err != nil {
		return "", err
	}
	e.sparse.Reset()
	e.sparse.MergeFrom(h) // drops nothing: the geometry is the same, and h's total is in range
	e.plain = appendHistogram(e.plain[:0], e.sparse)
	e.out.Reset()
	e.out.Write(make([]byte, 8)) // the compressed form's own header, filled in below
	e.zip.Reset(&e.out)
	if _, err := e.zip.Write(e.plain); err != nil {
		return "", fmt.Errorf("compress histogram: %w", err)
	}
	if err := e.zip.Close(); err != nil {
		return "", fmt.Errorf("compress histogram: %w", err)
	}
	packed := e.out.Bytes()
	binary.BigEndian.PutUint32(packed, compressedCookie)
	binary.BigEndian.PutUint32(packed[4:], uint32(len(packed)-8))
	return base64.StdEncoding.EncodeToString(packed), nil
}

// appendHistogram appends the V2 form: the header, and each count as a signed integer of variable length, where a
// negative one stands for so many zeros. Zeros at the end are left out.
func appendHistogram(dst []byte, h *hdrhistogram.PackedHistogram) []byte {
	head := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, plainCookie)
	dst = binary.BigEndian.AppendUint32(dst, 0) // length of the counts, below
	dst = binary.BigEndian.AppendUint32(dst, 0) // index offset
	dst = binary.BigEndian.AppendUint32(dst, SignificantDigits)
	dst = binary.BigEndian.AppendUint64(dst, uint64(LowestNS))
	dst = binary.BigEndian.AppendUint64(dst, uint64(HighestNS))
	dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(1)) // conversion ratio
	body := len(dst)
	next := 0
	for v, n := range h.ForEachBucket {
		i := bucketIndex(v)
		switch zeros := int64(i - next); {
		case zeros == 1:
			dst = appendZigZag(dst, 0)
		case zeros > 1:
			dst = appendZigZag(dst, -zeros)
		}
		dst = appendZigZag(dst, n)
		next = i + 1
	}
	binary.BigEndian.PutUint32(dst[head+4:], uint32(len(dst)-body))
	return dst
}

// appendZigZag appends v as ZigZag LEB128 of at most nine bytes, the ninth of which holds eight bits.
func appendZigZag(dst []byte, v int64) []byte {
	u := uint64(v)<<1 ^ uint64(v>>63)
	for range 8 {
		if u < 0x80 {
			return append(dst, byte(u))
		}
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}
