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
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{1, 100, "1 10 100"}, {12.3, 96.5, "20 50"}, {0.9, 60, "1 2 5 10 20 50"}, {2, 5, "2 5"}, {6, 9, "6 9"}, {0.02, 30, "0.1 1 10"},
	} {
		var got []string
		for _, v := range (axis{c.low, c.high, 0, 1}).ticks() {
			got = append(got, short(v))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v to %v: ticks %v; want %s", c.low, c.high, got, c.want)
		}
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{1: "1", 0.01: "0.01", 1500: "1.5k", 50000: "50k", 2e6: "2M"} {
		if got := short(v); got != want {
			t.Errorf("short(%v) = %q; want %q", v, got, want)
		}
	}
}
