package testbed

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// sysProcAttr sets the child apart from the terminal and, unless it is to outlive weir, has the kernel kill it when weir
// dies: a stopped child can't see its standard input end.
func sysProcAttr(outlive bool) *syscall.SysProcAttr {
	if outlive {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitZombie waits until the child has ended and leaves it unreaped.
func awaitZombie(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}
