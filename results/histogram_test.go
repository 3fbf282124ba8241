package results

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// TestEncodedHistogramsAreTheLibrarys decodes with the library what the encoder wrote.
func TestEncodedHistogramsAreTheLibrarys(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	e := newEncoder()
	for range 300 {
		h := NewHistogram()
		for range 1 + draw.IntN(200) {
			value := int64(math.Exp(draw.Float64()*math.Log(float64(HighestNS)))) - 1
			count := int64(1) << draw.IntN(55)
			if err := h.RecordValues(value, count); err != nil {
				t.Fatalf("record %d: %v", value, err)
			}
		}
		if draw.IntN(2) == 0 { // above what a recorder gives it, and the last that it can hold
			if err := h.RecordValue(1<<40 - 1); err != nil {
				t.Fatal(err)
			}
		}
		encoded, err := e.histogram(h)
		if err != nil {
			t.Fatal(err)
		}
		got, err := hdrhistogram.Decode([]byte(encoded))
		if err != nil {
			t.Fatalf("decode: %v", err)
		}
		if !got.Equals(h) {
			t.Fatalf("got %d values from %d to %d; want %d from %d to %d", got.TotalCount(), got.Min(), got.Max(), h.TotalCount(), h.Min(), h.Max())
		}
		want, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
		if err != nil {
			t.Fatal(err)
		}
		if limit := len(want) * 11 / 10; len(encoded) > limit {
			t.Fatalf("%d bytes; want at most a tenth more than the library's %d", len(encoded), len(want))
		}
	}
}

func BenchmarkEncodeHistogram(b *testing.B) {
	draw := rand.New(rand.NewPCG(1, 2))
	h := NewHistogram()
	for range 10_000 {
		_ = h.RecordValue(int64(5e6 * math.Exp(draw.NormFloat64()/2)))
	}
	e := newEncoder()
	b.Run("weir", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.histogram(h); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase); err != nil {
				b.Fatal(err)
			}
		}
	})
}
