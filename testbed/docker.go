package testbed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/network"
	"golang.org/x/sync/errgroup"

	"github.com/weirbench/weir/internal/hosts"
	"github.com/weirbench/weir/internal/kafkasec"
	"github.com/weirbench/weir/scenarios"
)

const (
	dockerIn    = 30 * time.Second // for Docker to say that it is there
	pullIn      = 10 * time.Minute // for the brokers' image
	brokersIn   = 2 * time.Minute  // for containers to be up and the brokers to know each other
	removeIn    = 10 * time.Second
	removeRetry = 100 * time.Millisecond
)

// dockerCluster is Apache Kafka in containers: one broker, or several combined KRaft nodes on a network of the run.
type dockerCluster struct {
	label   string
	api     *client.Client
	reaper  *process
	brokers []*broker
	network string // of the run; "" for none
	log     func(string)
	cancel  context.CancelFunc // ends the watchers
	wg      sync.WaitGroup     // the watchers
	died    chan struct{}      // closed when a broker ended unasked

	mu       sync.Mutex
	stopping bool
	err      error

	stop    sync.Once
	stopErr error
}

// startDocker starts the containers. What is started is watched from then on: by this process, and by the reaper.
func startDocker(ctx context.Context, plan scenarios.KafkaPlan, o Options) (*Kafka, error) {
	if plan.Brokers < 1 {
		return nil, fmt.Errorf("start kafka in docker: %d brokers (give 1 or more)", plan.Brokers)
	}
	image := plan.Image
	if image == "" {
		image = DefaultImage
	}
	api, err := dockerAPI(ctx)
	if err != nil {
		return nil, err
	}
	reaper, err := startReaper(ctx, o, api.DaemonHost())
	if err != nil {
		return nil, errors.Join(err, api.Close())
	}
	watchCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d := &dockerCluster{
		label: labelKey + "=" + o.RunID, api: api, reaper: reaper, log: o.log, cancel: cancel, died: make(chan struct{}),
	}
	d.wg.Go(func() { d.watchReaper(watchCtx) })
	version, err := d.up(ctx, watchCtx, plan.Brokers, image, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start kafka in docker: %w", err), d.Stop(ctx))
	}
	k := &Kafka{Description: describeDocker(version, image, plan.Brokers, runtime.NumCPU()), provider: plan.Provider, docker: d}
	for _, b := range d.brokers {
		k.Seeds = append(k.Seeds, b.address())
	}
	return k, nil
}

// quiet has testcontainers log nothing, leave reaping to our own reaper (its own is a container, whose image may not be
// there) and use loopback instead of the bridge's address. It reads the environment once, hence before its first use.
var quiet = sync.OnceFunc(func() {
	_ = os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true") // fails for malformed names alone
	_ = os.Setenv("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
	log.SetDefault(log.NewNoopLogger())
})

// dockerAPI connects to Docker where testcontainers finds it. The caller closes the client.
func dockerAPI(ctx context.Context) (*client.Client, error) {
	quiet()
	reach, cancel := context.WithTimeoutCause(ctx, dockerIn, fmt.Errorf("it gives no answer within %v", dockerIn))
	defer cancel()
	c, err := testcontainers.NewDockerClientWithOpts(reach)
	if err == nil {
		_, err = c.Ping(reach, client.PingOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("reach docker: %w (install or start Docker, or do without: --set kafka.provider=embedded)", causeOr(reach, err))
	}
	if u, err := client.ParseHostURL(c.DaemonHost()); err == nil && u.Scheme == "tcp" && hosts.Check(ctx, nil, hostname(u.Host), nil) != nil {
		return nil, errors.Join(fmt.Errorf("use docker at %s: it is another machine, whose ports on 127.0.0.1 can't be reached from here (unset DOCKER_HOST, or do without: --set kafka.provider=embedded)", c.DaemonHost()), c.Close())
	}
	return c.Client, nil
}

// hostname is the host without the port, if there is one.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

// up brings the brokers up and returns the version that they say they are.
func (d *dockerCluster) up(ctx, watchCtx context.Context, n int, image string, o Options) (string, error) {
	netName := ""
	if n > 1 || o.ContainerTarget {
		nw, err := network.New(ctx, network.WithLabels(map[string]string{labelKey: o.RunID}))
		if err != nil {
			return "", fmt.Errorf("create network: %w", err)
		}
		netName = nw.Name
		d.network = netName
	}
	if err := pullImage(ctx, d.api, image, pullIn, d.log, "mend kafka.image, pull it before, or do without Docker: --set kafka.provider=embedded"); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, brokersIn, fmt.Errorf("brokers not up within %v", brokersIn))
	defer cancel()
	for i := range n {
		b, err := newBroker(i+1, n, image, netName, o)
		if err != nil {
			return "", err
		}
		d.brokers = append(d.brokers, b)
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, b := range d.brokers {
		g.Go(func() error { return d.startBroker(gctx, watchCtx, b) })
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	if err := d.awaitCluster(ctx); err != nil {
		return "", err
	}
	return d.brokers[0].versionText(), nil
}

// pullImage gets the image where it isn't there, which is said since it takes a while, within the time. mend is the end of
// the error. The end of ctx ends Docker's pull, too.
func pullImage(ctx context.Context, api *client.Client, image string, within time.Duration, say func(string), mend string) error {
	if _, err := api.ImageInspect(ctx, image); err == nil {
		return nil
	}
	say("pulling image " + image + ", which takes a while the first time")
	p, err := testcontainers.NewDockerProvider(testcontainers.WithLogger(log.NewNoopLogger()))
	if err != nil {
		return err
	}
	defer p.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("not done within %v: does its registry answer?", within))
	defer cancel()
	if err := p.PullImage(ctx, image); err != nil {
		return fmt.Errorf("pull image %s: %w (%s)", image, causeOr(ctx, err), mend)
	}
	return nil
}

// causeOr is why the context ended, where that is what ended the work, else the error.
func causeOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// inside is how a container on the run's network reaches the brokers: empty where there is none.
func (d *dockerCluster) inside() (network string, seeds []string) {
	if d.network == "" {
		return "", nil
	}
	for _, b := range d.brokers {
		seeds = append(seeds, net.JoinHostPort(b.alias(), strconv.Itoa(internalPort)))
	}
	return d.network, seeds
}

// awaitCluster polls until the host listeners answer and know all brokers.
func (d *dockerCluster) awaitCluster(ctx context.Context) error {
	var seeds []string
	for _, b := range d.brokers {
		seeds = append(seeds, b.address())
	}
	a, err := newAdmin(seeds, kafkasec.Settings{})
	if err != nil {
		return err
	}
	defer a.close()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		c, err := a.reach(ctx)
		if err == nil && len(c.brokers) == len(d.brokers) && c.controller >= 0 {
			if _, err := a.reachEach(ctx, c); err != nil {
				return err
			}
			return a.awaitProducerIDs(ctx, c)
		}
		if err == nil {
			err = fmt.Errorf("%d of %s have joined", len(c.brokers), count(len(d.brokers), "broker"))
		}
		select {
		case <-tick.C:
		case <-d.died:
			return d.Err()
		case <-ctx.Done():
			return fmt.Errorf("await brokers: %w: %w", context.Cause(ctx), err)
		}
	}
}

// watchReaper warns when the reaper ends early. The run is right without it; a kill −9 would leave containers behind.
func (d *dockerCluster) watchReaper(ctx context.Context) {
	select {
	case <-d.reaper.died:
		d.log(fmt.Sprintf("warning: %v: if weir is killed, remove its containers by hand: docker rm -f $(docker ps -aq --filter label=%s)",
			d.reaper.Err(), d.label))
	case <-ctx.Done():
	}
}

// Err says which broker ended unasked.
func (d *dockerCluster) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// fail records the first broker that ended unasked.
func (d *dockerCluster) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopping || d.err != nil {
		return
	}
	d.err = err
	close(d.died)
}

func (d *dockerCluster) pids() []int {
	var pids []int
	for _, b := range d.brokers {
		pids = append(pids, b.pid)
	}
	return pids
}

// Stop removes the containers and the network and ends the watchers and the reaper. Since that is a kill already, the end
// of ctx doesn't hurry it: it takes removeIn at most, and after that the reaper's time. Idempotent.
func (d *dockerCluster) Stop(ctx context.Context) error {
	d.stop.Do(func() { d.stopErr = d.shutDown(ctx) })
	return d.stopErr
}

func (d *dockerCluster) shutDown(ctx context.Context) error {
	// 1. What ends from here on was asked to.
	d.mu.Lock()
	d.stopping = true
	d.mu.Unlock()
	// 2. Containers and network go. Kafka isn't asked to end: nobody needs its data, and combined nodes that are asked
	//    all at once wait for each other.
	removeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeIn)
	defer cancel()
	removeErr := removeAll(removeCtx, d.api, d.label)
	// 3. The reaper is told that nothing is left and looks once, or, where something may be, does the work.
	if removeErr == nil {
		_ = tellReaper(d.reaper, reaperOrder{Done: true}) // fails where it has died
	}
	stopErr := d.reaper.Stop(context.WithoutCancel(ctx))
	// 4. The watchers end; their containers have gone.
	d.cancel()
	d.wg.Wait()
	for _, b := range d.brokers {
		b.lines.close()
	}
	return errors.Join(removeErr, stopErr, d.api.Close())
}

// removeAll removes all that carries the label, until nothing is seen.
func removeAll(ctx context.Context, api *client.Client, label string) error {
	tick := time.NewTicker(removeRetry)
	defer tick.Stop()
	for {
		seen, err := removeLabelled(ctx, api, label)
		if seen == 0 && err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("remove containers with label %s: %w", label, errors.Join(context.Cause(ctx), err))
		}
	}
}

// describeDocker names the image only where it isn't Apache's own of that version.
func describeDocker(version, image string, n, processors int) string {
	repository, tag, _ := strings.Cut(image, ":")
	if version == "" {
		version = tag
	}
	named := ""
	if repository != "apache/kafka" || tag != version {
		named = " (image " + image + ")"
	}
	jvm := ""
	if firstCompilerOnly(n, processors) {
		jvm = " (JVMs without their second compiler)"
	}
	return fmt.Sprintf("Apache Kafka %s in Docker%s, %s%s", version, named, count(n, "broker"), jvm)
}
