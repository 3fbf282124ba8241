package main

import "syscall"

// diesWithParent sets a program apart from the terminal, whose interrupt is the comparison's to pass on, and has the kernel
// end it when the comparison is killed.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
