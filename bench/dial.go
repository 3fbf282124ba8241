package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/weirbench/weir/internal/benchtable"
)

// dialFigures is what opening the connections took in one round.
type dialFigures struct {
	rate   float64 // connections a second
	cpu    float64 // µs of the dialling process a connection
	server float64 // µs of the server's
}

func noDial() dialFigures {
	return dialFigures{benchtable.Absent(), benchtable.Absent(), benchtable.Absent()}
}

// The servers that are dialled.
const (
	dialsGateway  = "gateway"
	dialsAcceptor = "acceptor"
)

func dialServers() []string { return []string{dialsGateway, dialsAcceptor} }

// dialClients begins with weir.
func dialClients() []string { return []string{weirReader, goGorilla} }

// dials is all rounds of one client at one server.
type dials struct {
	client, server string
	missing        string // why there are none; empty where there are
	rounds         rounds[dialFigures]
}

// dialPrograms are those that weir is compared with, and by.
type dialPrograms struct{ gorilla, acceptor program }

// compareDials has weir and a plain gorilla dial loop open the same connections to the same server, in turn, and follow
// nothing: what is compared is connecting and upgrading. The servers are the reference gateway and bench/acceptor. weir's run
// is ended while its clients wait for what never comes. All are timed by the server's descriptors, from the fifth percent of
// the connections to the ninety-fifth.
func (b *bench) compareDials(ctx context.Context, out io.Writer) error {
	with := dialPrograms{gorilla: program{name: goGorilla}, acceptor: program{name: bareAcceptor}}
	for _, p := range []*program{&with.gorilla, &with.acceptor} {
		if p.path, p.missing = buildProgram(ctx, b.out, p.name); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	var all []*dials
	for _, server := range dialServers() {
		for _, client := range dialClients() {
			all = append(all, &dials{client: client, server: server, missing: with.missing(client, server)})
		}
	}
	var faults []string
	for round := 1; round <= b.rounds; round++ {
		if err := b.others.look(ctx); err != nil {
			return err
		}
		for _, i := range dialOrder(round) {
			d, f := all[i], noDial()
			if d.missing == "" {
				say("dial, round %d of %d: %s, %s", round, b.rounds, d.client, d.server)
				var err error
				f, err = b.dialOnce(ctx, filepath.Join(b.out, fmt.Sprintf("dial-%s-%s-%d", d.server, d.client, round)), d, with)
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err != nil {
					faults = append(faults, fmt.Sprintf("%s, %s, round %d: %v", d.client, d.server, round, err))
				}
			}
			d.rounds = append(d.rounds, f)
		}
	}
	t := b.dialTable(all)
	t.Notes = append(t.Notes, faults...)
	return t.Write(out)
}

// dialOrder is the order of a round in a table of each server's clients: the clients of a server follow each other at once, weir
// first in odd rounds and gorilla first in even ones, and so do the servers, so that every second round is the one before it
// backwards.
func dialOrder(round int) []int {
	var order []int
	clients := len(dialClients())
	for _, server := range inTurn(len(dialServers()), round) {
		for _, client := range inTurn(clients, round) {
			order = append(order, server*clients+client)
		}
	}
	return order
}

// missing is why a client does not dial a server; empty where it does.
func (with dialPrograms) missing(client, server string) string {
	switch {
	case server == dialsAcceptor && with.acceptor.missing != "":
		return with.acceptor.missing
	case client == goGorilla:
		return with.gorilla.missing
	}
	return ""
}

func (b *bench) dialTable(all []*dials) *benchtable.Table {
	t := &benchtable.Table{
		Title: fmt.Sprintf("Opening %d connections", b.clients),
		Head:  []string{"client", "server", "connections/s", "÷ gorilla's", "µs of the client's a connection", "µs of the server's a connection"},
	}
	called := map[string]string{
		weirReader: "weir", goGorilla: "gorilla's dialler", dialsGateway: "reference gateway", dialsAcceptor: "bare acceptor",
	}
	rate := func(f dialFigures) float64 { return f.rate }
	base := map[string]benchtable.Sample{}
	for _, d := range all {
		if d.client == goGorilla {
			base[d.server] = d.rounds.sample(rate)
		}
	}
	for _, d := range all {
		client, server := called[d.client], called[d.server]
		if d.missing != "" {
			t.Add(client, server, "skipped: "+d.missing)
			continue
		}
		ratio := "1"
		if d.client != goGorilla {
			ratio = benchtable.Ratios(d.rounds.sample(rate), base[d.server]).Cell(benchtable.Digits)
		}
		t.Add(client, server, d.rounds.sample(rate).Cell(benchtable.Digits), ratio,
			d.rounds.sample(func(f dialFigures) float64 { return f.cpu }).Cell(benchtable.Digits),
			d.rounds.sample(func(f dialFigures) float64 { return f.server }).Cell(benchtable.Digits))
	}
	t.Note("weir was asked for %s; both open %d connections at a time. The clients connect, upgrade and follow nothing. Timed by the server's open descriptors, from 5%% of the connections to 95%%.", b.connectRate, dialsAtATime)
	t.Note("What the server takes of the machine is in each rate: the bare acceptor accepts, answers the handshake and does nothing more, so that its rows say most of who dials.")
	return t
}
