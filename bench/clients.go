package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirbench/weir/bench/clientline"
	"github.com/weirbench/weir/internal/benchtable"
	"github.com/weirbench/weir/report"
)

// clientFigures is what one client program cost in one round.
type clientFigures struct {
	user, system float64 // µs a message
	rate         float64 // messages a second
	connection   float64 // bytes of resident memory above the base
	received     float64 // of what was to come, a share of 1
	gateway      float64 // µs of the gateway's a delivery: the server side's work was the same
	busy         float64 // share of the machine
	keeperP50    float64 // ms, of weir's own client in the same run
	keeperP99    float64
	ownP50       float64 // ms, where the program tells latencies
	ownP99       float64
}

func noFigures() clientFigures {
	n := benchtable.Absent()
	return clientFigures{n, n, n, n, n, n, n, n, n, n, n}
}

// clientResult is all rounds of one client program in one work.
type clientResult struct {
	program program
	rounds  rounds[clientFigures]
	faults  []string
}

// compareClients has each client program hold the same connections to the same pipeline, in turn, for some rounds.
func (b *bench) compareClients(ctx context.Context, out io.Writer) error {
	programs, err := b.build(ctx)
	if err != nil {
		return err
	}
	k6Base := b.k6Base(ctx, programs)
	for _, work := range strings.Split(b.works, ",") {
		all := make([]*clientResult, len(programs))
		for i, p := range programs {
			all[i] = &clientResult{program: p}
		}
		for round := 1; round <= b.rounds; round++ {
			if err := b.others.look(ctx); err != nil {
				return err
			}
			if err := b.clientRound(ctx, work, round, all, k6Base); err != nil {
				return err
			}
		}
		if err := b.clientTable(work, all).Write(out); err != nil {
			return err
		}
	}
	return nil
}

// keeper is what weir's own process takes in a run with one client and no other program beside: it sends, observes and keeps
// the account.
type keeper struct {
	user, system float64 // cores
	memory       float64 // bytes
}

func noKeeper() keeper { return keeper{benchtable.Absent(), benchtable.Absent(), benchtable.Absent()} }

// clientRound measures each program once, and weir's base where weir is among them.
func (b *bench) clientRound(ctx context.Context, work string, round int, all []*clientResult, k6Base float64) error {
	base := noKeeper()
	turns := len(all)
	own := slices.IndexFunc(all, func(r *clientResult) bool { return r.program.name == weirReader || r.program.name == weirGoroutines })
	if own >= 0 {
		turns++
	}
	for _, i := range inTurn(turns, round) {
		if i == len(all) {
			say("clients, %s, round %d of %d: weir's base", work, round, b.rounds)
			var err error
			base, err = b.ownBase(ctx, work, filepath.Join(b.out, fmt.Sprintf("clients-%s-base-%d", work, round)))
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				all[own].faults = append(all[own].faults, fmt.Sprintf("round %d, its base: %v", round, err))
			}
			continue
		}
		r := all[i]
		f := noFigures()
		if r.program.missing == "" && r.program.name != weirReceiving {
			say("clients, %s, round %d of %d: %s", work, round, b.rounds, r.program.name)
			dir := filepath.Join(b.out, fmt.Sprintf("clients-%s-%s-%d", work, r.program.name, round))
			var err error
			switch r.program.name {
			case weirReader:
				f, err = b.ownClients(ctx, work, dir)
			case weirGoroutines:
				f, err = b.ownClients(ctx, work, dir, "WEIR_READER=goroutines")
			default:
				f, err = b.foreignClients(ctx, work, dir, r.program, k6Base)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				r.faults = append(r.faults, fmt.Sprintf("round %d: %v", round, err))
				f = noFigures()
			}
		}
		r.rounds = append(r.rounds, f)
	}
	addBase(all, base, b.clients)
	return nil
}

// addBase takes weir's base off the memory in the last round, and off the processor time in the row that is for it.
func addBase(all []*clientResult, base keeper, clients int) {
	last := func(r *clientResult) *clientFigures { return &r.rounds[len(r.rounds)-1] }
	whole := noFigures()
	for _, r := range all {
		switch f := last(r); r.program.name {
		case weirReader, weirGoroutines:
			f.connection = (f.connection - base.memory) / float64(clients)
			if r.program.name == weirReader {
				whole = *f
			}
		case weirReceiving:
			f.user, f.system = whole.user-base.user/whole.rate*1e6, whole.system-base.system/whole.rate*1e6
		}
	}
}

// ownRun is a run in which weir holds the connections.
type ownRun struct {
	*seen
	user, system, resident line
	within                 span
}

func (b *bench) ownRun(ctx context.Context, work, dir string, clients int, env []string) (*ownRun, error) {
	p, err := b.startRun(ctx, work, dir, env, fmt.Sprintf("clients.viewers.count=%d", clients),
		"phases.warm-up="+b.warm.String(), "phases.measure.steady.duration="+b.measure.String())
	if err != nil {
		return nil, err
	}
	r := &ownRun{}
	w := watchProcess(p.pid(), watchEvery)
	err = p.wait(ctx)
	r.user, r.system, r.resident = w.end()
	if err != nil {
		return nil, err
	}
	if _, err := report.SummariseComplete(dir); err != nil {
		return nil, fmt.Errorf("%w (%s)", err, p.log)
	}
	s, err := readRun(dir, span{})
	if err != nil {
		return nil, err
	}
	// The last second is left to the intervals, which end once a second.
	r.within = span{s.steady.fromNS, s.steady.toNS - int64(time.Second)}
	r.seen, err = readRun(dir, r.within)
	return r, err
}

// ownBase measures weir with one client.
func (b *bench) ownBase(ctx context.Context, work, dir string) (keeper, error) {
	r, err := b.ownRun(ctx, work, dir, 1, nil)
	if err != nil {
		return noKeeper(), err
	}
	seconds := r.within.seconds()
	return keeper{r.user.grown(r.within) / seconds, r.system.grown(r.within) / seconds, r.resident.median(r.within)}, nil
}

// ownClients measures weir. The connection figure is the whole process's memory still.
func (b *bench) ownClients(ctx context.Context, work, dir string, env ...string) (clientFigures, error) {
	r, err := b.ownRun(ctx, work, dir, b.clients, env)
	if err != nil {
		return noFigures(), err
	}
	messages, err := counted(r.delivered, r.within)
	if err != nil {
		return noFigures(), err
	}
	f := b.figures(r.seen, r.within, messages, 0)
	f.user, f.system = r.user.grown(r.within)/messages*1e6, r.system.grown(r.within)/messages*1e6
	f.connection = r.resident.median(r.within)
	f.ownP50, f.ownP99 = f.keeperP50, f.keeperP99
	return f, nil
}

// counted is how many messages came in the window; an error where they were not counted from its beginning to its end, or none
// came.
func counted(messages line, within span) (float64, error) {
	n := messages.grown(within)
	if !(n > 0) {
		return 0, fmt.Errorf("its messages were not counted over the whole window: %.0f", n)
	}
	return n, nil
}

// figures fills in what the run's log tells. keepers is how many clients weir had beside those that are measured.
func (b *bench) figures(s *seen, within span, messages float64, keepers int) clientFigures {
	f := noFigures()
	f.rate = messages / within.seconds()
	f.received = messages / (within.seconds() * perClient * float64(b.clients))
	f.gateway = s.gatewayCPU.grown(within) / (messages + within.seconds()*perClient*float64(keepers)) * 1e6
	f.busy = s.busy.median(within)
	f.keeperP50, f.keeperP99 = s.quantile(0.5), s.quantile(0.99)
	return f
}

// foreignClients measures a program that holds the connections beside one client of weir's.
func (b *bench) foreignClients(ctx context.Context, work, dir string, what program, k6Base float64) (clientFigures, error) {
	f := noFigures()
	p, err := b.startPipeline(ctx, work, dir, 1, 10*time.Minute)
	if err != nil {
		return f, err
	}
	defer p.end()
	var h holder
	if what.name == k6Client {
		h, err = b.startK6(ctx, p, work, what.path, k6Base)
	} else {
		h, err = b.startClient(ctx, p, channels(work, p.topic), what)
	}
	if err != nil {
		return f, err
	}
	w := watchProcess(h.process().pid(), watchEvery)
	var within span
	failed := h.connect()
	if failed == nil {
		within, failed = b.window(ctx, p, h)
	}
	messages, err := h.finish()
	user, system, resident := w.end()
	p.end()
	if failed != nil {
		return f, failed
	}
	if err != nil {
		return f, err
	}
	s, err := readRun(dir, within)
	if err != nil {
		return f, err
	}
	count, err := counted(messages, within)
	if err != nil {
		return f, err
	}
	f = b.figures(s, within, count, 1)
	f.user, f.system = user.grown(within)/count*1e6, system.grown(within)/count*1e6
	f.connection = (resident.median(within) - h.base()) / float64(b.clients)
	f.ownP50, f.ownP99 = h.latency()
	return f, nil
}

const (
	openIn   = 2 * time.Minute // for all connections to be open
	heldLook = time.Second / 2 // how often it is looked whether they still are
)

// window waits until all connections are open and warm, and then for the time that is measured.
func (b *bench) window(ctx context.Context, p *pipeline, h holder) (span, error) {
	err := await(ctx, "opening the connections", openIn, h.open, h.process(), p.process)
	if err == nil {
		err = held(ctx, "warming up", b.warm, h.torn, h.process(), p.process)
	}
	if err != nil {
		return span{}, err
	}
	within := span{fromNS: time.Now().UnixNano()}
	if err := held(ctx, "measuring", b.measure, h.torn, h.process(), p.process); err != nil {
		return span{}, err
	}
	within.toNS = time.Now().UnixNano()
	// What was counted and used is read between two looks: the span ends before the last.
	return within, held(ctx, "measuring", 3*time.Second/2, h.torn, h.process(), p.process)
}

// held waits for so long, in which no connection and no program may end.
func held(ctx context.Context, what string, lasts time.Duration, torn func() error, alive ...*process) error {
	until := time.Now().Add(lasts)
	for {
		if err := torn(); err != nil {
			return err
		}
		if err := ended(what, alive); err != nil {
			return err
		}
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		if err := pause(ctx, min(left, heldLook)); err != nil {
			return err
		}
	}
}

// holder is a client program under way.
type holder interface {
	process() *process
	// connect has it open its connections.
	connect() error
	// open reports whether all connections are open; it fails where one has ended again.
	open() (bool, error)
	// torn is an error where connections have ended by themselves.
	torn() error
	// finish ends the program and returns the messages that it had taken by when.
	finish() (line, error)
	// base is the process's memory before it connected, in bytes.
	base() float64
	// latency is what the program itself says, in ms; NaN where it says nothing. After finish.
	latency() (p50, p99 float64)
}

// client is a program that speaks as bench/clientline does.
type client struct {
	p      *process
	memory float64
	read   chan struct{} // closed when its output has ended

	mu       sync.Mutex
	ready    bool
	isOpen   bool
	ended    int64
	messages line
}

// startClient starts a client program, which waits for connect before it dials. flags are further ones of its own.
func (b *bench) startClient(ctx context.Context, p *pipeline, channels []string, what program, flags ...string) (*client, error) {
	out, in := io.Pipe()
	proc, err := start(ctx, p.dir+".client.txt", in, nil, what.path, append([]string{"-url", p.url, "-channels", strings.Join(channels, ","),
		"-connections", fmt.Sprint(b.clients)}, flags...)...)
	if err != nil {
		return nil, err
	}
	c := &client{p: proc, read: make(chan struct{})}
	go func() {
		<-proc.done
		_ = in.Close()
	}()
	go c.listen(out)
	err = await(ctx, what.name+"'s start", upIn, func() (bool, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.ready, nil
	}, proc)
	if err != nil {
		proc.end()
		<-c.read
		return nil, err
	}
	w := watchProcess(proc.pid(), watchEvery)
	c.memory = w.memory()
	w.end()
	return c, nil
}

// connect has the program open its connections. One that can't be told has ended, and finish is still to be called.
func (c *client) connect() error {
	if _, err := io.WriteString(c.p.in, "go\n"); err != nil {
		return fmt.Errorf("tell it to connect: %w (%s)", err, c.p.log)
	}
	return nil
}

// listen takes the program's lines.
func (c *client) listen(out io.Reader) {
	defer close(c.read)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var l clientline.Line
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue // a word of a library's
		}
		c.mu.Lock()
		c.ready = true
		c.isOpen = c.isOpen || l.State == clientline.StateOpen
		c.ended = l.Ended
		if l.State != clientline.StateReady {
			c.messages = append(c.messages, point{l.AtNS, float64(l.Messages)})
		}
		c.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, out)
}

func (c *client) process() *process { return c.p }

func (c *client) open() (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isOpen, c.tornLocked()
}

func (c *client) torn() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tornLocked()
}

func (c *client) tornLocked() error {
	if c.ended > 0 {
		return fmt.Errorf("%d of its connections ended by themselves (%s)", c.ended, c.p.log)
	}
	return nil
}

func (c *client) finish() (line, error) {
	err := c.torn() // the end takes the connections down
	_ = c.p.in.Close()
	c.p.end()
	<-c.read
	return c.messages, err
}

func (c *client) base() float64 { return c.memory }

func (c *client) latency() (p50, p99 float64) { return benchtable.Absent(), benchtable.Absent() }
