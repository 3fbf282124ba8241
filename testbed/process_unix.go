//go:build unix && !linux

package testbed

import "syscall"

// sysProcAttr sets the child apart from the terminal. There is no parent-death signal here: a child that is stopped when
// weir is killed stays.
func sysProcAttr(outlive bool) *syscall.SysProcAttr {
	if outlive {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true}
}

// awaitZombie is not possible here.
func awaitZombie(int) bool { return false }
