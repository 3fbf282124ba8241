package runner

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/weirbench/weir/testbed"
)

// selfUse is what this process uses, its children apart.
func selfUse() (testbed.ResourceUse, error) {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return testbed.ResourceUse{}, fmt.Errorf("read own resource use: %w", err)
	}
	use := testbed.ResourceUse{CPUSeconds: float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9}
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := bytes.Fields(statm); len(f) > 1 {
			pages, _ := strconv.ParseInt(string(f[1]), 10, 64)
			use.RSSBytes = pages * int64(os.Getpagesize())
		}
	}
	if dir, err := os.Open("/proc/self/fd"); err == nil {
		names, _ := dir.Readdirnames(-1)
		use.Descriptors = len(names)
		_ = dir.Close()
	}
	return use, nil
}

// totalMemory is the machine's, in bytes; 0 where it is not known.
func totalMemory() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
