package results

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// storedInterval is an interval as the log has it. Its Series shadows that of Interval.
type storedInterval struct {
	Interval
	Series []storedSeries `json:"series,omitempty"`
}

// storedSeries is a series with its histograms as base64 of the V2 compressed encoding; an empty one is left out.
type storedSeries struct {
	Series
	Histogram string `json:"histogram,omitempty"`
	Negative  string `json:"negative,omitempty"`
}

// interval turns an interval into its stored form. A gauge that is no finite number has no value and is left out.
func (e *encoder) interval(in *Interval) (*storedInterval, error) {
	out := &storedInterval{Interval: *in, Series: make([]storedSeries, len(in.Series))}
	out.Gauges = finite(in.Gauges)
	for i, s := range in.Series {
		positive, err := e.histogram(s.Histogram)
		if err != nil {
			return nil, fmt.Errorf("series %s: %w", s.Stage, err)
		}
		negative, err := e.histogram(s.Negative)
		if err != nil {
			return nil, fmt.Errorf("series %s, negative values: %w", s.Stage, err)
		}
		out.Series[i] = storedSeries{Series: s, Histogram: positive, Negative: negative}
	}
	return out, nil
}

// finite returns gauges without those that JSON cannot hold, and gauges itself where there are none such.
func finite(gauges map[string]float64) map[string]float64 {
	clean := gauges
	for name, v := range gauges {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			continue
		}
		if len(clean) == len(gauges) {
			clean = make(map[string]float64, len(gauges))
			for n, w := range gauges {
				clean[n] = w
			}
		}
		delete(clean, name)
	}
	return clean
}

// decodeStoredInterval reads an interval's payload without decoding the histograms.
func decodeStoredInterval(payload []byte) (*storedInterval, error) {
	in := new(storedInterval)
	if err := json.Unmarshal(payload, in); err != nil {
		return nil, fmt.Errorf("decode interval: %w", err)
	}
	return in, nil
}

// decodeInterval reads an interval's payload. Each series gets a histogram, an empty one where none was stored.
func decodeInterval(payload []byte) (*Interval, error) {
	stored, err := decodeStoredInterval(payload)
	if err != nil {
		return nil, err
	}
	in := stored.Interval
	in.Series = nil
	for _, s := range stored.Series {
		series, err := s.decode()
		if err != nil {
			return nil, fmt.Errorf("decode interval %d, series %s: %w", in.Index, s.Stage, err)
		}
		in.Series = append(in.Series, series)
	}
	return &in, nil
}

func (s storedSeries) decode() (Series, error) {
	out := s.Series
	out.Histogram, out.Negative = NewHistogram(), nil
	var err error
	if s.Histogram != "" {
		if out.Histogram, err = decodeHistogram(s.Histogram); err != nil {
			return Series{}, err
		}
	}
	if s.Negative != "" {
		if out.Negative, err = decodeHistogram(s.Negative); err != nil {
			return Series{}, err
		}
	}
	if err := out.validate(); err != nil {
		return Series{}, err
	}
	return out, nil
}

// validate refuses counts that no recorder can have made, since a quantile over them would be nonsense.
func (s Series) validate() error {
	var sum int64
	for _, n := range []int64{total(s.Histogram), total(s.Negative), s.Overflow, s.Underflow} {
		if n < 0 || n > math.MaxInt64-sum {
			return errors.New("counts below zero or beyond int64")
		}
		sum += n
	}
	if s.MinNS > s.MaxNS {
		return fmt.Errorf("minimum %d ns above maximum %d ns", s.MinNS, s.MaxNS)
	}
	return nil
}

// decodeHistogram reads the base64 V2 form. It looks at the declared geometry first: the library would allocate what a
// hostile one asks for.
func decodeHistogram(encoded string) (*hdrhistogram.Histogram, error) {
	if err := checkEncodedGeometry(encoded); err != nil {
		return nil, err
	}
	h, err := hdrhistogram.Decode([]byte(encoded))
	if err != nil {
		return nil, fmt.Errorf("decode histogram: %w", err)
	}
	return h, nil
}

// checkEncodedGeometry inflates the 40 bytes of header behind the 8 of the compressed form's own: cookie, length of
// the counts, index offset and digits as int32, lowest and highest value as int64, conversion ratio; big-endian.
func checkEncodedGeometry(encoded string) error {
	raw := base64.NewDecoder(base64.StdEncoding, bytes.NewReader([]byte(encoded)))
	if _, err := io.CopyN(io.Discard, raw, 8); err != nil {
		return fmt.Errorf("decode histogram: %w", err)
	}
	z, err := zlib.NewReader(raw)
	if err != nil {
		return fmt.Errorf("decode histogram: %w", err)
	}
	var head [hdrhistogram.ENCODING_HEADER_SIZE]byte
	if _, err := io.ReadFull(z, head[:]); err != nil {
		return fmt.Errorf("decode histogram: %w", err)
	}
	digits := int32(binary.BigEndian.Uint32(head[12:]))
	lowest := int64(binary.BigEndian.Uint64(head[16:]))
	highest := int64(binary.BigEndian.Uint64(head[24:]))
	if digits != SignificantDigits || lowest != LowestNS || highest != HighestNS {
		return errGeometry
	}
	return nil
}
