package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// hourOf is a reading a second for an hour. Noise wanders: each value keeps nine tenths of the one before's.
func hourOf(perHour, noise float64, seed uint64) []reading {
	random := rand.New(rand.NewPCG(seed, 1))
	var rs []reading
	wander := 0.0
	for i := range 3600 {
		wander = 0.9*wander + noise*random.NormFloat64()
		rs = append(rs, reading{time.Unix(1000+int64(i), 0), 1000 + perHour*float64(i)/3600 + wander})
	}
	return rs
}

// TestFitExact: a line is found, without an interval to speak of.
func TestFitExact(t *testing.T) {
	for _, want := range []float64{0, 60, -60} {
		s, err := fit(hourOf(want, 0, 1))
		if err != nil || math.Abs(s.perHour-want) > 1e-6 || s.within > 1e-6 || math.Abs(s.mean-1000-want/2) > 0.1 || s.over != 3599*time.Second {
			t.Errorf("slope of %v: got %+v, %v", want, s, err)
		}
	}
}

// TestFitInterval: of intervals of 95% about so many hold the slope, although the noise wanders.
func TestFitInterval(t *testing.T) {
	const soaks = 400
	held := 0
	for seed := range uint64(soaks) {
		s, err := fit(hourOf(30, 10, seed))
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(s.perHour-30) <= s.within {
			held++
		}
	}
	if held < soaks*91/100 || held > soaks*98/100 {
		t.Errorf("%d of %d intervals hold the slope; want about 95%%", held, soaks)
	}
}

// TestPlantedLeaks: what leaks is named, and nothing else.
func TestPlantedLeaks(t *testing.T) {
	const mib = 1 << 20
	scaled := func(rs []reading, by float64) []reading {
		for i := range rs {
			rs[i].value *= by
		}
		return rs
	}
	short := func(rs []reading) []reading { return rs[:180] }
	for _, c := range []struct {
		name  string
		gauge string
		rs    []reading
		want  string // "" for flat
	}{
		{"none", "gateway_goroutines", hourOf(0, 5, 1), ""},
		{"a goroutine for each of 200 an hour", "gateway_goroutines", hourOf(200, 5, 2), "gateway: goroutines: rises by 2"},
		{"fewer than tolerated", "gateway_goroutines", hourOf(60, 1, 3), ""},
		{"a fall", "gateway_goroutines", hourOf(-500, 1, 4), ""},
		{"hidden in noise", "gateway_goroutines", hourOf(150, 400, 5), ""},
		{"descriptors", "gateway_descriptors", hourOf(120, 5, 6), "gateway: descriptors: rises by 1"},
		{"memory", "gateway_rss_bytes", scaled(hourOf(100, 5, 7), mib), "gateway: memory, MiB: rises by "},
		{"memory of the generator", "generator_rss_bytes", scaled(hourOf(200, 5, 8), mib), "generator: memory, MiB: rises by "},
		{"generator's goroutines", "generator_goroutines", hourOf(300, 5, 9), "generator: goroutines: rises by "},
		{"generator's descriptors", "generator_descriptors", hourOf(300, 5, 10), "generator: descriptors: rises by "},
		{"settling in three minutes", "gateway_rss_bytes", short(scaled(hourOf(400, 1, 11), mib)), ""},
		{"a large leak in three minutes", "gateway_rss_bytes", short(scaled(hourOf(1000, 1, 12), mib)), "gateway: memory, MiB: rises by "},
		{"too few", "gateway_goroutines", hourOf(0, 5, 13)[:19], "gateway: goroutines: 19 readings are too few for a slope (at least 20)"},
		{"never read", "gateway_goroutines", nil, "gateway: goroutines: 0 readings are too few"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := map[string][]reading{}
			for i, w := range watchedGauges() {
				all[w.gauge] = hourOf(0, 1, uint64(100+i))
			}
			all[c.gauge] = c.rs
			var out bytes.Buffer
			err := write(&out, all)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if (c.want == "") != (err == nil) || !strings.HasPrefix(got, c.want) || strings.Contains(got, "\n") {
				t.Errorf("got %q; want %q alone\n%s", got, c.want, out.String())
			}
			if n := strings.Count(out.String(), "\n"); n != 7 && !strings.Contains(c.want, "too few") {
				t.Errorf("the table has %d lines; want a head and 6\n%s", n, out.String())
			}
		})
	}
}

// TestFitHole: a part of an hour without readings is not drawn through.
func TestFitHole(t *testing.T) {
	rs := hourOf(0, 1, 1)
	if _, err := fit(append(rs[:1000:1000], rs[1400:]...)); err == nil || !strings.Contains(err.Error(), "no reading between") {
		t.Errorf("got %v; want the hole told", err)
	}
}
