// Command bench makes weir's comparisons with others: the same work in turn, round after round, and a table of medians and
// ratios with their ranges. What it can't run here it leaves out, and the table says why. bench/README.md tells what is
// compared and how.
//
//	go build -o bin/bench/bench ./bench && bin/bench/bench
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings is what can be told on the command line.
type settings struct {
	parts         string
	rounds, aa    int
	clients       int
	warm, measure time.Duration
	only          string // client programs or gateways, split by commas; empty for all
	works         string
	connectRate   string
	perVU         int
	most          int // clients in growth
	weir, out     string
}

// The parts, in the order in which they are made.
const (
	partClients  = "clients"
	partGateways = "gateways"
	partDial     = "dial"
	partPacing   = "pacing"
	partStalled  = "stalled"
	partAA       = "aa"
	partGrowth   = "growth"
)

// leastMeasured leaves some of weir's intervals, a second each, whole within the window.
const leastMeasured = 3 * time.Second

func allParts() []string {
	return []string{partClients, partGateways, partDial, partPacing, partStalled, partAA, partGrowth}
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.parts, "parts", strings.Join([]string{partClients, partGateways, partDial, partPacing, partStalled, partAA}, ","), "what to compare, of "+strings.Join(allParts(), ","))
	flags.IntVar(&s.rounds, "rounds", 5, "rounds of clients, gateways, dial, pacing and stalled")
	flags.IntVar(&s.aa, "aa", 10, "pairs of runs in aa")
	flags.IntVar(&s.clients, "clients", 5000, "connections")
	flags.DurationVar(&s.warm, "warm", 4*time.Second, "time from when all connections are open to when it is measured")
	flags.DurationVar(&s.measure, "measure", 10*time.Second, "time that is measured")
	flags.StringVar(&s.only, "only", "", "the client programs or gateways to compare, split by commas (default all)")
	flags.StringVar(&s.works, "works", "broadcast,keyed", "the work, of bench/scenarios")
	flags.StringVar(&s.connectRate, "connect-rate", "100000/s", "how fast weir is to dial where the rate of dialling is compared")
	flags.IntVar(&s.perVU, "k6-per-vu", 100, "connections that each virtual user of k6 holds")
	flags.IntVar(&s.most, "growth-clients", 50_000, "the most clients in growth")
	flags.StringVar(&s.weir, "weir", "bin/weir", "the weir binary")
	flags.StringVar(&s.out, "out", "", "a new directory for runs and table (default results/runs/bench-TIME)")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	for _, p := range strings.Split(s.parts, ",") {
		if !slices.Contains(allParts(), p) {
			return s, fmt.Errorf("-parts %s: %q is none of %s", s.parts, p, strings.Join(allParts(), ", "))
		}
	}
	if err := s.known(); err != nil {
		return s, err
	}
	if s.rounds < 1 || s.aa < 1 || s.clients < 1 || s.perVU < 1 || s.measure < leastMeasured {
		return s, errors.New("-rounds, -aa, -clients and -k6-per-vu must be 1 or more, -measure 3s or more")
	}
	if s.out == "" {
		s.out = filepath.Join("results", "runs", "bench-"+time.Now().UTC().Format("20060102-150405"))
	}
	return s, nil
}

// known refuses works and names that no part has: they would make a table with nothing in it.
func (s *settings) known() error {
	for _, work := range strings.Split(s.works, ",") {
		if !slices.Contains(allWorks(), work) {
			return fmt.Errorf("-works %s: %q is none of %s", s.works, work, strings.Join(allWorks(), ", "))
		}
	}
	if s.only == "" {
		return nil
	}
	names := []string{weirReader, weirGoroutines, goGorilla, goEpoll, rustClient, k6Client}
	for _, kind := range gatewayKinds() {
		names = append(names, kind.name)
	}
	for _, g := range growths(0) {
		names = append(names, g.name)
	}
	for _, name := range strings.Split(s.only, ",") {
		if !slices.Contains(names, name) {
			return fmt.Errorf("-only %s: %q is none of %s", s.only, name, strings.Join(names, ", "))
		}
	}
	return nil
}

// allWorks are those of bench/scenarios.
func allWorks() []string { return []string{"broadcast", "keyed"} }

func main() {
	s, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, s, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is a comparison under way.
type bench struct {
	settings
	others othersBusy
}

// run makes the parts that are asked for and writes their tables to out and to table.md. A table is kept as soon as its part
// is made, so that an interrupt costs the part under way.
func run(ctx context.Context, s settings, out io.Writer) error {
	weir, err := filepath.Abs(s.weir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(weir); err != nil {
		return fmt.Errorf("find weir: %w (make build)", err)
	}
	s.weir = weir
	if err := newDir(s.out); err != nil {
		return err
	}
	b := &bench{settings: s, others: othersBusy{lasts: idleLook}}
	began := time.Now()
	parts := map[string]func(context.Context, io.Writer) error{
		partClients: b.compareClients, partGateways: b.compareGateways, partDial: b.compareDials,
		partPacing: b.comparePacing, partStalled: b.compareStalled, partAA: b.compareRepeats, partGrowth: b.grow,
	}
	var document bytes.Buffer
	for _, part := range allParts() {
		if !slices.Contains(strings.Split(s.parts, ","), part) {
			continue
		}
		if err := parts[part](ctx, &document); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		if err := b.keep(&document, began); err != nil {
			return err
		}
	}
	_, err = io.WriteString(out, b.head(began)+document.String())
	return err
}

// newDir makes the directory for runs and table. One that holds anything already is refused: weir keeps to a run that is there,
// and the tables would tell its figures as new.
func newDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("-out %s: the directory is not empty, it holds %s (name a new one, or leave -out away)", dir, entries[0].Name())
	}
	return nil
}

// keep writes what there is so far.
func (b *bench) keep(document *bytes.Buffer, began time.Time) error {
	return os.WriteFile(filepath.Join(b.out, "table.md"), []byte(b.head(began)+document.String()), 0o644)
}

// say tells the user what is done at the moment.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// wanted reports whether a program or gateway is to be compared.
func (b *bench) wanted(name string) bool {
	return b.only == "" || slices.Contains(strings.Split(b.only, ","), name)
}

// inTurn is the order of n in a round: each round begins with another, so that none is always the first.
func inTurn(n, round int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = (i + round - 1) % n
	}
	return order
}
