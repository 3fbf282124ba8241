package loadgen

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// threadTime is what the kernel's scheduler says of a thread since it began, in ns: on a processor, and waiting for one
// although it could have run (Linux, Documentation/scheduler/sched-stats.rst, /proc/PID/schedstat).
type threadTime struct{ ran, waited int64 }

// threadTimes reads those of this process's threads, by id. A thread that ends meanwhile is left out; it is empty where the
// kernel keeps no such account.
func threadTimes() map[int]threadTime {
	dir, err := os.Open("/proc/self/task")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // a part is better than nothing
	times := make(map[int]threadTime, len(names))
	for _, name := range names {
		id, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		text, err := os.ReadFile("/proc/self/task/" + name + "/schedstat")
		if err != nil {
			continue
		}
		if t, ok := parseThreadTime(string(text)); ok {
			times[id] = t
		}
	}
	return times
}

func parseThreadTime(text string) (t threadTime, ok bool) {
	n, _ := fmt.Sscan(strings.TrimSpace(text), &t.ran, &t.waited)
	return t, n == 2
}
