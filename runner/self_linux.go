package runner

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

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

// busyWatch follows how busy the machine's processors are.
type busyWatch struct{ busy, all float64 }

// share is the busy share of all processors' time since the last call, steal included.
func (b *busyWatch) share() (float64, bool) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var all, idle float64
	for i, f := range strings.Fields(line)[1:] {
		v, _ := strconv.ParseFloat(f, 64)
		if i > 7 { // guest time stands in user time already
			break
		}
		all += v
		if i == 3 || i == 4 {
			idle += v
		}
	}
	was := *b
	*b = busyWatch{all - idle, all}
	if was.all == 0 || all == was.all {
		return 0, false
	}
	return (b.busy - was.busy) / (all - was.all), true
}

// machine describes the processor, kernel and memory.
func machine() (cpu, kernel string, memory int64) {
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		kernel = unix.ByteSliceToString(uts.Release[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		memory = int64(info.Totalram) * int64(info.Unit)
	}
	return cpu, kernel, memory
}
