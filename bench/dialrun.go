package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// dialsAtATime is how many connections both clients open at a time: weir's own bound (maxDials of loadgen).
const dialsAtATime = 256

// dialOnce has a client open the connections to a server of its own.
func (b *bench) dialOnce(ctx context.Context, dir string, d *dials, with dialPrograms) (dialFigures, error) {
	var acceptor *pipeline // nil where the gateway is dialled
	if d.server == dialsAcceptor {
		var err error
		if acceptor, err = startAcceptor(ctx, dir, with.acceptor); err != nil {
			return noDial(), err
		}
		defer acceptor.end()
	}
	if d.client == weirReader {
		return b.ownDials(ctx, dir, acceptor)
	}
	return b.plainDials(ctx, dir, acceptor, with.gorilla)
}

// ownDials measures weir at the gateway that it starts, or at an acceptor.
func (b *bench) ownDials(ctx context.Context, dir string, acceptor *pipeline) (dialFigures, error) {
	sets := []string{
		fmt.Sprintf("clients.viewers.count=%d", b.clients), "clients.viewers.connect_rate=" + b.connectRate, "producers.feed.rate=1/s", "gateway.profile=bare",
	}
	if acceptor != nil {
		sets = append(sets, "gateway.target=external", "gateway.url="+acceptor.url)
	}
	p, err := b.startRun(ctx, "broadcast", dir, nil, sets...)
	if err != nil {
		return noDial(), err
	}
	defer p.end()
	w := watchProcess(p.pid(), watchDialEvery)
	defer w.end()
	if acceptor != nil {
		return b.timeDials(ctx, w, acceptor.pid(), p.process, acceptor.process)
	}
	gateway, err := gatewayOf(ctx, p)
	if err != nil {
		return noDial(), err
	}
	return b.timeDials(ctx, w, gateway, p.process)
}

// plainDials measures gorilla's dialler at the gateway of a run of weir's, or at an acceptor, beside which no run is.
func (b *bench) plainDials(ctx context.Context, dir string, acceptor *pipeline, gorilla program) (dialFigures, error) {
	p := acceptor
	if p == nil {
		var err error
		if p, err = b.startPipeline(ctx, "broadcast", dir, 1, time.Minute, "producers.feed.rate=1/s"); err != nil {
			return noDial(), err
		}
		defer p.end()
	}
	server := p.pid()
	if acceptor == nil {
		var err error
		if server, err = gatewayOf(ctx, p); err != nil {
			return noDial(), err
		}
	}
	c, err := b.startClient(ctx, p, nil, gorilla, "-dialling", strconv.Itoa(dialsAtATime))
	if err != nil {
		return noDial(), err
	}
	w := watchProcess(c.p.pid(), watchDialEvery)
	defer w.end()
	f := noDial()
	if err = c.connect(); err == nil {
		f, err = b.timeDials(ctx, w, server, c.p, p.process)
	}
	if _, torn := c.finish(); err == nil {
		err = torn
	}
	if err != nil {
		return noDial(), err
	}
	return f, nil
}

// startAcceptor starts a bench/acceptor, in place of a pipeline: it is dialled by its address, and there is no run.
func startAcceptor(ctx context.Context, dir string, what program) (*pipeline, error) {
	lines, out := io.Pipe()
	proc, err := start(ctx, dir+".acceptor.txt", out, nil, what.path)
	if err != nil {
		return nil, err
	}
	told := make(chan string, 1)
	go func() {
		first, _ := bufio.NewReader(lines).ReadString('\n') // a program that ends without one is told of by its end
		told <- strings.TrimSpace(first)
		_, _ = io.Copy(io.Discard, lines)
	}()
	go func() {
		<-proc.done
		_ = out.Close()
	}()
	p := &pipeline{process: proc, dir: dir}
	err = await(ctx, "the acceptor's start", upIn, func() (bool, error) {
		select {
		case p.url = <-told:
		default:
		}
		return p.url != "", nil
	}, proc)
	if err != nil {
		proc.end()
		return nil, err
	}
	return p, nil
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
