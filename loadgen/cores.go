package loadgen

import (
	"io/fs"
	"runtime"

	"github.com/weirbench/weir/internal/machine"
)

// usableCores is how many cores the generator may use, by its affinity and the quota of its control groups, which may be a
// fraction. GOMAXPROCS is no bound: Go makes it 2 at least, and threads that wait in the kernel exceed it.
var usableCores = coresIn(float64(runtime.NumCPU()), machine.Files())

// coresIn is the lesser of cores and the quota of the control groups.
func coresIn(cores float64, files fs.FS) float64 {
	if quota, known := machine.CoreQuota(files); known {
		return min(cores, quota)
	}
	return cores
}
