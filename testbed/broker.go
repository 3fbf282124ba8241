package testbed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
)

const (
	hostPort     = 9092 // of the listener that is published, inside the container
	internalPort = 9094 // of the one that containers on the run's network reach
	// Published ports come from below the ephemeral range, which Linux starts at 32768: above it a broker that is
	// restarted can find its port taken by a client's connection.
	lowestPort, ephemeralFrom = 20000, 32768
	portTries                 = 5
	// brokerHeap is the same for 1 and 3 brokers; Kafka's reads and writes go through the page cache, not the heap.
	brokerHeap  = "-Xms512m -Xmx512m"
	clusterID   = "d2VpcndlaXJ3ZWlyd2Vpcg" // 16 bytes, base64 URL; one cluster a run, hence a constant
	startedMark = "Kafka Server started"
	versionMark = "Kafka version: "
)

// broker is one Kafka node in a container.
type broker struct {
	id, of      int // node id from 1, number of nodes
	image       string
	netName     string // the run's network; "" for a single node
	runID       string
	port        int // on 127.0.0.1; the same for the container's life
	containerID string
	pid         int
	lines       *lineSink
	started     chan struct{} // closed when the log says that the server has started
	ended       chan struct{} // closed when the container isn't running any more

	mu      sync.Mutex
	version string
	killed  bool // by order
}

func newBroker(id, of int, image, netName string, o Options) (*broker, error) {
	name := fmt.Sprintf("kafka-%d", id)
	lines, err := newLineSink(o.logPath(name))
	if err != nil {
		return nil, err
	}
	b := &broker{
		id: id, of: of, image: image, netName: netName, runID: o.RunID, lines: lines,
		started: make(chan struct{}), ended: make(chan struct{}),
	}
	lines.watch = b.read
	return b, nil
}

func (b *broker) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(b.port)) }

func (b *broker) alias() string { return fmt.Sprintf("kafka-%d", b.id) }

// read looks for the two lines of the broker's log that matter here. The log's reader calls it, one line at a time.
func (b *broker) read(line string) {
	if _, after, ok := strings.Cut(line, versionMark); ok {
		b.mu.Lock()
		b.version, _, _ = strings.Cut(strings.TrimSpace(after), " ")
		b.mu.Unlock()
	}
	if strings.Contains(line, startedMark) {
		select {
		case <-b.started:
		default:
			close(b.started)
		}
	}
}

func (b *broker) versionText() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.version
}

// brokerJVM is the options of a broker's JVM. Where the machine has fewer than two processors for each of the brokers
// they leave out the JVM's second compiler: on a fresh JVM it takes a fifth of a processor for each broker during the
// first half minute, from the very pipeline that is measured (three brokers on two processors: p99 of 1,000 messages a
// second 386 ms with it and 29 ms without).
func brokerJVM(brokers, processors int) string {
	if firstCompilerOnly(brokers, processors) {
		return brokerHeap + " -XX:TieredStopAtLevel=1"
	}
	return brokerHeap
}

func firstCompilerOnly(brokers, processors int) bool { return brokers*2 > processors && brokers > 1 }

// env configures the node as Apache's image reads it: KAFKA_A_B=v becomes a.b=v.
func (b *broker) env() map[string]string {
	var voters []string
	for i := 1; i <= b.of; i++ {
		voters = append(voters, fmt.Sprintf("%d@%s:9093", i, (&broker{id: i, of: b.of, netName: b.netName}).controllerHost()))
	}
	replicas := min(b.of, 3)
	minISR := max(replicas-1, 1)
	return map[string]string{
		"CLUSTER_ID":                                             clusterID,
		"KAFKA_HEAP_OPTS":                                        brokerJVM(b.of, runtime.NumCPU()),
		"KAFKA_NODE_ID":                                          strconv.Itoa(b.id),
		"KAFKA_PROCESS_ROLES":                                    "broker,controller",
		"KAFKA_CONTROLLER_QUORUM_VOTERS":                         strings.Join(voters, ","),
		"KAFKA_CONTROLLER_LISTENER_NAMES":                        "CONTROLLER",
		"KAFKA_LISTENERS":                                        "HOST://:9092,CONTROLLER://:9093,INTERNAL://:9094",
		"KAFKA_ADVERTISED_LISTENERS":                             fmt.Sprintf("HOST://%s,INTERNAL://%s:9094", b.address(), b.controllerHost()),
		"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP":                   "HOST:PLAINTEXT,CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT",
		"KAFKA_INTER_BROKER_LISTENER_NAME":                       "INTERNAL",
		"KAFKA_AUTO_CREATE_TOPICS_ENABLE":                        "false", // a missing topic is a mistake, not one partition
		"KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS":                 "0",
		"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR":                 strconv.Itoa(replicas),
		"KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR":         strconv.Itoa(replicas),
		"KAFKA_TRANSACTION_STATE_LOG_MIN_ISR":                    strconv.Itoa(minISR),
		"KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": strconv.Itoa(replicas),
		"KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR":            strconv.Itoa(minISR),
	}
}

// controllerHost is how the nodes, and a target in a container, reach this one: by its alias on the run's network; a node
// without one has nobody to be reached by.
func (b *broker) controllerHost() string {
	if b.of == 1 && b.netName == "" {
		return "localhost"
	}
	return b.alias()
}

func (b *broker) request() testcontainers.GenericContainerRequest {
	published := network.MustParsePort(fmt.Sprintf("%d/tcp", hostPort))
	req := testcontainers.GenericContainerRequest{
		ContainerRequest: testcontainers.ContainerRequest{
			Image:        b.image,
			Name:         fmt.Sprintf("weir-%s-%s", b.runID, b.alias()),
			Env:          b.env(),
			Labels:       map[string]string{labelKey: b.runID},
			ExposedPorts: []string{published.String()},
			HostConfigModifier: func(h *container.HostConfig) {
				h.PortBindings = network.PortMap{published: {{
					HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1}), HostPort: strconv.Itoa(b.port),
				}}}
				if b.netName != "" {
					h.NetworkMode = container.NetworkMode(b.netName)
				}
			},
		},
		Logger: log.NewNoopLogger(),
	}
	if b.netName != "" {
		req.Networks = []string{b.netName}
		req.NetworkAliases = map[string][]string{b.netName: {b.alias()}}
	}
	return req
}

// startBroker creates and starts the container, with another port where somebody took the one chosen, and returns when
// its log says that the server has started.
func (d *dockerCluster) startBroker(ctx, watchCtx context.Context, b *broker) error {
	for try := 1; ; try++ {
		err := d.runContainer(ctx, b)
		if err == nil {
			break
		}
		if try == portTries || !portTaken(err) {
			return fmt.Errorf("start broker %d: %w", b.id, err)
		}
	}
	d.wg.Go(func() { d.watch(watchCtx, b) })
	select {
	case <-b.started:
		return nil
	case <-b.ended:
		return fmt.Errorf("start broker %d: its container ended before Kafka had started%s", b.id, b.lines.tail())
	case <-ctx.Done():
		return fmt.Errorf("start broker %d: %w%s", b.id, context.Cause(ctx), b.lines.tail())
	}
}

// runContainer leaves no container behind when it fails, unless ctx has ended: then Stop or the reaper removes it.
func (d *dockerCluster) runContainer(ctx context.Context, b *broker) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	b.port = port
	c, err := testcontainers.GenericContainer(ctx, b.request())
	if err != nil {
		return err
	}
	b.containerID = c.GetContainerID()
	if _, err = d.api.ContainerStart(ctx, b.containerID, client.ContainerStartOptions{}); err == nil {
		var info client.ContainerInspectResult
		if info, err = d.api.ContainerInspect(ctx, b.containerID, client.ContainerInspectOptions{}); err == nil {
			b.pid = info.Container.State.Pid
			return nil
		}
	}
	_, removeErr := d.api.ContainerRemove(ctx, b.containerID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	return errors.Join(err, unlessGone(removeErr))
}

func portTaken(err error) bool {
	text := err.Error()
	return strings.Contains(text, "port is already allocated") || strings.Contains(text, "address already in use")
}

// freePort finds a TCP port on loopback below the ephemeral range.
func freePort() (int, error) {
	var err error
	for range 50 {
		port := lowestPort + rand.IntN(ephemeralFrom-lowestPort)
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("find a free port from %d to %d: %w", lowestPort, ephemeralFrom-1, err)
}

// watch reads the container's log and waits for its end. The log is read to its end first, so that the error has the
// last lines.
func (d *dockerCluster) watch(ctx context.Context, b *broker) {
	logRead := make(chan struct{})
	go func() {
		defer close(logRead)
		followLog(ctx, d.api, b.containerID, b.lines)
	}()
	defer func() { <-logRead }()
	status, err := awaitContainerEnd(ctx, d.api, b.containerID)
	within(outputGrace, logRead)
	b.mu.Lock()
	killed := b.killed
	b.mu.Unlock()
	switch {
	case killed || ctx.Err() != nil:
	case err != nil:
		d.fail(fmt.Errorf("lost sight of kafka broker %d: %w%s", b.id, err, b.lines.tail()))
	default:
		d.fail(fmt.Errorf("kafka broker %d (container %s, pid %d) ended unasked with status %d%s",
			b.id, cut(b.containerID, 12), b.pid, status, b.lines.tail()))
	}
	close(b.ended)
}

// followLog copies a container's log to the lines until the container or ctx ends.
func followLog(ctx context.Context, api *client.Client, id string, lines *lineSink) {
	r, err := api.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		lines.add("(no log: " + err.Error() + ")")
		return
	}
	defer r.Close()
	out, errs := &lineWriter{line: lines.add}, &lineWriter{line: lines.add}
	_, _ = stdcopy.StdCopy(out, errs, r) // ends with the container, or with ctx
	out.end()
	errs.end()
}

// awaitContainerEnd returns the container's exit status. The client hands over its answer on an unbuffered channel, so it
// is received whatever happens: the end of ctx comes as an error.
func awaitContainerEnd(ctx context.Context, api *client.Client, id string) (int64, error) {
	w := api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case r := <-w.Result:
		return r.StatusCode, nil
	case err := <-w.Error:
		return 0, err
	}
}

// within waits for the channel's end, for at most d.
func within(d time.Duration, done <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

// kill ends broker i by SIGKILL and waits for its end.
func (d *dockerCluster) kill(i int) error {
	if i < 0 || i >= len(d.brokers) {
		return fmt.Errorf("kill broker %d: there are %d, numbered from 0", i, len(d.brokers))
	}
	b := d.brokers[i]
	b.mu.Lock()
	b.killed = true
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), reachIn)
	defer cancel()
	if _, err := d.api.ContainerKill(ctx, b.containerID, client.ContainerKillOptions{Signal: "KILL"}); err != nil {
		return fmt.Errorf("kill broker %d: %w", i, err)
	}
	select {
	case <-b.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("kill broker %d: its container still runs after %v", i, reachIn)
	}
}
