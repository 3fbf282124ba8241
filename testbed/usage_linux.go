package testbed

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// userHz is the unit of the times in /proc: USER_HZ, 100 on every architecture that Go runs on.
const userHz = 100

// Usage returns the resources used by the processes and all their descendants, each counted once. A descendant that ended stays in the CPU
// seconds of whoever waited for it. A pid that has gone is an error (fs.ErrNotExist); the others are in the result all
// the same.
func Usage(pids []int) (ResourceUse, error) {
	var sum ResourceUse
	var errs []error
	counted := map[int]bool{}
	for _, root := range pids {
		for _, pid := range processTree(root) {
			if counted[pid] {
				continue
			}
			counted[pid] = true
			u, err := processUsage(pid)
			switch {
			case err == nil:
				sum.add(u)
			case pid == root: // a descendant may end while it is being read
				errs = append(errs, fmt.Errorf("read resources of process %d: %w", pid, err))
			}
		}
	}
	return sum, errors.Join(errs...)
}

func processUsage(pid int) (ResourceUse, error) {
	dir := fmt.Sprintf("/proc/%d", pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return ResourceUse{}, err
	}
	// proc(5): the name in parentheses may hold anything, so fields are counted from the last one: 3 state … 14 utime,
	// 15 stime, 16 cutime, 17 cstime … 24 rss (pages).
	_, rest, _ := cutLast(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 22 {
		return ResourceUse{}, fmt.Errorf("read %s/stat: %d fields", dir, len(fields))
	}
	var ticks int64
	for _, f := range fields[11:15] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return ResourceUse{}, fmt.Errorf("read %s/stat: %w", dir, err)
		}
		ticks += n
	}
	pages, err := strconv.ParseInt(fields[21], 10, 64)
	if err != nil {
		return ResourceUse{}, fmt.Errorf("read %s/stat: %w", dir, err)
	}
	return ResourceUse{
		CPUSeconds:  float64(ticks) / userHz,
		RSSBytes:    pages * int64(os.Getpagesize()),
		Descriptors: openDescriptors(dir + "/fd"),
	}, nil
}

// openDescriptors is 0 for a process of another user. Linux 6.2 and later tell the number as the directory's size; to
// list it takes 10 ms for 20,000.
func openDescriptors(dir string) int {
	if info, err := os.Stat(dir); err == nil && info.Size() > 0 {
		return int(info.Size())
	}
	entries, err := os.Open(dir)
	if err != nil {
		return 0
	}
	defer entries.Close()
	names, err := entries.Readdirnames(-1)
	if err != nil {
		return 0
	}
	return len(names)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", "", false
}
