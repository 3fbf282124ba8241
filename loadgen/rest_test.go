package loadgen

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestRest(t *testing.T) {
	var r rest
	looks := []struct {
		name      string
		times     int
		found     int
		coalesced int64
		want      time.Duration // after the last of the times
	}{
		{"grows where messages come alone", 1, 3, 0, restStep},
		{"to a bound", 40, 3, 0, longestRest},
		{"none where more is ready", 1, 128, 0, 0},
		{"none where nothing came", 1, 0, 0, 0},
		{"none where messages are read together", 1, 3, 5, 0},
		{"nor for a while", restBehind / 4, 4, 5, 0},
		{"anew when they are not any more", 1, 3, 5, restStep},
		{"and longer", 1, 3, 5, 2 * restStep},
		{"none at once", 1, 3, 6, 0},
	}
	for _, l := range looks {
		var got time.Duration
		for range l.times {
			got = r.after(l.found, 128, l.coalesced)
		}
		if got != l.want {
			t.Errorf("%s: got %v; want %v", l.name, got, l.want)
		}
	}
	for coalesced := int64(7); coalesced < 40; coalesced++ {
		r.after(1, 128, coalesced)
	}
	if got := r.after(1, 128, 40); got != 0 {
		t.Errorf("where each look finds messages together: got %v; want none", got)
	}
}

// looks simulates a poller for some seconds: so many connections with messages at random instants, at so many a second together,
// each look and each read taking its time. It returns how many messages came, how many of them were read together with a
// later one, and the longest rest.
func looks(connections int, rate, seconds float64, rests bool) (messages, coalesced int64, longest time.Duration) {
	const look, read = 5e-6, 2e-6 // seconds
	random := rand.New(rand.NewPCG(7, 11))
	var r rest
	waiting := map[int]int64{}
	next := random.ExpFloat64() / rate
	for now := 0.0; now < seconds; {
		now = max(now, next) // it sleeps until something comes
		for ; next <= now; next += random.ExpFloat64() / rate {
			waiting[random.IntN(connections)]++
			messages++
		}
		found := len(waiting)
		for _, n := range waiting {
			coalesced += n - 1
		}
		clear(waiting)
		now += look + float64(found)*read
		if pause := r.after(found, pollEventsSimulated, coalesced); rests {
			now += pause.Seconds()
			longest = max(longest, pause)
		}
	}
	return messages, coalesced, longest
}

const pollEventsSimulated = 128

// TestRestsCostFewStamps: on one fast connection, where a rest hides when messages came, few are read together; over many slow
// ones rests are as long as they may be.
func TestRestsCostFewStamps(t *testing.T) {
	for _, c := range []struct {
		name        string
		connections int
		rate        float64
		longest     bool
	}{
		{"one connection, 5,000 messages a second", 1, 5_000, false},
		{"one connection, 20,000", 1, 20_000, false},
		{"5,000 connections, 10 each", 5_000, 50_000, true},
	} {
		messages, without, _ := looks(c.connections, c.rate, 60, false)
		base := float64(without) / float64(messages)
		messages, with, longest := looks(c.connections, c.rate, 60, true)
		if share := float64(with) / float64(messages); share > base+0.015 || longest == 0 {
			t.Errorf("%s: %.2f%% were read together, and %.2f%% without rests; want at most 1.5%% more", c.name, 100*share, 100*base)
		}
		if c.longest && longest != longestRest {
			t.Errorf("%s: the longest rest was %v; want %v", c.name, longest, longestRest)
		}
	}
}
