package report

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestFormatNS(t *testing.T) {
	for _, test := range []struct {
		ns   float64
		want string
	}{
		{0, "0 ns"}, {840, "840 ns"}, {999.6, "1.00 µs"}, {61_200, "61.2 µs"}, {1_000_000, "1.00 ms"}, {999_500, "1.00 ms"}, {999_400, "999 µs"},
		{1_671_000, "1.67 ms"}, {9_996_000, "10.0 ms"}, {99_960_000, "100 ms"}, {2_057e6, "2.06 s"}, {99.94e9, "99.9 s"}, {99.96e9, "1 min 40 s"},
		{200e9, "3 min 20 s"}, {-1_671_000, "−1.67 ms"},
	} {
		if got := formatNS(test.ns); got != test.want {
			t.Errorf("formatNS(%v) = %q; want %q", test.ns, got, test.want)
		}
	}
}

func TestFormatShare(t *testing.T) {
	for _, test := range []struct {
		share float64
		want  string
	}{
		{1, "100%"}, {0, "0%"}, {0.5, "50%"}, {0.999, "99.9%"}, {0.9999987, "99.99987%"}, {0.00000001, "0.000001%"}, {0.5961538, "59.6%"}, {0.2, "20%"},
	} {
		if got := formatShare(test.share); got != test.want {
			t.Errorf("formatShare(%v) = %q; want %q", test.share, got, test.want)
		}
	}
}

// What differs never looks the same.
func TestFormatApart(t *testing.T) {
	for _, test := range []struct {
		v, limit     float64
		unit         string
		value, bound string
	}{
		{50.02e6, 50e6, "ns", "50.02 ms", "50 ms"}, {61e6, 50e6, "ns", "61.0 ms", "50 ms"}, {50e6, 50e6, "ns", "50.0 ms", "50 ms"},
		{8999.8, 9000, "per_s", "8999.8/s", "9,000/s"}, {math.Inf(1), 50e6, "ns", "missing", "50 ms"}, {3, 0, "count", "3", "0"},
	} {
		if value, bound := formatApart(test.v, test.limit, test.unit); value != test.value || bound != test.bound {
			t.Errorf("formatApart(%v, %v) = %q, %q; want %q, %q", test.v, test.limit, value, bound, test.value, test.bound)
		}
	}
}

func TestFormatCountAndSpan(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "−1,000"} {
		if got := formatCount(n); got != want {
			t.Errorf("formatCount(%d) = %q; want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{16 * time.Second: "16.0 s", 200 * time.Second: "3 min 20 s", 2 * time.Hour: "2 h 0 min"} {
		if got := formatSpan(d); got != want {
			t.Errorf("formatSpan(%v) = %q; want %q", d, got, want)
		}
	}
}

func TestSupports(t *testing.T) {
	for _, test := range []struct {
		q    float64
		n    int64
		want bool
	}{{0.5, 20, true}, {0.5, 19, false}, {0.99, 1000, true}, {0.99, 999, false}, {0.999, 10000, true}, {0.999, 9999, false}, {0.9999, 100000, true}} {
		if got := supports(test.q, test.n); got != test.want {
			t.Errorf("supports(%v, %d) = %v; want %v", test.q, test.n, got, test.want)
		}
		if got := test.n >= needed(test.q); got != test.want {
			t.Errorf("%d ≥ needed(%v) is %v; want %v", test.n, test.q, got, test.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"", []string{""}}, {"one two three", []string{"one two", "three"}}, {"µµµµµµµµ µ", []string{"µµµµµµµµ", "µ"}},
		{"abcdefghijkl m", []string{"abcdefgh", "ijkl m"}}, {"a bcdefghijkl", []string{"a", "bcdefghi", "jkl"}},
	} {
		if got := wrap(test.text, 8); !slices.Equal(got, test.want) {
			t.Errorf("wrap(%q) = %q; want %q", test.text, got, test.want)
		}
	}
}

func TestClean(t *testing.T) {
	if got, want := clean("a\x1b[31mb\nc\u202ed\x9b"), "a\ufffd[31mb c\ufffdd\ufffd"; got != want {
		t.Errorf("clean gives %q; want %q", got, want)
	}
}
