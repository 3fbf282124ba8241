package machine

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// controlGroups lists the directories of this process's control groups of version 2, from its own up to the root's, which
// alone it is where proc/self/cgroup tells nothing (cgroups(7)). A limit of each of them holds for the process.
func controlGroups(files fs.FS) (dirs []string) {
	group := "/"
	text, _ := Text(files, "proc/self/cgroup")
	for line := range strings.Lines(text) {
		if own, two := strings.CutPrefix(strings.TrimSpace(line), "0::"); two {
			group = path.Clean("/" + own)
		}
	}
	for ; ; group = path.Dir(group) {
		dirs = append(dirs, path.Join("sys/fs/cgroup", group))
		if group == "/" {
			return dirs
		}
	}
}

// CoreQuota is the least quota of processor time among this process's control groups, in processors, which may be a fraction;
// known is false where none is set. Of version 2 all groups count, from the process's own up to the root's (Linux,
// Documentation/admin-guide/cgroup-v2.rst, cpu.max), of version 1 what stands at the root of its hierarchy (CFS bandwidth
// control, Documentation/scheduler/sched-bwc.rst), which in a container is the process's own.
func CoreQuota(files fs.FS) (cores float64, known bool) {
	bound := func(quota, period float64) {
		if quota > 0 && period > 0 && (!known || quota/period < cores) {
			cores, known = quota/period, true
		}
	}
	for _, dir := range controlGroups(files) {
		text, _ := Text(files, path.Join(dir, "cpu.max"))
		var quota, period float64
		if n, _ := fmt.Sscan(text, &quota, &period); n == 2 { // else "max"
			bound(quota, period)
		}
	}
	quota, _ := number(files, "sys/fs/cgroup/cpu/cpu.cfs_quota_us") // −1 is none
	period, _ := number(files, "sys/fs/cgroup/cpu/cpu.cfs_period_us")
	bound(float64(quota), float64(period))
	return cores, known
}

// groupMemory is the least number of bytes that any of this process's control groups has left below its limit, of the groups
// that CoreQuota looks at (cgroup-v2.rst, memory.max); known is false where none has a limit. The page cache that nobody has
// used lately is memory in use to the group and yet given back before the limit kills anybody, so that it counts as left, as
// MemAvailable counts it: the kubelet's working set is less by the same inactive_file, total_inactive_file of version 1 (Kubernetes,
// Node-pressure Eviction, memory.available).
func groupMemory(files fs.FS) (bytes int64, known bool) {
	bound := func(dir, limit, usage, cache string) {
		most, limited := number(files, path.Join(dir, limit)) // else "max"
		used, counted := number(files, path.Join(dir, usage))
		used -= min(entry(files, path.Join(dir, "memory.stat"), cache), max(used, 0))
		if left := max(min(most-used, most), 0); limited && counted && (!known || left < bytes) {
			bytes, known = left, true
		}
	}
	for _, dir := range controlGroups(files) {
		bound(dir, "memory.max", "memory.current", "inactive_file")
	}
	bound("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
	return bytes, known
}

// entry is a number of a file that holds a name and a number a line; 0 where there is none, or one below 0.
func entry(files fs.FS, file, name string) int64 {
	text, _ := Text(files, file)
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return max(n, 0)
		}
	}
	return 0
}

// number reads a file that holds one whole number.
func number(files fs.FS, name string) (n int64, ok bool) {
	text, err := Text(files, name)
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseInt(text, 10, 64)
	return n, err == nil
}
