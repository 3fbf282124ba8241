package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestBuildEndsWhole: an interrupted build takes with it what it has started, which holds the write end of a pipe as long as
// it lives.
func TestBuildEndsWhole(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p, err := startBuild(ctx, filepath.Join(t.TempDir(), "log"), nil, "sh", "-c", `sh -c 'exec yes >"$0"' "$0"; true`, fifo)
	if err != nil {
		t.Fatal(err)
	}
	alive, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	if _, err := io.ReadFull(alive, make([]byte, len("y\n"))); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-p.done
	if got := p.cmd.ProcessState.String(); got != "signal: interrupt" {
		t.Fatalf("got %s, %v; want it to end by the interrupt, as its child does", got, p.err)
	}
	if _, err := io.ReadAll(alive); err != nil { // it returns at the end of the last writer
		t.Error(err)
	}
}
