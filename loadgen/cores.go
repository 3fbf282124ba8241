package loadgen

import (
	"fmt"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// usableCores is how many cores the generator may use, by its affinity and the quota of its control groups, which may be a
// fraction. GOMAXPROCS is no bound: Go makes it 2 at least, and threads that wait in the kernel exceed it.
var usableCores = coresIn(float64(runtime.NumCPU()), readText)

// coresIn is the least of cores and the quotas of the control groups, of version 2 from this process's own up to the root's.
func coresIn(cores float64, read func(name string) string) float64 {
	bound := func(quota, period float64) {
		if quota > 0 && period > 0 {
			cores = min(cores, quota/period)
		}
	}
	for _, dir := range controlGroups(read) {
		var quota, period float64
		if n, _ := fmt.Sscan(read(path.Join(dir, "cpu.max")), &quota, &period); n == 2 { // else "max"
			bound(quota, period)
		}
	}
	number := func(name string) float64 {
		v, err := strconv.ParseFloat(strings.TrimSpace(read(path.Join("/sys/fs/cgroup/cpu", name))), 64)
		if err != nil {
			return 0
		}
		return v
	}
	bound(number("cpu.cfs_quota_us"), number("cpu.cfs_period_us")) // −1 is none
	return cores
}
