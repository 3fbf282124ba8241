package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// startLogged runs a gateway that logs all it has to say.
func startLogged(t *testing.T, log *lockedBuffer, change func(*Config)) *gatewayUnderTest {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "prices", "chat"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg := Config{Brokers: cluster.ListenAddrs(), Topics: []string{"prices", "chat"}, InstanceID: "gw-1"}
	change(&cfg)
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan string, 1)
	g := &gatewayUnderTest{t: t, cluster: cluster, stop: cancel}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	g.done = goErr(func() error { return Run(ctx, cfg, logger, func(addr string) { ready <- addr }) })
	select {
	case g.addr = <-ready:
	case err := <-g.done:
		t.Fatalf("gateway ended: %v", err)
	case <-time.After(patience):
		t.Fatal("gateway is not ready")
	}
	t.Cleanup(g.shutDown)
	return g
}

// newBubbleHub is a hub for clients on pipes, in false time.
func newBubbleHub() *testHub {
	h := &testHub{cfg: Config{InstanceID: "gw-1"}.WithDefaults()}
	h.hub = newHub([]string{"prices"}, nil, 10, &h.counters)
	return h
}

// pipeClient is the far end of a client on a pipe. It answers pings and takes all that comes.
type pipeClient struct {
	conn  net.Conn
	ended chan CloseCode // gives the gateway's close code, or CloseAbnormal
}

// joinPipe runs a client whose token expires then, never if that is zero.
func (h *testHub) joinPipe(t *testing.T, expiresAt time.Time) *pipeClient {
	t.Helper()
	server, remote := net.Pipe()
	c := newClient(server, &h.cfg, h.hub)
	c.who.expiresAt = expiresAt
	if !h.add(c, nil) {
		t.Fatal("the hub is closed")
	}
	p := &pipeClient{conn: remote, ended: make(chan CloseCode, 1)}
	go func() { p.ended <- p.take() }()
	return p
}

func (p *pipeClient) take() CloseCode {
	buf := make([]byte, 64<<10)
	for {
		n, err := p.conn.Read(buf)
		if err != nil {
			return CloseAbnormal
		}
		ops, payloads := serverFrames(buf[:n])
		for i, op := range ops {
			switch op {
			case opClose:
				code, _ := closePayload(payloads[i])
				return code
			case opPing:
				if _, err := p.conn.Write(masked(opPong, "")); err != nil {
					return CloseAbnormal
				}
			}
		}
	}
}

func (p *pipeClient) awaitClose() CloseCode { return <-p.ended }
