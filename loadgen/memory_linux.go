package loadgen

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// availableMemory is the smaller of what the kernel says is available and what the control groups leave.
func availableMemory() (bytes int64, known bool) { return availableIn(readText) }

// availableIn reads proc_meminfo(5) and the memory limits of this process's control groups, of version 2 from its own up to
// the root's.
func availableIn(read func(name string) string) (bytes int64, known bool) {
	for line := range strings.Lines(read("/proc/meminfo")) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 {
			bytes, known = kib<<10, true
		}
	}
	least := func(dir, limit, usage string) {
		most, err := strconv.ParseInt(strings.TrimSpace(read(path.Join(dir, limit))), 10, 64)
		used, also := strconv.ParseInt(strings.TrimSpace(read(path.Join(dir, usage))), 10, 64)
		if err != nil || also != nil { // "max", or there is none
			return
		}
		if left := max(most-used, 0); !known || left < bytes {
			bytes, known = left, true
		}
	}
	for _, dir := range controlGroups(read) {
		least(dir, "memory.max", "memory.current")
	}
	least("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
	return bytes, known
}
