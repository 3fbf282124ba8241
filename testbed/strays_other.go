//go:build !linux

package testbed

import "os"

// sweep ends the group alone: whose a process is can't be seen here.
func sweep(_ string, group, _ int) []string {
	if group != 0 {
		_ = killGroup(&os.Process{Pid: group}) // fails only where it has ended
	}
	return nil
}

func ownSession() int { return 0 }
