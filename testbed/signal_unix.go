//go:build unix

package testbed

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func terminateGroup(p *os.Process) error { return signalGroup(p, syscall.SIGTERM) }

func killGroup(p *os.Process) error { return signalGroup(p, syscall.SIGKILL) }

func signalGroup(p *os.Process, s syscall.Signal) error { return syscall.Kill(-p.Pid, s) }

// signalNumber knows the signals that may ask a program to end; 0 for others.
func signalNumber(name string) syscall.Signal {
	switch name {
	case "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP":
		return unix.SignalNum(name)
	}
	return 0
}

func signalName(s syscall.Signal) string { return unix.SignalName(s) }
