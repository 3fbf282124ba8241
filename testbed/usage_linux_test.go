package testbed

import (
	"errors"
	"io/fs"
	"os"
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
	for start := time.Now(); time.Since(start) < 300*time.Millisecond; {
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
	if got := after.CPUSeconds - before.CPUSeconds; got < 0.1 || got > 5 {
		t.Errorf("got %.2f s of CPU; want about 0.3", got)
	}
	if got := after.RSSBytes - before.RSSBytes; got < 32<<20 {
		t.Errorf("got %d more resident bytes; want about %d", got, len(memory))
	}
	if got := after.Descriptors - before.Descriptors; got < 90 || got > 150 {
		t.Errorf("got %d more descriptors; want 100", got)
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
