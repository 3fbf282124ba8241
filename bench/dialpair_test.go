package main

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestDialOrder: at each server weir is first in odd rounds and gorilla in even ones, and the servers change places as well.
func TestDialOrder(t *testing.T) {
	var table []string
	for _, server := range dialServers() {
		for _, client := range dialClients() {
			table = append(table, server+" "+client)
		}
	}
	odd := []string{"gateway weir", "gateway gorilla", "acceptor weir", "acceptor gorilla"}
	even := []string{"acceptor gorilla", "acceptor weir", "gateway gorilla", "gateway weir"}
	for round, want := range map[int][]string{1: odd, 2: even, 3: odd, 4: even, 5: odd} {
		var got []string
		for _, i := range dialOrder(round) {
			got = append(got, table[i])
		}
		if !slices.Equal(got, want) {
			t.Errorf("round %d: got %v; want %v", round, got, want)
		}
	}
}

// TestDialsAtATime: gorilla is told to dial as many at a time as weir does.
func TestDialsAtATime(t *testing.T) {
	source, err := os.ReadFile("../loadgen/swarm.go")
	if err != nil {
		t.Fatal(err)
	}
	if bound := regexp.MustCompile(`(?m)^const maxDials = (\d+)$`).FindSubmatch(source); bound == nil || string(bound[1]) != strconv.Itoa(dialsAtATime) {
		t.Errorf("weir's bound is %q; want %d", bound, dialsAtATime)
	}
	dir := t.TempDir()
	told, client := filepath.Join(dir, "told"), filepath.Join(dir, "client")
	script := "#!/bin/sh\necho \"$@\" > '" + told + "'\necho '{\"state\":\"ready\"}'\nexec cat >&2\n"
	if err := os.WriteFile(client, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	server, err := start(t.Context(), filepath.Join(dir, "log"), nil, nil, "cat")
	if err != nil {
		t.Fatal(err)
	}
	defer server.end()
	b := &bench{settings: settings{clients: 1}}
	acceptor := &pipeline{process: server, dir: filepath.Join(dir, "dial"), url: "ws://127.0.0.1:1/"}
	if _, err := b.plainDials(t.Context(), acceptor.dir, acceptor, program{name: goGorilla, path: client}); err == nil {
		t.Error("a server at which nobody dials has figures")
	}
	text, err := os.ReadFile(told)
	if want := "-url ws://127.0.0.1:1/ -channels  -connections 1 -dialling 256\n"; err != nil || string(text) != want {
		t.Errorf("got %q, %v; want %q", text, err, want)
	}
}

// TestWatchLooksAtOnce: what a process used is known from before watchProcess returns, though nothing else may run yet.
func TestWatchLooksAtOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	w := watchProcess(os.Getpid(), time.Hour)
	after := time.Now().UnixNano()
	if l := w.used(); len(l) != 2 || l[0].atNS > after {
		t.Errorf("looked at %+v; want two looks, the first before %d", l, after)
	}
	gone := watchProcess(0, time.Hour)
	if user, _, _ := gone.end(); len(user) != 0 {
		t.Errorf("got %+v of no process", user)
	}
}
