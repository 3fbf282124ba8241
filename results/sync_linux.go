package results

import (
	"os"
	"syscall"
)

// syncData forces a file's data, and the size that reading it back needs, to the disk.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
