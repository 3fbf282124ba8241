//go:build unix

package testbed

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockFile takes the lock that the file stands for, which its holder's death frees, too; unlock removes the file. waiting is
// called once where somebody else has it.
func lockFile(ctx context.Context, path string, waiting func()) (unlock func(), _ error) {
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	for told := false; ; {
		f, err := tryLock(path)
		switch {
		case err != nil:
			return nil, err
		case f != nil:
			// It is removed while it is still locked: who waits for it finds that it is not the path's any more.
			return func() { _ = os.Remove(path); _ = f.Close() }, nil
		}
		if !told {
			told = true
			waiting()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// tryLock returns the locked file, or nil where somebody else has it.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return nil, f.Close()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	locked, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(locked, there) { // its last holder has removed it meanwhile
		return nil, f.Close()
	}
	return f, nil
}
