package loadgen

import (
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
		{"shorter where messages are read together", 1, 3, 5, longestRest / 2},
		{"and shorter", 1, 3, 6, longestRest / 4},
		{"longer when they are not any more", 1, 3, 6, longestRest/4 + restStep},
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
