package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/weirbench/weir/internal/settings"
)

func TestMain(m *testing.M) {
	if os.Getenv(childBrokers) != "" {
		os.Exit(runChild())
	}
	// Most tests that run side by side wait for Kafka's timers, and more of them do than there are processors.
	_ = flag.Set("test.parallel", "8") // fails for no number; -parallel comes after it
	goleak.VerifyTestMain(m)
}

// childBrokers, when set, makes the test binary a gateway: see runChild.
const childBrokers = "GATEWAY_TEST_CHILD_BROKERS"

// childBesieged, when set too, gives it the limits that the siege is to meet.
const childBesieged = "GATEWAY_TEST_CHILD_BESIEGED"

// childPing is the ping interval of a gateway that is stopped.
const childPing = 500 * time.Millisecond

// runChild is a gateway in a process of its own, which can be stopped. It says
// its address and ends with its standard input.
func runChild() int {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	cfg := Config{
		Brokers:    strings.Split(os.Getenv(childBrokers), ","),
		Topics:     []string{"prices"},
		InstanceID: "gw-1",
		// Short, so that pings and their answers are overdue after a stop of longer than 3¼ of it.
		Gateway: settings.Gateway{Timeouts: settings.Timeouts{Ping: childPing}},
	}
	if os.Getenv(childBesieged) != "" {
		cfg.QueueBytes = 256 << 10
		cfg.Gateway = settings.Gateway{
			Compression: true,
			Limits:      settings.Limits{FramesPerSecond: 1000, SubscribesPerSecond: 100},
			Timeouts:    settings.Timeouts{Handshake: 2 * time.Second},
		}
	}
	if err := Run(ctx, cfg, nil, func(addr string) { fmt.Println(addr) }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// patience bounds every wait of the tests: it is only ever used up by a failure.
const patience = 10 * time.Second

// gatewayUnderTest is a gateway that runs against a fake Kafka.
type gatewayUnderTest struct {
	t       *testing.T
	cluster *kfake.Cluster
	addr    string
	stop    context.CancelFunc
	done    <-chan error
	kafka   *kgo.Client // for producing
}

// start runs a gateway with topic prices (4 partitions) and whatever change
// makes of its configuration, and stops it when the test ends.
func start(t *testing.T, change func(*Config), opts ...kfake.Opt) *gatewayUnderTest {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(4, "prices", "chat")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return startOn(t, cluster, change)
}

func startOn(t *testing.T, cluster *kfake.Cluster, change func(*Config)) *gatewayUnderTest {
	t.Helper()
	cfg := Config{Brokers: cluster.ListenAddrs(), Topics: []string{"prices", "chat"}, InstanceID: "gw-1"}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan string, 1)
	g := &gatewayUnderTest{t: t, cluster: cluster, stop: cancel}
	g.done = goErr(func() error { return Run(ctx, cfg, testLog(t), func(addr string) { ready <- addr }) })
	select {
	case g.addr = <-ready:
	case err := <-g.done:
		t.Fatalf("gateway ended: %v", err)
	case <-time.After(patience):
		t.Fatal("gateway is not ready")
	}
	kafka, err := kgo.NewClient(
		kgo.SeedBrokers(cluster.ListenAddrs()...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0),
		kgo.MetadataMinAge(50*time.Millisecond),
	)
	if err != nil {
		t.Fatal(err)
	}
	g.kafka = kafka
	t.Cleanup(func() {
		kafka.Close()
		g.shutDown()
	})
	return g
}

// shutDown stops the gateway and waits for it.
func (g *gatewayUnderTest) shutDown() {
	g.t.Helper()
	g.stop()
	select {
	case err := <-g.done:
		if err != nil {
			g.t.Errorf("Run: got %v; want nil", err)
		}
	case <-time.After(patience):
		g.t.Fatal("gateway does not end")
	}
}

func testLog(t *testing.T) *slog.Logger {
	if os.Getenv("GATEWAY_TEST_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// produce writes records and waits for their acknowledgement. It sets their
// partition to that given, and their topic to prices unless they have one.
func (g *gatewayUnderTest) produce(partition int32, records ...*kgo.Record) {
	g.t.Helper()
	for _, r := range records {
		r.Partition = partition
		if r.Topic == "" {
			r.Topic = "prices"
		}
	}
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	if err := g.kafka.ProduceSync(ctx, records...).FirstErr(); err != nil {
		g.t.Fatalf("produce: %v", err)
	}
}

// keyed returns n records of a key, with values from, from+1, …
func keyed(key string, from, n int) []*kgo.Record {
	rs := make([]*kgo.Record, n)
	for i := range rs {
		rs[i] = &kgo.Record{Key: []byte(key), Value: fmt.Appendf(nil, "%d", from+i)}
	}
	return rs
}

func (g *gatewayUnderTest) stats() Stats {
	g.t.Helper()
	var s Stats
	if status := g.get("/stats", &s); status != http.StatusOK {
		g.t.Fatalf("GET /stats: got status %d; want 200", status)
	}
	return s
}

func (g *gatewayUnderTest) get(path string, body any) (status int) {
	g.t.Helper()
	resp, err := http.DefaultClient.Get("http://" + g.addr + path)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	if err := json.NewDecoder(resp.Body).Decode(body); err != nil {
		g.t.Fatalf("GET %s: %v", path, err)
	}
	return resp.StatusCode
}

// eventually polls a condition that the gateway's counters show; there is
// nothing else to wait on.
func (g *gatewayUnderTest) eventually(what string, cond func(Stats) bool) Stats {
	g.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s := g.stats()
		if cond(s) {
			return s
		}
		select {
		case <-tick.C:
		case <-deadline:
			g.t.Fatalf("never came true: %s; stats %+v", what, s)
		}
	}
}

// testClient is a WebSocket client that knows the protocol.
type testClient struct {
	t  *testing.T
	ws *websocket.Conn
	// slow is how many notices came that the client is slow. They may come at
	// any time and are passed over.
	slow int
	// whole: batches are not taken apart.
	whole bool
	rest  []received // of a batch
}

// received is any message from the gateway. A record message has a Value.
type received struct {
	Type        string   `json:"type"`
	Protocol    int      `json:"protocol"`
	Instance    string   `json:"instance"`
	ID          *uint64  `json:"id"`
	Channels    []string `json:"channels"`
	Code        string   `json:"code"`
	Message     string   `json:"message"`
	Kind        string   `json:"kind"`
	Channel     string   `json:"channel"`
	Topic       string   `json:"topic"`
	Partition   int32    `json:"partition"`
	Offset      int64    `json:"offset"`
	Key         *string  `json:"key"`
	KeyBase64   []byte   `json:"key_base64"`
	ReceivedAt  int64    `json:"received_at_ns"`
	QueuedAt    int64    `json:"queued_at_ns"`
	FirstOffset int64    `json:"first_offset"`
	LastOffset  int64    `json:"last_offset"`
	Count       int64    `json:"count"`
	QueuedBytes int      `json:"queued_bytes"`
	LimitBytes  int      `json:"limit_bytes"`
	Sizes       []int    `json:"sizes"`

	Pattern   string                     `json:"pattern"`
	Patterns  []string                   `json:"patterns"`
	Resumed   *bool                      `json:"resumed"`
	Lost      map[string]json.RawMessage `json:"lost"`
	Positions map[string]resumePositions `json:"positions"`
	Counts    map[string]int             `json:"counts"`

	Value  []byte `json:"-"`
	Binary bool   `json:"-"`
	Raw    []byte `json:"-"`
}

// dial connects and reads the hello, and, if there are channels, the
// acknowledgement.
func (g *gatewayUnderTest) dial(channels ...string) *testClient {
	g.t.Helper()
	c := g.dialRaw(channels...)
	c.greeted(channels...)
	return c
}

// greeted reads what a client gets first that has dialled for these channels.
func (c *testClient) greeted(channels ...string) {
	c.t.Helper()
	if m := c.read(); m.Type != "hello" || m.Protocol != 1 || m.Instance != "gw-1" {
		c.t.Fatalf("first message: got %s; want a hello", m.Raw)
	}
	if len(channels) > 0 {
		if m := c.read(); m.Type != "subscribed" || m.ID != nil {
			c.t.Fatalf("second message: got %s; want subscribed", m.Raw)
		}
	}
}

func (g *gatewayUnderTest) url(channels ...string) string {
	return "ws://" + g.addr + "/ws?" + url.Values{"channel": channels}.Encode()
}

func (g *gatewayUnderTest) dialRaw(channels ...string) *testClient {
	g.t.Helper()
	ws, resp, err := websocket.DefaultDialer.Dial(g.url(channels...), nil)
	if err != nil {
		g.t.Fatalf("dial %s: %v", g.url(channels...), err)
	}
	resp.Body.Close()
	c := &testClient{t: g.t, ws: ws}
	g.t.Cleanup(func() { ws.Close() })
	return c
}

func (c *testClient) tryRead() (received, error) {
	for {
		m, err := c.readAny()
		if err != nil || m.Kind != "slow" {
			return m, err
		}
		c.slow++
	}
}

func (c *testClient) readAny() (received, error) {
	if len(c.rest) > 0 {
		m := c.rest[0]
		c.rest = c.rest[1:]
		return m, nil
	}
	c.ws.SetReadDeadline(time.Now().Add(patience))
	op, frame, err := c.ws.ReadMessage()
	if err != nil {
		return received{}, err
	}
	if c.whole {
		return parse(op, frame)
	}
	messages, err := parseAll(op, frame)
	if err != nil {
		return received{}, err
	}
	c.rest = messages[1:]
	return messages[0], nil
}

// parseAll takes a batch apart, and checks that it can be; of anything else it gives the one message that it is.
func parseAll(op int, frame []byte) ([]received, error) {
	m, err := parse(op, frame)
	if err != nil || m.Type != "batch" {
		return []received{m}, err
	}
	var messages []received
	rest := m.Value
	for _, size := range m.Sizes {
		if size > len(rest) {
			return nil, fmt.Errorf("batch %.200q ends within a record", frame)
		}
		r, err := parse(op, rest[:size])
		if err != nil || r.Type != "message" {
			return nil, fmt.Errorf("batch with %.200q: %w", rest[:size], err)
		}
		messages = append(messages, r)
		rest = rest[size:]
	}
	if len(rest) > 0 || len(messages) < 2 || int64(len(messages)) != m.Count {
		return nil, fmt.Errorf("batch %.200q: %d records and %d bytes beside them", frame, len(messages), len(rest))
	}
	return messages, nil
}

func parse(op int, frame []byte) (received, error) {
	m := received{Raw: frame, Binary: op == websocket.BinaryMessage}
	header, value, isRecord := bytes.Cut(frame, []byte("\n"))
	if err := json.Unmarshal(header, &m); err != nil {
		return m, fmt.Errorf("message %q: %w", frame, err)
	}
	if isRecord {
		m.Value = value
	}
	return m, nil
}

func (c *testClient) read() received {
	c.t.Helper()
	m, err := c.tryRead()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return m
}

func (c *testClient) send(text string) {
	c.t.Helper()
	if err := c.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// wantClose reads until the connection ends and compares the close code.
func (c *testClient) wantClose(want CloseCode) {
	c.t.Helper()
	for {
		_, err := c.tryRead()
		if err == nil {
			continue
		}
		closed, ok := err.(*websocket.CloseError)
		if !ok || CloseCode(closed.Code) != want || closed.Text != want.Reason() {
			c.t.Fatalf("end of connection: got %v; want close %d %q", err, want, want.Reason())
		}
		return
	}
}
