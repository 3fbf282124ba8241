package testkit

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Options is what a defective gateway is made of.
type Options struct {
	Seeds []string
	// Topics are read from their ends, all partitions.
	Topics     []string
	Partitions int
	// Fault decides about each delivery; nil passes all.
	Fault Fault
	// Bare sends every value to everyone, as it is; otherwise the reference protocol's subset is spoken.
	Bare bool
	// Replay is how many of the last data messages that a client had got are sent again when it comes back.
	Replay int
	// Resume gives clients that come back what they missed, unlike Replay; nil does not.
	Resume *Resume
	// Conflate passes on only the newest record of each key to each client, at this interval; 0 passes all. The Fault is
	// asked about what is passed on.
	Conflate time.Duration
	// PublishFault decides about each data message that clients publish; nil passes all on.
	PublishFault PublishFault
}

// Gateway is a small WebSocket gateway with faults to order.
type Gateway struct {
	options Options
	url     string
	server  *http.Server
	kafka   *kgo.Client
	life    context.Context // ends with Close
	end     context.CancelFunc
	wg      sync.WaitGroup

	mu      sync.Mutex
	clients []*client // in the order of connection; those thrown out stay and may come back
	numbers int
	counts  Counts

	published PublishCounts

	resume   *resuming // nil where it does not resume
	replayed bool      // what is offered now is replayed
}

// StartGateway starts a gateway, which ends with the test. It reads what is produced after the call.
func StartGateway(t testing.TB, o Options) *Gateway {
	t.Helper()
	offsets, starts := startsOf(t, o) // found now: the Kafka client would look for the ends later, and pass over what comes meanwhile
	var resume *resuming
	if o.Resume != nil {
		resume = &resuming{Resume: *o.Resume, starts: offsets, logs: map[string][][]*record{}}
	}
	kafka, err := kgo.NewClient(kgo.SeedBrokers(o.Seeds...), kgo.ConsumePartitions(starts), kgo.FetchMaxWait(200*time.Millisecond),
		kgo.ProducerLinger(0), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		t.Fatalf("make the gateway's Kafka client: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		kafka.Close()
		t.Fatalf("listen: %v", err)
	}
	g := &Gateway{options: o, url: "ws://" + listener.Addr().String() + "/ws", kafka: kafka, resume: resume}
	g.life, g.end = context.WithCancel(context.Background())
	g.server = &http.Server{Handler: http.HandlerFunc(g.serve), ReadHeaderTimeout: time.Second}
	g.wg.Go(func() { _ = g.server.Serve(listener) })
	g.wg.Go(g.consume)
	if o.Conflate > 0 {
		g.wg.Go(g.passOn)
	}
	t.Cleanup(g.Close)
	return g
}

// URL is where clients connect.
func (g *Gateway) URL() string { return g.url }

// Counts is what the gateway did so far.
func (g *Gateway) Counts() Counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counts
}

// Close ends the gateway and waits for its goroutines. Idempotent.
func (g *Gateway) Close() {
	g.end()
	_ = g.server.Close()
	g.mu.Lock()
	for _, c := range g.clients {
		if c.conn != nil {
			_ = c.conn.Close()
		}
	}
	g.mu.Unlock()
	g.wg.Wait()
	g.kafka.Close()
}

// consume delivers until the gateway ends.
func (g *Gateway) consume() {
	for g.life.Err() == nil {
		fetches := g.kafka.PollFetches(g.life)
		receivedAt := time.Now().UnixNano()
		g.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			tell := g.resume != nil && g.resume.keep(&record{r, "", receivedAt, isData(r.Value)})
			for _, c := range slices.Clone(g.clients) {
				if g.resume != nil && c.conn == nil {
					continue // it gets it when it comes back
				}
				if channel := c.follows(r); channel != "" {
					rec := &record{r, channel, receivedAt, isData(r.Value)}
					if g.options.Conflate > 0 {
						c.conflate(g, rec)
					} else {
						g.offer(c, rec)
					}
				}
			}
			if tell {
				g.tell()
			}
		})
		g.mu.Unlock()
	}
}

var upgrader = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}

// serve is one connection's goroutine: it reads requests until the connection ends.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	// The server's own goroutine is not one that its Close waits for after the upgrade.
	g.mu.Lock()
	if g.life.Err() != nil {
		g.mu.Unlock()
		return
	}
	g.wg.Add(1)
	g.mu.Unlock()
	defer g.wg.Done()
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(g.life, func() { _ = conn.Close() })()
	conn.SetCloseHandler(func(int, string) error { return nil })
	if g.options.Bare {
		g.arrive(conn, nil)
	}
	defer g.leave(conn)
	var later []publish
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if g.options.Bare {
			continue
		}
		if err := g.request(conn, text, &later); err != nil {
			return
		}
	}
}

// find returns the client of a connection, or nil.
func (g *Gateway) find(conn *websocket.Conn) *client {
	i := slices.IndexFunc(g.clients, func(c *client) bool { return c.conn == conn })
	if i < 0 {
		return nil
	}
	return g.clients[i]
}

// arrive books a connection with its channels: a client that was thrown out comes back, or there is a new one.
func (g *Gateway) arrive(conn *websocket.Conn, channels []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.arriveLocked(conn, channels)
}

func (g *Gateway) arriveLocked(conn *websocket.Conn, channels []string) {
	names := strings.Join(channels, ",")
	for _, c := range g.clients {
		if c.conn == nil && c.names == names {
			c.conn = conn
			g.replay(c)
			return
		}
	}
	c := &client{conn: conn, number: -1, names: names, channels: map[string]bool{}, streams: map[string]*stream{}}
	for _, ch := range channels {
		c.channels[ch] = true
	}
	g.clients = append(g.clients, c)
}

// leave forgets a connection that ended. A client that went by itself is gone.
func (g *Gateway) leave(conn *websocket.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.find(conn); c != nil {
		if c.conn = nil; g.resume != nil {
			return
		}
		g.clients = slices.DeleteFunc(g.clients, func(o *client) bool { return o == c })
	}
}
