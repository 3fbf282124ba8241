package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/weirbench/weir/internal/benchtable"
)

// dialFigures is what opening the connections took in one round.
type dialFigures struct {
	rate float64 // connections a second
	cpu  float64 // µs of the dialling process a connection
}

// compareDials has weir and a plain gorilla dial loop open the same connections to the same gateway, in turn, and follow
// nothing: what is compared is connecting and upgrading. weir's run is ended while its clients wait for what never comes. Both
// are timed by the gateway's descriptors, from the fifth percent of the connections to the ninety-fifth.
func (b *bench) compareDials(ctx context.Context, out io.Writer) error {
	gorilla := program{name: goGorilla}
	gorilla.path, gorilla.missing = buildProgram(ctx, b.out, goGorilla)
	if gorilla.missing != "" {
		return errors.New(gorilla.missing)
	}
	var own, plain []dialFigures
	var faults []string
	for round := 1; round <= b.rounds; round++ {
		if err := b.others.look(ctx); err != nil {
			return err
		}
		say("dial, round %d of %d", round, b.rounds)
		both := [2]dialFigures{}
		for _, i := range inTurn(len(both), round) {
			who := [2]string{weirReader, goGorilla}[i]
			dir := filepath.Join(b.out, fmt.Sprintf("dial-%s-%d", who, round))
			var err error
			if who == weirReader {
				both[i], err = b.ownDials(ctx, dir)
			} else {
				both[i], err = b.plainDials(ctx, dir, gorilla)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				faults = append(faults, fmt.Sprintf("%s, round %d: %v", who, round, err))
			}
		}
		own, plain = append(own, both[0]), append(plain, both[1])
	}
	t := b.dialTable(own, plain)
	t.Notes = append(t.Notes, faults...)
	return t.Write(out)
}

func (b *bench) dialTable(own, plain []dialFigures) *benchtable.Table {
	t := &benchtable.Table{
		Title: fmt.Sprintf("Opening %d connections", b.clients),
		Head:  []string{"client", "connections/s", "÷ gorilla's", "µs of the client's a connection"},
	}
	rates := func(f []dialFigures) (rate, cpu benchtable.Sample) {
		for _, v := range f {
			rate, cpu = append(rate, v.rate), append(cpu, v.cpu)
		}
		return rate, cpu
	}
	ownRate, ownCPU := rates(own)
	plainRate, plainCPU := rates(plain)
	t.Add("weir", ownRate.Cell(benchtable.Digits), benchtable.Ratios(ownRate, plainRate).Cell(benchtable.Digits), ownCPU.Cell(benchtable.Digits))
	t.Add("gorilla's dialler, 64 dials at a time", plainRate.Cell(benchtable.Digits), "1", plainCPU.Cell(benchtable.Digits))
	t.Note("weir was asked for %s. The clients connect, upgrade and follow nothing. Timed by the gateway's open descriptors, from 5%% of the connections to 95%%.", b.connectRate)
	return t
}

func noDial() dialFigures { return dialFigures{benchtable.Absent(), benchtable.Absent()} }

func (b *bench) ownDials(ctx context.Context, dir string) (dialFigures, error) {
	p, err := b.startRun(ctx, "broadcast", dir, nil, fmt.Sprintf("clients.viewers.count=%d", b.clients), "clients.viewers.connect_rate="+b.connectRate,
		"producers.feed.rate=1/s", "gateway.profile=bare")
	if err != nil {
		return noDial(), err
	}
	defer p.end()
	w := watchProcess(p.pid(), watchDialEvery)
	defer w.end()
	gateway, err := gatewayOf(ctx, p)
	if err != nil {
		return noDial(), err
	}
	return b.timeDials(ctx, w, gateway, p.process)
}

func (b *bench) plainDials(ctx context.Context, dir string, gorilla program) (dialFigures, error) {
	p, err := b.startPipeline(ctx, "broadcast", dir, 1, time.Minute, "producers.feed.rate=1/s")
	if err != nil {
		return noDial(), err
	}
	defer p.end()
	gateway, err := gatewayOf(ctx, p)
	if err != nil {
		return noDial(), err
	}
	c, err := b.startClient(ctx, p, nil, gorilla)
	if err != nil {
		return noDial(), err
	}
	w := watchProcess(c.p.pid(), watchDialEvery)
	defer w.end()
	f := noDial()
	if err = c.connect(); err == nil {
		f, err = b.timeDials(ctx, w, gateway, c.p, p.process)
	}
	if _, torn := c.finish(); err == nil {
		err = torn
	}
	if err != nil {
		return noDial(), err
	}
	return f, nil
}

// timeDials watches the gateway's descriptors until all connections are open.
func (b *bench) timeDials(ctx context.Context, w *watch, gateway int, alive ...*process) (dialFigures, error) {
	var open line
	began := time.Now()
	still := 0 // looks in a row that found all of them
	for still < 3 {
		n, err := descriptors(gateway)
		if err != nil {
			return noDial(), fmt.Errorf("count the gateway's descriptors: %w", err)
		}
		open = append(open, point{time.Now().UnixNano(), float64(n)})
		still++
		if n < b.clients {
			still = 0
		}
		for _, p := range alive {
			select {
			case <-p.done:
				return noDial(), p.failed("dialling")
			default:
			}
		}
		if time.Since(began) > openIn {
			return noDial(), fmt.Errorf("dialling: %d connections were not open within %s", b.clients, openIn)
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return noDial(), err
		}
	}
	user, system, _ := w.end()
	within, seen := crossing(open, float64(b.clients))
	if !seen {
		return noDial(), errors.New("dialling: more than 5% of the connections were open at the first look (take more -clients, or a lower -connect-rate)")
	}
	done := 0.9 * float64(b.clients)
	return dialFigures{rate: done / within.seconds(), cpu: (user.grown(within) + system.grown(within)) / done * 1e6}, nil
}

// crossing is the span in which a growing quantity went from 5% to 95% of its last n; false where it was beyond the 5% when it
// was first looked at.
func crossing(l line, n float64) (within span, seen bool) {
	last := l[len(l)-1].value
	if l[0].value > last-0.95*n {
		return span{}, false
	}
	return span{l.reached(last - 0.95*n), l.reached(last - 0.05*n)}, true
}

// reached is when the quantity first was so large, between the points as if it had grown evenly.
func (l line) reached(value float64) int64 {
	for i, p := range l {
		if p.value < value {
			continue
		}
		if i == 0 || p.value == l[i-1].value {
			return p.atNS
		}
		a := l[i-1]
		return a.atNS + int64((value-a.value)/(p.value-a.value)*float64(p.atNS-a.atNS))
	}
	return l[len(l)-1].atNS
}

// descriptors is how many a process has open: Linux 6.2 and newer give it as the directory's size.
func descriptors(pid int) (int, error) {
	info, err := os.Stat(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, err
	}
	if info.Size() == 0 {
		return 0, errors.New("this kernel does not tell how many there are (Linux 6.2 does)")
	}
	return int(info.Size()), nil
}

// gatewayOf waits for the run's gateway and returns its process id.
func gatewayOf(ctx context.Context, p *pipeline) (pid int, err error) {
	err = await(ctx, "the gateway's start", upIn, func() (bool, error) {
		pid, err = childOf(p.pid(), "gateway")
		return pid > 0, err
	}, p.process)
	return pid, err
}

// childOf finds a process by its parent and its first argument; 0 where there is none.
func childOf(parent int, argument string) (int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		command, err := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if args := strings.Split(string(command), "\x00"); err == nil && len(args) > 1 && args[1] == argument {
			return strconv.Atoi(filepath.Base(filepath.Dir(path)))
		}
	}
	return 0, nil
}
