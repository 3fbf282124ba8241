package results

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"pgregory.net/rapid"
)

// latencies draws values of every kind that a recorder counts apart, many of them in the same buckets.
func latencies() *rapid.Generator[[]int64] {
	value := rapid.OneOf(
		rapid.Int64Range(0, 5000),
		rapid.Int64Range(0, HighestNS),
		rapid.Int64Range(-5000, -1),
		rapid.Int64Range(-HighestNS, -1),
		rapid.Int64Range(HighestNS+1, 3*HighestNS),
		rapid.Int64Range(-3*HighestNS, -HighestNS-1),
		rapid.SampledFrom([]int64{0, -1, 511, 512, HighestNS, -HighestNS, HighestNS + 1, -HighestNS - 1}),
	)
	return rapid.SliceOfN(value, 1, 60)
}

func seriesOf(values ...int64) Series {
	var r Recorder
	for _, v := range values {
		r.Record(v)
	}
	return r.Series(StageE2E, Label{Phase: "measure"})
}

// decimals draws quantiles as scenarios have them, exactly and as a float64.
func decimals(t *rapid.T) (*big.Rat, float64) {
	digits := rapid.Int64Range(0, 100000).Draw(t, "q·10⁵")
	exact := big.NewRat(digits, 100000)
	q, _ := exact.Float64()
	return exact, q
}

func ceilRank(q *big.Rat, n int64) int64 {
	product := new(big.Rat).Mul(q, new(big.Rat).SetInt64(n))
	k := new(big.Int).Div(new(big.Int).Add(product.Num(), new(big.Int).Sub(product.Denom(), big.NewInt(1))), product.Denom())
	return max(k.Int64(), 1)
}

func TestNearestRankOfDecimals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		exact, q := decimals(t)
		n := rapid.OneOf(rapid.Int64Range(1, 1000), rapid.Int64Range(1, 1e12)).Draw(t, "n")
		if got, want := nearestRank(q, n), ceilRank(exact, n); got != want {
			t.Fatalf("nearestRank(%v, %d) = %d, want %d", q, n, got, want)
		}
	})
}

func TestNearestRankAtItsEnds(t *testing.T) {
	for _, c := range []struct {
		q    float64
		n    int64
		want int64
	}{
		{0, 10, 1}, {1, 10, 10}, {-1, 10, 1}, {2, 10, 10}, {math.NaN(), 10, 1}, {math.Inf(1), 10, 10},
		{0.07, 100, 7}, {0.1, 10, 1}, {0.11, 10, 2}, {0.999, 1000, 999}, {0.9991, 1000, 1000},
		{1, math.MaxInt64, math.MaxInt64}, {0.5, 1, 1},
	} {
		if got := nearestRank(c.q, c.n); got != c.want {
			t.Errorf("nearestRank(%v, %d) = %d, want %d", c.q, c.n, got, c.want)
		}
	}
}

func TestLowestEquivalentIsTheLibrarys(t *testing.T) {
	h := NewHistogram()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Int64Range(0, HighestNS).Draw(t, "v")
		low := lowestEquivalent(v)
		if low > v || !h.ValuesAreEquivalent(low, v) || low > 0 && h.ValuesAreEquivalent(low-1, v) {
			t.Fatalf("lowestEquivalent(%d) = %d, which is not its bucket's lowest", v, low)
		}
	})
}

// highestAllowed is the highest value that may stand for v: the end of its bucket.
func highestAllowed(v int64) int64 {
	switch {
	case v >= 0:
		width := lowestEquivalentWidth(v)
		return min(lowestEquivalent(v)+width-1, HighestNS)
	default:
		return -max(lowestEquivalent(-v), 1)
	}
}

func lowestEquivalentWidth(v int64) int64 {
	low := lowestEquivalent(v)
	width := int64(1)
	for lowestEquivalent(low+width) == low {
		width *= 2
	}
	return width
}

func TestQuantileIsOfTheNearestRank(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := latencies().Draw(t, "values")
		s := seriesOf(values...)
		slices.Sort(values)
		exactQ, q := decimals(t)
		missing := rapid.Int64Range(0, 20).Draw(t, "missing")

		want := values[ceilRank(exactQ, int64(len(values)))-1]
		checkStandsFor(t, s, s.Quantile(q), want)

		rank := ceilRank(exactQ, int64(len(values))+missing)
		got, ok := s.QuantileOver(q, int64(len(values))+missing)
		if ok != (rank <= int64(len(values))) {
			t.Fatalf("QuantileOver(%v) with %d missing: ok = %v, rank %d of %d", q, missing, ok, rank, len(values))
		}
		if ok {
			checkStandsFor(t, s, got, values[rank-1])
		}
	})
}

func checkStandsFor(t *rapid.T, s Series, got, want int64) {
	t.Helper()
	switch {
	case got == want: // the first and the last rank are exact
	case want > HighestNS:
		if got != s.MaxNS {
			t.Fatalf("got %d for the overflow %d, want the maximum %d", got, want, s.MaxNS)
		}
	case want < -HighestNS:
		if got != -HighestNS-1 {
			t.Fatalf("got %d for the underflow %d, want its highest, %d", got, want, -HighestNS-1)
		}
	case got < want || got > min(highestAllowed(want), s.MaxNS):
		t.Fatalf("got %d for %d, want at most %d", got, want, min(highestAllowed(want), s.MaxNS))
	}
}

func TestQuantileOfKnownValues(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []int64
		q      float64
		want   int64
	}{
		{"empty", nil, 0.5, 0},
		{"one value is exact", []int64{1_234_567}, 0.5, 1_234_567},
		{"minimum is exact", []int64{1_234_567, 9_999_999}, 0, 1_234_567},
		{"maximum is exact", []int64{1_234_567, 9_999_999}, 1, 9_999_999},
		{"bucket's highest", []int64{100, 600, 5000}, 0.5, 1023},
		{"bounded by the maximum", []int64{1, 2, 3}, 0.5, 3},
		{"negative", []int64{-3_000, -2_000, 5}, 0.5, -1536},
		{"nearly zero stays negative", []int64{-9000, -3, 5}, 0.5, -1},
		{"all negative, bounded by the maximum", []int64{-900, -800, -700}, 0.5, -700},
		{"overflow gives the maximum", []int64{1, HighestNS + 1, HighestNS + 9}, 0.5, HighestNS + 9},
		{"underflow gives its highest", []int64{-HighestNS - 9, -HighestNS - 5, 1}, 0.5, -HighestNS - 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := seriesOf(c.values...).Quantile(c.q); got != c.want {
				t.Errorf("Quantile(%v) = %d, want %d", c.q, got, c.want)
			}
		})
	}
}

func TestQuantileOverAPopulation(t *testing.T) {
	s := seriesOf(1, 2, 3, 4)
	for _, c := range []struct {
		q     float64
		total int64
		ns    int64
		ok    bool
	}{
		{0.5, 4, 4, true}, {0.8, 5, 4, true}, {0.81, 5, 0, false}, {1, 5, 0, false}, {1, 4, 4, true}, {1, 2, 4, true},
	} {
		ns, ok := s.QuantileOver(c.q, c.total)
		if ns != c.ns || ok != c.ok {
			t.Errorf("QuantileOver(%v, %d) = %d, %v; want %d, %v", c.q, c.total, ns, ok, c.ns, c.ok)
		}
	}
	if _, ok := (Series{}).QuantileOver(0.5, 0); ok {
		t.Error("an empty population has a quantile")
	}
}

func TestBucketsAndCountAtOrBelowAgreeWithQuantile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := latencies().Draw(t, "values")
		s := seriesOf(values...)
		var sum int64
		last := int64(math.MinInt64)
		for b := range s.Buckets() {
			if b.LowNS > b.HighNS || b.LowNS <= last || b.Count <= 0 {
				t.Fatalf("bucket %+v after one up to %d", b, last)
			}
			last = b.HighNS
			sum += b.Count
		}
		if sum != s.Count() || s.Count() != int64(len(values)) {
			t.Fatalf("buckets hold %d, Count is %d, recorded %d", sum, s.Count(), len(values))
		}
		_, q := decimals(t)
		limit := rapid.SampledFrom(values).Draw(t, "limit")
		k := nearestRank(q, s.Count())
		if k == 1 {
			return
		}
		if within := s.CountAtOrBelow(limit) >= k; within != (s.Quantile(q) <= limit) {
			t.Fatalf("CountAtOrBelow(%d) = %d, rank %d, Quantile(%v) = %d", limit, s.CountAtOrBelow(limit), k, q, s.Quantile(q))
		}
	})
}

func TestMean(t *testing.T) {
	if got := (Series{}).Mean(); got != 0 {
		t.Errorf("mean of nothing = %v, want 0", got)
	}
	if got := seriesOf(-4, 1, 6).Mean(); got != 1 {
		t.Errorf("mean = %v, want 1", got)
	}
	s := seriesOf(1e9, 3e9, -1e9)
	s.SumNS = math.MaxInt64 // as if it had left the range
	if got := s.Mean(); math.Abs(got-1e9) > 1e6 {
		t.Errorf("mean of a saturated sum = %v, want about 1e9", got)
	}
}

func TestMergedSeriesIsThatOfAllValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(latencies(), 1, 3).Draw(t, "parts")
		var merged Series
		for _, values := range parts {
			if err := MergeSeries(&merged, seriesOf(values...)); err != nil {
				t.Fatal(err)
			}
		}
		sameSeries(t, merged, seriesOf(slices.Concat(parts...)...))
	})
}

type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// sameSeries takes no histogram for the same as an empty one.
func sameSeries(t tester, got, want Series) {
	t.Helper()
	equal := func(a, b *hdrhistogram.Histogram) bool {
		if total(a) == 0 || total(b) == 0 {
			return total(a) == total(b)
		}
		return a.Equals(b)
	}
	if !equal(got.Histogram, want.Histogram) || !equal(got.Negative, want.Negative) {
		t.Fatalf("histograms of %s %+v differ", got.Stage, got.Label)
	}
	got.Histogram, got.Negative, want.Histogram, want.Negative = nil, nil, nil, nil
	if got != want {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
}

func TestMergeSeriesOwnsItsMemory(t *testing.T) {
	src := seriesOf(1, -1)
	var dst Series
	if err := MergeSeries(&dst, src); err != nil {
		t.Fatal(err)
	}
	src.Histogram.Reset()
	src.Negative.Reset()
	if got := dst.Count(); got != 2 {
		t.Errorf("after the source's reset the merger counts %d, want 2", got)
	}
}

func TestMergeSeriesRefusesWithoutAChange(t *testing.T) {
	foreign := seriesOf(1)
	foreign.Histogram = hdrhistogram.New(1, 1000, 2)
	full := seriesOf(1)
	full.Overflow = math.MaxInt64 - 1
	other := seriesOf(1)
	other.Stage = StageAck
	for name, src := range map[string]Series{"other stage": other, "foreign histogram": foreign, "too many": full} {
		t.Run(name, func(t *testing.T) {
			dst := seriesOf(7, 8)
			if err := MergeSeries(&dst, src); err == nil {
				t.Error("merged")
			}
			sameSeries(t, dst, seriesOf(7, 8))
		})
	}
}

func TestMergeSeriesKeepsTheLabelsCommonFields(t *testing.T) {
	merged := Series{}
	for _, l := range []Label{{"measure", "viewers", "prices"}, {"measure", "bots", "prices"}} {
		s := seriesOf(1)
		s.Label = l
		if err := MergeSeries(&merged, s); err != nil {
			t.Fatal(err)
		}
	}
	if want := (Label{Phase: "measure", Producer: "prices"}); merged.Label != want {
		t.Errorf("label = %+v, want %+v", merged.Label, want)
	}
}

func TestSeriesSet(t *testing.T) {
	var set SeriesSet
	rng := rand.New(rand.NewPCG(1, 1))
	byPhase := map[string][]int64{}
	for i := range 20 {
		phase := []string{"warm-up", "measure"}[i%2]
		values := []int64{rng.Int64N(1e9), -rng.Int64N(1e6)}
		byPhase[phase] = append(byPhase[phase], values...)
		s := seriesOf(values...)
		s.Label = Label{Phase: phase, Group: []string{"a", "b"}[i/2%2]}
		if err := set.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	got := set.Get(StageE2E, func(l Label) bool { return l.Phase == "measure" })
	sameSeries(t, got, seriesOf(byPhase["measure"]...))
	if n := set.Get(StageE2E, nil).Count(); n != 40 {
		t.Errorf("all together count %d, want 40", n)
	}
	if n := len(set.Labels(StageE2E)); n != 4 {
		t.Errorf("%d labels, want 4", n)
	}
	if got := set.Stages(); !slices.Equal(got, []Stage{StageE2E}) {
		t.Errorf("stages = %v, want e2e alone", got)
	}
	none := set.Get(StageAck, nil)
	if none.Count() != 0 || none.Histogram == nil || none.Quantile(0.5) != 0 || none.Mean() != 0 {
		t.Errorf("a stage without series gives %+v, want an empty one", none)
	}
}

func TestSeriesSetRefusesMoreThanItCanCount(t *testing.T) {
	var set SeriesSet
	huge := Series{Stage: StageE2E, Overflow: math.MaxInt64 - 1, MinNS: HighestNS + 1, MaxNS: HighestNS + 1}
	if err := set.Add(huge); err != nil {
		t.Fatal(err)
	}
	for _, label := range []Label{{}, {Phase: "other"}} {
		s := seriesOf(1, 2)
		s.Label = label
		if err := set.Add(s); err == nil {
			t.Errorf("label %+v: added beyond int64", label)
		}
	}
	if got := set.Get(StageE2E, nil).Count(); got != math.MaxInt64-1 {
		t.Errorf("count = %d, want that of the first alone", got)
	}
}
