package machine

import (
	"os"

	"golang.org/x/sys/unix"
)

// DescriptorLimits are the soft and the hard limit of the descriptors in a table of this process (RLIMIT_NOFILE,
// getrlimit(2)); the largest uint64 is no limit. Package os has raised the soft one to the hard one.
func DescriptorLimits() (soft, hard uint64, err error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, 0, os.NewSyscallError("getrlimit", err)
	}
	return l.Cur, l.Max, nil
}
