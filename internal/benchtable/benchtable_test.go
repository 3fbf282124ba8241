package benchtable

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMedianAndRange(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name              string
		in                Sample
		median, low, high float64
		cell              string
	}{
		{"odd", Sample{3, 1, 2}, 2, 1, 3, "2.00 (1.00–3.00)"},
		{"even", Sample{4, 1, 3, 2}, 2.5, 1, 4, "2.50 (1.00–4.00)"},
		{"a round without a value counts for nothing", Sample{5, nan, 1, nan, 2}, 2, 1, 5, "2.00 (1.00–5.00)"},
		{"one", Sample{nan, 7}, 7, 7, 7, "7.00"},
		{"none", Sample{nan}, nan, nan, nan, "–"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := slices.Clone(c.in)
			low, high := c.in.Range()
			if m := c.in.Median(); !same(m, c.median) || !same(low, c.low) || !same(high, c.high) {
				t.Errorf("got median %v, range %v–%v; want %v, %v–%v", m, low, high, c.median, c.low, c.high)
			}
			if got := c.in.Cell(Digits); got != c.cell {
				t.Errorf("got %q; want %q", got, c.cell)
			}
			if !slices.EqualFunc(c.in, before, same) {
				t.Errorf("the sample became %v; want %v, in the order of its rounds", c.in, before)
			}
		})
	}
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// TestRatiosArePaired has a machine that is twice as slow in the second round: the ratio stays, that of medians of unpaired
// rounds would not.
func TestRatiosArePaired(t *testing.T) {
	a, base := Sample{2, 4, math.NaN(), 6}, Sample{4, 8, 5, 0}
	got := Ratios(a, base)
	if want := (Sample{0.5, 0.5, math.NaN(), math.NaN()}); !slices.EqualFunc(got, want, same) {
		t.Errorf("got %v; want %v", got, want)
	}
	if got := Ratios(Sample{1, 2, 3}, Sample{1}); len(got) != 1 {
		t.Errorf("got %d ratios of 3 rounds and 1; want 1", len(got))
	}
}

func TestSpread(t *testing.T) {
	if got := (Sample{9, 10, 12}).Spread(); got != 0.3 {
		t.Errorf("got %v; want 0.3", got)
	}
	for _, few := range []Sample{{}, {5}} {
		if got := few.Spread(); !math.IsNaN(got) {
			t.Errorf("got %v of %v; want NaN", got, few)
		}
	}
}

func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0123: "0.0123", 0.999: "0.999", 0.9996: "1.00", 1: "1.00", 9.996: "10.0", 12.34: "12.3", 99.96: "100", 123.4: "123", 4567: "4567", -1.5: "-1.50",
	} {
		if got := Digits(v); got != want {
			t.Errorf("Digits(%v) = %q; want %q", v, got, want)
		}
	}
}

func TestMedianLiesInItsRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Sample(rapid.SliceOfN(rapid.Float64Range(-1e9, 1e9), 1, 20).Draw(t, "sample"))
		low, high := s.Range()
		if m := s.Median(); m < low || m > high {
			t.Errorf("median %v of %v lies outside %v–%v", m, s, low, high)
		}
	})
}

func TestTable(t *testing.T) {
	table := Table{Title: "Clients", Head: []string{"client", "CPU"}}
	table.Add("a|b", "1\n2")
	table.Add("short")
	table.Note("%d rounds.", 5)
	var b strings.Builder
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "### Clients\n\n| client | CPU |\n| --- | --- |\n| a\\|b | 1 2 |\n| short |  |\n\n5 rounds.\n\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
