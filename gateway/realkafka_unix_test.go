//go:build unix

package gateway

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// realCluster is three brokers of Apache Kafka, each a process.
type realCluster struct {
	t       *testing.T
	kafka   string // the distribution's directory
	dir     string
	addrs   []string
	brokers []*realBroker
}

type realBroker struct {
	cmd   *exec.Cmd
	ended chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// Write keeps what the broker says.
func (b *realBroker) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(p)
}

func (b *realBroker) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

// startRealCluster starts it from the distribution that WEIR_KAFKA_DIR names.
func startRealCluster(t *testing.T) *realCluster {
	t.Helper()
	c := &realCluster{t: t, kafka: os.Getenv("WEIR_KAFKA_DIR"), dir: t.TempDir()}
	if c.kafka == "" {
		t.Skip("WEIR_KAFKA_DIR is not set: the tests on a cluster of real brokers are skipped (set it to an Apache Kafka distribution)")
	}
	var voters []string
	controllers := make([]string, 3)
	for i := range controllers {
		c.addrs = append(c.addrs, lowAddr(t))
		controllers[i] = lowAddr(t)
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, controllers[i]))
	}
	for i := range controllers {
		c.configure(i, controllers[i], strings.Join(voters, ","))
	}
	for i := range controllers {
		c.brokers = append(c.brokers, c.start(i))
	}
	for i, b := range c.brokers {
		waitUpTo(t, 3*time.Minute, fmt.Sprintf("broker %d has started", i+1), func() bool {
			select {
			case <-b.ended:
				t.Fatalf("broker %d ended:\n%s", i+1, b.text())
			default:
			}
			return strings.Contains(b.text(), "Kafka Server started")
		})
	}
	return c
}

// lowAddr is a free address below the ephemeral ports.
func lowAddr(t *testing.T) string {
	t.Helper()
	const lowest, ephemeral = 20000, 32768
	for range 50 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(ephemeral-lowest)))
		if err != nil {
			continue
		}
		defer l.Close()
		return l.Addr().String()
	}
	t.Fatal("found no free port")
	return ""
}

func (c *realCluster) script(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.kafka, "bin", name), args...)
	cmd.Env = append(os.Environ(), "KAFKA_HEAP_OPTS=-Xms256m -Xmx256m")
	return cmd
}

func (c *realCluster) config(i int) string {
	return filepath.Join(c.dir, fmt.Sprintf("server-%d.properties", i+1))
}

// configure writes a broker's configuration, in which a dead one is found soon,
// and formats its storage.
func (c *realCluster) configure(i int, controller, voters string) {
	c.t.Helper()
	text := strings.Join([]string{
		"process.roles=broker,controller",
		fmt.Sprintf("node.id=%d", i+1),
		"listeners=PLAINTEXT://" + c.addrs[i] + ",CONTROLLER://" + controller,
		"advertised.listeners=PLAINTEXT://" + c.addrs[i],
		"controller.listener.names=CONTROLLER",
		"controller.quorum.voters=" + voters,
		"default.replication.factor=3",
		"min.insync.replicas=2",
		"offsets.topic.replication.factor=3",
		"offsets.topic.num.partitions=3",
		"transaction.state.log.replication.factor=3",
		"transaction.state.log.min.isr=2",
		"transaction.state.log.num.partitions=3",
		"group.initial.rebalance.delay.ms=0",
		"broker.session.timeout.ms=3000",
		"broker.heartbeat.interval.ms=500",
		"controller.quorum.fetch.timeout.ms=1000",
		"controller.quorum.election.timeout.ms=500",
		"log.dirs=" + filepath.Join(c.dir, fmt.Sprintf("logs-%d", i+1)),
		"",
	}, "\n")
	if err := os.WriteFile(c.config(i), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	format := c.script("kafka-storage.sh", "format", "-t", "d2VpcndlaXJ3ZWlyd2Vpcg", "-c", c.config(i))
	if out, err := format.CombinedOutput(); err != nil {
		c.t.Fatalf("format the storage of broker %d: %v\n%s", i+1, err, out)
	}
}

func (c *realCluster) start(i int) *realBroker {
	c.t.Helper()
	b := &realBroker{cmd: c.script("kafka-server-start.sh", c.config(i)), ended: make(chan struct{})}
	b.cmd.Stdout, b.cmd.Stderr = b, b
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := b.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		defer close(b.ended)
		_ = b.cmd.Wait() // it is killed
	}()
	c.t.Cleanup(b.kill)
	return b
}

// kill ends a broker as a power cut does.
func (b *realBroker) kill() {
	_ = b.cmd.Process.Kill() // fails only where it has ended
	<-b.ended
}

// Brokers die under load: the one that leads a partition, and the one that
// coordinates the groups. To a client of a gateway, with or without a group,
// each record comes once and in order.
func TestRealExternalBrokerKilled(t *testing.T) {
	for _, victim := range []string{"leader", "coordinator"} {
		t.Run(victim, func(t *testing.T) { killUnderLoad(t, victim) })
	}
}

func killUnderLoad(t *testing.T, victim string) {
	const partitions, perPartition, killAt = 6, 400, 100
	c := startRealCluster(t)
	kafka, err := kgo.NewClient(kgo.SeedBrokers(c.addrs...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	if _, err := kadm.NewClient(kafka).CreateTopic(ctx, partitions, 3, nil, "prices"); err != nil {
		t.Fatal(err)
	}
	modes := []string{"direct", protocolClassic, protocolConsumer}
	var gateways []*gatewayUnderTest
	var clients []*testClient
	for _, mode := range modes {
		g := launchReal(t, c.addrs, mode)
		gateways = append(gateways, g)
		clients = append(clients, g.dial("prices"))
	}
	var readers sync.WaitGroup
	for i := range clients {
		readers.Go(func() { readEach(clients[i], modes[i], partitions, perPartition) })
	}
	for n := range perPartition {
		if n == killAt {
			id := brokerOf(ctx, t, kafka, victim)
			t.Logf("killing broker %d, the %s", id, victim)
			c.brokers[id-1].kill()
		}
		records := make([]*kgo.Record, partitions)
		for p := range records {
			records[p] = &kgo.Record{Topic: "prices", Partition: int32(p), Value: fmt.Append(nil, n)}
		}
		if err := kafka.ProduceSync(ctx, records...).FirstErr(); err != nil {
			t.Fatalf("produce: %v", err)
		}
	}
	readers.Wait()
	for i, g := range gateways {
		if s := g.stats(); s.Records != partitions*perPartition || s.KafkaGaps != 0 {
			t.Errorf("%s: stats %+v; want each record read once", modes[i], s)
		}
		g.shutDown()
	}
}

func launchReal(t *testing.T, brokers []string, mode string) *gatewayUnderTest {
	t.Helper()
	cfg := Config{Listen: freeAddr(t), Brokers: brokers, Topics: []string{"prices"}, InstanceID: "gw-1"}
	if mode != "direct" {
		cfg.Consume.Group, cfg.Consume.Protocol = "gateways-"+mode, mode
	}
	ctx, cancel := context.WithCancel(t.Context())
	g := &gatewayUnderTest{t: t, stop: cancel, addr: cfg.Listen}
	g.done = goErr(func() error { return Run(ctx, cfg, testLog(t), nil) })
	t.Cleanup(func() {
		cancel()
		<-g.done
	})
	g.awaitStatus(statusReady, "")
	return g
}

// readEach requires every record of every partition, in order.
func readEach(c *testClient, mode string, partitions, each int) {
	next := make([]int64, partitions)
	for range partitions * each {
		m, err := c.tryReadWithin(2 * time.Minute)
		if err != nil {
			c.t.Errorf("%s: %v after offsets %v", mode, err, next)
			return
		}
		if m.Type != "message" || m.Offset != next[m.Partition] || string(m.Value) != fmt.Sprint(m.Offset) {
			c.t.Errorf("%s: got %s; want offset %d of partition %d", mode, m.Raw, next[m.Partition], m.Partition)
			return
		}
		next[m.Partition]++
	}
}

// tryReadWithin is tryRead with more patience: brokers take seconds to find that
// one is dead.
func (c *testClient) tryReadWithin(d time.Duration) (received, error) {
	for {
		c.ws.SetReadDeadline(time.Now().Add(d))
		op, frame, err := c.ws.ReadMessage()
		if err != nil {
			return received{}, err
		}
		if m, err := parse(op, frame); err != nil || m.Kind != "slow" {
			return m, err
		}
	}
}

// brokerOf is the id of the broker to be killed.
func brokerOf(ctx context.Context, t *testing.T, kafka *kgo.Client, role string) int32 {
	t.Helper()
	if role == "leader" {
		topics, err := kadm.NewClient(kafka).ListTopics(ctx, "prices")
		if err != nil {
			t.Fatal(err)
		}
		return topics["prices"].Partitions[0].Leader
	}
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKeys = []string{"gateways-" + protocolClassic}
	resp, err := req.RequestWith(ctx, kafka)
	if err != nil || len(resp.Coordinators) != 1 {
		t.Fatalf("find the coordinator: %v", err)
	}
	return resp.Coordinators[0].NodeID
}
