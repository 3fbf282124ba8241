package loadgen

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// RLIMIT_NOFILE bounds a table of descriptors, and not a process: a thread of Linux can have a table of its own
// (unshare(2), CLONE_FILES). So the pollers of one process hold more connections together than its one table would.

// onOwnThread calls do on a thread that nothing else runs on, and that ends with do. It is never the process's first one, which
// would not end, and whose table is what others take for the process's. It returns when do has.
func onOwnThread(do func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine, and threads begin from an unlocked one
		if unix.Gettid() == os.Getpid() {
			onOwnThread(do) // while this one is locked here, that gets another
			runtime.UnlockOSThread()
			close(done)
			return
		}
		defer close(done)
		do()
	}()
	<-done
}

// ownTable gives the calling thread, which must run nothing else and end, a table of its own, and returns how many
// descriptors stand in it: the standard ones, those to keep, and what the Go runtime polls with, since a collection that begins
// on this thread may poll. All others are closed there: a peer would not see the end of a connection of which a copy stays.
// On an error the thread shares the process's table as before.
func ownTable(keep ...int) (held int, err error) {
	polling, err := runtimePolling()
	if err != nil {
		return 0, err
	}
	kept := slices.Concat(keep, []int{0, 1, 2}, polling)
	slices.Sort(kept)
	kept = slices.Compact(kept)
	last := uint(kept[len(kept)-1])
	if err := unix.CloseRange(last+1, math.MaxUint32, unix.CLOSE_RANGE_UNSHARE); err != nil {
		return 0, fmt.Errorf("leave the process's descriptor table: %w", os.NewSyscallError("close_range", err))
	}
	for i := 1; i < len(kept); i++ {
		if low, high := kept[i-1]+1, kept[i]-1; low <= high {
			err = errors.Join(err, unix.CloseRange(uint(low), uint(high), 0))
		}
	}
	held = len(kept)
	for _, fd := range polling { // what was not the runtime's may be a socket by now
		if !polls(fd) {
			_ = unix.Close(fd)
			held--
		}
	}
	return held, err
}

const ownDescriptors = "/proc/thread-self/fd/"

// polls reports whether a descriptor of the thread is of a kind that the Go runtime polls with.
func polls(fd int) bool {
	what, err := os.Readlink(ownDescriptors + strconv.Itoa(fd))
	return err == nil && (what == "anon_inode:[eventpoll]" || what == "anon_inode:[eventfd]")
}

// runtimePolling returns the descriptors that the Go runtime polls with. They are found once, while no poller has any of their
// kind: a table that keeps the wakes of all pollers before it leaves the later ones no room.
var runtimePolling = sync.OnceValues(func() (polling []int, err error) {
	if err := startRuntimePolling(); err != nil {
		return nil, fmt.Errorf("have the runtime poll: %w", err)
	}
	names, err := os.ReadDir(ownDescriptors)
	if err != nil {
		return nil, fmt.Errorf("list the thread's descriptors: %w", err)
	}
	for _, name := range names {
		if fd, err := strconv.Atoi(name.Name()); err == nil && polls(fd) {
			polling = append(polling, fd)
		}
	}
	return polling, nil
})

// startRuntimePolling has the Go runtime make its descriptors for polling, if it has not yet: those that it makes later would
// have the numbers of others in a table that was left before.
func startRuntimePolling() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	return errors.Join(r.Close(), w.Close())
}

// TryTable reports whether threads of this process can have descriptor tables of their own.
func TryTable() error {
	var err error
	onOwnThread(func() { _, err = ownTable() })
	return err
}
