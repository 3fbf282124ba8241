package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weirbench/weir/internal/benchtable"
)

// line is a quantity over time, in the order of time: what a process has used, or how many messages it has taken.
type line []point

type point struct {
	atNS  int64 // Unix
	value float64
}

// at is the value at an instant between two points, as if it had grown evenly between them; NaN outside of them.
func (l line) at(atNS int64) float64 {
	i := sort.Search(len(l), func(i int) bool { return l[i].atNS >= atNS })
	switch {
	case i == len(l):
		return benchtable.Absent()
	case l[i].atNS == atNS:
		return l[i].value
	case i == 0:
		return benchtable.Absent()
	}
	a, b := l[i-1], l[i]
	return a.value + (b.value-a.value)*float64(atNS-a.atNS)/float64(b.atNS-a.atNS)
}

// span is a stretch of time, in Unix nanoseconds.
type span struct{ fromNS, toNS int64 }

func (s span) seconds() float64 { return float64(s.toNS-s.fromNS) / 1e9 }

// grown is by how much the quantity grew in a span.
func (l line) grown(s span) float64 { return l.at(s.toNS) - l.at(s.fromNS) }

// median is the middle of the points in a span.
func (l line) median(s span) float64 {
	var in benchtable.Sample
	for _, p := range l {
		if p.atNS >= s.fromNS && p.atNS <= s.toNS {
			in = append(in, p.value)
		}
	}
	return in.Median()
}

// watch follows one process by /proc: its processor time, split as the kernel splits it, and its resident memory. Processes
// that it starts are not counted: none of the client programs starts any, and weir's are the pipeline.
type watch struct {
	pid  int
	stop context.CancelFunc
	done sync.WaitGroup

	mu                     sync.Mutex
	user, system, resident line // seconds, seconds, bytes
}

// How often a process is looked at: while it holds its connections, and while it opens them, which takes it a moment.
const (
	watchEvery     = 100 * time.Millisecond
	watchDialEvery = 10 * time.Millisecond
)

// watchProcess follows a process until it ends or end is called. The first look is over when it returns: what happens from
// then on lies within what is seen, however late the machine lets the second be.
func watchProcess(pid int, every time.Duration) *watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{pid: pid, stop: cancel}
	if w.look() != nil {
		return w // it has ended, which is told by who waits for it
	}
	w.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if w.look() != nil {
				return
			}
		}
	})
	return w
}

// end stops following and returns what was seen.
func (w *watch) end() (user, system, resident line) {
	w.stop()
	w.done.Wait()
	return w.user, w.system, w.resident
}

// memory is the process's resident memory now, in bytes; NaN where it has ended.
func (w *watch) memory() float64 {
	if w.look() != nil {
		return benchtable.Absent()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.resident[len(w.resident)-1].value
}

func (w *watch) look() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.pid))
	if err != nil {
		return err
	}
	now := time.Now().UnixNano()
	user, system, err := parseStat(string(stat))
	if err != nil {
		return err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.pid))
	if err != nil {
		return err
	}
	resident, err := parseResident(string(status))
	if err != nil {
		return err
	}
	w.user = append(w.user, point{now, user})
	w.system = append(w.system, point{now, system})
	w.resident = append(w.resident, point{now, resident})
	return nil
}

// ticksPerSecond is USER_HZ, which Linux keeps at 100 for programs, whatever the kernel's own is (time(7)).
const ticksPerSecond = 100

// parseStat reads utime and stime, fields 14 and 15 of /proc/PID/stat (proc_pid_stat(5)), as seconds. The second field is the
// program's name in brackets, which may hold blanks and brackets itself.
func parseStat(text string) (user, system float64, err error) {
	end := strings.LastIndexByte(text, ')')
	fields := strings.Fields(text[end+1:])
	if end < 0 || len(fields) < 13 {
		return 0, 0, fmt.Errorf("read a process's stat: %q is not one", text)
	}
	u, err1 := strconv.ParseInt(fields[11], 10, 64)
	s, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, fmt.Errorf("read a process's stat: %w", err)
	}
	return float64(u) / ticksPerSecond, float64(s) / ticksPerSecond, nil
}

// parseResident reads VmRSS of /proc/PID/status, in bytes. A process that is ending has none.
func parseResident(text string) (float64, error) {
	for l := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(l, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read a process's memory: %w", err)
			}
			return float64(kib) * 1024, nil
		}
	}
	return 0, errors.New("read a process's memory: its status has no VmRSS")
}
