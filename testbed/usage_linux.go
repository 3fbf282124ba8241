package testbed

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"sync"
)

// userHz is the unit of the times in /proc: USER_HZ, 100 on every architecture that Go runs on.
const userHz = 100

// Usage returns the resources used by the processes and all their descendants, each counted once. A descendant that ended
// stays in the CPU seconds of whoever waited for it. A pid that has gone is an error (fs.ErrNotExist); the others are in the
// result all the same.
func Usage(pids []int) (ResourceUse, error) {
	f, err := follow(pids, "")
	use, useErr := f.use()
	return use, errors.Join(err, useErr)
}

// processes follows what a target consists of: its first processes, all that these started, as far as it was seen before it
// lost its parent, and all that carry the run's name in their environment, whoever their parent is. That is how the guard
// finds them, too.
type processes struct {
	roots []processID
	run   string // "" for processes that weir did not start

	mu     sync.Mutex
	cpu    cpuAccount
	known  map[processID]bool // that were there at the last reading
	looked map[int]bool       // numbers whose environment was looked at
}

// follow takes hold of the processes as they are now: a number that comes to mean another process is noticed. Those that are
// not there are an error each; the others are followed all the same.
func follow(pids []int, run string) (*processes, error) {
	f := &processes{run: run, looked: map[int]bool{os.Getpid(): true}}
	var errs []error
	for _, pid := range pids {
		s, err := readStat(pid)
		if err == nil && s.state == 'Z' {
			err = fmt.Errorf("it has ended: %w", fs.ErrNotExist)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read resources of process %d: %w", pid, err))
			continue
		}
		f.roots = append(f.roots, s.id)
	}
	return f, errors.Join(errs...)
}

// use reads all of them. The processor time is of their whole lives and never falls from one call to the next. That one of
// the first processes has ended is an error (fs.ErrNotExist), with what is known of the others. Safe for concurrent use.
func (f *processes) use() (ResourceUse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stats, err := f.read()
	var use ResourceUse
	readings := make([]processReading, 0, len(stats))
	unseen := false
	for _, s := range stats {
		readings = append(readings, s.processReading)
		use.RSSBytes += s.pages * int64(os.Getpagesize())
		open := 0
		if s.state != 'Z' {
			open = openDescriptors(fmt.Sprintf("/proc/%d/fd", s.pid()))
		}
		unseen = unseen || open < 0
		use.Descriptors += open
	}
	if unseen {
		use.Descriptors = 0 // a part of them says nothing
	}
	use.CPUSeconds = float64(f.cpu.add(readings)) / userHz
	return use, err
}

// read finds and reads them, parents before their children.
func (f *processes) read() ([]processStat, error) {
	var found []processStat
	var errs []error
	seen := map[int]bool{}
	for _, root := range f.roots {
		s, err := readStat(root.pid)
		if err == nil && (s.id != root || s.state == 'Z') {
			err = fmt.Errorf("it has ended: %w", fs.ErrNotExist)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read resources of process %d: %w", root.pid, err))
			continue
		}
		found = addTree(found, seen, s)
	}
	var others []processStat
	for id := range f.known {
		if s, err := readStat(id.pid); err == nil && s.id == id {
			others = append(others, s)
		}
	}
	for _, pid := range f.marked() {
		if s, err := readStat(pid); err == nil {
			others = append(others, s)
		}
	}
	slices.SortFunc(others, func(a, b processStat) int { return cmp.Compare(a.id.start, b.id.start) }) // a child starts after its parent
	for _, s := range others {
		found = addTree(found, seen, s)
	}
	f.known = make(map[processID]bool, len(found))
	for _, s := range found {
		f.known[s.id] = true
	}
	return found, errors.Join(errs...)
}

// addTree adds the process and its descendants, each once.
func addTree(to []processStat, seen map[int]bool, root processStat) []processStat {
	if seen[root.pid()] {
		return to
	}
	for _, pid := range processTree(root.pid()) {
		if seen[pid] {
			continue
		}
		s := root
		if pid != root.pid() {
			var err error
			if s, err = readStat(pid); err != nil {
				continue // it ended while they were read
			}
		}
		seen[pid] = true
		to = append(to, s)
	}
	return to
}

// marked lists the processes that carry the run's name and were not there, or not looked at, before: a look at the
// environment of every process of the machine would cost more than is to be measured.
func (f *processes) marked() []int {
	if f.run == "" {
		return nil
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // a part is better than nothing
	looked := make(map[int]bool, len(f.looked))
	var found []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if !f.looked[pid] && carries(pid, f.run) {
			found = append(found, pid)
		}
		looked[pid] = true
	}
	f.looked = looked
	return found
}

// processStat is a line of /proc/PID/stat, as far as it matters here.
type processStat struct {
	processReading
	state          byte
	group, session int
	pages          int64 // resident
}

// readStat reads it. The fields are counted from the last parenthesis, since the name may hold anything (proc(5)): 3 state,
// 4 parent, 5 group, 6 session, 14 utime, 15 stime, 16 cutime, 17 cstime, 22 start, 24 rss.
func readStat(pid int) (s processStat, err error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 22 {
		return s, fmt.Errorf("read %s: %d fields", path, len(fields))
	}
	number := func(field int) (n int64) {
		v, parseErr := strconv.ParseInt(string(fields[field-3]), 10, 64)
		if parseErr != nil {
			err = fmt.Errorf("read %s: %w", path, parseErr)
		}
		return v
	}
	s.state = fields[0][0]
	s.id = processID{pid, uint64(number(22))}
	s.parent, s.group, s.session = int(number(4)), int(number(5)), int(number(6))
	s.own, s.waited = number(14)+number(15), number(16)+number(17)
	s.pages = number(24)
	return s, err
}

// openDescriptors is −1 where they can't be seen, as another user's. Linux 6.2 and later tell the number as the directory's
// size; to list it takes 10 ms for 20,000. A process that has ended meanwhile has none.
func openDescriptors(dir string) int {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0
	case err == nil && info.Size() > 0:
		return int(info.Size())
	}
	entries, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		return -1
	}
	defer entries.Close()
	names, err := entries.Readdirnames(-1)
	if err != nil {
		return -1
	}
	return len(names)
}

func (f *processes) pids() []int {
	var pids []int
	for _, root := range f.roots {
		pids = append(pids, root.pid)
	}
	return pids
}
