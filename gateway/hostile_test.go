package gateway

import (
	"bytes"
	"fmt"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirbench/weir/internal/settings"
)

// masked is a frame as a client sends it, with a zero mask.
func masked(op opcode, payload string) []byte {
	b := appendFrameHeader(nil, op, len(payload))
	b[1] |= maskBit
	return append(append(b, 0, 0, 0, 0), payload...)
}

func TestHostileClients(t *testing.T) {
	g := start(t, func(c *Config) {
		c.Limits.MessageBytes = 1024
		c.Timeouts.Close = 50 * time.Millisecond
	})
	healthy := g.dial("prices")
	header := func(b ...byte) []byte { return append(b, make([]byte, 16)...) }
	for _, tt := range []struct {
		name string
		send []byte
		want CloseCode
	}{
		{"unmasked", appendFrame(nil, opText, []byte("{}")), CloseProtocolError},
		{"reserved bit", header(0xC1, 0x80), CloseProtocolError},
		{"reserved data opcode", header(0x83, 0x80), CloseProtocolError},
		{"reserved control opcode", header(0x8B, 0x80), CloseProtocolError},
		{"fragmented ping", header(0x09, 0x80), CloseProtocolError},
		{"long ping", header(0x89, 0xFE, 0, 200), CloseProtocolError},
		{"continuation of nothing", masked(opContinuation, "x"), CloseProtocolError},
		{"message in a message", append([]byte{0x01, 0x80, 0, 0, 0, 0}, masked(opText, "{}")...), CloseProtocolError},
		{"length not minimal", header(0x81, 0xFE, 0, 5), CloseProtocolError},
		{"negative length", header(0x81, 0xFF, 0xFF), CloseProtocolError},
		{"garbage", []byte(strings.Repeat("GET / HTTP/1.1\r\n", 1000)), CloseProtocolError},
		{"exabyte", header(0x81, 0xFF, 0x0F), CloseTooBig},
		{"over the limit", masked(opText, strings.Repeat(" ", 1025)), CloseTooBig},
		{"over the limit in fragments", append(append([]byte{0x01, 0xFE, 4, 0, 0, 0, 0, 0}, make([]byte, 1024)...), 0x80, 0x81, 0, 0, 0, 0, 0), CloseTooBig},
		{"not UTF-8", masked(opText, "\xff"), CloseInvalidPayload},
		{"binary", masked(opBinary, "{}"), CloseUnsupportedData},
		{"not JSON", masked(opText, "hello"), CloseBadMessage},
		{"not an object", masked(opText, `["subscribe"]`), CloseBadMessage},
		{"null", masked(opText, `null`), CloseBadMessage},
		{"empty", masked(opText, ``), CloseBadMessage},
		{"deep nesting", masked(opText, strings.Repeat("[", 1000)), CloseBadMessage},
		{"half a close code", masked(opClose, "x"), CloseProtocolError},
		{"reserved close code", masked(opClose, "\x03\xED"), CloseProtocolError},
		{"close reason not UTF-8", masked(opClose, "\x03\xE8\xff"), CloseInvalidPayload},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := g.dial("prices")
			c.t = t
			if _, err := c.ws.NetConn().Write(tt.send); err != nil {
				t.Fatal(err)
			}
			c.wantClose(tt.want)
		})
	}
	// They did no harm.
	g.produce(0, keyed("k", 0, 1)...)
	if m := healthy.read(); string(m.Value) != "0" {
		t.Errorf("healthy client: got %s", m.Raw)
	}
	g.eventually("the others are gone", func(s Stats) bool { return s.Connections == 1 && s.Subscriptions == 1 })
}

// What is wrong in a request is answered, and the connection goes on.
func TestRefusedRequests(t *testing.T) {
	g := start(t, func(c *Config) { c.Limits.ChannelsPerClient = 100 })
	c := g.dial()
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf(`"prices/%d"`, i)
	}
	for _, tt := range []struct {
		name, send string
		wantID     *uint64
		wantCode   ErrorCode
	}{
		{"unknown type", `{"type":"shout","id":7}`, new(uint64(7)), ErrorUnknownType},
		{"no type", `{"id":8}`, new(uint64(8)), ErrorBadRequest},
		{"no channels", `{"type":"subscribe","id":9}`, new(uint64(9)), ErrorBadRequest},
		{"channels not a list", `{"type":"subscribe","id":10,"channels":"prices"}`, new(uint64(10)), ErrorBadRequest},
		{"negative id", `{"type":"subscribe","id":-1,"channels":["prices"]}`, nil, ErrorBadRequest},
		{"fractional id", `{"type":"subscribe","id":1.5,"channels":["prices"]}`, nil, ErrorBadRequest},
		{"hundreds of channels", `{"type":"subscribe","id":11,"channels":[` + strings.Join(many, ",") + `]}`, new(uint64(11)), ErrorTooManyChannels},
		{"key without topic", `{"type":"subscribe","id":12,"channels":["/k"]}`, new(uint64(12)), ErrorUnknownChannel},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.send(tt.send)
			m := c.read()
			if m.Type != "error" || m.Code != string(tt.wantCode) || (m.ID == nil) != (tt.wantID == nil) || m.ID != nil && *m.ID != *tt.wantID {
				t.Errorf("got %s; want code %s", m.Raw, tt.wantCode)
			}
		})
	}
	if s := g.stats(); s.Subscriptions != 0 {
		t.Errorf("subscriptions: got %d; want 0", s.Subscriptions)
	}
}

// A client that asks without end and never reads the answers is thrown out.
func TestRequestFlood(t *testing.T) {
	g := start(t, func(c *Config) { c.QueueBytes = 4096 })
	c := g.dial()
	c.ws.SetWriteDeadline(time.Now().Add(patience))
	flood := bytes.Repeat(masked(opText, `{"type":"x"}`), 1000)
	for {
		if _, err := c.ws.NetConn().Write(flood); err != nil {
			break // reset by the gateway
		}
		if g.stats().Closes["slow_client"] > 0 {
			break
		}
	}
	c.ws.Close()
	if s := g.eventually("thrown out", func(s Stats) bool { return s.Connections == 0 }); s.Closes["slow_client"] != 1 {
		t.Errorf("stats: %+v; want one slow client", s)
	}
}

func TestHTTP(t *testing.T) {
	g := start(t, func(c *Config) { c.Origins.Allow = []string{"https://app.example.com"} })
	var ready readiness
	if status := g.get("/readyz", &ready); status != http.StatusOK || ready != (readiness{Status: "ready", Instance: "gw-1"}) {
		t.Errorf("GET /readyz: got %d, %+v", status, ready)
	}
	if status := g.get("/healthz", &ready); status != http.StatusOK || ready.Instance != "gw-1" {
		t.Errorf("GET /healthz: got %d, %+v", status, ready)
	}
	var refused received
	if status := g.get("/ws?channel=nosuch", &refused); status != http.StatusBadRequest || refused.Code != "unknown_channel" {
		t.Errorf("GET /ws?channel=nosuch: got %d, %+v", status, refused)
	}
	for _, tt := range []struct {
		origin string
		want   int
	}{
		{"", http.StatusSwitchingProtocols},
		{"http://" + g.addr, http.StatusSwitchingProtocols},
		{"https://app.example.com", http.StatusSwitchingProtocols},
		{"https://evil.example.com", http.StatusForbidden},
		{"null", http.StatusForbidden},
	} {
		t.Run("origin "+tt.origin, func(t *testing.T) {
			h := http.Header{}
			if tt.origin != "" {
				h.Set("Origin", tt.origin)
			}
			ws, resp, err := websocket.DefaultDialer.Dial("ws://"+g.addr+"/ws", h)
			if resp == nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tt.want {
				t.Errorf("got status %d; want %d", resp.StatusCode, tt.want)
			}
			if ws != nil {
				ws.Close()
			}
		})
	}
}

func TestClientClosesAndPings(t *testing.T) {
	g := start(t, nil)
	c := g.dial()
	pong := make(chan string, 1)
	c.ws.SetPongHandler(func(data string) error { pong <- data; return nil })
	if err := c.ws.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c.send(`{"type":"x"}`)
	if m := c.read(); m.Code != string(ErrorUnknownType) {
		t.Errorf("got %s; want an error", m.Raw)
	}
	if got := <-pong; got != "are you there" { // came before the error
		t.Errorf("pong: got %q", got)
	}
	if err := c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4321, "bye"), time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, err := c.tryRead()
	if closed, ok := err.(*websocket.CloseError); !ok || closed.Code != 4321 {
		t.Errorf("close: got %v; want the client's own code 4321", err)
	}
	g.eventually("counted as a normal close", func(s Stats) bool { return s.Closes["normal"] == 1 })
}

// inBubble runs a client on one end of a pipe and gives the test the other, in
// false time.
func inBubble(t *testing.T, f func(t *testing.T, remote net.Conn, h *testHub)) {
	synctest.Test(t, func(t *testing.T) {
		h := &testHub{cfg: Config{InstanceID: "gw-1", Gateway: settings.Gateway{Timeouts: settings.Timeouts{Ping: time.Second, Write: 2 * time.Second}}}.WithDefaults()}
		h.hub = newHub([]string{"prices"}, nil, 10, &h.counters)
		server, remote := net.Pipe()
		if !h.add(newClient(server, &h.cfg, h.hub), nil) {
			t.Fatal("the hub is closed")
		}
		f(t, remote, h)
		remote.Close()
		h.wait()
	})
}

func TestSilentClientIsClosed(t *testing.T) {
	inBubble(t, func(t *testing.T, remote net.Conn, h *testHub) {
		startedAt := time.Now()
		var ops []opcode
		buf := make([]byte, 4096)
		for {
			n, err := remote.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got, payloads := serverFrames(buf[:n])
			ops = append(ops, got...)
			if last := len(got) - 1; got[last] == opClose {
				if code, _ := closePayload(payloads[last]); code != CloseNoPong {
					t.Errorf("close code: got %d; want %d", code, CloseNoPong)
				}
				break
			}
		}
		if want := fmt.Sprint([]opcode{opText, opPing, opPing, opClose}); fmt.Sprint(ops) != want {
			t.Errorf("frames: got %v; want %v", ops, want)
		}
		if got := time.Since(startedAt); got != 3250*time.Millisecond {
			t.Errorf("closed after %s; want 3.25 ping intervals", got)
		}
	})
}

func TestAnsweringClientStays(t *testing.T) {
	inBubble(t, func(t *testing.T, remote net.Conn, h *testHub) {
		buf := make([]byte, 4096)
		pings := 0
		for pings < 100 {
			n, err := remote.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if ops, _ := serverFrames(buf[:n]); ops[0] == opPing {
				pings++
				if _, err := remote.Write(masked(opPong, "")); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// A client that takes nothing for Timeouts.Write is dropped.
func TestWriteTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, _ net.Conn, h *testHub) {
		h.wait() // the hello is never read
		if s := h.counters.stats(""); s.Closes["write_timeout"] != 1 || s.SlowDisconnects != 1 || s.Connections != 0 {
			t.Errorf("stats: %+v; want one write timeout", s)
		}
	})
}

func TestConfigValidate(t *testing.T) {
	ok := Config{Brokers: []string{"127.0.0.1:9092"}, Topics: []string{"prices"}}.WithDefaults()
	if err := ok.Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"nothing to consume", func(c *Config) { c.Brokers, c.Topics = nil, nil }, "Brokers: empty (give at least one host:port)\nTopics: empty (give at least one topic)"},
		{"listen", func(c *Config) { c.Listen = "here" }, `Listen: "here" is not host:port`},
		{"topic", func(c *Config) { c.Topics = []string{"a/b", "x", "x"} }, "Topics[0]: \"a/b\" is not a topic name (1 to 249 of a-z A-Z 0-9 . _ -)\nTopics[2]: \"x\" is named twice"},
		{"policy", func(c *Config) { c.SlowPolicy = "wait" }, `SlowPolicy: "wait" is unknown (write "disconnect" or "drop-oldest")`},
		{"queue", func(c *Config) { c.QueueBytes = math.MinInt }, "QueueBytes: -9223372036854775808 is too small (at least 1024)"},
		{"published topic", func(c *Config) { c.PublishTopics = []string{"x", ".", "x"} }, "PublishTopics[1]: \".\" is not a topic name (1 to 249 of a-z A-Z 0-9 . _ -)\nPublishTopics[2]: \"x\" is named twice"},
		{"conflation", func(c *Config) {
			c.Conflate = []Conflation{{"ticks", time.Second}, {"prices", time.Microsecond}, {"prices", time.Second}}
		}, "Conflate[0]: topic \"ticks\" is not one of Topics\nConflate[1]: 1µs is too short an interval (at least 1ms)\nConflate[2]: topic \"prices\" is named twice"},
		{"publishing", func(c *Config) { c.Publish.Linger, c.Publish.MaxInFlight, c.Publish.BufferBytes = -1, -1, 1 }, "Publish.Linger: -1ns is not from 0 to 1s\nPublish.MaxInFlight: -1 is too small (at least 1)\nPublish.BufferBytes: 1 is too small (at least 1048576)"},
		{"duration", func(c *Config) { c.Timeouts.Ping = -1 }, "Timeouts.Ping: -1ns is not a positive duration"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := ok
			tt.change(&c)
			if err := c.Validate(); err == nil || err.Error() != tt.want {
				t.Errorf("got %v; want %s", err, tt.want)
			}
		})
	}
	if err := Run(t.Context(), Config{}, nil, nil); err == nil {
		t.Error("Run without brokers: got nil; want an error")
	}
}

func TestParseConflation(t *testing.T) {
	if got, err := ParseConflation("prices.eu=1.5s"); err != nil || got != (Conflation{"prices.eu", 1500 * time.Millisecond}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, s := range []string{"", "prices", "prices=", "prices=5", "=x"} {
		want := fmt.Sprintf("%q is not TOPIC=INTERVAL (write prices=250ms)", s)
		if _, err := ParseConflation(s); err == nil || err.Error() != want {
			t.Errorf("%q: got %v; want %s", s, err, want)
		}
	}
}

func TestConfigPrintsWithoutKafkaOpts(t *testing.T) {
	s := Config{Topics: []string{"prices"}}.WithDefaults().String()
	for _, want := range []string{"Topics:[prices]", "QueueBytes:1048576", "Ping:25s", "SlowPolicy:disconnect"} {
		if !strings.Contains(s, want) {
			t.Errorf("%q lacks %q", s, want)
		}
	}
	if strings.Contains(s, "KafkaOpts") {
		t.Errorf("%q shows KafkaOpts", s)
	}
}
