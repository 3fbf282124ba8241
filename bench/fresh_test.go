package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// formerWeir is a weir that refuses a directory that is there, as weir does, and would leave the former run's figures in it.
func formerWeir(t *testing.T) string {
	t.Helper()
	weir := filepath.Join(t.TempDir(), "weir")
	if err := os.WriteFile(weir, []byte("#!/bin/sh\necho it is there >&2\nexit 2\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return weir
}

// TestOutIsNew: a directory that holds runs of a former comparison is refused before anything starts, an empty one is not.
func TestOutIsNew(t *testing.T) {
	out := t.TempDir()
	if err := newDir(out); err != nil {
		t.Errorf("got %v of an empty directory", err)
	}
	if err := newDir(filepath.Join(out, "a", "b")); err != nil {
		t.Errorf("got %v of a new directory", err)
	}
	var table strings.Builder
	err := run(t.Context(), settings{weir: formerWeir(t), out: out, parts: partPacing, rounds: 1}, &table)
	want := "-out " + out + ": the directory is not empty, it holds a (name a new one, or leave -out away)"
	if err == nil || err.Error() != want || table.Len() > 0 {
		t.Errorf("got  %v\nwant %s\ntable %q", err, want, table.String())
	}
}

// TestRunsAreNew: no kind of run reads a directory that stood before it started. What lies there is a whole run: were it read,
// its figures would come.
func TestRunsAreNew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "former")
	if err := os.CopyFS(dir, os.DirFS("../results/testdata/v1")); err != nil {
		t.Fatal(err)
	}
	b := &bench{settings: settings{weir: formerWeir(t), clients: 1}}
	want := "start a run in " + dir + ": it is there already (name a new directory with -out)"
	for name, try := range map[string]func() error{
		"scenarios": func() error { _, err := b.runScenario(t.Context(), "bench/scenarios/pacing.yaml", dir); return err },
		"repeats":   func() error { _, _, err := b.repeat(t.Context(), dir); return err },
		"gateways": func() error {
			_, err := b.gatewayRun(t.Context(), "broadcast", dir, &gatewayResult{health: map[string]int{}})
			return err
		},
		"growth":  func() error { _, err := b.step(t.Context(), dir, step{work: "broadcast"}); return err },
		"clients": func() error { _, err := b.ownClients(t.Context(), "broadcast", dir); return err },
		"base":    func() error { _, err := b.ownBase(t.Context(), "broadcast", dir); return err },
		"others": func() error {
			_, err := b.foreignClients(t.Context(), "broadcast", dir, program{name: goGorilla}, 0)
			return err
		},
		"dials": func() error { _, err := b.ownDials(t.Context(), dir, nil); return err },
	} {
		if err := try(); err == nil || err.Error() != want {
			t.Errorf("%s: got %v; want %s", name, err, want)
		}
	}
	if _, err := os.Stat(dir + ".txt"); err == nil {
		t.Error("weir was started")
	}
}
