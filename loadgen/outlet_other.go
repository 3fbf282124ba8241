//go:build !linux

package loadgen

import "syscall"

// writeNow takes nothing: all is written by the outlet's goroutine.
func writeNow(syscall.RawConn, []byte) (int, error) { return 0, nil }
