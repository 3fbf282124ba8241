package benchtable

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func TestSVG(t *testing.T) {
	var b strings.Builder
	err := SVG(&b, 2, []Panel{
		{Title: "CPU <&>", XLabel: "clients", X: []float64{10, 100, 1000}, Curves: []Curve{{"generator", Sample{1, math.NaN(), 100}}, {"gateway", Sample{0, 2, 2}}}},
		{Title: "nothing", X: []float64{1}, Curves: []Curve{{"none", Sample{math.NaN()}}}},
		{Title: "one", X: []float64{5}, Curves: []Curve{{"one", Sample{5}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for dec := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("it is no XML: %v\n%s", err, text)
		}
	}
	// Two points of the first curve and two of the second have a value that a logarithm has a place for, and the third panel's.
	if n := strings.Count(text, "<circle"); n != 5 {
		t.Errorf("%d points are drawn; want 5", n)
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Errorf("a place is no number:\n%s", text)
	}
	if !strings.Contains(text, "CPU &lt;&amp;&gt;") || !strings.Contains(text, `viewBox="0 0 680 480"`) {
		t.Errorf("the title is not escaped, or three panels do not make two rows of two:\n%s", text)
	}
}

func TestAxis(t *testing.T) {
	a := axis{1, 100, 0, 200}
	if got := a.place(10); math.Abs(got-100) > 1e-9 {
		t.Errorf("10 of 1 to 100 lies at %v; want 100, the middle", got)
	}
	if got := a.ticks(); len(got) != 3 || got[0] != 1 || got[1] != 10 || math.Abs(got[2]-100) > 1e-9 {
		t.Errorf("ticks %v; want 1, 10 and 100", got)
	}
	if got := (axis{2, 5, 0, 1}).ticks(); len(got) != 2 || got[0] != 2 || got[1] != 5 {
		t.Errorf("ticks %v of an axis without a power of ten; want its ends", got)
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{1: "1", 0.01: "0.01", 1500: "1.5k", 50000: "50k", 2e6: "2M"} {
		if got := short(v); got != want {
			t.Errorf("short(%v) = %q; want %q", v, got, want)
		}
	}
}
