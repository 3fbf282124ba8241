package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// program is a client program that is built from bench/, or why it can't be.
type program struct {
	name    string
	about   string
	path    string
	missing string // why there is none; empty where there is
}

// bareAcceptor is the server program that is dialled.
const bareAcceptor = "acceptor"

// builtIn is where client programs are built.
const builtIn = "bin/bench"

// The client programs.
const (
	weirReader     = "weir"
	weirReceiving  = "weir-receiving" // no program: weir's, less its base
	weirGoroutines = "weir-goroutines"
	goGorilla      = "gorilla"
	goEpoll        = "epoll"
	rustClient     = "fastwebsockets"
	k6Client       = "k6"
)

// build builds what is compared with weir. What can't be built says why; only an interrupt is an error.
func (b *bench) build(ctx context.Context) ([]program, error) {
	all := []program{
		{name: weirReader, about: "weir: audit, histograms, kernel receive times; it sends and observes as well", path: b.weir},
		{name: weirReceiving, about: "of that its clients alone: less the same run with one client", path: b.weir},
		{name: weirGoroutines, about: "weir with a goroutine a connection", path: b.weir},
		{name: goGorilla, about: "gorilla/websocket, a goroutine a connection, counts only"},
		{name: goEpoll, about: "Go, bare epoll, counts only"},
		{name: rustClient, about: "Rust, fastwebsockets on tokio, counts only"},
		{name: k6Client, about: "k6, k6/websockets, a latency a message"},
	}
	var out []program
	for _, p := range all {
		if !b.wanted(p.name) && (p.name != weirReceiving || !b.wanted(weirReader)) {
			continue
		}
		if p.path == "" {
			say("building %s", p.name)
			p.path, p.missing = buildProgram(ctx, b.out, p.name)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		out = append(out, p)
	}
	return out, nil
}

// buildProgram returns the path of what was built, or why that failed.
func buildProgram(ctx context.Context, out, name string) (path, missing string) {
	path, err := filepath.Abs(filepath.Join(builtIn, name))
	if err != nil {
		return "", err.Error()
	}
	var cmd []string
	var env []string
	switch name {
	case k6Client:
		cmd = []string{"go", "build", "-modfile=bench/k6.mod", "-o", path, "go.k6.io/k6"}
	case rustClient:
		target, err := filepath.Abs(filepath.Join(builtIn, "cargo"))
		if err != nil {
			return "", err.Error()
		}
		path = filepath.Join(target, "release", "fastwebsockets-client")
		cmd = []string{"cargo", "build", "--release", "--locked", "--manifest-path", "bench/fastwebsockets/Cargo.toml"}
		env = []string{"CARGO_TARGET_DIR=" + target}
	default:
		cmd = []string{"go", "build", "-o", path, "./bench/" + name}
	}
	if _, err := exec.LookPath(cmd[0]); err != nil {
		return "", cmd[0] + " is not on the PATH"
	}
	p, err := startBuild(ctx, filepath.Join(out, "build-"+name+".txt"), env, cmd[0], cmd[1:]...)
	if err != nil {
		return "", err.Error()
	}
	<-p.done
	if p.err != nil {
		return "", p.failed("building it").Error()
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Sprintf("it was built, and is not there: %v", err)
	}
	return path, ""
}
