package testbed

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	sweepFor   = 5 * time.Second // for processes that are killed to go
	sweepEvery = 5 * time.Millisecond
	emptyTwice = 2 // a process may be forked behind the place that a look has come to
)

// sweep kills the processes that belong to the run, whoever their parent is by now, until none is seen, and returns their
// names. What belongs to it carries its name in the environment, or is in the group, unless that is 0, and the session.
func sweep(run string, group, session int) []string {
	var killed []string
	known := map[int]bool{}
	empty := 0
	for deadline := time.Now().Add(sweepFor); empty < emptyTwice && time.Now().Before(deadline); {
		seen := 0
		dirs, _ := filepath.Glob("/proc/[0-9]*") // the only error is a bad pattern
		for _, dir := range dirs {
			pid, _ := strconv.Atoi(filepath.Base(dir)) // digits, by the pattern
			if pid == os.Getpid() || !carries(pid, run) && !inGroup(pid, group, session) {
				continue
			}
			seen++
			if !known[pid] {
				known[pid] = true
				killed = append(killed, processName(pid))
			}
			_ = syscall.Kill(pid, syscall.SIGKILL) // fails only where it has ended meanwhile, or is another user's
		}
		if empty++; seen > 0 {
			empty = 0
			time.Sleep(sweepEvery)
		}
	}
	return killed
}

// carries reports whether the process was started with the run's name in its environment. One that has ended has none.
func carries(pid int, run string) bool {
	if run == "" {
		return false
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	want := []byte(envRun + "=" + run)
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if bytes.Equal(entry, want) {
			return true
		}
	}
	return false
}

// inGroup reports whether the process is of the group and the session, and has not ended.
func inGroup(pid, group, session int) bool {
	if group == 0 {
		return false
	}
	s, err := readStat(pid)
	return err == nil && s.state != 'Z' && s.group == group && s.session == session
}

// ownSession is the session that children without one of their own are in.
func ownSession() int {
	session, _, errno := syscall.RawSyscall(syscall.SYS_GETSID, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(session)
}

// processTree is the process and all its descendants, as far as they have not lost their parents.
func processTree(root int) []int {
	pids := []int{root}
	for i := 0; i < len(pids); i++ {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i])) // the only error is a bad pattern
		for _, list := range lists {
			text, err := os.ReadFile(list)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			for field := range strings.FieldsSeq(string(text)) {
				if child, err := strconv.Atoi(field); err == nil {
					pids = append(pids, child)
				}
			}
		}
	}
	return pids
}
