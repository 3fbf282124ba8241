package machine

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestThisMachine: the files say what the kernel's calls do.
func TestThisMachine(t *testing.T) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	if got, want := KernelRelease(Files()), unix.ByteSliceToString(uts.Release[:]); got != want {
		t.Errorf("got kernel %q; want %q", got, want)
	}
	first, cores, err := ReadProcessorTime(Files())
	if err != nil || cores == 0 || first.All() <= 0 {
		t.Errorf("got %+v of %d cores, %v", first, cores, err)
	}
	if memory, known := AvailableMemory(Files()); !known || memory.Bytes <= 0 {
		t.Errorf("got %+v, %v; want the memory that this test runs in", memory, known)
	}
	if _, err := os.Stat("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if ports, err := EphemeralPorts(Files()); err != nil || ports <= 0 {
			t.Errorf("got %d ports, %v", ports, err)
		}
	}
}

// TestDescriptorLimits lowers the soft limit by one, and sets it back.
func TestDescriptorLimits(t *testing.T) {
	soft, hard, err := DescriptorLimits()
	if err != nil || soft == 0 || soft > hard {
		t.Fatalf("got %d and %d, %v", soft, hard, err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: soft - 1, Max: hard}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: soft, Max: hard}); err != nil {
			t.Error(err)
		}
	}()
	if lower, same, err := DescriptorLimits(); err != nil || lower != soft-1 || same != hard {
		t.Errorf("got %d and %d, %v; want %d and %d", lower, same, err, soft-1, hard)
	}
}
