package testbed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"github.com/weirbench/weir/internal/hosts"
	"github.com/weirbench/weir/scenarios"
)

// targetLabel is on the target's container in place of labelKey, so that each part of the testbed removes its own.
const targetLabel = "weir.target"

// boxed is a target in a container that weir started, with the reaper that outlives weir for it.
type boxed struct {
	api    *client.Client
	reaper *process
	label  string
	id     string
	pid    int // as this machine numbers it; 0 where the container is not on this one
	stopIn time.Duration
	lines  *lineSink
	log    func(string)
	ended  chan struct{} // closed when the container isn't running any more
	died   chan struct{} // closed when that happened unasked
	cancel context.CancelFunc
	wg     sync.WaitGroup // the watchers

	mu    sync.Mutex
	asked bool
	err   error

	stop    sync.Once
	stopErr error
}

// startContainer starts the plan's image, built first where the plan has a folder, and returns when it is ready. describe
// is what the record says that the target is; files are put into the container's folder /weir.
//
// Which network the container gets follows from where the brokers are: the run's, where they are containers of weir's;
// this machine's own, where the plan says so or the brokers are at loopback addresses, which a container of its own
// network can't reach; else Docker's default. On this machine's network nothing is published: the target listens at its
// port itself, which must be free.
func startContainer(ctx context.Context, plan *scenarios.GatewayPlan, describe string, files map[string]string, seeds, topics []string, o Options) (*Target, error) {
	c := plan.Container
	if c == nil || (c.Image == "") == (c.Build == "") {
		return nil, errors.New("start container: one of gateway.container.image and gateway.container.build is to be set")
	}
	api, err := dockerAPI(ctx)
	if err != nil {
		return nil, fmt.Errorf("start container: %w", err)
	}
	b := &boxed{
		api: api, label: targetLabel + "=" + o.RunID, stopIn: c.StopIn, log: o.log,
		ended: make(chan struct{}), died: make(chan struct{}),
	}
	if b.stopIn <= 0 {
		b.stopIn = defaultStopIn
	}
	if b.reaper, err = startReaperOf(ctx, o, b.label, api.DaemonHost()); err != nil {
		return nil, errors.Join(err, api.Close())
	}
	watchCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b.cancel = cancel
	b.wg.Go(func() { b.watchReaper(watchCtx) })
	t, err := b.start(ctx, watchCtx, plan, files, seeds, topics, o)
	if err != nil {
		stopped, cancel := context.WithCancel(ctx)
		cancel() // nothing of it is to be stopped in order
		return nil, errors.Join(fmt.Errorf("start container: %w", err), b.Stop(stopped))
	}
	t.Description = describe + t.Description
	return t, nil
}

func (b *boxed) start(ctx, watchCtx context.Context, plan *scenarios.GatewayPlan, files map[string]string, seeds, topics []string, o Options) (*Target, error) {
	c := plan.Container
	var err error
	if b.lines, err = newLineSink(o.logPath("gateway")); err != nil {
		return nil, err
	}
	image, err := b.image(ctx, c, plan.BuildIn, o)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		box, err := newBox(c, image, files, seeds, topics, o)
		if err != nil {
			return nil, err
		}
		ready, err := newReadiness(box.place.fillURL(c.URL), box.place.ready(c.Ready), plan, o.AllowTargets)
		if err != nil {
			return nil, err
		}
		b.lines.hide, b.lines.watch = box.env.hide, ready.watch
		if err := b.runWithin(ctx, box); err != nil {
			if try < portTries && portTaken(err) && !box.host {
				continue
			}
			return nil, err
		}
		return b.await(ctx, watchCtx, box, ready, o)
	}
}

// await watches the container and returns when it is ready.
func (b *boxed) await(ctx, watchCtx context.Context, box *box, ready *readiness, o Options) (*Target, error) {
	b.wg.Go(func() { b.watch(watchCtx) })
	ready.ended, ready.tail, ready.endedEarly = b.ended, b.lines.tail, b.endedEarly
	ready.listened = func(host string, port int) (bool, error) {
		if !box.host || b.pid == 0 {
			return b.published(ctx, box, port)
		}
		return listened(host, port, b.pid, o.RunID)
	}
	if !box.host {
		ready.inside = func() (listens, known bool) { return listenedInside(b.pid, box.place.port) }
	}
	if err := ready.await(ctx); err != nil {
		return nil, err
	}
	var err error
	t := &Target{URL: ready.url.String(), part: b, stopIn: b.stopIn + removeIn + reapGrace}
	if box.host {
		t.Description = " (host network)"
	}
	if b.pid != 0 {
		t.procs, err = follow([]int{b.pid}, o.RunID)
		return t, err
	}
	t.meter, err = startMeter(ctx, b.stats)
	return t, err
}

// published reports whether Docker publishes the container's port there. Docker refuses to start a container whose port is
// another's.
func (b *boxed) published(ctx context.Context, box *box, port int) (bool, error) {
	info, err := b.api.ContainerInspect(ctx, b.id, client.ContainerInspectOptions{})
	if err != nil {
		return false, err
	}
	bindings := info.Container.NetworkSettings.Ports[box.inside()]
	if box.host || len(bindings) == 0 {
		return box.host, nil
	}
	for _, binding := range bindings {
		if binding.HostPort == strconv.Itoa(port) {
			return true, nil
		}
	}
	return false, fmt.Errorf("port %d is not the container's, which is published at %s (write {port} in url and ready.url)", port, bindings[0].HostPort)
}

// watch reads the container's log and waits for its end. The log is read to its end first, so that the error has the last
// lines.
func (b *boxed) watch(ctx context.Context) {
	logRead := make(chan struct{})
	go func() {
		defer close(logRead)
		followLog(ctx, b.api, b.id, b.lines)
	}()
	defer func() { <-logRead }()
	status, err := awaitContainerEnd(ctx, b.api, b.id)
	within(outputGrace, logRead)
	b.mu.Lock()
	defer b.mu.Unlock()
	defer close(b.ended)
	if b.asked || ctx.Err() != nil {
		return
	}
	b.err = fmt.Errorf("the target's container %s ended unasked with status %d%s", cut(b.id, 12), status, b.lines.tail())
	if err != nil {
		b.err = fmt.Errorf("lost sight of the target's container %s: %w%s", cut(b.id, 12), err, b.lines.tail())
	}
	close(b.died)
}

func (b *boxed) endedEarly() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Errorf("it ended before it was ready: %w", b.err)
}

// watchReaper warns when the reaper ends early. The run is right without it; a kill −9 would leave the container behind.
func (b *boxed) watchReaper(ctx context.Context) {
	select {
	case <-b.reaper.died:
		b.log(fmt.Sprintf("warning: %v: if weir is killed, remove the target by hand: docker rm -f $(docker ps -aq --filter label=%s)",
			b.reaper.Err(), b.label))
	case <-ctx.Done():
	}
}

// Done is closed when the container ended unasked.
func (b *boxed) Done() <-chan struct{} { return b.died }

// Err says how.
func (b *boxed) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Stop asks the container to end, removes it and ends the watchers and the reaper. The end of ctx goes straight to the
// removal, which kills it. Idempotent.
func (b *boxed) Stop(ctx context.Context) error {
	b.stop.Do(func() { b.stopErr = b.shutDown(ctx) })
	return b.stopErr
}

func (b *boxed) shutDown(ctx context.Context) error {
	// 1. What ends from here on was asked to.
	b.mu.Lock()
	b.asked = true
	b.mu.Unlock()
	// 2. It is asked to end, as its image says; Docker kills it where it does not.
	var stopErr error
	if b.id != "" && ctx.Err() == nil {
		stopErr = b.ask(ctx)
	}
	// 3. It goes, and what else carries the label.
	removeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeIn)
	defer cancel()
	removeErr := removeAll(removeCtx, b.api, b.label)
	// 4. The reaper is told that nothing is left and looks once, or, where something may be, does the work.
	if removeErr == nil {
		_ = tellReaper(b.reaper, reaperOrder{Done: true}) // fails where it has died
	}
	reaperErr := b.reaper.Stop(context.WithoutCancel(ctx))
	// 5. The watchers end.
	b.cancel()
	b.wg.Wait()
	if b.lines != nil {
		b.lines.close()
	}
	return errors.Join(stopErr, removeErr, reaperErr, b.api.Close())
}

// ask stops the container in order. That it had to be killed is an error.
func (b *boxed) ask(ctx context.Context) error {
	select {
	case <-b.ended:
		return nil
	default:
	}
	// Docker counts whole seconds.
	seconds := int((b.stopIn + time.Second - 1) / time.Second)
	begun := time.Now()
	_, err := b.api.ContainerStop(ctx, b.id, client.ContainerStopOptions{Timeout: &seconds})
	if err = unlessGone(err); err != nil {
		return fmt.Errorf("stop the target's container: %w", err)
	}
	if took := time.Since(begun); took >= time.Duration(seconds)*time.Second {
		return fmt.Errorf("stop the target's container: it did not end within %v of its stop signal and was killed%s", b.stopIn, b.lines.tail())
	}
	return nil
}

// loopbackSeeds reports whether any of the brokers is reached on this machine alone.
func loopbackSeeds(seeds []string) bool {
	for _, seed := range seeds {
		host, _, err := net.SplitHostPort(seed)
		if err == nil && hosts.Loopback(host) {
			return true
		}
	}
	return false
}

// describeContainer is the image or the folder as the plan has it.
func describeContainer(c *scenarios.ContainerTarget) string {
	switch {
	case c == nil:
		return ""
	case c.Build != "":
		return "container built from " + c.Build
	}
	return "container " + c.Image
}
