//go:build !linux

package main

import (
	"os"
	"syscall"
)

// diesWithParent: what a killed comparison leaves ends by itself, by its standard input or when its work is over. The figures
// come from /proc, so that no part runs on other systems than Linux anyhow.
func diesWithParent() *syscall.SysProcAttr { return nil }

// interruptGroup interrupts the program alone.
func interruptGroup(p *os.Process) error { return p.Signal(syscall.SIGINT) }
