package testbed

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestUsageGrows burns a known amount of CPU, memory and descriptors.
func TestUsageGrows(t *testing.T) {
	before, err := Usage([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	var open []*os.File
	for range 100 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, f)
	}
	memory := make([]byte, 64<<20)
	for start := spent(t); spent(t)-start < 300*time.Millisecond; { // of processor time, however long that takes
		for i := range memory {
			memory[i]++
		}
	}
	after, err := Usage([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range open {
		f.Close()
	}
	if got := after.CPUSeconds - before.CPUSeconds; got < 0.25 || got > 5 {
		t.Errorf("got %.2f s of CPU; want about 0.3", got)
	}
	if got := after.RSSBytes - before.RSSBytes; got < 32<<20 {
		t.Errorf("got %d more resident bytes; want about %d", got, len(memory))
	}
	if got := after.Descriptors - before.Descriptors; got < 90 || got > 150 {
		t.Errorf("got %d more descriptors; want 100", got)
	}
}

// spent is the processor time of this process by another of the kernel's accounts.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		t.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// TestUsageCountsOnce: a process that is named twice, or as another's child too, is counted once.
func TestUsageCountsOnce(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	}()
	self := os.Getpid()
	once, err := Usage([]int{self})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Usage([]int{child.Process.Pid, self, self, child.Process.Pid})
	if err != nil {
		t.Fatal(err)
	}
	if got.RSSBytes > once.RSSBytes*3/2 || got.Descriptors > once.Descriptors*3/2 {
		t.Errorf("got %+v for processes that overlap; want about %+v", got, once)
	}
}

func TestUsageOfNothing(t *testing.T) {
	t.Parallel()
	if got, err := Usage(nil); got != (ResourceUse{}) || err != nil {
		t.Errorf("got %+v, %v; want zero", got, err)
	}
	got, err := Usage([]int{1 << 30, os.Getpid()})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v; want that process 1<<30 doesn't exist", err)
	}
	if got.RSSBytes == 0 {
		t.Error("got nothing of the process that is there")
	}
}
