//go:build !unix

package testbed

import (
	"os"
	"syscall"
)

func sysProcAttr(bool) *syscall.SysProcAttr { return nil }

func awaitZombie(int) bool { return false }

// terminateGroup has no signal to send here: the child has its standard input's end alone, then the kill.
func terminateGroup(*os.Process) error { return nil }

func killGroup(p *os.Process) error { return p.Kill() }

// signalGroup has no signal to send here either.
func signalGroup(*os.Process, syscall.Signal) error { return nil }

func signalNumber(string) syscall.Signal { return syscall.SIGTERM }

func signalName(s syscall.Signal) string { return s.String() }
