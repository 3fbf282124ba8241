package loadgen

import (
	"testing"
	"testing/fstest"
)

// TestUsableCores: a quota may be a fraction, and is no more than there are.
func TestUsableCores(t *testing.T) {
	for quota, want := range map[string]float64{"max 100000\n": 4, "50000 100000\n": 0.5, "900000 100000\n": 4} {
		files := fstest.MapFS{"sys/fs/cgroup/cpu.max": &fstest.MapFile{Data: []byte(quota)}}
		if got := coresIn(4, files); got != want {
			t.Errorf("%q: got %v; want %v", quota, got, want)
		}
	}
}
