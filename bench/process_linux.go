package main

import (
	"os"
	"syscall"
)

// diesWithParent sets a program apart from the terminal, whose interrupt is the comparison's to pass on, and has the kernel
// end it when the comparison is killed.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// interruptGroup interrupts a program that has not been waited for, and all that it has started.
func interruptGroup(p *os.Process) error {
	if err := p.Signal(syscall.Signal(0)); err != nil {
		return err // its number may be another's by now
	}
	return syscall.Kill(-p.Pid, syscall.SIGINT)
}
