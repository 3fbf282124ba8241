package loadgen

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// writeNow writes as much as the socket takes without waiting.
func writeNow(raw syscall.RawConn, p []byte) (n int, err error) {
	outer := raw.Control(func(fd uintptr) {
		for {
			n, err = unix.SendmsgN(int(fd), p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			if !errors.Is(err, unix.EINTR) {
				return
			}
		}
	})
	switch {
	case outer != nil:
		return 0, fmt.Errorf("write to the target: %w", outer)
	case errors.Is(err, unix.EAGAIN):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("write to the target: %w", err)
	}
	return n, nil
}
