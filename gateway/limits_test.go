package gateway

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/settings"
)

func TestBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(10)
		take := func(n int) (taken int) {
			for range n {
				if b.take(1) {
					taken++
				}
			}
			return taken
		}
		for _, step := range []struct {
			after      time.Duration
			ask, taken int
		}{
			{0, 15, 10}, // a second's worth at once
			{100 * time.Millisecond, 5, 1},
			{350 * time.Millisecond, 5, 3},
			{time.Hour, 15, 10},
		} {
			<-time.After(step.after)
			if got := take(step.ask); got != step.taken {
				t.Errorf("%s later: got %d of %d; want %d", step.after, got, step.ask, step.taken)
			}
		}
		<-time.After(time.Second)
		if !b.take(25) || b.take(1) { // is let pass and paid for later
			t.Error("25 at once of 10 a second: want them taken, and no more")
		}
		<-time.After(1500 * time.Millisecond)
		if b.take(1) {
			t.Error("the debt was forgotten")
		}
		<-time.After(200 * time.Millisecond)
		if !b.take(1) {
			t.Error("the debt was not paid off")
		}
	})
	if none := newBucket(unlimited); !none.take(1 << 30) {
		t.Error("no limit refuses")
	}
}

func TestSourceOf(t *testing.T) {
	for remote, want := range map[string]string{
		"10.0.0.1:5": "10.0.0.1", "[::ffff:10.0.0.1]:5": "10.0.0.1", "[fe80::1%eth0]:5": "fe80::1", "pipe": "invalid IP",
	} {
		if got := sourceOf(remote).String(); got != want {
			t.Errorf("%s: got %s; want %s", remote, got, want)
		}
	}
}

func TestConnectionLimit(t *testing.T) {
	g := start(t, func(c *Config) { c.Limits.Connections = 2 })
	first := g.dial()
	g.dial()
	if h := g.wantRefused(t, "", nil, http.StatusServiceUnavailable, ErrorTooManyConnections); h.Get("Retry-After") != "1" {
		t.Errorf("Retry-After: got %q; want 1", h.Get("Retry-After"))
	}
	g.wantRefused(t, "channel=nosuch", nil, http.StatusServiceUnavailable, ErrorTooManyConnections)
	first.ws.Close()
	g.eventually("one has gone", func(s Stats) bool { return s.Connections == 1 })
	g.wantRefused(t, "channel=nosuch", nil, http.StatusBadRequest, ErrorUnknownChannel) // and gives its place back
	g.awaitPlace()
}

// awaitPlace connects as soon as there is a place: a client's is given back just after it is no longer counted.
func (g *gatewayUnderTest) awaitPlace() {
	g.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		resp, err := http.DefaultClient.Get("http://" + g.addr + "/ws") // without an upgrade
		if err != nil {
			g.t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusBadRequest {
			break
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("got %s; want a place", resp.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	g.dial()
}

func TestConnectionLimitOfASource(t *testing.T) {
	g := start(t, func(c *Config) { c.Limits.ConnectionsPerSource = 1 })
	first := g.dial()
	if h := g.wantRefused(t, "", nil, http.StatusTooManyRequests, ErrorTooManyConnections); h.Get("Retry-After") != "1" {
		t.Errorf("Retry-After: got %q; want 1", h.Get("Retry-After"))
	}
	// Another address is not concerned.
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := dialer.Dial("tcp", g.addr)
	if err != nil {
		t.Skipf("no second loopback address: %v", err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("from another address: got %+v, %v; want 101", resp, err)
	}
	first.ws.Close()
	g.awaitPlace()
}

// A request whose header does not come is cut off, and with it goes what it held.
func TestSlowHeader(t *testing.T) {
	g := start(t, func(c *Config) { c.Timeouts.Handshake = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	if answer, err := bufio.NewReader(conn).ReadString('\n'); err == nil && !strings.HasPrefix(answer, "HTTP/1.1 408") {
		t.Errorf("got %q; want 408 or the connection's end", answer)
	} else if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Errorf("the gateway waits on: %v", err)
	}
}

func TestFrameLimit(t *testing.T) {
	for _, tt := range []struct{ name, frames string }{
		{"pings", strings.Repeat(string(masked(opPing, "")), 101)},
		{"messages", strings.Repeat(string(masked(opText, `{"type":"x"}`)), 101)},
		{"fragments", "\x01\x80\x00\x00\x00\x00" + strings.Repeat("\x00\x80\x00\x00\x00\x00", 100)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := start(t, func(c *Config) { c.Limits.FramesPerSecond = 100 })
			c := g.dial()
			// Sent again, lest a slow machine makes seconds of it.
			if _, err := c.ws.NetConn().Write([]byte(strings.Repeat(tt.frames, 3))); err != nil {
				t.Fatal(err)
			}
			c.wantClose(CloseTooManyFrames)
			g.eventually("counted", func(s Stats) bool { return s.Closes["too_many_frames"] == 1 })
		})
	}
}

func TestSubscribeLimit(t *testing.T) {
	g := start(t, func(c *Config) { c.Limits.SubscribesPerSecond = 2 })
	c := g.dial()
	codes := make(map[string]int)
	for range 10 {
		c.send(`{"type":"subscribe","channels":["prices/a","prices/b"]}`)
		m := c.read()
		codes[m.Type+m.Code]++
	}
	// The first is sure to pass; how many more do is the clock's affair.
	if codes["subscribed"] == 0 || codes["error"+string(ErrorTooManyRequests)] == 0 || len(codes) != 2 {
		t.Errorf("got %v; want some subscribed and some too_many_requests", codes)
	}
	c.send(`{"type":"publish","id":1,"channel":"x","value":""}`) // the connection goes on
	if m := c.read(); m.Type != answerRefused {
		t.Errorf("got %s", m.Raw)
	}
}

// Where too much waits for all clients together, those for whom most does bear it, by their policy, and the others get
// everything.
func TestTotalQueueLimit(t *testing.T) {
	const limit, frame = 64 << 10, 1 << 10
	for _, policy := range []SlowPolicy{SlowDisconnect, SlowDropOldest} {
		t.Run(string(policy), func(t *testing.T) {
			var counters counters
			total := newQueueTotal(limit)
			newOne := func() (*queue, *member) {
				q := &queue{}
				q.init(1<<20, policy, &counters, make(chan struct{}, 1))
				q.join(total)
				return q, &member{channel: newChannel(&topic{name: "prices"}, "prices", nil)}
			}
			stuck := make([]*queue, 3)
			members := make([]*member, 3)
			for i := range stuck {
				stuck[i], members[i] = newOne()
			}
			brisk, member := newOne()
			for offset := range int64(200) {
				msg := &message{frame: make([]byte, frame), offset: offset}
				for i, q := range stuck {
					q.pushRecord(msg, members[i])
				}
				if open, _ := brisk.pushRecord(msg, member); !open {
					t.Fatalf("record %d: the client that reads was closed", offset)
				}
				b := new(burst)
				if brisk.take(b); b.records != 1 || b.bytes < frame {
					t.Fatalf("record %d: the client that reads got %d records", offset, b.records)
				}
				brisk.mu.Lock()
				brisk.release(b.bytes)
				brisk.unlock()
				if n := total.bytes.Load(); n > 2*limit+4*frame {
					t.Fatalf("record %d: %d bytes wait; want twice the limit of %d at most", offset, n, limit)
				}
			}
			slow := counters.closes[CloseSlowClient.index()].Load()
			if policy == SlowDisconnect && (slow == 0 || counters.dropped.Load() != 0) || policy == SlowDropOldest && (slow != 0 || counters.dropped.Load() == 0) {
				t.Errorf("got %d closed and %d dropped", slow, counters.dropped.Load())
			}
			for _, q := range append(stuck, brisk) {
				q.leave()
			}
			if total.bytes.Load() != 0 || total.clients.Load() != 0 {
				t.Errorf("left in the total: %d bytes, %d clients", total.bytes.Load(), total.clients.Load())
			}
		})
	}
}

// The total is what /metrics says waits, and is nothing when nothing does.
func TestTotalQueueAddsUp(t *testing.T) {
	h := newTestHub(t, SlowDisconnect)
	h.queues = newQueueTotal(1 << 30)
	release := make(chan struct{})
	h.cfg.QueueBytes = 1 << 30
	for range 3 {
		h.join(t, func([]byte) { <-release }, "prices")
	}
	for i := range int64(100) {
		h.publish(h.topics["prices"], &record{offset: i, value: make([]byte, 1000)})
	}
	if waiting, _ := h.waiting(); int64(waiting) != h.queues.bytes.Load() || waiting < 3*90*1000 {
		t.Errorf("total: got %d; want %d", h.queues.bytes.Load(), waiting)
	}
	close(release)
	h.close()
	h.sever()
	h.wait()
	if n := h.queues.bytes.Load(); n != 0 || h.queues.clients.Load() != 0 {
		t.Errorf("left in the total: %d bytes of %d clients", n, h.queues.clients.Load())
	}
}

// A client that does not read is closed for the total alone, though its own queue would hold more.
func TestTotalQueueLimitClosesTheSlow(t *testing.T) {
	// The share of each is four records: what has been written counts until the writer has come back.
	g := start(t, func(c *Config) { c.QueueBytes, c.Limits.QueueBytesTotal = 256<<10, 640<<10 })
	for range 4 {
		g.dial("prices")
	}
	brisk := g.dial("prices")
	for offset := int64(0); g.stats().Closes["slow_client"] < 4; offset++ {
		g.produce(0, &kgo.Record{Value: make([]byte, 32<<10)})
		if m := brisk.read(); m.Offset != offset {
			t.Fatalf("the client that reads: got offset %d; want %d", m.Offset, offset)
		}
	}
}

func TestOriginPolicyForNone(t *testing.T) {
	g := start(t, func(c *Config) { c.Origins = settings.Origins{Allow: []string{"*"}, RefuseNone: true} })
	g.wantRefused(t, "", nil, http.StatusForbidden, ErrorForbidden)
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nOrigin: https://any\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("with an origin: got %+v, %v; want 101", resp, err)
	}
}

func TestSecuritySettingsAreChecked(t *testing.T) {
	ok := Config{Brokers: []string{"127.0.0.1:9092"}, Topics: []string{"prices"}}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"limits", func(c *Config) {
			c.Limits = settings.Limits{Connections: -2, ConnectionsPerSource: -3, FramesPerSecond: -4, SubscribesPerSecond: -5, QueueBytesTotal: 1}
		}, []string{
			"Limits.Connections: -2 is too small (at least 1, or -1 for no limit)",
			"Limits.ConnectionsPerSource: -3 is too small (at least 1, or -1 for no limit)",
			"Limits.FramesPerSecond: -4 is too small (at least 1, or -1 for no limit)",
			"Limits.SubscribesPerSecond: -5 is too small (at least 1, or -1 for no limit)",
			"Limits.QueueBytesTotal: 1 is too small (at least 1048576, or -1 for no limit)",
		}},
		{"TLS", func(c *Config) { c.TLS = &settings.TLS{CertFile: "x"} }, []string{"TLS: CertFile and KeyFile are both needed"}},
		{"no key source", func(c *Config) { c.Tokens = &settings.Tokens{} }, []string{"Tokens: 0 of HMACFile, JWKSFile and JWKSURL are set (set one)"}},
		{"two key sources", func(c *Config) { c.Tokens = &settings.Tokens{HMACFile: "x", JWKSURL: "keys"} }, []string{
			"Tokens: 2 of HMACFile, JWKSFile and JWKSURL are set (set one)",
			"Tokens.JWKSURL: not a URL that begins with https:// or http://",
		}},
		{"permissions", func(c *Config) {
			c.Permissions = []settings.Permission{{Subscribe: true}, {Channels: []string{"x"}}, {Channels: []string{"x"}, Value: "v", Publish: true}}
		}, []string{
			"Permissions[0].Channels: a pattern is missing (write ** for all channels)",
			"Permissions[1]: allows nothing (set Subscribe, Publish, Presence or Resume)",
			"Permissions[2].Value: there is no Claim that could have it",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := ok
			tt.change(&c)
			err := c.WithDefaults().Validate()
			if err == nil || !slices.Equal(strings.Split(err.Error(), "\n"), tt.want) {
				t.Errorf("got %v; want %s", err, tt.want)
			}
		})
	}
}
