//go:build !linux

package loadgen

import "syscall"

// nowWriter takes nothing: all is written by the outlet's goroutine.
type nowWriter struct{}

func newNowWriter(syscall.RawConn) *nowWriter { return nil }

func (*nowWriter) write([]byte) (int, error) { return 0, nil }
