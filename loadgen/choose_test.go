package loadgen

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirbench/weir/scenarios"
)

// TestHotKeysMove: in each stretch the hot keys are the ones that the plan says, have their share, all alike, and the
// others share the rest.
func TestHotKeysMove(t *testing.T) {
	const n = 40_000
	for _, c := range []struct {
		name string
		keys scenarios.Keys
		due  time.Duration
		hot  []int
	}{
		{"at first", scenarios.Keys{Count: 8, Hot: 3, HotShare: 0.9, HotMove: time.Second}, time.Second - 1, []int{0, 1, 2}},
		{"moved once", scenarios.Keys{Count: 8, Hot: 3, HotShare: 0.9, HotMove: time.Second}, time.Second, []int{3, 4, 5}},
		{"over the end", scenarios.Keys{Count: 8, Hot: 3, HotShare: 0.9, HotMove: time.Second}, 2500 * time.Millisecond, []int{6, 7, 0}},
		{"a million stretches on", scenarios.Keys{Count: 8, Hot: 3, HotShare: 0.9, HotMove: time.Millisecond}, 1_000_001 * time.Millisecond, []int{3, 4, 5}},
		{"never", scenarios.Keys{Count: 8, Hot: 1, HotShare: 0.5}, time.Hour, []int{0}},
		{"all of it", scenarios.Keys{Count: 8, Hot: 2, HotShare: 1, HotMove: time.Second}, 0, []int{0, 1}},
		{"all keys", scenarios.Keys{Count: 3, Hot: 3, HotShare: 0.5, HotMove: time.Second}, time.Second, []int{0, 1, 2}},
		{"none", scenarios.Keys{Count: 3, HotShare: 0.5, HotMove: time.Second}, time.Second, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.keys.Kind = scenarios.KeysHotSet
			want := make([]float64, c.keys.Count)
			share := c.keys.HotShare
			switch len(c.hot) {
			case 0:
				share = 0
			case c.keys.Count:
				share = 1
			}
			for k := range want {
				want[k] = (1 - share) / float64(max(c.keys.Count-len(c.hot), 1))
			}
			for _, k := range c.hot {
				want[k] = share / float64(len(c.hot))
			}
			choose := chooserOf(c.keys, scenarios.Size{})
			counts := make([]float64, c.keys.Count)
			for i := range uint64(n) {
				key, partition := choose.choose(i, c.due)
				if want := partitionOf([]byte(scenarios.KeyName(int(key))), 4); partition != want {
					t.Fatalf("message %d of key %d goes to partition %d; want %d", i, key, partition, want)
				}
				counts[key]++
			}
			for k, share := range want {
				want, sigma := share*n, math.Sqrt(n*share*(1-share))
				if math.Abs(counts[k]-want) > 4*sigma {
					t.Errorf("key %d: got %v of %d; want %.0f ± %.0f", k, counts[k], n, want, 4*sigma)
				}
			}
		})
	}
}

// TestShareIsTheLargest: no stretch gives a partition more than its share, and where the hot keys stay the shares are one.
func TestShareIsTheLargest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := scenarios.Keys{
			Kind: scenarios.KeysHotSet, Count: rapid.IntRange(1, 30).Draw(t, "keys"), HotShare: rapid.Float64Range(0, 1).Draw(t, "share"),
			HotMove: rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "move"),
		}
		keys.Hot = rapid.IntRange(1, keys.Count).Draw(t, "hot")
		choose := chooserOf(keys, scenarios.Size{})
		sum := 0.0
		for p := range uint32(4) {
			share := choose.share(p)
			sum += share
			for stretch := range keys.Count {
				exact := 0.0
				first := choose.hot.first(time.Duration(stretch) * time.Second)
				for k := range uint64(keys.Count) {
					if choose.keyPartition[k] != p {
						continue
					}
					if (k+uint64(keys.Count)-first)%uint64(keys.Count) < uint64(keys.Hot) {
						exact += choose.hot.share / float64(keys.Hot)
					} else {
						exact += (1 - choose.hot.share) / float64(keys.Count-keys.Hot)
					}
				}
				if exact > share+1e-9 {
					t.Fatalf("partition %d gets %v in stretch %d; want at most %v", p, exact, stretch, share)
				}
			}
		}
		if keys.HotMove == 0 && math.Abs(sum-1) > 1e-9 {
			t.Fatalf("the shares sum up to %v; want 1", sum)
		}
	})
}

// TestLognormalSizes: the deciles of what is drawn are those of the distribution, and its tails are set to the bounds.
func TestLognormalSizes(t *testing.T) {
	const n = 40_000
	size := scenarios.Size{Kind: scenarios.SizeLognormal, Min: 100, Max: 5000, Median: 600, Sigma: 0.8}
	choose := chooserOf(scenarios.Keys{Kind: scenarios.KeysNone}, size)
	var sizes []int
	for i := range uint64(n) {
		got := choose.sizeOf(i)
		if got < size.Min || got > size.Max {
			t.Fatalf("got %d bytes; want %d to %d", got, size.Min, size.Max)
		}
		if again := choose.sizeOf(i); again != got {
			t.Fatalf("message %d has %d bytes, and then %d", i, got, again)
		}
		sizes = append(sizes, got)
	}
	// Quantiles of the normal distribution (Abramowitz and Stegun, table 26.5); 1.3 % lie below Min, 0.4 % above Max.
	for share, z := range map[float64]float64{0.05: -1.6449, 0.25: -0.6745, 0.5: 0, 0.75: 0.6745, 0.95: 1.6449} {
		limit := float64(size.Median) * math.Exp(size.Sigma*z)
		below := 0.0
		for _, s := range sizes {
			if float64(s) <= limit {
				below++
			}
		}
		if sigma := math.Sqrt(share * (1 - share) / n); math.Abs(below/n-share) > 4*sigma+0.001 {
			t.Errorf("%.4f of the sizes are at most %.0f; want %.2f ± %.4f", below/n, limit, share, 4*sigma+0.001)
		}
	}
	for bound, want := range map[int]float64{size.Min: 0.01276, size.Max: 0.00402} {
		count := 0.0
		for _, s := range sizes {
			if s == bound {
				count++
			}
		}
		if math.Abs(count/n-want) > 4*math.Sqrt(want/n) {
			t.Errorf("%.5f of the sizes are %d; want %.5f", count/n, bound, want)
		}
	}
}

// TestHistogramSizes: each bin has its weight's share, and one without weight never comes.
func TestHistogramSizes(t *testing.T) {
	const n = 40_000
	bins := []scenarios.SizeBin{{Bytes: 90, Weight: 0}, {Bytes: 100, Weight: 6}, {Bytes: 1000, Weight: 3}, {Bytes: 500, Weight: 0}, {Bytes: 20_000, Weight: 1}, {Bytes: 30_000, Weight: 0}}
	choose := chooserOf(scenarios.Keys{Kind: scenarios.KeysNone}, scenarios.Size{Kind: scenarios.SizeHistogram, Min: 90, Max: 30_000, Bins: bins})
	counts := map[int]float64{}
	for i := range uint64(n) {
		counts[choose.sizeOf(i)]++
	}
	for _, bin := range bins {
		want := bin.Weight / 10
		if got := counts[bin.Bytes] / n; math.Abs(got-want) > 4*math.Sqrt(want*(1-want)/n) {
			t.Errorf("%d bytes: got a share of %v; want %v", bin.Bytes, got, want)
		}
		delete(counts, bin.Bytes)
	}
	if len(counts) > 0 {
		t.Errorf("got sizes of no bin: %s", fmt.Sprint(counts))
	}
}
