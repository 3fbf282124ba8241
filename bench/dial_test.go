package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDialTable: each client is compared with gorilla's dialler at the same server, and what was not dialled says why.
func TestDialTable(t *testing.T) {
	b := &bench{settings: settings{clients: 5000, connectRate: "100000/s"}}
	all := []*dials{
		{client: weirReader, server: dialsGateway, rounds: []dialFigures{{2000, 50, 100}, {4000, 60, 110}}},
		{client: goGorilla, server: dialsGateway, rounds: []dialFigures{{1000, 100, 100}, {1000, 120, 130}}},
		{client: weirReader, server: dialsAcceptor, rounds: []dialFigures{{9000, 50, 20}, noDial()}},
		{client: goGorilla, server: dialsAcceptor, rounds: []dialFigures{{3000, 100, 30}, {6000, 100, 30}}},
	}
	table := b.dialTable(all)
	for i, want := range []string{
		"weir|reference gateway|3000 (2000–4000)|3.00 (2.00–4.00)|55.0 (50.0–60.0)|105 (100–110)",
		"gorilla's dialler|reference gateway|1000 (1000–1000)|1|110 (100–120)|115 (100–130)",
		"weir|bare acceptor|9000|3.00|50.0|20.0",
		"gorilla's dialler|bare acceptor|4500 (3000–6000)|1|100 (100–100)|30.0 (30.0–30.0)",
	} {
		if got := strings.Join(table.Rows[i], "|"); got != want {
			t.Errorf("row %d:\ngot  %s\nwant %s", i, got, want)
		}
	}
	if want := "weir was asked for 100000/s; both open 256 connections at a time. "; !strings.HasPrefix(table.Notes[0], want) {
		t.Errorf("got %s; want %s…", table.Notes[0], want)
	}
	without := dialPrograms{gorilla: program{missing: "no gorilla"}, acceptor: program{missing: "no acceptor"}}
	for _, d := range all {
		if d.missing = without.missing(d.client, d.server); d.missing != "" {
			d.rounds = []dialFigures{noDial(), noDial()}
		}
	}
	table = b.dialTable(all)
	for i, want := range []string{
		"weir|reference gateway|3000 (2000–4000)|–|55.0 (50.0–60.0)|105 (100–110)", "gorilla's dialler|reference gateway|skipped: no gorilla",
		"weir|bare acceptor|skipped: no acceptor", "gorilla's dialler|bare acceptor|skipped: no acceptor",
	} {
		if got := strings.Join(table.Rows[i], "|"); got != want {
			t.Errorf("row %d, without programs:\ngot  %s\nwant %s", i, got, want)
		}
	}
}

// TestUsed: what was used is known until the watch's end, however seldom it looked before.
func TestUsed(t *testing.T) {
	w := watchProcess(os.Getpid(), time.Hour)
	before := time.Now().UnixNano()
	if l := w.used(); len(l) == 0 || l[len(l)-1].atNS < before {
		t.Errorf("the last look was %+v; want one after %d", l, before)
	}
}

// TestStartAcceptor: the acceptor's address is the first line that it prints, and one that prints none says how it ended.
func TestStartAcceptor(t *testing.T) {
	script := func(text string) program {
		path := filepath.Join(t.TempDir(), "acceptor")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return program{name: bareAcceptor, path: path}
	}
	dir := filepath.Join(t.TempDir(), "dial")
	p, err := startAcceptor(t.Context(), dir, script("echo ws://127.0.0.1:1/; echo more; exec cat >&2"))
	if err != nil {
		t.Fatal(err)
	}
	p.end()
	if want := "ws://127.0.0.1:1/"; p.url != want {
		t.Errorf("got %q; want %q", p.url, want)
	}
	_, err = startAcceptor(t.Context(), dir, script("echo no socket >&2; exit 1"))
	if want := "the acceptor's start ended too early: exit status 1: no socket (" + dir + ".acceptor.txt)"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
