package thousands

import (
	"math"
	"testing"
)

func TestOf(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 12345: "12,345", 1234567: "1,234,567", -999: "-999", -1000: "-1,000", -123456: "-123,456",
		math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := Of(n); got != want {
			t.Errorf("got %s; want %s", got, want)
		}
	}
	if got, want := Of(uint64(math.MaxUint64)), "18,446,744,073,709,551,615"; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}

func TestRounded(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.5: "0", -0.4: "0", -0.5: "0", -0.6: "-1", 1.5: "2", 999.4: "999", 999.6: "1,000", 1234567.8: "1,234,568", -1999.6: "-2,000", math.Inf(1): "+Inf", math.Inf(-1): "-Inf",
	} {
		if got := Rounded(v); got != want {
			t.Errorf("%v: got %s; want %s", v, got, want)
		}
	}
	if got := Rounded(math.NaN()); got != "NaN" {
		t.Errorf("got %s of what is no number", got)
	}
}
