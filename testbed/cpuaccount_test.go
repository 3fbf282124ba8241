package testbed

import (
	"slices"
	"testing"
)

// TestCPUAccount plants readings in which children end at every moment. A plain sum over those that are there falls by what a
// child had spent, and leaps by that once its parent has waited for it.
func TestCPUAccount(t *testing.T) {
	t.Parallel()
	type r = processReading
	id := func(pid int) processID { return processID{pid, uint64(pid) * 100} }
	for name, c := range map[string]struct {
		readings [][]r
		want     []int64
	}{
		"ends between the reading of its parent and its own": {[][]r{
			{{id(1), 0, 10, 0}, {id(2), 1, 50, 0}},
			{{id(1), 0, 11, 0}},
			{{id(1), 0, 12, 55}}, // with the 5 that came after the first reading
			{{id(1), 0, 13, 55}},
		}, []int64{60, 61, 67, 68}},
		"ends between two readings": {[][]r{
			{{id(1), 0, 10, 0}, {id(2), 1, 50, 0}},
			{{id(1), 0, 11, 55}},
		}, []int64{60, 66}},
		"is read as alive after its parent's wait was": {[][]r{
			{{id(1), 0, 10, 0}, {id(2), 1, 50, 0}},
			{{id(2), 1, 52, 0}, {id(1), 0, 11, 0}},
			{{id(1), 0, 11, 53}},
		}, []int64{60, 63, 64}},
		"is waited for by nobody": {[][]r{
			{{id(1), 0, 10, 0}, {id(2), 1, 50, 0}},
			{{id(1), 0, 11, 0}},
			{{id(1), 0, 12, 0}},
			{{id(1), 0, 13, 30}}, // of another, which was never seen
		}, []int64{60, 61, 62, 93}},
		"had lost its parent": {[][]r{
			{{id(1), 0, 10, 0}, {id(2), 99, 50, 0}},
			{{id(1), 0, 11, 0}},
			{{id(1), 0, 12, 7}},
		}, []int64{60, 61, 69}},
		"ends with its own child": {[][]r{
			{{id(1), 0, 10, 0}, {id(2), 1, 50, 4}, {id(3), 2, 20, 0}},
			{{id(1), 0, 11, 80}}, // 50+4+20, and 6 since
		}, []int64{84, 91}},
		"ends after its own child, which it has not been credited": {[][]r{
			{{id(1), 0, 0, 0}, {id(2), 1, 50, 0}, {id(3), 2, 20, 0}},
			{{id(1), 0, 0, 0}, {id(2), 1, 50, 0}},
			{{id(1), 0, 0, 71}},
		}, []int64{70, 70, 71}},
		"its number comes again": {[][]r{
			{{id(1), 0, 10, 0}, {id(2), 1, 50, 0}},
			{{id(1), 0, 10, 50}, {processID{2, 900}, 1, 3, 0}},
			{{id(1), 0, 10, 50}, {processID{2, 900}, 1, 4, 0}},
		}, []int64{60, 63, 64}},
		"lives for less than an interval": {[][]r{
			{{id(1), 0, 10, 0}},
			{{id(1), 0, 10, 40}},
		}, []int64{10, 50}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var a cpuAccount
			var got []int64
			for _, reading := range c.readings {
				got = append(got, a.add(reading))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v; want %v", got, c.want)
			}
		})
	}
}
