package main

import (
	"fmt"
	"strings"

	"github.com/weirbench/weir/internal/benchtable"
)

// clientTable is the table of one work.
func (b *bench) clientTable(work string, all []*clientResult) *benchtable.Table {
	t := &benchtable.Table{
		Title: fmt.Sprintf("Clients, %s: %d connections, 10 messages/s of 128 B each", work, b.clients),
		Head: []string{"client", "user µs a message", "system", "both", "weir ÷ it", "its clients alone ÷ it", "KiB a connection", "received",
			"gateway µs a delivery", "machine busy", "e2e p50, p99 by weir, ms", "by itself"},
	}
	total := func(f clientFigures) float64 { return f.user + f.system }
	var own, alone benchtable.Sample
	for _, r := range all {
		switch r.program.name {
		case weirReader:
			own = r.rounds.sample(total)
		case weirReceiving:
			alone = r.rounds.sample(total)
		}
	}
	for _, r := range all {
		if r.program.missing != "" {
			t.Add(r.program.about, "skipped: "+r.program.missing)
			continue
		}
		t.Add(clientRow(r, own, alone)...)
	}
	t.Note("Rounds: %d, each measured for %s after %s of warm-up with all connections open; one pipeline of embedded Kafka and the "+
		"reference gateway a program. weir's processor time includes sending, observing, audit and all histograms; the others' runs "+
		"have a weir with one client beside them, by which the latency of that run is known, and which is not in their processor time. "+
		"What weir takes with one client and nothing beside it, in a run of its own in the same round, is what the row below weir's is less by. k6's latencies are of its whole time after the warm-up, "+
		"by a clock that counts whole milliseconds and drops the rest. The sum of user and system time is exact; how it is split the "+
		"kernel samples by its tick.", b.rounds, b.measure, b.warm)
	t.Note("Memory is resident and above the base: weir's is the same run with one client, k6's is k6 with one virtual user and no " +
		"connection, the others' is their process before it dials.")
	for _, r := range all {
		if len(r.faults) > 0 {
			t.Note("%s: %s", r.program.name, strings.Join(r.faults, "; "))
		}
	}
	return t
}

func clientRow(r *clientResult, own, alone benchtable.Sample) []string {
	figure := func(of func(clientFigures) float64) string { return r.rounds.sample(of).Cell(benchtable.Digits) }
	pair := func(p50, p99 func(clientFigures) float64) string {
		if r.rounds.sample(p50).Count() == 0 {
			return "–"
		}
		return figure(p50) + ", " + figure(p99)
	}
	total := r.rounds.sample(func(f clientFigures) float64 { return f.user + f.system })
	return []string{
		r.program.about,
		figure(func(f clientFigures) float64 { return f.user }),
		figure(func(f clientFigures) float64 { return f.system }),
		total.Cell(benchtable.Digits),
		benchtable.Ratios(own, total).Cell(benchtable.Digits),
		benchtable.Ratios(alone, total).Cell(benchtable.Digits),
		r.rounds.sample(func(f clientFigures) float64 { return f.connection / 1024 }).Cell(benchtable.Digits),
		r.rounds.sample(func(f clientFigures) float64 { return f.received }).Cell(benchtable.Percent),
		figure(func(f clientFigures) float64 { return f.gateway }),
		r.rounds.sample(func(f clientFigures) float64 { return f.busy }).Cell(benchtable.Percent),
		pair(func(f clientFigures) float64 { return f.keeperP50 }, func(f clientFigures) float64 { return f.keeperP99 }),
		pair(func(f clientFigures) float64 { return f.ownP50 }, func(f clientFigures) float64 { return f.ownP99 }),
	}
}
